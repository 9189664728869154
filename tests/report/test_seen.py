"""What the report says is seen in the figures: the numbers of the tables, in words that their errors allow."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rs3l.config.campaign import Campaign
from rs3l.config.variants import Variant
from rs3l.figures.histograms import Accumulator
from rs3l.figures.plot_data import shape_points
from rs3l.figures.plot_resources import resource_table
from rs3l.figures.registry import FIGURES
from rs3l.paths import CampaignPaths
from rs3l.report import words
from rs3l.report.page import markdown, report
from rs3l.report.seen import CALIBRATION, headlines, seen
from rs3l.report.seen_data import distances, mean
from support.toy_campaign import campaign, write_benchmarks, write_results, write_training

TASK = "h_vs_qcd"
OWN, SCRATCH, PEER = ("rs3l", "probe_h"), ("none", "scratch"), ("jetclr", "probe_h")
NONE = "no difference beyond two standard deviations"
Cells = Mapping[str, Any]


@pytest.fixture(scope="module")
def config() -> Campaign:
    return campaign()


@pytest.fixture
def paths(tmp_path: Path) -> CampaignPaths:
    for folder in ("evaluation", "figures", "ablations"):
        (tmp_path / folder).mkdir()
    return CampaignPaths(str(tmp_path))


def wider(config: Campaign) -> Campaign:
    """Return a campaign with variants that are held out, too."""
    other = {name: Variant(resample="shower", use="held_out") for name in ("vincia", "a14", "dire")}
    return config.model_copy(update={"variants": {**config.variants, **other}})


def write(path: str, rows: Sequence[Cells], **common: Any) -> None:
    pd.DataFrame([{**common, **row} for row in rows]).to_csv(path, index=False)


def method(name: tuple[str, str], **cells: Any) -> dict[str, Any]:
    return {"method": name[0], "mode": name[1], **cells}


def difference(other: tuple[str, str], **cells: Any) -> dict[str, Any]:
    return {**method(OWN), "reference_method": other[0], "reference_mode": other[1], **cells}


def write_rejections(
    paths: CampaignPaths, own: Cells, ratio: tuple[float, float], scratch: Cells = MappingProxyType({})
) -> None:
    values = [method(OWN, value=147.0, error=35.0), method(SCRATCH, value=49.0, error=8.0)]
    common = {"task": TASK, "labels": 100, "metric": "rejection_0.5"}
    measured = {**common, "lower_limit": False, "background_passing": 40.0}
    write(paths.evaluation("metrics"), [{**values[0], **own}, {**values[1], **scratch}], **measured)
    row = difference(SCRATCH, value=98.0, error=30.0, ratio=ratio[0], ratio_error=ratio[1])
    write(paths.evaluation("differences"), [row], **common)


def test_rejections_and_their_paired_ratio(config: Campaign, paths: CampaignPaths) -> None:
    write_rejections(paths, {}, (3.0, 0.4))
    text = seen("roc", TASK, paths, config)
    deviations = math.log(3.0) / (0.4 / 3.0)
    assert text == (
        "QCD rejection of RS3L, frozen, linear on h at 50% H efficiency: with 100 labels 147 ± 35 against 49.0 ± 8.0 "
        f"(from scratch), paired ratio 3.00 ± 0.40, {deviations:.1f} standard deviations from 1."
    )


def test_a_ratio_within_its_error_is_no_difference(config: Campaign, paths: CampaignPaths) -> None:
    write_rejections(paths, {}, (1.2, 0.15))  # ln 1.2 / 0.125 = 1.46
    text = seen("roc", TASK, paths, config)
    assert text.endswith(f"paired ratio 1.20 ± 0.15: {NONE}.")
    assert "standard deviations from 1" not in text


@pytest.mark.parametrize("side", [0, 1])
def test_a_lower_limit_has_neither_error_nor_ratio(config: Campaign, paths: CampaignPaths, side: int) -> None:
    limit = {"value": 5000.0, "lower_limit": True, "background_passing": 0.6}
    write_rejections(paths, *((limit, (34.0, 20.0)) if side == 0 else ({}, (34.0, 20.0), limit)))
    text = seen("roc", TASK, paths, config)
    assert "> 5,000 (" in text and "lower limit; only 0.6 QCD jets pass" in text
    assert "no ratio with a limit" in text and "34" not in text


def write_areas(paths: CampaignPaths, own_minus_scratch: Sequence[tuple[int, float, float]]) -> None:
    rows, differences = [], []
    for labels, value, error in own_minus_scratch:
        rows += [method(OWN, value=0.98, error=0.002, labels=labels)]
        rows += [method(SCRATCH, value=0.98 - value, error=0.003, labels=labels)]
        differences += [difference(SCRATCH, value=value, error=error, labels=labels)]
        differences += [difference(PEER, value=-0.02, error=0.004, labels=labels)]
    write(paths.evaluation("metrics"), rows, task=TASK, metric="auc")
    write(paths.evaluation("differences"), differences, task=TASK, metric="auc")


def write_saving(paths: CampaignPaths, limit: str, value: float, error: float | None) -> None:
    row = method(OWN, value=value, error=error, limit=limit, labels=100, reference_method="none")
    write(paths.evaluation("savings"), [row], task=TASK, metric="auc")


def test_areas_at_the_fewest_and_the_most_labels(config: Campaign, paths: CampaignPaths) -> None:
    write_areas(paths, [(100, 0.023, 0.006), (300, 0.5, 0.1), (1000, 0.003, 0.002)])
    text = seen("label_efficiency", TASK, paths, config)
    assert (
        "with 100 labels 0.9800 ± 0.0020 against 0.9570 ± 0.0030 (from scratch), higher by 0.0230 ± 0.0060" in text
    )
    assert "3.8 standard deviations" in text and "300" not in text
    assert f"with 1,000 labels 0.9800 ± 0.0020 against 0.9770 ± 0.0030 (from scratch), {NONE}" in text
    first, last = re.findall(r"With [\d,]+ labels, higher .*? of \d\.", text)
    assert "JetCLR+, frozen, linear on h. Lower: from scratch. Neither: 0 of 2." in first
    assert "JetCLR+, frozen, linear on h. Lower: none. Neither: 1 of 2." in last
    assert "To reach" not in text  # no table of savings


@pytest.mark.parametrize(
    ("limit", "value", "error", "expected"),
    [
        ("", 3.1, 0.45, "training from scratch needs 3.10 ± 0.45 times as many."),
        (
            "more",
            10.0,
            None,
            "training from scratch needs more than 10 times as many: those of the campaign do not",
        ),
        (
            "less",
            1.0,
            None,
            "training from scratch needs at most 1 times as many: the fewest of the campaign suffice",
        ),
    ],
)
def test_labels_saved_and_their_limits(
    config: Campaign, paths: CampaignPaths, limit: str, value: float, error: float | None, expected: str
) -> None:
    write_areas(paths, [(100, 0.023, 0.006)])
    write_saving(paths, limit, value, error)
    assert expected in seen("label_efficiency", TASK, paths, config)


def test_a_method_that_is_behind_is_called_lower(config: Campaign, paths: CampaignPaths) -> None:
    write_areas(paths, [(100, -0.04, 0.01)])
    text = seen("label_efficiency", TASK, paths, config)
    assert "lower by 0.040 ± 0.010, 4.0 standard deviations" in text
    assert "JetCLR+, frozen, linear on h and from scratch. Lower: none." in text.replace(
        "from scratch and JetCLR+, frozen, linear on h", "JetCLR+, frozen, linear on h and from scratch"
    )


def test_correlations_come_with_the_auc_and_without_significance(config: Campaign, paths: CampaignPaths) -> None:
    pair = {"quantity": "spearman", "first": "nominal", "second": "seed", "task": TASK}
    rows = [
        method(who, labels=labels, **{"class": role}, value=value, error=0.04, auc=area, auc_error=0.002)
        for who, value, area in ((OWN, 0.44, 0.981), (SCRATCH, 0.07, 0.973))
        for role in ("signal", "background")
        for labels in (100, 1000)
    ]
    write(paths.evaluation("stability"), rows, **pair)
    text = seen("stability", "", paths, config)
    assert (
        "1,000 labels: RS3L, frozen, linear on h 0.440 ± 0.040 (H) and 0.440 ± 0.040 (QCD) at AUC 0.9810" in text
    )
    assert "from scratch 0.070 ± 0.040 (H)" in text and "AUC 0.9730 ± 0.0020" in text
    assert "no paired error" in text and "standard deviations" not in text


def moves(sizes: Mapping[str, tuple[float, float]], quantity: str, error: float = 0.01) -> list[dict[str, Any]]:
    return [
        method(
            who, variant=variant, use="train" if variant == "fsr_hi" else "held_out", **{"class": "background"},
            quantity=quantity, efficiency=0.7, background_passing=50.0, value=values[k], error=error, auc=0.98 - 0.01 * k,
            auc_error=0.002,
        )
        for variant, values in sizes.items()
        for k, who in enumerate((OWN, SCRATCH))
    ]  # fmt: skip


def test_distances_under_held_out_variants(config: Campaign, paths: CampaignPaths) -> None:
    sizes = {"fsr_hi": (0.9, 0.1), "vincia": (0.05, 0.12), "a14": (0.06, 0.05), "dire": (0.09, 0.02)}
    write(paths.evaluation("robustness"), moves(sizes, "wasserstein"), task=TASK)
    text = seen("robustness", TASK, paths, wider(config))
    assert "RS3L, frozen, linear on h (AUC 0.9800 ± 0.0020) has the largest under dire, 0.090 ± 0.010" in text
    assert "from scratch (AUC 0.9700 ± 0.0020) has 0.020 ± 0.010 there" in text
    assert f"less for vincia; more for dire; {NONE} in 1 of 3." in text
    assert "errors in quadrature" in text and "fsr_hi" not in text


def test_errors_of_two_methods_are_added_in_quadrature(config: Campaign, paths: CampaignPaths) -> None:
    # 0.027 apart: beyond twice 0.01, within twice 0.0141
    write(paths.evaluation("robustness"), moves({"vincia": (0.05, 0.077)}, "wasserstein"), task=TASK)
    assert f"{NONE} in any of 1 (errors in quadrature)" in seen("robustness", TASK, paths, wider(config))


def test_sizes_of_changes_are_compared_whatever_their_sign(config: Campaign, paths: CampaignPaths) -> None:
    sizes = {"fsr_hi": (-0.30, 0.31), "vincia": (-0.05, -0.20)}
    write(paths.evaluation("robustness"), moves(sizes, "fpr_change_own"), task=TASK)
    text = seen("mistag_change", TASK, paths, wider(config))
    assert "QCD mistag rate at 70% H efficiency" in text and "under fsr_hi, −0.300 ± 0.010" in text
    assert "from scratch (AUC 0.9700 ± 0.0020) has +0.310 ± 0.010 there" in text
    assert f"less for vincia; more for none; {NONE} in 1 of 2." in text


def test_rates_of_few_jets_are_not_compared(config: Campaign, paths: CampaignPaths) -> None:
    rows = [{**row, "background_passing": 9.0} for row in moves({"vincia": (0.1, 0.9)}, "fpr_change_own")]
    write(paths.evaluation("robustness"), rows, task=TASK)
    assert seen("mistag_change", TASK, paths, config) == ""


def test_many_comparisons_come_with_what_chance_does() -> None:
    assert words.by_chance(4) == ""
    assert words.by_chance(40) == " Of 40 comparisons, chance alone takes about 2 beyond that."


def test_large_numbers_have_no_exponent() -> None:
    assert [words.plain(x) for x in (5012.0, 0.00052, 12.0)] == ["5,010", "0.00052", "12"]


def test_a_difference_without_error_is_not_judged() -> None:
    assert words.verdict(0.2, float("nan")) == "difference +0.2, of unknown error"
    assert not words.is_beyond(0.2, 0.0) and not words.is_beyond(0.2, float("nan"))
    assert words.verdict(0.2, 0.1).startswith(NONE) and words.verdict(0.201, 0.1).startswith("higher by")


def test_calibration_says_how_errors_are_added(config: Campaign, paths: CampaignPaths) -> None:
    rows = [method(OWN, value=0.12, error=0.03), method(SCRATCH, value=0.02, error=0.04)]
    write(paths.evaluation("calibration"), rows, task=TASK, labels=100, quantity="calibration_error")
    text = seen("calibration", "", paths, config)
    assert "0.120 ± 0.030 (RS3L, frozen, linear on h) against 0.020 ± 0.040 (from scratch)" in text
    assert f"{NONE} (+0.100 ± 0.050) (errors in quadrature)" in text


def test_what_the_encoder_knows_best_and_worst(config: Campaign, paths: CampaignPaths) -> None:
    retrieval = {"seed": (0.4, 0.2), "fsr_hi": (0.3, 0.29), "vincia": (0.1, 0.2)}
    rows = [
        {"method": who, "quantity": "retrieval", "subject": variant, "value": values[k], "classes": 2000}
        for variant, values in retrieval.items()
        for k, who in enumerate(("rs3l", "jetclr"))
    ]
    rows += [
        {"method": "rs3l", "quantity": "r2", "subject": name, "value": value, "classes": 0}
        for name, value in (("jet_mass", 0.9), ("jet_n2", 0.5), ("jet_pt", 0.7))
    ]
    write(paths.evaluation("latents"), rows, space="h", error=0.02)
    text = seen("latent_quality", "", paths, config)
    assert "same event found 0.400 ± 0.020 (seed) to 0.100 ± 0.020 (vincia), by guessing 0.0005" in text
    assert f"more often for seed, less often for vincia, {NONE} for 1 of 3 variants" in text
    assert "R² of a linear fit 0.900 ± 0.020 (jet_mass) to 0.500 ± 0.020 (jet_n2)" in text


def test_the_last_epoch_of_every_run(config: Campaign, paths: CampaignPaths) -> None:
    for seed, epochs in enumerate((4, 8)):
        write_training(Path(paths.model_metrics(f"rs3l_s{seed}")), epochs)
    text = seen("training", "", paths, config)
    assert text.startswith(
        "rs3l, 2 runs, after epoch 4 to 8: validation loss 0.65 to 1.3, effective rank 7.5 to 7.75."
    )
    assert "jetclr" not in text  # was not trained
    assert "two views of one event 0.85 to 0.938, mean latents of two classes 0.125 to 0.25" in seen(
        "similarity", "", paths, config
    )


def histogram(shift: float, jets: int = 100, **cells: Any) -> list[dict[str, Any]]:
    """Return four bins of the nominal, of one variant that is it, and of one whose ratio is ``shift`` off."""
    ratios = {"nominal": [1.0] * 4, "seed": [1.1, 0.9, 1.1, 0.9], "fsr_hi": [1 - shift] * 2 + [1 + shift] * 2}
    return [
        {"variant": variant, "low": 10.0 * i, "high": 10.0 * (i + 1), "fraction": 0.25 * ratio, "error": 0.01,
         "ratio": ratio, "ratio_error": 0.0 if variant == "nominal" else 0.1, "jets": jets, **cells}
        for variant, values in ratios.items()
        for i, ratio in enumerate(values)
    ]  # fmt: skip


def test_variants_that_differ_from_the_nominal(config: Campaign, paths: CampaignPaths) -> None:
    rows = [*histogram(0.5, process="qcd"), *histogram(0.1, process="higgs_bb")]
    write(paths.figure("jet_mass", "csv"), rows)
    text = seen("jet_mass", "", paths, config)
    qcd, higgs = text.split(" H: ")
    assert qcd.startswith("QCD: most different from the nominal fsr_hi, χ²/bins = 98.0/4, mean 25.00 ± ")
    assert "against 20.00 ± " in qcd and "beyond two standard deviations: fsr_hi; within: seed." in qcd
    assert higgs.startswith(f"{NONE} for any variant (2)")


def test_bins_with_few_jets_are_not_compared(config: Campaign, paths: CampaignPaths) -> None:
    assert len(distances(pd.DataFrame(histogram(0.5)))) == 2
    write(paths.figure("multiplicity", "csv"), histogram(0.5, jets=9, process="qcd"))
    assert seen("multiplicity", "", paths, config) == ""


def test_variants_without_a_difference_are_called_different_as_often_as_chance_does() -> None:
    rng = np.random.default_rng(3)
    excess: list[float] = []
    for _ in range(150):
        pt, hard = rng.uniform(240.0, 600.0, 1000), rng.normal(size=1000)
        value = 0.1 * pt + 60.0 + 20.0 * (hard + rng.normal(size=(3, 1000)))
        value[rng.uniform(size=value.shape) < 0.1] = np.nan  # no jet
        sums = Accumulator(3, np.linspace(0.0, 240.0, 25))
        sums.add(value, (pt / 240.0) ** -5)  # as of a sampling that prefers high pT
        excess += [each.excess for each in distances(shape_points(sums.shapes(), ["nominal", "a", "b"]))]
    assert len(excess) == 300
    beyond = np.mean(np.array(excess) > words.BEYOND)
    assert 0.01 < beyond < 0.09  # 0.05 expected, with an error of 0.013
    assert abs(np.mean(excess)) < 0.3


def test_mean_of_a_histogram_and_its_error() -> None:
    x = np.random.default_rng(1).integers(0, 4, 400)
    share = np.bincount(x, minlength=4) / len(x)
    points = pd.DataFrame({"variant": "nominal", "low": np.arange(4) - 0.5, "high": np.arange(4) + 0.5})
    points = points.assign(fraction=share, error=np.sqrt(share * (1 - share) / len(x)))
    assert mean(points, "nominal") == pytest.approx((x.mean(), x.std() / 20.0))


def test_the_quantity_that_changes_most(config: Campaign, paths: CampaignPaths) -> None:
    write(
        paths.figure("jet_variations_qcd", "csv"),
        [*histogram(0.1, quantity="jet_pt"), *histogram(0.4, quantity="jet_n2")],
    )
    text = seen("jet_variations", "qcd", paths, config)
    assert (
        "changes most is jet_n2: most different from the nominal fsr_hi, χ²/bins = 63.2/4" in text
    )  # 200 (0.6² ln² 0.6 + 1.4² ln² 1.4)
    assert "400 nominal jets within the axis of the pT, mean 20.00 ± " in text


def test_jets_by_type(config: Campaign, paths: CampaignPaths) -> None:
    kinds = {"q": 200, "g": 50, "b": 2}
    rows = [
        {**row, "jet_type": kind, "quantity": quantity}
        for kind, jets in kinds.items()
        for quantity in ("jet_pt", "jet_msd")
        for row in histogram(0.1, jets, process="qcd")
        if row["variant"] == "nominal"
    ]
    write(paths.figure("jet_types", "csv"), rows)
    assert "QCD: 800 q and 200 g; mean soft-drop mass of q jets 20.00 ± " in seen("jet_types", "", paths, config)


def test_scores_that_differ_from_the_nominal(config: Campaign, paths: CampaignPaths) -> None:
    rows = [
        *histogram(0.5, **method(OWN), **{"class": "background"}),
        *histogram(0.1, **method(SCRATCH), **{"class": "background"}),
        *histogram(0.9, **method(SCRATCH), **{"class": "signal"}),
    ]
    write(paths.figure(f"tagger_output_{TASK}", "csv"), rows)
    text = seen("tagger_output", TASK, paths, config)
    assert "Scores of QCD. RS3L, frozen, linear on h: most different from the nominal fsr_hi" in text
    assert f"from scratch: {NONE}" in text


def test_matching_and_survival(config: Campaign, paths: CampaignPaths) -> None:
    found = {"nominal": 0.8, "seed": 0.81, "fsr_hi": 0.7, "any two": 0.85, "all": 0.5}
    rows = [{"process": "qcd", "what": what, "efficiency": value, "error": 0.01} for what, value in found.items()]
    write(paths.figure("matching", "csv"), rows)
    assert seen("matching", "", paths, config) == (
        "QCD: lowest 0.700 ± 0.010 (fsr_hi), highest 0.810 ± 0.010 (seed), any two 0.850 ± 0.010, all 0.500 ± 0.010."
    )
    bins = [(300, 400, 90, 0.6), (400, 500, 20, 0.9), (500, 600, 9, 0.1)]
    columns = ["low", "high", "nominal_jet", "fraction"]
    rows = [dict(zip(columns, cells, strict=True), process="qcd", error=0.05) for cells in bins]
    write(paths.figure("survival", "csv"), rows)
    assert "QCD: 0.600 ± 0.050 at 300 to 400 GeV, 0.900 ± 0.050 at 400 to 500 GeV." in seen(
        "survival", "", paths, config
    )


def test_candidates_of_the_views(config: Campaign, paths: CampaignPaths) -> None:
    rows = [
        {"process": "qcd", "variant": v, "pt": 50.0} for v, n in (("nominal", 4), ("seed", 6)) for _ in range(n)
    ]
    write(paths.figure("event_views", "csv"), rows)
    text = seen("event_views", "", paths, config)
    assert "QCD: 4 (nominal) to 6 (seed) candidates, sum of their pT 200 to 300 GeV." in text


def test_latents(config: Campaign, paths: CampaignPaths) -> None:
    pair = [("higgs_bb", 3, 4, -0.8), ("higgs_bb", 1, 2, 0.2)]
    rows = [dict(zip(("process", "first", "second", "pearson_r"), cells, strict=True)) for cells in pair]
    write(paths.figure("latent_corner", "csv"), rows, error=0.02, jets=1200)
    text = seen("latent_corner", "", paths, config)
    assert "H (1,200 jets): r = -0.800 ± 0.020 for z3 and z4, mean size of 2 pairs 0.50." in text
    joined = [(1, 0.1), (1, -0.1), (2, 0.3), (2, -0.3)]
    rows = [{"event_id": event, "joined": True, "first": x, "second": 1.0} for event, x in joined]
    rows += [{"event_id": event, "joined": False, "first": x, "second": 0.0} for event, x in ((8, 2.0), (9, -2.0))]
    write(paths.figure("latent", "csv"), rows, run="rs3l_s0", process="qcd")
    assert "rs3l_s0: 0.20 ± 0.10 for 2 events, 2 for jets." in seen("latent", "", paths, config)


def test_the_most_expensive_rule(config: Campaign, paths: CampaignPaths, tmp_path: Path) -> None:
    table = resource_table(write_benchmarks(tmp_path / "benchmarks"))
    table.assign(core_hours=[1.0, 3.0]).to_csv(paths.figure("resources", "csv"), index=False)
    text = seen("resources", "", paths, config)
    assert text == "resimulate took 75% of 4 core hours, in 3 jobs; most memory: resimulate, 315 MB."


def test_best_and_worst_ablation(config: Campaign, paths: CampaignPaths) -> None:
    config = config.model_copy(update={"ablations": {"blind": {}, "half": {}, "odd": {}}})
    values = {"rs3l": 100.0, "blind": 40.0, "half": 104.0, "odd": 80.0}
    common = {"task": TASK, "labels": 100, "metric": "rejection_0.5", "error": 10.0}
    rows = [method((name, "probe_h"), value=value, lower_limit=False) for name, value in values.items()]
    write(paths.ablations("metrics"), rows, **common)
    rows = [
        difference((name, "probe_h"), value=0.0, ratio=100.0 / values[name], ratio_error=0.1)
        for name in ("blind", "half", "odd")
    ]
    write(paths.ablations("differences"), rows, **common)
    text = seen("ablations", "", paths, config)
    assert "100 ± 10 (RS3L, frozen, linear on h); of the ablations (3) highest, half, 104 ± 10" in text
    assert f"paired ratio 0.96 ± 0.10: {NONE}; lowest, blind, 40 ± 10, paired ratio 2.50 ± 0.10, 22.9" in text
    assert "odd" not in text


@pytest.mark.parametrize("kind", sorted({CALIBRATION, *FIGURES, "something_new"}))
def test_nothing_is_said_without_a_table(config: Campaign, tmp_path: Path, kind: str) -> None:
    assert seen(kind, TASK, CampaignPaths(str(tmp_path)), config) == ""


@pytest.mark.parametrize("text", ["", "variant,value\nvincia,0.25\n"])
def test_nothing_is_said_of_a_table_of_another_kind(config: Campaign, paths: CampaignPaths, text: str) -> None:
    for table in ("metrics", "differences", "savings", "stability", "robustness", "calibration", "latents"):
        Path(paths.evaluation(table)).write_text(text, encoding="utf-8")
    assert headlines(paths, config) == []


def test_every_figure_of_data_has_its_sentence() -> None:
    assert [name for name, kind in FIGURES.items() if not kind.seen] == ["schematic"]


def test_page_and_summary_say_what_is_seen(config: Campaign, tmp_path: Path) -> None:
    root = write_results(config, tmp_path)
    paths = CampaignPaths(str(root))
    sentence = seen("matching", "", paths, config)
    page = report(config, root)
    figure = page.split('<figure id="figure-matching">')[1].split("</figure>")[0]
    assert sentence and f'<p class="seen"><strong>Seen:</strong> {sentence}</p>' in figure
    schematic = page.split('<figure id="figure-schematic">')[1].split("</figure>")[0]
    assert "Seen:" not in schematic
    table = page.split('id="table-evaluation-calibration"')[1].split("</details>")[0]
    assert f"<p>Seen: {seen('calibration', '', paths, config)}</p>" in table
    summary = markdown(config, root)
    assert f"- **ROC: {TASK}.** {seen('roc', TASK, paths, config)}\n" in summary
    assert summary.index("## Main results") < summary.index("## What is seen") < summary.index("## Data set")
    for _, text in headlines(paths, config):
        assert f" {text}\n" in summary and "nan" not in text


def test_labels_of_the_configuration_are_escaped(config: Campaign, tmp_path: Path) -> None:
    bad = "<img src=x onerror=alert(1)>"
    root = write_results(config, tmp_path)
    qcd = config.processes["qcd"].model_copy(update={"label": bad})
    page = report(config.model_copy(update={"processes": {**config.processes, "qcd": qcd}}), root)
    assert (
        bad not in page and "Seen:</strong> H: " in page and "&lt;img src=x onerror=alert(1)&gt;: lowest" in page
    )
