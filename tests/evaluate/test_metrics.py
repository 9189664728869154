"""AUC and rejection against scikit-learn and against pair counting."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from rs3l.errors import DataError
from rs3l.evaluate import metrics
from rs3l.evaluate.ranking import Ranking, background_efficiency, roc
from rs3l.evaluate.replicas import replica_weights
from support.toy_metrics import weights_of

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


def measured(
    score: Floats, signal: NDArray[np.bool_], counts: NDArray[np.int64], weight: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return AUC [R] and false-positive rates [R, K] by the algorithm under test."""
    weights, rows = weights_of(counts)
    ranked = Ranking.of(score.astype(np.float32), signal)
    curves = roc(ranked, weights, rows, None if weight is None else weight.astype(np.float32))
    return curves.auc, background_efficiency(ranked, curves, EFFICIENCIES)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_replica_is_the_resampled_sample(ties: bool, weighted: bool) -> None:
    score, signal, weight = sample(ties)
    counts = np.concatenate([np.ones((1, 120), int), np.random.default_rng(1).poisson(1.0, size=(7, 120))])
    areas, rates = measured(score, signal, counts, weight if weighted else None)
    jet_weight, exact = (weight, 1e-6) if weighted else (np.ones_like(weight), 1e-12)
    for row, area, rate in zip(counts, areas, rates, strict=True):
        again = np.repeat(np.arange(len(score)), row)
        drawn = score[again], signal[again], jet_weight[again]
        assert area == pytest.approx(naive_auc(*drawn), abs=exact)
        expected = [naive_fpr(*drawn, e) for e in EFFICIENCIES]
        known = slice(-1 if weighted else None)  # rounded sums of weights may miss an efficiency of 1
        np.testing.assert_allclose(rate[known], expected[known], atol=exact)


@pytest.mark.parametrize(("decimals", "size"), [(7, 20_000), (2, 20_000), (0, 9_000)])
@pytest.mark.parametrize("weighted", [False, True])
def test_large_samples_are_sklearns(decimals: int, size: int, weighted: bool) -> None:
    """Of several batches of several blocks, with jets that share an event, and with ties of many sizes."""
    rng = np.random.default_rng(decimals)
    event, signal = rng.integers(0, size // 3, size), rng.uniform(size=size) < 0.4
    score = np.round(rng.normal(1.5 * signal), decimals).astype(np.float32)
    weights = replica_weights(np.arange(size // 3), 3, 1, "t")
    scale = rng.uniform(0.1, 3.0, size // 3)[event].astype(np.float32) if weighted else None
    ranked = Ranking.of(score, signal)
    curves = roc(ranked, weights, event.astype(np.int32), scale)
    rates = background_efficiency(ranked, curves, EFFICIENCIES)
    for r in range(4):
        weight = weights[event, r].astype(float) * (1.0 if scale is None else scale)
        drawn = weight > 0
        expected = roc_auc_score(signal[drawn], score[drawn], sample_weight=weight[drawn])
        assert curves.auc[r] == pytest.approx(expected, abs=1e-7)
        fpr, tpr, _ = roc_curve(signal[drawn], score[drawn], sample_weight=weight[drawn], drop_intermediate=False)
        after = np.searchsorted(tpr, EFFICIENCIES - 1e-12)
        part = (EFFICIENCIES - tpr[after - 1]) / (tpr[after] - tpr[after - 1])
        expected = fpr[after - 1] + part * (fpr[after] - fpr[after - 1])
        np.testing.assert_allclose(rates[r, :-1], expected[:-1], atol=1e-6)


def test_all_scores_equal_is_chance() -> None:
    signal = np.array([True, False, True, False, False])
    areas, rates = measured(np.zeros(5), signal, np.ones((1, 5), int))
    assert areas[0] == 0.5
    np.testing.assert_allclose(rates[0], EFFICIENCIES)


def test_no_background_passing_is_a_lower_limit() -> None:
    score = np.array([0.9, 0.8, 0.7, 0.2, 0.1, 0.0])
    signal = np.array([True, True, False, True, False, False])
    _, rates = measured(score, signal, np.ones((1, 6), int))
    value, limit = metrics.rejection(rates, 3)
    np.testing.assert_allclose(value[0, [2, 5]], [3.5 / 1.0, 3.5 / 1.5])
    assert limit[0, [2, 5]].tolist() == [True, False]


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
def test_a_replica_without_a_class_has_no_metrics(signal: list[bool]) -> None:
    areas, rates = measured(np.array([0.1, 0.2]), np.array(signal), np.ones((2, 2), int))
    assert np.isnan(areas).all() and np.isnan(rates).all()


def test_a_score_that_is_not_finite_is_refused() -> None:
    with pytest.raises(DataError, match="not finite"):
        Ranking.of(np.array([0.1, np.nan], np.float32), np.array([True, False]))
