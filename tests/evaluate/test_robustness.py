"""Changes of a tagger's output between variants, against slow references on resampled jets."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from rs3l.evaluate import bootstrap
from rs3l.evaluate.metrics import auc_and_background_efficiency
from rs3l.evaluate.robustness import Changes, Falling, changes, cut_at, joined, rate, scaled

EFFICIENCIES = np.array([0.3, 0.5, 0.77])
SIZES = (40, 70, 35, 90)
SHIFTS = (1.0, 0.0, 0.8, 0.2)


@pytest.fixture(scope="module")
def scores() -> list[NDArray[np.float64]]:
    """Return outputs of signal and background, nominal, then varied."""
    rng = np.random.default_rng(3)
    return [scaled(rng.normal(shift, 1.0, size)) for size, shift in zip(SIZES, SHIFTS, strict=True)]


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


def reference(resampled: Sequence[NDArray[Any]], efficiency: float) -> dict[str, float]:
    signal, background, new_signal, new_background = resampled
    cut, own = threshold(signal, efficiency), threshold(new_signal, efficiency)
    before = max((background >= cut).mean(), 1 / len(background))
    return {
        "own": (new_background >= own).mean() / before - 1,
        "fixed": (new_background >= cut).mean() / before - 1,
        "passing": (background >= cut).sum(),
    }


def test_changes_are_those_of_resampled_jets(
    scores: list[NDArray[np.float64]], counts: list[NDArray[np.int64]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "_BLOCK", 3 * sum(SIZES))  # several blocks
    found = changes(scores, counts, EFFICIENCIES)
    for r in range(len(counts[0])):
        resampled = [np.repeat(score, count[r]) for score, count in zip(scores, counts, strict=True)]
        for side in range(2):
            expected = wasserstein_distance(resampled[side], resampled[side + 2])
            assert found.wasserstein[side, r] == pytest.approx(expected, abs=1e-12)
        for k, efficiency in enumerate(EFFICIENCIES):
            for name, value in reference(resampled, efficiency).items():
                assert getattr(found, name)[r, k] == pytest.approx(value, abs=1e-12), (name, r, k)


def test_the_change_of_the_signal_efficiency_is_that_at_the_nominal_cut(
    scores: list[NDArray[np.float64]], counts: list[NDArray[np.int64]]
) -> None:
    found = changes(scores, counts, EFFICIENCIES)
    for k, efficiency in enumerate(EFFICIENCIES):
        kept = (scores[2] >= threshold(scores[0], efficiency)).mean()
        assert found.efficiency[0, k] == pytest.approx(kept / efficiency - 1, abs=1e-12)


def test_nothing_changes_between_equal_samples(counts: list[NDArray[np.int64]]) -> None:
    rng = np.random.default_rng(0)
    signal, background = rng.uniform(size=40), rng.uniform(size=70)
    same = [counts[0], counts[1], counts[0], counts[1]]
    found = changes([signal, background, signal, background], same, EFFICIENCIES)
    for values in (found.wasserstein, found.own, found.fixed, found.efficiency):
        np.testing.assert_allclose(values, 0, atol=1e-12)


def test_a_shift_of_the_score_moves_the_fixed_cut_and_not_the_own_one() -> None:
    """An additive shift of all scores is invisible to thresholds of their own: why both are reported."""
    rng = np.random.default_rng(1)
    signal, background = rng.uniform(0.3, 0.9, 400), rng.uniform(0.0, 0.8, 400)
    ones = [np.ones((2, 400), dtype=np.int64)] * 4
    found = changes([signal, background, signal + 0.05, background + 0.05], ones, EFFICIENCIES)
    np.testing.assert_allclose(found.own, 0, atol=1e-12)
    assert (found.fixed > 0.05).all()
    np.testing.assert_allclose(found.wasserstein, 0.05)


def test_ties_are_accepted_in_part_as_in_the_metrics() -> None:
    rng = np.random.default_rng(2)
    score, is_signal = rng.integers(0, 5, 200).astype(float), rng.uniform(size=200) < 0.4
    counts = np.concatenate([np.ones((1, 200), dtype=np.int64), rng.integers(0, 3, (4, 200))])
    _, expected = auc_and_background_efficiency(score, is_signal, counts, EFFICIENCIES)
    tails = []
    for chosen in (is_signal, ~is_signal):
        share = counts[:, chosen] / counts[:, chosen].sum(axis=1, keepdims=True)
        tails.append(Falling.of(score[chosen]).tail(share))
    np.testing.assert_allclose(rate(tails[1], cut_at(tails[0], EFFICIENCIES)), expected, atol=1e-12)


def test_scaled_is_the_logistic_function_and_never_overflows() -> None:
    logit = np.array([-1e4, -2.0, 0.0, 3.0, 1e4], dtype=np.float32)
    np.testing.assert_allclose(
        scaled(logit), [0, 1 / (1 + np.exp(2.0)), 0.5, 1 / (1 + np.exp(-3.0)), 1], atol=1e-12
    )


def test_parts_are_joined_in_order() -> None:
    parts = [Changes(np.full((2, 1), i), *([np.full((1, 3), i)] * 4)) for i in range(3)]
    whole = joined(parts)
    assert whole.wasserstein.tolist() == [[0, 1, 2]] * 2
    assert all(whole[i][:, 0].tolist() == [0, 1, 2] for i in itertools.chain(range(1, 5)))
