"""Errors of means over runs, and paired stability."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from rs3l.evaluate import stability
from rs3l.evaluate.bootstrap import combine, combine_difference
from rs3l.evaluate.replicas import replica_weights
from rs3l.evaluate.spread import Runs
from support.toy_metrics import weights_of


def test_bootstrap_error_of_a_mean_is_the_analytic_one() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    weights = replica_weights(np.arange(400), 2000, 1, "t")[:-1].astype(float)
    means = (x @ weights / weights.sum(axis=0))[None]
    result = combine(means, Runs(np.array([0]), np.array([0])))
    assert result.value == pytest.approx(x.mean())
    assert result.bootstrap == pytest.approx(x.std() / 20, rel=0.06)
    assert (result.std, result.run_error, result.error) == (0.0, 0.0, result.bootstrap)


def test_run_error_adds_seeds_and_repeats() -> None:
    seeds, repeats = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    sample = np.array([1.0, 3.0, 2.0, 4.0])
    values = np.column_stack([sample, sample - 0.5, sample + 0.5])
    result = combine(values, Runs(seeds, repeats))
    expected = np.sqrt(np.var([2.0, 3.0], ddof=1) / 2 + np.var([1.5, 3.5], ddof=1) / 2)
    assert result.value == 2.5
    assert result.n_runs == 4
    assert result.std == pytest.approx(np.std(sample, ddof=1))
    assert result.run_error == pytest.approx(expected)
    assert result.bootstrap == pytest.approx(np.std([-0.5, 0.5], ddof=1))
    assert result.error == pytest.approx(np.hypot(result.run_error, result.bootstrap))


def test_difference_is_paired_over_events_and_repeats() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=(3, 21))
    runs = Runs(np.zeros(3, dtype=int), np.arange(3))
    result = combine_difference(first, runs, first - 1.0, runs)
    assert result.value == pytest.approx(1.0)
    assert result.error == pytest.approx(0.0, abs=1e-12)
    unpaired = combine_difference(first, runs, first - 1.0, Runs(runs.seeds, runs.repeats + 5))
    assert unpaired.run_error == pytest.approx(np.sqrt(2.0 / 3.0) * np.std(first[:, 0], ddof=1))


def test_difference_counts_the_spread_of_seeds() -> None:
    values = np.array([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0]])
    result = combine_difference(
        values,
        Runs(np.array([0, 1]), np.zeros(2, int)),
        np.zeros((1, 3)),
        Runs(np.zeros(1, int), np.zeros(1, int)),
    )
    assert (result.value, result.run_error, result.bootstrap) == (2.0, pytest.approx(1.0), 0.0)


@pytest.mark.parametrize("decimals", [8, 0])
@pytest.mark.parametrize("size", [60, 9000])
def test_spearman_is_scipys_on_the_resampled_events(
    decimals: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stability, "_AT_ONCE", 3 * size)
    monkeypatch.setattr(stability, "_NARROWEST", 1)
    rng = np.random.default_rng(2)
    x = rng.normal(size=size).round(decimals)
    y = (x + rng.normal(size=size)).round(decimals)
    counts = np.vstack([np.ones((1, size), dtype=int), rng.poisson(1.0, size=(9, size))])
    result = stability.spearman(x, y, *weights_of(counts))
    expected = [spearmanr(np.repeat(x, row), np.repeat(y, row)).statistic for row in counts]
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_spearman_of_a_constant_is_nan() -> None:
    assert np.isnan(stability.spearman(np.ones(4), np.arange(4.0), *weights_of(np.ones((1, 4), dtype=int)))).all()


def test_ranks_count_ties_half() -> None:
    score = np.array([3.0, 1.0, 1.0, 2.0])
    np.testing.assert_allclose(stability.ranks(score, score), (rankdata(score) - 0.5) / 4)
    np.testing.assert_allclose(stability.ranks(np.array([0.0, 9.0]), score), [0.0, 1.0])


def test_rank_shift_is_the_mean_change_and_ignores_the_scale() -> None:
    nominal = np.array([0.0, 1.0, 2.0, 3.0])
    varied = np.array([1.0, 2.0, 3.0, 9.0])
    counts = np.array([[1, 1, 1, 1], [4, 0, 0, 0]])
    np.testing.assert_allclose(
        stability.rank_shift(nominal, varied, *weights_of(counts)), [(3 * 0.25 + 0.125) / 4, 0.25]
    )
    np.testing.assert_allclose(
        stability.rank_shift(np.exp(nominal), np.exp(varied), *weights_of(counts)),
        stability.rank_shift(nominal, varied, *weights_of(counts)),
    )
