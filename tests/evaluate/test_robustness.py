"""Changes of a tagger's output between variants, against slow references on resampled jets."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from rs3l.evaluate.ranking import Ranking, background_efficiency, roc
from rs3l.evaluate.robustness import Changes, Falling, changes, cut_at, rate, scaled, wasserstein
from support.toy_metrics import weights_of

EFFICIENCIES = np.array([0.3, 0.5, 0.77])
SIZES = (40, 70, 35, 90)
SHIFTS = (1.0, 0.0, 0.8, 0.2)


Found = tuple[list[NDArray[np.float64]], Changes]


@pytest.fixture(scope="module")
def scores() -> list[NDArray[np.float32]]:
    """Return logits of signal and background, nominal, then varied."""
    rng = np.random.default_rng(3)
    drawn = (rng.normal(shift, 1.0, size) for shift, size in zip(SHIFTS, SIZES, strict=True))
    return [each.astype(np.float32) for each in drawn]


@pytest.fixture(scope="module")
def counts() -> list[NDArray[np.int64]]:
    """Return how often each jet is drawn; the first replica is the sample itself."""
    rng = np.random.default_rng(4)
    drawn = [rng.multinomial(size, np.full(size, 1 / size), 6) for size in SIZES]
    return [
        np.concatenate([np.ones((1, size), dtype=np.int64), each]) for size, each in zip(SIZES, drawn, strict=True)
    ]


def threshold(signal: NDArray[Any], efficiency: float) -> float:
    """Return the highest score that keeps the fraction of the signal."""
    falling = np.sort(signal)[::-1]
    return float(falling[int(np.ceil(efficiency * len(falling) - 1e-9)) - 1])


def reference(resampled: Sequence[NDArray[Any]], efficiency: float, size: int) -> dict[str, float]:
    """Return the changes; the nominal has ``size`` background jets."""
    signal, background, new_signal, new_background = resampled
    cut, own = threshold(signal, efficiency), threshold(new_signal, efficiency)
    before = max((background >= cut).mean(), 1 / size)
    return {
        "own": (new_background >= own).mean() / before - 1,
        "fixed": (new_background >= cut).mean() / before - 1,
        "passing": (background >= cut).mean() * size,
    }


def compared(scores: Sequence[NDArray[Any]], counts: Sequence[NDArray[Any]]) -> Found:
    """Return the distances of signal and background [R], and the changes."""
    weights, _ = weights_of(np.concatenate(counts, axis=1))
    ends = np.cumsum([0, *(len(score) for score in scores)])
    rows = [np.arange(*pair, dtype=np.int32) for pair in itertools.pairwise(ends)]
    classes = [Falling.of(s.astype(np.float32), weights, r) for s, r in zip(scores, rows, strict=True)]
    return [wasserstein(classes[i], classes[i + 2]) for i in range(2)], changes(classes, EFFICIENCIES)


def check(scores: Sequence[NDArray[Any]], counts: Sequence[NDArray[Any]]) -> None:
    """Compare with the slow references on resampled jets."""
    distances, found = compared(scores, counts)
    for r in range(len(counts[0])):
        resampled = [np.repeat(score, count[r]) for score, count in zip(scores, counts, strict=True)]
        for side in range(2):
            expected = wasserstein_distance(scaled(resampled[side]), scaled(resampled[side + 2]))
            assert distances[side][r] == pytest.approx(expected, rel=1e-5)
        for k, efficiency in enumerate(EFFICIENCIES):
            for name, value in reference(resampled, efficiency, len(scores[1])).items():
                assert getattr(found, name)[r, k] == pytest.approx(value, abs=1e-12), (name, r, k)


def test_changes_are_those_of_resampled_jets(
    scores: list[NDArray[np.float32]], counts: list[NDArray[np.int64]]
) -> None:
    check(scores, counts)


def test_changes_of_large_samples_are_those_of_resampled_jets() -> None:
    """Of several batches of several blocks."""
    rng = np.random.default_rng(5)
    sizes = (3000, 2500, 2900, 2400)
    scores = [rng.normal(shift, 1.0, size).astype(np.float32) for shift, size in zip(SHIFTS, sizes, strict=True)]
    counts = [np.concatenate([np.ones((1, size), int), rng.poisson(1.0, (2, size))]) for size in sizes]
    check(scores, counts)


def test_the_change_of_the_signal_efficiency_is_that_at_the_nominal_cut(
    scores: list[NDArray[np.float32]], counts: list[NDArray[np.int64]]
) -> None:
    _, found = compared(scores, counts)
    for k, efficiency in enumerate(EFFICIENCIES):
        kept = (scores[2] >= threshold(scores[0], efficiency)).mean()
        assert found.efficiency[0, k] == pytest.approx(kept / efficiency - 1, abs=1e-12)


def test_nothing_changes_between_equal_samples(
    scores: list[NDArray[np.float32]], counts: list[NDArray[np.int64]]
) -> None:
    same = [counts[0], counts[1], counts[0], counts[1]]
    distances, found = compared([scores[0], scores[1], scores[0], scores[1]], same)
    for values in (*distances, found.own, found.fixed):
        np.testing.assert_allclose(values, 0, atol=1e-7)


def test_a_shift_of_the_score_moves_the_fixed_cut_and_not_the_own_one() -> None:
    """An additive shift of all scores is invisible to thresholds of their own: why both are reported."""
    rng = np.random.default_rng(1)
    signal, background = (rng.uniform(low, high, 400).astype(np.float32) for low, high in ((0.3, 0.9), (0.0, 0.8)))
    ones = [np.ones((2, 400), dtype=np.int64)] * 4
    _, found = compared([signal, background, signal + 0.05, background + 0.05], ones)
    np.testing.assert_allclose(found.own, 0, atol=1e-12)
    assert (found.fixed > 0.05).all()


def test_ties_are_accepted_in_part_as_in_the_metrics() -> None:
    rng = np.random.default_rng(2)
    score, is_signal = rng.integers(0, 5, 200).astype(np.float32), rng.uniform(size=200) < 0.4
    weights, rows = weights_of(np.concatenate([np.ones((1, 200), int), rng.integers(0, 3, (4, 200))]))
    ranked = Ranking.of(score, is_signal)
    expected = background_efficiency(ranked, roc(ranked, weights, rows), EFFICIENCIES)
    signal, background = (Falling.of(score[side], weights, rows[side]) for side in (is_signal, ~is_signal))
    np.testing.assert_allclose(rate(background, cut_at(signal, EFFICIENCIES)), expected, atol=1e-12)


def test_scaled_is_the_logistic_function_and_never_overflows() -> None:
    logit = np.array([-1e4, -2.0, 0.0, 3.0, 1e4], dtype=np.float32)
    np.testing.assert_allclose(
        scaled(logit), [0, 1 / (1 + np.exp(2.0)), 0.5, 1 / (1 + np.exp(-3.0)), 1], atol=1e-12
    )


def test_replicas_without_a_jet_have_no_distance_and_say_nothing() -> None:
    weights = np.array([[1, 0, 2], [1, 0, 1], [1, 3, 1], [1, 1, 0], [0, 0, 0]], dtype=np.uint8)
    first, second = (
        Falling.of(np.array(score, dtype=np.float32), weights, np.array(rows, dtype=np.int32))
        for score, rows in (([0.1, -2.0], [0, 1]), ([1.0, 0.3], [2, 3]))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distance = wasserstein(first, second)
    assert np.isnan(distance).tolist() == [False, True, False]
