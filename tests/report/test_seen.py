"""What the report says is seen in the figures: the numbers of the tables, in words that their errors allow."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import pytest

from rs3l.config.campaign import Campaign
from rs3l.config.variants import Variant
from rs3l.figures.registry import FIGURES
from rs3l.paths import CampaignPaths
from rs3l.report import words
from rs3l.report.page import markdown, report
from rs3l.report.seen import CALIBRATION, headlines, seen
from rs3l.report.words import of_best
from support.toy_campaign import campaign, write_results

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
    first, last = re.findall(r"With [\d,]+ labels, by more .*?\.", text)
    assert first.endswith("higher for JetCLR+, frozen, linear on h, and lower for from scratch.")
    assert last.endswith("higher for JetCLR+, frozen, linear on h; 1 of 2 do not differ so much.")
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
    assert "higher for JetCLR+, frozen, linear on h and from scratch." in text.replace(
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
    assert f"less for vincia, and more for dire; {NONE} in 1 of 3." in text
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
    assert f"less for vincia; {NONE} in 1 of 2." in text


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


def test_page_and_summary_say_what_is_seen(config: Campaign, tmp_path: Path) -> None:
    root = write_results(config, tmp_path)
    paths = CampaignPaths(str(root))
    page = report(config, root)
    for name, has in (("matching", True), ("schematic", False)):
        assert ("Seen:" in page.split(f'<figure id="figure-{name}">')[1].split("</figure>")[0]) == has
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
    assert bad not in page and "&lt;img src=x onerror=alert(1)&gt;" in page


def test_the_best_of_several_has_its_own_p_value() -> None:
    assert of_best(0.01, 3) == ", p = 0.03 for the best of 3"
    assert of_best(float("nan"), 3) == ""
