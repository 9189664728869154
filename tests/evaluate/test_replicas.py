"""Weights of hard events in the replicas: Poisson, independent, addressed, as good as drawing with replacement."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chisquare, poisson

from rs3l.evaluate.ranking import Ranking, background_efficiency, roc
from rs3l.evaluate.replicas import THRESHOLDS, replica_weights
from rs3l.seeds import event_id, keyed_hash
from rs3l.types import Counts, Floats64
from support.toy_metrics import weights_of

EVENTS = np.array([event_id("qcd", event) for event in range(2000)])


def slow_weight(event: int, replica: int, seed: int, task: str) -> int:
    """Return one weight, in Python's integers: SplitMix64, then the inverse of the distribution."""

    def mixed(word: int) -> int:
        word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        word = (word ^ (word >> 27)) * 0x94D049BB133111EB % 2**64
        return word ^ (word >> 31)

    start = mixed((event + keyed_hash(seed, "bootstrap", task)) % 2**64)
    uniform = (mixed((start + replica * 0x9E3779B97F4A7C15) % 2**64) >> 32) + 0.5
    return next(k for k in range(99) if uniform < 2**32 * poisson.cdf(k, 1))


def test_weights_are_those_of_a_slow_reference() -> None:
    found = replica_weights(EVENTS[:300], 4, 7, "h_vs_qcd")
    assert found.shape == (301, 5) and (found[:-1, 0] == 1).all() and (found[-1] == 0).all()
    for row, column in ((0, 1), (1, 4), (129, 2), (299, 3), *((i, 1) for i in range(100, 140))):
        assert found[row, column] == slow_weight(int(EVENTS[row]), column, 7, "h_vs_qcd")


def test_thresholds_are_those_of_poissons_distribution() -> None:
    expected = [2**32 * poisson.cdf(k, 1) for k in range(len(THRESHOLDS))]
    assert pytest.approx(expected, abs=1.0) == THRESHOLDS
    assert 2**32 * poisson.sf(len(THRESHOLDS), 1) < 1.0, "what is left out has no place in 32 bits"


def test_weights_have_poissons_frequencies() -> None:
    found = replica_weights(EVENTS, 200, 1, "t")[:-1, 1:]
    frequencies = np.bincount(np.minimum(found, 6).ravel(), minlength=7)
    expected = [*poisson.pmf(range(6), 1), poisson.sf(5, 1)]
    assert chisquare(frequencies, found.size * np.array(expected)).pvalue > 1e-3


def test_replicas_and_events_are_independent() -> None:
    found = replica_weights(EVENTS, 200, 1, "t")[:-1, 1:].astype(float) - 1.0
    for table in (found, found.T):
        pairs = table.T @ table / len(table)
        between = pairs[np.triu_indices(len(pairs), 1)] * math.sqrt(len(table))
        assert abs(between.mean()) < 6.0 / math.sqrt(len(between))
        assert between.std() == pytest.approx(1.0, abs=6.0 / math.sqrt(2.0 * len(between)) + 0.01)


def test_a_weight_belongs_to_seed_task_event_and_replica() -> None:
    whole = replica_weights(EVENTS, 30, 1, "t")
    order = np.random.default_rng(0).permutation(len(EVENTS))[:700]
    assert np.array_equal(replica_weights(EVENTS[order], 11, 1, "t")[:-1], whole[order, :12])
    for other in (replica_weights(EVENTS, 30, 2, "t"), replica_weights(EVENTS, 30, 1, "u")):
        assert np.mean(other[:-1, 1:] == whole[:-1, 1:]) == pytest.approx(
            sum(poisson.pmf(range(9), 1) ** 2), abs=0.02
        )


def multinomial(is_signal: np.ndarray, number: int) -> Counts:
    """Return the counts of as many events as there are, drawn with replacement from each class."""
    rng = np.random.default_rng(4)
    counts = np.ones((number + 1, len(is_signal)), dtype=int)
    for chosen in (np.flatnonzero(is_signal), np.flatnonzero(~is_signal)):
        counts[1:, chosen] = rng.multinomial(len(chosen), np.full(len(chosen), 1 / len(chosen)), number)
    return counts


def test_errors_are_those_of_drawing_with_replacement_from_each_class() -> None:
    rng, number = np.random.default_rng(3), 2000
    is_signal = np.arange(1500) < 600
    ranked = Ranking.of(rng.normal(1.5 * is_signal).astype(np.float32), is_signal)
    rows = np.arange(1500, dtype=np.int32)
    spreads: list[Floats64] = []
    for weights in (replica_weights(EVENTS[:1500], number, 1, "t"), weights_of(multinomial(is_signal, number))[0]):
        curves = roc(ranked, weights, rows)
        rates = background_efficiency(ranked, curves, np.array([0.3, 0.5, 0.7]))
        values = np.column_stack([curves.auc, np.log(rates)])
        spreads.append(values[1:].std(axis=0))
        np.testing.assert_allclose(values[1:].mean(axis=0) - values[0], 0, atol=0.3 * spreads[-1].max())
    error = math.sqrt(2 / (2 * number))  # of the ratio of two standard deviations
    np.testing.assert_allclose(spreads[0] / spreads[1], 1.0, atol=5 * error)
