"""What is borrowed from whom, and what tables, summary and report say where nothing can be borrowed."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rs3l.evaluate.savings import savings_table
from rs3l.evaluate.spread import Group, Lent, Runs, effective_dof, lending, unknown
from rs3l.evaluate.summary import _sentence, format_number
from rs3l.evaluate.tables import TaskMetrics, differences_table, metrics_table
from rs3l.paths import CampaignPaths
from rs3l.report import words
from rs3l.report.results_page import KINDS
from rs3l.report.sections import LACKING, number, significance_table
from rs3l.report.seen import seen
from support.toy_campaign import campaign
from support.toy_metrics import metrics

ONE_PRE_TRAINING = "one pre-training: its spread is unknown"


def runs(seeds: int, repeats: int = 1, **kinds: bool) -> Runs:
    return Runs(np.repeat(np.arange(seeds), repeats), np.tile(np.arange(repeats), seeds), **kinds)


def sample(means: list[float], repeats: int = 1) -> np.ndarray:
    return np.repeat(np.array(means), repeats)


def test_the_same_mode_lends_first_and_methods_are_pooled() -> None:
    groups: dict[Group, tuple[np.ndarray, Runs]] = {
        ("a", "tuned", 10): (sample([0.0]), runs(1)),
        ("b", "tuned", 10): (sample([0.0, 2.0]), runs(2)),  # 2.0, one degree of freedom
        ("c", "tuned", 10): (sample([0.0, 4.0, 8.0]), runs(3)),  # 16.0, two
        ("c", "probe_h", 10): (sample([0.0, 40.0, 80.0]), runs(3)),
        ("c", "tuned", 100): (sample([0.0, 40.0, 80.0]), runs(3)),
        ("none", "scratch", 10): (sample([0.0, 90.0]), runs(2, has_seeds=False)),
    }
    lent = lending(groups)["a", "tuned", 10].seeds
    assert lent is not None and (lent.value, lent.dof) == (pytest.approx(34 / 3), 3)


def test_modes_of_one_method_count_once() -> None:
    groups: dict[Group, tuple[np.ndarray, Runs]] = {
        ("a", "tuned_views", 10): (sample([0.0]), runs(1)),
        ("b", "tuned", 10): (sample([0.0, 2.0]), runs(2)),
        ("b", "probe_h", 10): (sample([0.0, 4.0]), runs(2)),
    }
    lent = lending(groups)["a", "tuned_views", 10].seeds
    assert lent is not None and (lent.value, lent.dof) == (5.0, 1)
    assert lending(dict(list(groups.items())[:1])) == {("a", "tuned_views", 10): Lent()}


def test_draws_of_the_labels_are_the_same_for_all() -> None:
    groups: dict[Group, tuple[np.ndarray, Runs]] = {
        ("a", "tuned", 10): (sample([0.0]), runs(1)),
        ("b", "tuned", 10): (np.array([0.0, 2.0, 4.0]), runs(1, 3)),
        ("c", "tuned", 10): (np.array([0.0, 4.0, 8.0]), runs(1, 3)),
    }
    lent = lending(groups)["a", "tuned", 10]
    assert lent.seeds is None and lent.repeats is not None
    assert (lent.repeats.value, lent.repeats.dof) == (10.0, 2)


def test_degrees_of_freedom_are_welchs() -> None:
    assert effective_dof([(1.0, 2.0), (1.0, 2.0)]) == pytest.approx(4.0)
    assert effective_dof([(3.0, 2.0), (0.0, np.inf)]) == pytest.approx(2.0)
    assert effective_dof([(0.0, np.inf)]) == np.inf and np.isnan(effective_dof([(np.nan, 1.0)]))


def toy(seeds: int, others: int = 0) -> TaskMetrics:
    """Return metrics of rs3l with ``seeds`` pre-trainings, jetclr with ``others``, and two baselines."""
    counts, repeats = (10, 100, 1000), range(3)
    auc = {
        ("none", "scratch", n, r, 0): v + 0.01 * r
        for (n, v), r in itertools.product(zip(counts, (0.7, 0.8, 0.9), strict=True), repeats)
    }
    auc |= {("none", "n2", n, 0, 0): 0.6 for n in counts}
    for name, number_of in (("rs3l", seeds), ("jetclr", others)):
        auc |= {
            (f"{name}_s{s}", "tuned", n, r, 0): 0.85 + 0.005 * s + 0.002 * r * (r + s)
            for s, n, r in itertools.product(range(number_of), counts, repeats)
        }
    return metrics(auc)


def test_one_pre_training_is_marked_and_has_no_significance() -> None:
    table, differences = metrics_table([toy(1)]), differences_table([toy(1)], "rs3l")
    spreads = table.groupby(["method", "mode"])[["seed_spread", "repeat_spread"]].agg(set)
    assert spreads.loc[("rs3l", "tuned")].tolist() == [{"unknown"}, {"measured"}]
    assert spreads.loc[("none", "scratch")].tolist() == [{"none"}, {"measured"}]
    assert spreads.loc[("none", "n2")].tolist() == [{"none"}, {"none"}], "a cut does not depend on the draw"
    unknowns = table[table["method"] == "rs3l"]
    assert (unknowns["error"] > 0).all() and unknowns[["low_68", "high_95"]].isna().all(axis=None)
    assert table.loc[table["method"] == "none", "low_68"].notna().all()
    assert set(differences["seed_spread"]) == {"unknown"} and (differences["error"] > 0).all()
    assert differences[["z", "p_value", "significance"]].isna().all(axis=None)
    assert set(savings_table([toy(1)])["seed_spread"]) == {"unknown"}


def test_one_pre_training_borrows_from_a_method_with_three() -> None:
    alone, table = metrics_table([toy(1)]), metrics_table([toy(1, 3)])
    key = ["method", "metric", "labels"]
    own, before, lender = (
        frame[frame["method"] == name].set_index(key[1:])
        for frame, name in ((table, "rs3l"), (alone, "rs3l"), (table, "jetclr"))
    )
    assert set(own["seed_spread"]) == {"borrowed"} and set(lender["seed_spread"]) == {"measured"}
    assert (own["error"] > before["error"]).all() and (own["value"] == before["value"]).all()
    values = toy(0, 3).plain[-27:, 0, 0].reshape(3, 3, 3)[:, 0].mean(axis=1)  # of the fewest labels
    extra = own["run_error"] ** 2 - before["run_error"] ** 2
    assert extra["auc", 10] == pytest.approx(np.var(values, ddof=1))
    differences = differences_table([toy(1, 3)], "rs3l")
    assert set(differences["seed_spread"]) == {"borrowed"} and differences["p_value"].between(0, 1).all()


def test_few_runs_are_less_significant_than_their_ratio_to_the_error() -> None:
    differences = differences_table([toy(3)], "rs3l")
    assert set(differences["seed_spread"]) == {"measured"} and (differences["dof"] < 60).all()
    assert (differences["significance"].abs() < differences["z"].abs()).all()
    assert (np.sign(differences["significance"]) == np.sign(differences["z"])).all()


def test_the_intervals_of_a_rejection_are_not_symmetric() -> None:
    table = metrics_table([toy(3)])
    line = table[(table["method"] == "rs3l") & (table["metric"] != "auc")].iloc[0]
    assert line["low_95"] < line["low_68"] < line["value"] < line["high_68"] < line["high_95"]
    assert line["low_95"] * line["high_95"] == pytest.approx(line["value"] ** 2)


def test_the_headline_says_that_the_spread_is_unknown() -> None:
    known = {"value": 49.0, "error": 7.0, "seed_spread": "none", "repeat_spread": "measured"}
    own = {**known, "value": 147.0, "error": 9.0, "seed_spread": "unknown"}
    entries = {("rs3l", "probe_h"): {"rejection": own}, ("none", "scratch"): {"rejection": known}}
    text = _sentence("Rejection", "rejection", entries, ("none", "scratch"))["text"]
    assert text.count(ONE_PRE_TRAINING) == 1 and f"linear on h; {ONE_PRE_TRAINING})" in text
    assert format_number(own) == "147.0 +- 9.0"
    assert number(own) == f"147.0 ± 9.0 {LACKING}" and LACKING not in number(known)


def test_no_word_of_significance_where_a_spread_is_unknown() -> None:
    assert words.verdict(0.5, 0.01, 3.0, ONE_PRE_TRAINING) == (
        f"difference +0.500 ± 0.010 ({ONE_PRE_TRAINING}, and nothing is said of significance)"
    )
    assert "standard deviations" not in words.ratio_verdict(3.0, 0.1, 3.0, ONE_PRE_TRAINING)
    row = {"z": np.nan, "significance": np.nan, "value": 9.0, "error": 1.0, "seed_spread": "unknown"}
    assert words.sigma(row) == unknown(row) == ONE_PRE_TRAINING
    assert words.sigma({"z": 9.04, "value": 9.0, "error": 1.0}) == "+9.0 σ", "tables of before"
    assert words.sigma({"z": 9.0, "significance": -3.21}) == "-3.2 σ"


def test_two_standard_deviations_of_few_runs_are_no_difference() -> None:
    assert words.is_beyond(2.5, 1.0) and not words.is_beyond(2.5, 1.0, 4.0)
    assert words.verdict(9.0, 1.0, 4.0).endswith("3.3 standard deviations")
    first, second = ({"value": v, "error": 1.0, "dof": 2.0} for v in (5.0, 1.0))
    assert words.apart(first, second) == (4.0, pytest.approx(np.sqrt(2)), pytest.approx(4.0))
    assert words.dof_of({}) == np.inf


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of one pre-training, as the report reads them."""
    folder = tmp_path_factory.mktemp("one")
    (folder / "evaluation").mkdir()
    for name, table in (
        ("metrics", metrics_table([toy(1)])),
        ("differences", differences_table([toy(1)], "rs3l")),
        ("savings", savings_table([toy(1)])),
    ):
        as_shown = table.assign(task="h_vs_qcd", mode=table["mode"].replace("tuned", "probe_h"))
        as_shown.to_csv(folder / "evaluation" / f"{name}.csv", index=False)
    return folder


def test_the_report_quotes_no_sigma_of_one_pre_training(tables: Path) -> None:
    differences = pd.read_csv(tables / "evaluation" / "differences.csv", keep_default_na=False, na_values=[""])
    shown = significance_table(differences, "h_vs_qcd", "auc")
    assert set(shown["significance"]) == {ONE_PRE_TRAINING}
    for kind, metric in (("ratios", "rejection_0.5"), ("differences", "auc")):
        cells = KINDS[kind](tables / "evaluation", "h_vs_qcd", metric).iloc[:, 1:].to_numpy().ravel()
        assert all(ONE_PRE_TRAINING in cell and "σ" not in cell for cell in cells)
    config = campaign()
    for kind in ("roc", "label_efficiency"):
        text = seen(kind, "h_vs_qcd", CampaignPaths(str(tables)), config)
        assert ONE_PRE_TRAINING in text and "standard deviations" not in text
