"""Bootstrap over hard events, and the errors of means over runs.

The views of one hard event are drawn together: they share its kinematics, so that they are no independent
statistics. All methods of a task are scored under the same replicas, so that the error of a difference is
that of paired samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rs3l.seeds import keyed_hash

Floats = NDArray[np.float64]

_BLOCK = 200_000
"""Weights (replicas x jets) that are worked on at a time, at least one replica: they should stay in the cache."""


def replicas(is_signal: NDArray[np.bool_], number: int, seed: int, task: str) -> NDArray[np.int32]:
    """Return how often each hard event is in each replica, [number + 1, E].

    ``is_signal``: [E], one entry per hard event, ordered by event_id. Row 0 is the sample itself (ones).
    Signal and background are drawn apart, each as often as it has events (a stratified bootstrap). The
    random numbers belong to (seed, task), and to nothing else.
    """
    rng = np.random.default_rng(keyed_hash(seed, "bootstrap", task))
    counts = np.ones((number + 1, len(is_signal)), dtype=np.int32)
    members = [np.flatnonzero(is_signal), np.flatnonzero(~is_signal)]
    for row in counts[1:]:
        for chosen in members:
            drawn = rng.integers(0, max(1, len(chosen)), size=len(chosen))
            row[chosen] = np.bincount(drawn, minlength=len(chosen))
    return counts


def drawn(counts: NDArray[np.integer], events: NDArray[np.intp]) -> NDArray[np.integer]:
    """Return the columns of ``counts`` [R, E] of some ``events`` [N], one per jet, as [R, N].

    Not ``counts[:, events]``: NumPy would lay the replicas of a jet side by side, and what follows goes through
    the jets of a replica: several times slower then.
    """
    return np.take(counts, events, axis=1)


def blocks(samples: Sequence[NDArray[np.integer]]) -> Iterator[list[Floats]]:
    """Yield the ``samples``, each [R, N] with its own N, as floating-point numbers, a few replicas at a time."""
    rows = max(1, _BLOCK // max(1, sum(counts.shape[1] for counts in samples)))
    for first in range(0, len(samples[0]), rows):
        yield [counts[first : first + rows].astype(np.float64) for counts in samples]


@dataclass(frozen=True)
class Estimate:
    """A mean over runs and its errors; see :func:`combine`."""

    value: float
    std: float
    run_error: float
    bootstrap: float
    error: float
    n_runs: int


def combine(values: Floats, seeds: NDArray[np.integer], repeats: NDArray[np.integer]) -> Estimate:
    """Return the mean over runs, and its error.

    ``values`` [n, R + 1]: one row per run, column 0 the test sample, the others its replicas; ``seeds``,
    ``repeats`` [n]: pre-training seed and repeat (draw of labels and initialisation) of each run.

    - ``std``: sample standard deviation over all runs (0 for one run).
    - ``run_error``: error of the mean from the finite number of runs. Runs that share a seed or a draw of
      labels are not independent, hence not std / sqrt(n) but
      sqrt(var(means per repeat) / #repeats + var(means per seed) / #seeds): the sum counts the residual
      of a crossed design twice and is conservative. A term with one level only is unknown, and left out.
    - ``bootstrap``: standard deviation of the mean over the replicas of the test sample.
    - ``error``: sqrt(run_error^2 + bootstrap^2). The spread of runs is measured on one test sample, so that
      the two do not overlap. What simulation and configuration could do wrong is not in it.
    """
    sample = values[:, 0]
    run_error = float(np.sqrt(_level_variance(sample, seeds) + _level_variance(sample, repeats)))
    return _estimate(values.mean(axis=0), _spread(sample), run_error, len(sample))


def combine_difference(
    first: Floats,
    first_runs: tuple[NDArray[np.integer], NDArray[np.integer]],
    second: Floats,
    second_runs: tuple[NDArray[np.integer], NDArray[np.integer]],
) -> Estimate:
    """Return mean(first) - mean(second), paired over test events and over repeats.

    ``first``, ``second`` [n, R + 1] as in :func:`combine`, ``*_runs``: their (seeds, repeats). Both methods
    see the same labels in the same repeat, so that the variance of the repeats is taken of the differences
    per repeat (if both have the same repeats; of each alone otherwise); seeds are independent. ``std`` is
    that of the differences per repeat.
    """
    a, b = first[:, 0], second[:, 0]
    repeats, a_means = _level_means(a, first_runs[1])
    others, b_means = _level_means(b, second_runs[1])
    if np.array_equal(repeats, others):
        per_repeat = a_means - b_means
        variance = _mean_variance(per_repeat)
        std = _spread(per_repeat)
    else:
        variance = _mean_variance(a_means) + _mean_variance(b_means)
        std = float(np.hypot(_spread(a_means), _spread(b_means)))
    variance += _level_variance(a, first_runs[0]) + _level_variance(b, second_runs[0])
    mean = first.mean(axis=0) - second.mean(axis=0)
    return _estimate(mean, std, float(np.sqrt(variance)), min(len(a), len(b)))


def _estimate(mean: Floats, std: float, run_error: float, n_runs: int) -> Estimate:
    bootstrap = _spread(mean[1:])
    return Estimate(
        value=float(mean[0]),
        std=std,
        run_error=run_error,
        bootstrap=bootstrap,
        error=float(np.hypot(run_error, bootstrap)),
        n_runs=n_runs,
    )


def _level_means(sample: Floats, level: NDArray[np.integer]) -> tuple[NDArray[np.integer], Floats]:
    names, index = np.unique(level, return_inverse=True)
    return names, np.bincount(index, weights=sample) / np.bincount(index)


def _level_variance(sample: Floats, level: NDArray[np.integer]) -> float:
    return _mean_variance(_level_means(sample, level)[1])


def _mean_variance(means: Floats) -> float:
    return _spread(means) ** 2 / len(means)


def _spread(sample: Floats) -> float:
    return float(np.std(sample, ddof=1)) if len(sample) > 1 else 0.0
