"""AUC and rejection against scikit-learn and against pair counting."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from rs3l.errors import DataError
from rs3l.evaluate import bootstrap, metrics

Floats = NDArray[np.float64]
EFFICIENCIES = np.array([0.1, 0.3, 0.5, 0.7, 0.95, 1.0])


def naive_auc(score: Floats, signal: NDArray[np.bool_], weight: Floats) -> float:
    """Count pairs: a signal above a background counts one, a tie half, times both weights."""
    total = norm = 0.0
    for s, ws in zip(score[signal], weight[signal], strict=True):
        for b, wb in zip(score[~signal], weight[~signal], strict=True):
            total += ws * wb * (1.0 if s > b else 0.5 if s == b else 0.0)
            norm += ws * wb
    return total / norm


def naive_fpr(score: Floats, signal: NDArray[np.bool_], weight: Floats, efficiency: float) -> float:
    """Lower the threshold score by score until the efficiency is reached; split the last tie."""
    total_s, total_b = weight[signal].sum(), weight[~signal].sum()
    tpr = fpr = 0.0
    for threshold in np.unique(score)[::-1]:
        here = score == threshold
        up, right = weight[here & signal].sum() / total_s, weight[here & ~signal].sum() / total_b
        if tpr + up >= efficiency - 1e-12:
            return fpr + right * (efficiency - tpr) / up
        tpr, fpr = tpr + up, fpr + right
    raise AssertionError("the efficiency is never reached")


def sample(ties: bool, seed: int = 0, n: int = 120) -> tuple[Floats, NDArray[np.bool_], Floats]:
    rng = np.random.default_rng(seed)
    signal = rng.uniform(size=n) < 0.4
    score = rng.normal(signal.astype(float))
    return (np.round(2 * score) / 2 if ties else score), signal, rng.uniform(0.1, 3.0, n)


@pytest.mark.parametrize("ties", [False, True])
def test_equals_naive_and_sklearn(ties: bool) -> None:
    score, signal, weight = sample(ties)
    roc = metrics.ranking(score, signal).curves(weight[None])
    assert metrics.auc(roc)[0] == pytest.approx(naive_auc(score, signal, weight), abs=1e-12)
    assert metrics.auc(roc)[0] == pytest.approx(roc_auc_score(signal, score, sample_weight=weight), abs=1e-12)
    expected = [naive_fpr(score, signal, weight, e) for e in EFFICIENCIES]
    np.testing.assert_allclose(metrics.background_efficiency(roc, EFFICIENCIES)[0], expected, atol=1e-12)
    fpr, tpr, _ = roc_curve(signal, score, sample_weight=weight, drop_intermediate=False)
    np.testing.assert_allclose(roc.signal[0], tpr, atol=1e-12)
    np.testing.assert_allclose(roc.background[0], fpr, atol=1e-12)


def test_background_efficiency_is_sklearns_interpolated_curve() -> None:
    """Below efficiency 1, where several thresholds reach it and the highest is meant."""
    score, signal, weight = sample(ties=True)
    fpr, tpr, _ = roc_curve(signal, score, sample_weight=weight)
    below = EFFICIENCIES[:-1]
    rates = metrics.background_efficiency(metrics.ranking(score, signal).curves(weight[None]), below)
    np.testing.assert_allclose(rates[0], np.interp(below, tpr, fpr), atol=1e-12)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_replica_is_the_resampled_sample(ties: bool, weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_BLOCK", 300)
    score, signal, weight = sample(ties)
    jet_weight = weight if weighted else np.ones_like(weight)
    counts = np.random.default_rng(1).poisson(1.0, size=(7, len(score)))
    areas, rates = metrics.auc_and_background_efficiency(
        score, signal, counts, EFFICIENCIES, weight if weighted else None
    )
    for row, area, rate in zip(counts, areas, rates, strict=True):
        again = np.repeat(np.arange(len(score)), row)
        drawn = score[again], signal[again], jet_weight[again]
        assert area == pytest.approx(naive_auc(*drawn), abs=1e-12)
        np.testing.assert_allclose(rate, [naive_fpr(*drawn, e) for e in EFFICIENCIES], atol=1e-12)


def test_all_scores_equal_is_chance() -> None:
    signal = np.array([True, False, True, False, False])
    roc = metrics.ranking(np.zeros(5), signal).curves(np.ones((1, 5)))
    assert metrics.auc(roc)[0] == 0.5
    np.testing.assert_allclose(metrics.background_efficiency(roc, np.array([0.3, 1.0]))[0], [0.3, 1.0])


def test_no_background_passing_is_a_lower_limit() -> None:
    score = np.array([0.9, 0.8, 0.7, 0.2, 0.1, 0.0])
    signal = np.array([True, True, False, True, False, False])
    rates = metrics.background_efficiency(
        metrics.ranking(score, signal).curves(np.ones((1, 6))), np.array([0.5, 1.0])
    )
    value, limit = metrics.rejection(rates, 3)
    np.testing.assert_allclose(value[0], [3.5 / 1.0, 3.5 / 1.5])
    assert limit[0].tolist() == [True, False]


def test_jets_that_come_together_count_together() -> None:
    """Six of 600 jets pass, in two events of three: replicas see it, and the correction is that of two."""
    rng = np.random.default_rng(0)
    drawn = rng.poisson(1.0, (4000, 2)).sum(axis=1)
    passing = np.concatenate([[2.0], drawn])[:, None]
    assert metrics.together(3 * passing)[0] == pytest.approx(3.0, rel=0.1)
    alone, _ = metrics.rejection(passing / 200, 200)
    views, _ = metrics.rejection(3 * passing / 600, 600)
    assert views[0, 0] == pytest.approx(alone[0, 0], rel=0.02)


def test_all_background_passes_at_full_efficiency() -> None:
    value, limit = metrics.rejection(np.ones((10, 1)), 50)
    assert (value == 1.0).all() and not limit.any()


@pytest.mark.parametrize("signal", [[True, True], [False, False]])
def test_a_missing_class_is_refused(signal: list[bool]) -> None:
    with pytest.raises(DataError, match=r"no (signal|background) jet"):
        metrics.ranking(np.array([0.1, 0.2]), np.array(signal)).curves(np.ones((1, 2)))


def test_a_score_that_is_not_finite_is_refused() -> None:
    with pytest.raises(DataError, match="not finite"):
        metrics.ranking(np.array([0.1, np.nan]), np.array([True, False])).curves(np.ones((1, 2)))
