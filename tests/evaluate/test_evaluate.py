"""Tables and summary of a toy campaign."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.stats import norm, spearmanr, t, wasserstein_distance
from sklearn.metrics import roc_auc_score

from rs3l.config import blocks
from rs3l.dataset.manifest import read_manifest
from rs3l.errors import DataError, TrainingError
from rs3l.evaluate import student
from rs3l.evaluate.bootstrap import Estimate
from rs3l.evaluate.calibration_table import calibration_table
from rs3l.evaluate.evaluate import Evaluation, evaluate
from rs3l.evaluate.marks import SIGNS
from rs3l.evaluate.measures import load
from rs3l.evaluate.registry import TABLES
from rs3l.evaluate.robustness_table import robustness_table
from rs3l.evaluate.stability_table import stability_table
from rs3l.evaluate.summary import format_number
from rs3l.evaluate.tables import bootstrap_p_value, significance, training_table
from support.toy_campaign import ROOT, campaign, write_dataset, write_measures, write_qualities

Toy = tuple[Path, list[Path], list[Path], list[Path]]
"""Manifest, measures, histories, qualities."""


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    root = tmp_path_factory.mktemp("toy")
    qualities = write_qualities(campaign(), root)
    return write_dataset(campaign(), root), *write_measures(campaign(), root), qualities


@pytest.fixture(scope="module")
def result(toy: Toy) -> Evaluation:
    return evaluate(blocks.evaluate(campaign()), *toy)


def row(table: pd.DataFrame, **key: object) -> pd.Series:
    found = table
    for column, value in key.items():
        found = found[found[column] == value]
    assert len(found) == 1, f"{len(found)} lines for {key}"
    return found.iloc[0]


def test_tables_without_a_line_have_their_columns(result: Evaluation) -> None:
    block = blocks.evaluate(campaign())
    empty = {
        "stability": stability_table([], block),
        "robustness": robustness_table([], block),
        "calibration": calibration_table([]),
    }
    for name, table in empty.items():
        assert list(table) == [column for column in result.tables[name] if column not in SIGNS]


def naive_runs(measures: list[Path], run: str, mode: str, labels: int) -> dict[int, pd.DataFrame]:
    """Return the jets with the ``score`` of each repeat, from the predictions behind the measures."""
    folder = next(p.parent for p in measures if (p.parent.parent.name, p.parent.name) == ("h_vs_qcd", run))
    files = sorted(folder.glob("predictions/*.parquet"))
    frame = pd.concat([pq.read_table(path).to_pandas() for path in files], ignore_index=True)
    scores = {repeat: frame[f"{mode}/{labels}/{repeat}"] for repeat in range(2)}
    return {repeat: frame.assign(score=score) for repeat, score in scores.items()}


def test_metrics_are_the_means_over_runs(toy: Toy, result: Evaluation) -> None:
    frames = [f for run in ("rs3l_s0", "rs3l_s1") for f in naive_runs(toy[1], run, "probe_h", 20).values()]
    frames = [f[f["variant"].isin(["nominal", "seed", "rehadron"])] for f in frames]
    areas = [roc_auc_score(f["is_signal"], f["score"]) for f in frames]
    weighted = [roc_auc_score(f["is_signal"], f["score"], sample_weight=f["weight"]) for f in frames]
    key = {"task": "h_vs_qcd", "method": "rs3l", "mode": "probe_h", "labels": 20, "metric": "auc"}
    line = row(result.tables["metrics"], **key)
    assert line["value"] == pytest.approx(np.mean(areas), abs=1e-9)
    assert line["std"] == pytest.approx(np.std(areas, ddof=1), abs=1e-9)
    assert line["weighted"] == pytest.approx(np.mean(weighted), abs=1e-7)
    assert line["n_runs"] == 4
    signal = frames[0]["is_signal"]
    assert (line["n_signal"], line["n_background"]) == (signal.sum(), (~signal).sum())
    assert 0 < line["bootstrap"] < line["error"]
    single = row(
        result.tables["runs"], task="h_vs_qcd", run="rs3l_s1", mode="probe_h", labels=20, repeat=1, metric="auc"
    )
    assert single["value"] == pytest.approx(areas[3], abs=1e-9)


def test_rejection_counts_background_jets(toy: Toy, result: Evaluation) -> None:
    line = row(
        result.tables["runs"],
        task="h_vs_qcd",
        run="none",
        mode="random",
        labels=20,
        repeat=0,
        metric="rejection_0.7",
    )
    frame = naive_runs(toy[1], "none", "random", 20)[0]
    frame = frame[frame["variant"].isin(["nominal", "seed", "rehadron"])]
    signal = np.sort(frame.loc[frame["is_signal"], "score"])[::-1]
    threshold = signal[int(np.ceil(0.7 * len(signal))) - 1]
    background = frame.loc[~frame["is_signal"], "score"]
    assert line["background_passing"] == pytest.approx((background > threshold).sum())
    # an event has up to three jets, which pass together
    together = 2 * (len(background) - line["value"] * (background > threshold).sum()) / (line["value"] - 1)
    assert 0.99 < together < 4.0
    assert not line["lower_limit"]


def test_perfect_separation_is_a_flagged_lower_limit(result: Evaluation) -> None:
    metrics = result.tables["metrics"]
    limits = metrics[metrics["lower_limit"]]
    assert (limits["value"] <= limits["n_background"] + 1).all() and limits["high_95"].isna().all()
    assert not metrics.loc[metrics["metric"] == "auc", "lower_limit"].any()


def test_differences_have_smaller_errors_than_unpaired_ones(result: Evaluation) -> None:
    metrics, differences = result.tables["metrics"], result.tables["differences"]
    key = {"task": "h_vs_qcd", "labels": 200, "metric": "auc"}
    line = row(differences, mode="probe_h", reference_method="none", reference_mode="scratch", **key)
    pair = [row(metrics, method=m, mode=n, **key) for m, n in (("rs3l", "probe_h"), ("none", "scratch"))]
    assert line["value"] == pytest.approx(pair[0]["value"] - pair[1]["value"])
    assert line["bootstrap"] < np.hypot(pair[0]["bootstrap"], pair[1]["bootstrap"])
    baselines = {("none", mode) for mode in ("scratch", "scratch_views", "random", "n2")}
    for mode in ("probe_h", "tuned"):
        chosen = differences[differences["mode"] == mode]
        found = set(zip(chosen["reference_method"], chosen["reference_mode"], strict=True))
        assert found == {*baselines, ("jetclr", mode)}
    rejections = differences[differences["metric"].str.startswith("rejection")]
    assert ((rejections["ratio"] > 1) == (rejections["value"] > 0)).mean() > 0.9
    assert differences.loc[differences["metric"] == "auc", "ratio"].isna().all()


def test_significance_is_that_of_the_error_and_of_the_replicas(result: Evaluation) -> None:
    differences = result.tables["differences"]
    differences = differences[differences["metric"].str.match("auc|rejection")]
    distance = np.where(differences["metric"] == "auc", differences["value"], np.log(differences["ratio"]))
    relative = differences["ratio_error"] / differences["ratio"]
    error = np.where(differences["metric"] == "auc", differences["error"], relative)
    np.testing.assert_allclose(differences["z"], distance / error)
    np.testing.assert_allclose(differences["p_value"], 2 * t.sf(differences["z"].abs(), differences["dof"]))
    np.testing.assert_allclose(
        differences["significance"], np.sign(differences["z"]) * norm.isf(differences["p_value"] / 2)
    )
    assert differences.loc[error > 0, "dof"].between(0.99, 30).all() and set(differences["seed_spread"]) == {
        "measured"
    }
    assert bootstrap_p_value(np.array([9.0, 1.0, 2.0, -1.0, 3.0])) == pytest.approx(2 * (1 + 1) / 5)
    assert bootstrap_p_value(np.array([9.0, 1.0, 2.0, 1.0, 3.0])) == pytest.approx(2 / 5)
    assert bootstrap_p_value(np.zeros(5)) == 1.0
    assert np.isnan(significance(Estimate(1.0, 0.0, 0.0, 0.0, 0.0, 1))["p_value"])


def test_the_rate_and_the_logarithm_stand_beside_each_rejection(toy: Toy, result: Evaluation) -> None:
    metrics = result.tables["metrics"]
    key = {"task": "h_vs_qcd", "method": "none", "mode": "random", "labels": 20}
    rejection, logarithm, rate = (
        row(metrics, metric=name, **key) for name in ("rejection_0.7", "log_rejection_0.7", "fpr_0.7")
    )
    assert logarithm["value"] == pytest.approx(np.log(rejection["value"]))
    assert logarithm["error"] == pytest.approx(rejection["error"] / rejection["value"])
    assert logarithm["low_95"] == pytest.approx(np.log(rejection["low_95"]))
    assert logarithm["high_95"] - logarithm["low_95"] == pytest.approx(
        2 * logarithm["error"] * t.isf(0.0455 / 2, logarithm["dof"]), rel=1e-3
    )
    rates = []
    for run in ("none",):
        for frame in naive_runs(toy[1], run, "random", 20).values():
            frame = frame[frame["variant"].isin(["nominal", "seed", "rehadron"])]
            signal = np.sort(frame.loc[frame["is_signal"], "score"])[::-1]
            threshold = signal[int(np.ceil(0.7 * len(signal))) - 1]
            rates.append((frame.loc[~frame["is_signal"], "score"] > threshold).mean())
    assert rate["value"] == pytest.approx(np.mean(rates))
    assert rate["std"] == pytest.approx(np.std(rates, ddof=1))
    assert rate["low_68"] < rate["value"] < rate["high_68"]


def test_differences_of_rates_and_logarithms(result: Evaluation) -> None:
    metrics, differences = result.tables["metrics"], result.tables["differences"]
    key = {"task": "h_vs_qcd", "labels": 200}
    for name in ("fpr_0.5", "log_rejection_0.5"):
        line = row(
            differences, mode="probe_h", reference_method="none", reference_mode="scratch", metric=name, **key
        )
        pair = [
            row(metrics, method=m, mode=n, metric=name, **key)
            for m, n in (("rs3l", "probe_h"), ("none", "scratch"))
        ]
        assert line["value"] == pytest.approx(pair[0]["value"] - pair[1]["value"])
    other = {"mode": "probe_h", "reference_method": "none", "reference_mode": "scratch", "metric": "rejection_0.5"}
    assert line["z"] == pytest.approx(row(differences, **other, **key)["z"])


def test_each_comparison_says_among_how_many_it_is(result: Evaluation) -> None:
    differences = result.tables["differences"]
    for _, lines in differences.groupby(["task", "metric"]):
        assert (lines["n_trials"] == len(lines)).all()
    known = differences.dropna(subset=["p_value"])
    np.testing.assert_allclose(known["p_best"], 1 - (1 - known["p_value"]) ** known["n_trials"], atol=1e-12)
    assert (known["p_best"] >= known["p_value"]).all()


def test_the_best_of_many_is_corrected() -> None:
    """Against throws: how often the smallest of five uniform numbers is below p."""
    smallest = np.random.default_rng(2).uniform(size=(200_000, 5)).min(axis=1)
    for p in (0.01, 0.1, 0.4):
        assert student.sidak(p, 5) == pytest.approx((smallest <= p).mean(), abs=0.01)
    assert student.sidak(0.03, 1) == pytest.approx(0.03)
    assert student.sidak(1e-20, 10) == pytest.approx(1e-19)
    assert student.sidak(1.0, 3) == 1.0
    assert np.isnan(student.sidak(float("nan"), 3))
    with pytest.raises(ValueError, match="at least one"):
        student.sidak(0.1, 0)


def test_robustness_is_the_mean_over_runs_with_its_samples(toy: Toy, result: Evaluation) -> None:
    distances, changes = [], []
    for frame in naive_runs(toy[1], "none", "scratch", 200).values():
        frame = frame.assign(output=1 / (1 + np.exp(-frame["score"].astype(float))))
        jets = {key: group["output"].to_numpy() for key, group in frame.groupby(["variant", "is_signal"])}
        distances.append(wasserstein_distance(jets["nominal", False], jets["fsr_hi", False]))
        cut = np.sort(jets["nominal", True])[::-1][int(np.ceil(0.8 * len(jets["nominal", True]))) - 1]
        changes.append((jets["fsr_hi", False] >= cut).mean() / (jets["nominal", False] >= cut).mean() - 1)
    key = {"task": "h_vs_qcd", "method": "none", "mode": "scratch", "variant": "fsr_hi", "class": "background"}
    table = result.tables["robustness"]
    line = row(table, quantity="wasserstein", **key)
    assert line["value"] == pytest.approx(np.mean(distances), abs=1e-6)
    assert (line["n_nominal"], line["n_varied"]) == (len(jets["nominal", False]), len(jets["fsr_hi", False]))
    assert 0 < line["bootstrap"] < line["error"] and line["n_runs"] == 2
    change = row(table, quantity="fpr_change_fixed", efficiency=0.8, **key)["value"]
    assert 0.5 < (1 + change) / (1 + np.mean(changes)) <= 1.0, "less, for it is a ratio to few jets"
    auc = row(result.tables["metrics"], task="h_vs_qcd", method="none", mode="scratch", labels=200, metric="auc")
    assert (
        table.query("method == 'none' and mode == 'scratch' and task == 'h_vs_qcd'")["auc"] == auc["value"]
    ).all()
    assert set(table["labels"]) == {200} and set(table["variant"]) == {"seed", "fsr_hi", "rehadron"}


def test_matched_classifiers_are_equally_good_and_compared_in_pairs(toy: Toy, result: Evaluation) -> None:
    table = result.tables["matched"].query(
        "task == 'h_vs_qcd' and mode == 'tuned' and reference_mode == 'scratch'"
    )
    values = result.tables["runs"].query("task == 'h_vs_qcd' and metric == 'rejection_0.5'")
    means = values.groupby(["method", "mode", "labels"])["value"].apply(lambda x: np.log(x).mean())
    distances = (means["rs3l", "tuned"] - means["none", "scratch"][200]).abs()
    assert set(table["labels"]) == {distances.idxmin()} and set(table["reference_labels"]) == {200}
    found: dict[str, list[float]] = {}
    tuned, scratch = ("tuned", distances.idxmin()), ("scratch", 200)
    for run, (mode, labels) in (("none", scratch), ("rs3l_s0", tuned), ("rs3l_s1", tuned)):
        for frame in naive_runs(toy[1], run, mode, labels).values():
            frame = frame.assign(output=1 / (1 + np.exp(-frame["score"].astype(float))))
            jets = {key: group["output"] for key, group in frame.groupby(["variant", "is_signal"])}
            distance = wasserstein_distance(jets["nominal", True], jets["fsr_hi", True])
            found.setdefault(mode, []).append(distance)
    line = row(table, variant="fsr_hi", **{"class": "signal"})
    assert line["value"] == pytest.approx(np.mean(found["tuned"]), abs=1e-6)
    assert line["reference_value"] == pytest.approx(np.mean(found["scratch"]), abs=1e-6)
    assert line["difference"] == pytest.approx(line["value"] - line["reference_value"])
    assert line["difference_error"] > 0 and line["z"] == pytest.approx(
        line["difference"] / line["difference_error"]
    )


def test_seen_variants_are_those_of_views_or_labels(toy: Toy) -> None:
    config = campaign()
    variants = {**config.variants, "fsr_hi": config.variants["fsr_hi"].model_copy(update={"use": "held_out"})}
    tables = evaluate(blocks.evaluate(config.model_copy(update={"variants": variants})), *toy).tables
    for name, column in (("robustness", "variant"), ("stability", "second")):
        table = tables[name]
        assert (table["use"] == np.where(table[column] == "fsr_hi", "held_out", "train")).all()
        learned = (table["method"] == "rs3l") | (table["mode"] == "scratch_views")
        assert (table["seen"] == (learned & (table[column] != "fsr_hi"))).all()


def test_stability_is_the_paired_correlation(toy: Toy, result: Evaluation) -> None:
    values = []
    for frame in naive_runs(toy[1], "none", "scratch", 20).values():
        wide = frame[frame["is_signal"]].pivot(index="event_id", columns="variant", values="score")
        wide = wide.dropna(subset=["nominal", "seed"])
        values.append(spearmanr(wide["nominal"], wide["seed"]).statistic)
    key = {"task": "h_vs_qcd", "method": "none", "mode": "scratch", "labels": 20, "class": "signal"}
    line = row(result.tables["stability"], quantity="spearman", **key)
    assert line["value"] == pytest.approx(np.mean(values), abs=1e-9)
    assert (line["first"], line["second"], line["n_events"]) == ("nominal", "seed", len(wide))
    auc = row(result.tables["metrics"], task="h_vs_qcd", method="none", mode="scratch", labels=20, metric="auc")
    assert line["auc"] == auc["value"]
    shifts = result.tables["stability"].query("quantity == 'rank_shift'")
    assert set(shifts["second"]) == {"seed", "fsr_hi", "rehadron"}


def test_roc_passes_through_the_table_of_metrics(result: Evaluation) -> None:
    key = {"task": "w_vs_qcd", "method": "none", "mode": "scratch", "labels": 200}
    point = row(result.tables["roc"], efficiency=0.5, **key)
    line = row(result.tables["metrics"], metric="rejection_0.5", **key)
    assert (point["value"], point["error"]) == (line["value"], line["error"])
    last = row(result.tables["roc"], efficiency=1.0, **key)
    assert last["value"] >= 1.0


def test_summary_has_three_sentences_and_the_numbers_of_the_tables(result: Evaluation) -> None:
    headline = result.summary["headline"]
    assert len(headline) == 3
    line = row(
        result.tables["metrics"], task="h_vs_qcd", method="rs3l", mode="probe_h", labels=20, metric="rejection_0.5"
    )
    assert (headline[0]["value"], headline[0]["error"]) == (line["value"], line["error"])
    assert "Rejection of QCD at 50% H efficiency with 20 labels" in headline[0]["text"]
    assert all(set(entry) == {"text", "value", "error"} for entry in headline)
    assert result.summary["dataset"]["processes"]["qcd"]["events"] == {"train": 0, "val": 0, "test": 40}
    assert result.summary["provenance"]["versions"]["numpy"] == np.__version__
    assert json.loads(json.dumps(result.summary)) == result.summary


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ({"value": 183.4, "error": 21.7}, "183 +- 22"),
        ({"value": 0.98123, "error": 0.00123}, "0.9812 +- 0.0012"),
        ({"value": 1834.0, "error": 217.0}, "1830 +- 220"),
        ({"value": 500.0, "error": 0.0, "lower_limit": True}, "> 500"),
        (None, "not measured"),
    ],
)
def test_numbers_are_rounded_by_their_error(number: dict[str, float] | None, text: str) -> None:
    assert format_number(number) == text


def test_an_undertrained_baseline_is_an_error(toy: Toy, tmp_path: Path) -> None:
    table = pd.read_csv(toy[2][-1])
    table.loc[1, "best_epoch"] = table.loc[1, "epochs"]
    table.to_csv(tmp_path / "history.csv", index=False)
    with pytest.raises(TrainingError, match=r"1 of 16 .* w_vs_qcd/none .* finetune.max_epochs"):
        training_table([tmp_path / "history.csv"])


def test_a_missing_run_is_named(toy: Toy) -> None:
    with pytest.raises(DataError, match="w_vs_qcd for none"):
        evaluate(blocks.evaluate(campaign()), toy[0], toy[1][:-1], toy[2], toy[3])


def test_measures_of_other_jets_are_refused(toy: Toy, tmp_path: Path) -> None:
    config = campaign()
    fewer, _ = write_measures(config, tmp_path, 40, ["none"])
    kept = [path for path in toy[1] if path.parent.name != "none"]
    with pytest.raises(DataError, match="not the test jets of"):
        load([*kept, *fewer], config.tasks, blocks.evaluate(config).runs)


def test_what_is_no_file_of_measures_is_refused(toy: Toy, tmp_path: Path) -> None:
    other = next(toy[1][0].parent.glob("predictions/*.parquet"))
    (tmp_path / "measures.parquet").write_bytes(other.read_bytes())
    with pytest.raises(DataError, match="no table of measures"):
        load([tmp_path / "measures.parquet"], campaign().tasks, blocks.evaluate(campaign()).runs)


def test_a_foreign_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="format None"):
        read_manifest(tmp_path / "manifest.json")


def test_script_writes_what_the_library_returns(toy: Toy, result: Evaluation, tmp_path: Path) -> None:
    outputs = [f"--{table}={tmp_path / table}.csv" for table in TABLES]
    command = [
        sys.executable, str(ROOT / "workflow" / "scripts" / "evaluate.py"),
        "--block", blocks.evaluate(campaign()).model_dump_json(), "--manifest", str(toy[0]),
        "--measures", *map(str, toy[1]), "--histories", *map(str, toy[2]),
        "--qualities", *map(str, toy[3]),
        *outputs, "--summary", str(tmp_path / "summary.json"),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, text=True)
    for table in TABLES:
        written = pd.read_csv(tmp_path / f"{table}.csv", keep_default_na=True)
        assert list(written.columns) == list(result.tables[table].columns)
        assert len(written) == len(result.tables[table])
    assert (
        json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["headline"]
        == result.summary["headline"]
    )
