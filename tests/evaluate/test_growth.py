"""How a claim grows: fits of synthetic power laws of known truth, and their table and figure of toy campaigns."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.optimize import curve_fit
from scipy.stats import chi2

from rs3l.config import Campaign
from rs3l.dataset.checksum import JSON, sealed_json, write_checked
from rs3l.dataset.manifest import read_manifest
from rs3l.errors import DataError
from rs3l.evaluate import student
from rs3l.evaluate.growth import TARGET, chosen, events_of, growth_table, read_runs, series_of
from rs3l.evaluate.power_law import Points, bootstrap, bootstrap_interval, chi2_probability, fit
from rs3l.figures import style
from rs3l.figures.plot_growth import draw_growth
from rs3l.files import write_json
from support.toy_campaign import campaign, write_dataset
from support.workflow import run_script

EVENTS = 160_000 / 2.0 ** np.arange(5)[::-1]
NAMES = ["sixteenth", "eighth", "quarter", "half", "rs3l"]


def points(exponent: float, floor: float = 0.0, runs: int = 3, spread: float = 0.02, seed: int = 1) -> Points:
    rng = np.random.default_rng(seed)
    value = 0.1 * (EVENTS / EVENTS[-1]) ** -exponent + floor
    return Points(EVENTS, [np.log(each) + rng.normal(0, spread, runs) for each in value])


def table(exponent: float, names: Sequence[str] = NAMES, seeds: int = 3) -> pd.DataFrame:
    """Return lines of runs.csv, of the AUC and a rejection, with two repeats."""
    rng, rows = np.random.default_rng(4), []
    for place, name in enumerate(NAMES):
        for seed in range(seeds):
            for repeat in range(2):
                value = 0.1 * 2.0 ** (exponent * (4 - place)) * math.exp(rng.normal(0, 0.01))
                head = {"task": "h_vs_qcd", "run": f"{name}_s{seed}", "method": name, "mode": "probe_h"}
                keys = {**head, "labels": 100, "seed": seed, "repeat": repeat, "lower_limit": False}
                rows.append({**keys, "metric": "auc", "value": 1 - value})
                rows.append({**keys, "metric": "rejection_0.5", "value": 1 / value})
    frame = pd.DataFrame(rows)
    return frame[frame["method"].isin(list(names))]


def with_fractions(config: Campaign) -> Campaign:
    """Return a campaign with ablations that differ in `events` alone, and one that differs in more."""
    fractions = dict(zip(NAMES[:4], (1 / 16, 1 / 8, 1 / 4, 1 / 2), strict=True))
    own = {name: {"events": fraction, "seeds": 3} for name, fraction in fractions.items()}
    return config.model_copy(update={"ablations": {**own, "other": {"events": 0.5, "temperature": 0.77}}})


def manifest_of(config: Campaign, folder: Path) -> Path:
    """Return the manifest of a toy data set with 1,600 training events of each process."""
    path = write_dataset(config, folder)
    values = {key: value for key, value in json.loads(path.read_text(encoding="utf-8")).items() if key != JSON}
    for name in config.processes:
        entry = {"path": f"train/{name}-0000.parquet", "split": "train", "process": name, "sha256": "none"}
        values["files"].append({**entry, "events": 1600, "rows": 1600})
    write_json(path, sealed_json(values))
    return path


@pytest.mark.parametrize("exponent", [0.1, 0.5])
def test_a_power_law_is_found(exponent: float) -> None:
    found = fit(points(exponent), "power")
    assert abs(found.exponent - exponent) < 5 * found.exponent_error < 0.1
    truth = 0.1 * (TARGET / EVENTS[-1]) ** -exponent
    low, high = found.interval_at(TARGET, 0.9999)
    assert low < truth < high < 2 * low
    assert found.probability > 1e-4
    assert (found.ndof, found.dof, found.floor) == (3, 10, 0.0)


def test_the_fit_is_that_of_scipy_with_its_covariance() -> None:
    own = points(0.3)
    found = fit(own, "power")
    errors = own.spread / np.sqrt(own.counts)
    expected, covariance = curve_fit(
        lambda x, a, b: a - b * x, own.x, own.means, p0=[0, 0], sigma=errors, absolute_sigma=True
    )
    np.testing.assert_allclose(found.parameters, expected, rtol=1e-5)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-4, atol=1e-12)
    assert found.chi2 == pytest.approx(
        float((((own.means - expected[0] + expected[1] * own.x) / errors) ** 2).sum())
    )


@pytest.mark.parametrize("ndof", [1, 2, 3, 4, 7])
def test_the_probability_of_chi2_is_that_of_scipy(ndof: int) -> None:
    for value in (0.1, 1.0, 5.0, 30.0):
        assert chi2_probability(value, ndof) == pytest.approx(chi2.sf(value, ndof), rel=1e-9)
    assert math.isnan(chi2_probability(math.nan, ndof))


def test_the_fit_with_a_floor_is_that_of_scipy() -> None:
    own = points(0.5, floor=0.05, runs=5, spread=0.005)
    expected, _ = curve_fit(
        lambda x, a, b, c: np.logaddexp(a - b * x, c), own.x, own.means, p0=[-2.3, 0.5, -3.0], maxfev=20_000
    )
    found = fit(own, "saturating")
    for events in (EVENTS[0], TARGET):
        x = math.log(events) - np.log(EVENTS).mean()
        assert found.log_at(events) == pytest.approx(
            np.logaddexp(expected[0] - expected[1] * x, expected[2]), abs=1e-3
        )


def test_a_floor_is_found_where_there_is_one_and_a_power_law_does_not_fit() -> None:
    own = points(0.8, floor=0.1, runs=5, spread=0.005)
    with_floor, without = fit(own, "saturating"), fit(own, "power")
    assert with_floor.floor == pytest.approx(0.1, rel=0.3)
    assert with_floor.exponent == pytest.approx(0.8, abs=0.3)
    assert without.probability < 1e-4 < with_floor.probability
    assert math.exp(without.log_at(TARGET)) < 0.09 < math.exp(with_floor.log_at(TARGET))


def test_runs_weigh_by_their_number() -> None:
    own = points(0.3)
    many = Points(own.events, [*own.logs[:4], np.concatenate([own.logs[4]] * 50)])
    found = fit(many, "power")
    assert abs(found.log_at(EVENTS[-1]) - many.means[-1]) < 0.2 * abs(
        fit(own, "power").log_at(EVENTS[-1]) - many.means[-1]
    )


def test_the_bootstrap_over_pre_trainings_agrees_with_the_covariance() -> None:
    found = fit(points(0.3, runs=6), "power")
    drawn = bootstrap(found, 800, 1)
    assert drawn[:, 1].std() == pytest.approx(found.exponent_error, rel=0.5)
    low, high = bootstrap_interval(found, drawn, TARGET, student.ONE_SIGMA)
    assert low < math.exp(found.log_at(TARGET)) < high
    assert np.array_equal(drawn, bootstrap(found, 800, 1))


def test_one_pre_training_each_takes_the_spread_from_the_residuals() -> None:
    found = fit(points(0.3, runs=1), "power")
    assert math.isnan(found.chi2) and math.isnan(found.probability)
    assert (found.dof, len(bootstrap(found, 10, 1))) == (3, 0)
    assert 0 < found.exponent_error < 0.1


def test_intervals_cover_the_truth() -> None:
    """Wide margins: the benchmark measures it."""
    inside = [
        low <= 0.3 <= high
        for low, high in (fit(points(0.3, seed=s), "power").exponent_interval(0.9) for s in range(200))
    ]
    assert 0.8 < np.mean(inside) < 0.98


def test_too_few_numbers_of_events_are_refused() -> None:
    own = points(0.3)
    with pytest.raises(DataError, match="a saturating fit needs 4 numbers"):
        fit(Points(own.events[:3], own.logs[:3]), "saturating")
    runs = table(0.3, ["half", "rs3l"])
    with pytest.raises(DataError, match="growth needs 3 numbers of pre-training events.*half"):
        series_of(runs, dict(zip(NAMES, EVENTS.astype(int), strict=True)), 0.5)


def test_methods_that_differ_in_their_events_alone(tmp_path: Path) -> None:
    config = with_fractions(campaign())
    manifest = read_manifest(manifest_of(config, tmp_path))
    found = events_of(config, manifest)
    total = sum(manifest.events("train", n) for n, p in config.processes.items() if p.use == "pretrain")
    assert found["rs3l"] == total >= 1600
    assert found["quarter"] == round(total / 4)
    assert set(found) == set(NAMES)


def test_the_table_has_points_and_an_extrapolation(tmp_path: Path) -> None:
    for name, methods in (("a", NAMES[:4]), ("b", NAMES[3:])):
        write_checked(tmp_path / f"{name}.csv", table(0.3, methods).to_csv(index=False))
    runs = read_runs([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert len(runs) == len(table(0.3))
    found = series_of(runs, dict(zip(NAMES, EVENTS.astype(int), strict=True)), 0.5)
    assert [series.metric for series in found] == ["auc", "rejection_0.5"]
    lines = growth_table(found, replicas=50)
    power = lines[(lines["metric"] == "auc") & (lines["form"] == "power")]
    assert list(power["events"]) == [*EVENTS.astype(int), TARGET]
    assert list(power["extrapolated"]) == [False] * 5 + [True]
    assert power["measured"].isna().sum() == 1
    assert power["exponent"].iloc[0] == pytest.approx(0.3, abs=0.05)
    assert (power["low_95"] < power["low_68"]).all() and (power["boot_low_95"] < power["value"]).all()
    assert set(lines["form"]) == {"power", "saturating"}


def test_a_limit_is_no_point() -> None:
    runs = table(0.3)
    runs.loc[(runs["metric"] != "auc") & (runs["method"] == "half"), "lower_limit"] = True
    found = series_of(runs, dict(zip(NAMES, EVENTS.astype(int), strict=True)), 0.5)
    assert [series.metric for series in found] == ["auc"]


def test_series_are_chosen_by_their_names() -> None:
    found = series_of(table(0.3), dict(zip(NAMES, EVENTS.astype(int), strict=True)), 0.5)
    assert chosen(found) == found
    assert chosen(found, tasks=["h_vs_qcd"], labels=[100], metrics=["auc"]) == found[:1]
    with pytest.raises(DataError, match=r"no series with \{'task': \['w_vs_qcd'\]\}"):
        chosen(found, tasks=["w_vs_qcd"])


def test_the_figure_shows_points_fits_and_what_is_extrapolated(tmp_path: Path) -> None:
    found = series_of(table(0.3), dict(zip(NAMES, EVENTS.astype(int), strict=True)), 0.5)
    with style.styled():
        drawing = draw_growth(found, style.Header("toy"), TARGET)
    style.write(drawing, *(tmp_path / f"growth.{suffix}" for suffix in ("svg", "png", "csv")))
    assert "extrapolated" in (tmp_path / "growth.svg").read_text(encoding="utf-8")
    shown = pd.read_csv(tmp_path / "growth.csv")
    assert set(shown["kind"]) == {"measured", "power", "saturating"}
    assert shown.loc[shown["extrapolated"], "events"].max() == pytest.approx(TARGET)
    assert not shown.loc[shown["kind"] == "measured", "extrapolated"].any()


def test_the_command_writes_table_and_figure(test_values: dict[str, Any], tmp_path: Path) -> None:
    fractions = dict(zip(NAMES[:4], (1 / 16, 1 / 8, 1 / 4, 1 / 2), strict=True))
    values = {**test_values, "ablations": {name: {"events": each} for name, each in fractions.items()}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    write_checked(tmp_path / "runs.csv", table(0.3).to_csv(index=False))
    named = {"config": "config.yaml", "runs": "runs.csv", "table": "growth.csv"}
    named |= {suffix: f"figure.{suffix}" for suffix in ("svg", "png", "csv")}
    arguments = [word for key, file in named.items() for word in (f"--{key}", str(tmp_path / file))]
    arguments += ["--manifest", str(manifest_of(campaign(), tmp_path)), "--labels", "100", "--metric", "auc"]
    run_script("growth.py", *arguments)
    assert set(pd.read_csv(tmp_path / "figure.csv")["metric"]) == {"auc"}
    found = pd.read_csv(tmp_path / "growth.csv")
    assert found["extrapolated"].any() and (tmp_path / "figure.png").stat().st_size > 0
