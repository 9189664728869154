"""The errors of means over runs, from replicas of the test sample and from the spread of the runs.

The views of one hard event are drawn together because they share its kinematics and are therefore no independent
statistics. All methods of a task are scored under the same replicas (:mod:`rs3l.evaluate.replicas`), so that the
error of a difference is that of paired samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rs3l.evaluate import student
from rs3l.evaluate.spread import (
    MEASURED,
    NOTHING,
    UNKNOWN,
    Group,
    Lent,
    Runs,
    Term,
    effective_dof,
    lending,
    level_means,
    term,
    terms,
    worst,
)
from rs3l.types import Floats64


@dataclass(frozen=True)
class Estimate:
    """A mean over runs with its errors, as :func:`combine` defines them."""

    value: float
    std: float
    run_error: float
    bootstrap: float
    error: float
    n_runs: int
    dof: float = math.inf
    seed_spread: str = MEASURED
    repeat_spread: str = MEASURED

    @property
    def is_complete(self) -> bool:
        """Return whether every term of the error is known, be it measured or borrowed."""
        return UNKNOWN not in (self.seed_spread, self.repeat_spread)

    def half_width(self, probability: float) -> float:
        """Return half of the central interval of this ``probability`` by Student's t.

        It is NaN if a term of the error is unknown.
        """
        return self.error * student.quantile(probability, self.dof) if self.is_complete else math.nan

    def interval(self, probability: float) -> tuple[float, float]:
        """Return the central interval of this ``probability``, or NaN if a term of the error is unknown."""
        half = self.half_width(probability)
        return self.value - half, self.value + half

    def exponential(self) -> Estimate:
        """Return the estimate of exp(x) from that of x, with the errors propagated to first order."""
        value = math.exp(self.value)
        errors = {name: value * getattr(self, name) for name in ("std", "run_error", "bootstrap", "error")}
        return replace(self, value=value, **errors)


def combine(values: Floats64, runs: Runs, lent: Lent = NOTHING) -> Estimate:
    """Return the mean over runs, and its error.

    ``values`` [n, R + 1] has one row per run; column 0 is the test sample, and the others are its replicas.
    ``runs`` gives the pre-training seed and the repeat (draw of labels and initialisation) of each run.

    - ``std`` is the sample standard deviation over all runs (0 for one run).
    - ``run_error`` is the error of the mean that comes from the finite number of runs. It is not std / sqrt(n),
      because runs that share a seed or a draw of labels are not independent, but sqrt(var(means per repeat) /
      #repeats + var(means per seed) / #seeds). This sum counts the residual of a crossed design twice and is
      therefore conservative. A single level has no variance, so the variance ``lent`` by other methods stands in
      for it. Where nothing is lent, the term is left out and ``seed_spread`` or ``repeat_spread`` is ``unknown``.
    - ``bootstrap`` is the standard deviation of the mean over the replicas of the test sample.
    - ``error`` is sqrt(run_error^2 + bootstrap^2). The two terms do not overlap because the spread of runs is
      measured on one test sample. Errors of the simulation or of the configuration are not included.
    - ``dof`` is the number of degrees of freedom of ``error``, after Welch and Satterthwaite.
    """
    sample = values[:, 0]
    return _estimate(values.mean(axis=0), _spread(sample), terms(sample, runs, lent), len(sample))


def combine_all(values: Mapping[Group, tuple[Floats64, Runs]]) -> dict[Group, Estimate]:
    """Return :func:`combine` of the values [n, R + 1] of many groups, which lend each other missing variances."""
    lent = lending({group: (each[:, 0], runs) for group, (each, runs) in values.items()})
    return {group: combine(each, runs, lent[group]) for group, (each, runs) in values.items()}


def combine_difference(
    first: Floats64,
    first_runs: Runs,
    second: Floats64,
    second_runs: Runs,
    lent: tuple[Lent, Lent] = (NOTHING, NOTHING),
) -> Estimate:
    """Return mean(first) - mean(second), paired over test events and over repeats.

    ``first`` and ``second`` [n, R + 1] are as in :func:`combine`, ``*_runs`` are their runs, and ``lent`` is what
    each may borrow. Both methods see the same labels in the same repeat. The variance of the repeats is therefore
    taken of the differences per repeat if both methods have the same repeats, and several of them; otherwise it is
    taken of each method alone. The seeds are independent. ``std`` is that of the differences per repeat. The
    spread of one kind of runs is unknown if it is unknown for either method.
    """
    a, b = first[:, 0], second[:, 0]
    seeds_a, repeats_a = terms(a, first_runs, lent[0])
    seeds_b, repeats_b = terms(b, second_runs, lent[1])
    repeats, a_means = level_means(a, first_runs.repeats)
    others, b_means = level_means(b, second_runs.repeats)
    repeated = [repeats_a, repeats_b]
    std = float(np.hypot(_spread(a_means), _spread(b_means)))
    if np.array_equal(repeats, others) and len(repeats) > 1:
        repeated = [term(a_means - b_means, True, None)]
        std = _spread(a_means - b_means)
    mean = first.mean(axis=0) - second.mean(axis=0)
    return _estimate(mean, std, [seeds_a, seeds_b, *repeated], min(len(a), len(b)), n_seed_terms=2)


def _estimate(mean: Floats64, std: float, parts: Sequence[Term], n_runs: int, n_seed_terms: int = 1) -> Estimate:
    """Return the estimate from the terms of the runs, of which those of the seeds come first."""
    bootstrap = _spread(mean[1:])
    run_variance = sum(part.variance for part in parts)
    known = [(part.variance, part.dof) for part in parts]
    return Estimate(
        value=float(mean[0]),
        std=std,
        run_error=math.sqrt(run_variance),
        bootstrap=bootstrap,
        error=math.sqrt(run_variance + bootstrap**2),
        n_runs=n_runs,
        dof=effective_dof([*known, (bootstrap**2, max(1.0, len(mean) - 2.0))]),
        seed_spread=worst(part.source for part in parts[:n_seed_terms]),
        repeat_spread=worst(part.source for part in parts[n_seed_terms:]),
    )


def _spread(sample: Floats64) -> float:
    return float(np.std(sample, ddof=1)) if len(sample) > 1 else 0.0
