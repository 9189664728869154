"""Measure how runs spread over pre-training seeds and over repeats (draws of labels and initial weights).

A spread that a single level leaves unknown is borrowed from methods with several levels, or reported as unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from rs3l.types import Counts, Floats64

Group = tuple[str, str, int]
"""Method, mode and labels."""

MEASURED, BORROWED, UNKNOWN, NONE = "measured", "borrowed", "unknown", "none"
"""The origin of the spread over a kind of runs; ``none`` means that the method has no such spread."""

_WORST = (UNKNOWN, BORROWED, MEASURED, NONE)

WORDS = {
    "seed_spread": "one pre-training: its spread is unknown",
    "repeat_spread": "one draw of the labels: its spread is unknown",
}
"""What is said of a value whose error lacks a term, by the column that reports it."""


@dataclass(frozen=True)
class Runs:
    """Pre-training seed and repeat of each run [n].

    ``has_seeds`` says whether a pre-training is part of the method (a baseline has none). ``has_repeats`` says
    whether labels are drawn (a cut that is the same for all of them has no repeats).
    """

    seeds: Counts
    repeats: Counts
    has_seeds: bool = True
    has_repeats: bool = True


@dataclass(frozen=True)
class Variance:
    """The variance of the mean at one level (one seed or one repeat), and its degrees of freedom."""

    value: float
    dof: float

    def scaled(self, factor: float) -> Variance:
        """Return the variance of ``factor`` times the quantity."""
        return Variance(self.value * factor**2, self.dof)


@dataclass(frozen=True)
class Lent:
    """Variances that a method may borrow where it has a single level."""

    seeds: Variance | None = None
    repeats: Variance | None = None

    def scaled(self, factor: float) -> Lent:
        """Return the variances of ``factor`` times the quantity."""
        seeds, repeats = (each and each.scaled(factor) for each in (self.seeds, self.repeats))
        return Lent(seeds, repeats)


NOTHING = Lent()


@dataclass(frozen=True)
class Term:
    """A term of the squared error of a mean, its degrees of freedom, and its origin."""

    variance: float
    dof: float
    source: str


def level_means(sample: Floats64, level: Counts) -> tuple[Counts, Floats64]:
    """Return the levels [L] and the mean of ``sample`` [n] at each [L]."""
    names, index = np.unique(level, return_inverse=True)
    return names, np.bincount(index, weights=sample) / np.bincount(index)


def term(means: Floats64, applies: bool, lent: Variance | None) -> Term:
    """Return the term of a kind of runs from the mean at each of its levels [L]."""
    if not applies:
        return Term(0.0, math.inf, NONE)
    if len(means) > 1:
        return Term(float(np.var(means, ddof=1)) / len(means), len(means) - 1.0, MEASURED)
    return Term(0.0, math.inf, UNKNOWN) if lent is None else Term(lent.value, lent.dof, BORROWED)


def terms(sample: Floats64, runs: Runs, lent: Lent = NOTHING) -> tuple[Term, Term]:
    """Return the terms of the seeds and of the repeats of a mean over ``sample`` [n]."""
    return (
        term(level_means(sample, runs.seeds)[1], runs.has_seeds, lent.seeds),
        term(level_means(sample, runs.repeats)[1], runs.has_repeats, lent.repeats),
    )


def worst(sources: Iterable[str]) -> str:
    """Return the least certain of several sources."""
    return min(sources, key=_WORST.index)


def effective_dof(parts: Iterable[tuple[float, float]]) -> float:
    """Return the degrees of freedom of a sum of (variance, degrees of freedom), after Welch and Satterthwaite.

    They are (sum v)^2 / sum(v^2 / dof), or infinite if nothing varies. See Welch, Biometrika 34 (1947) 28.
    """
    known = list(parts)
    total, below = sum(v for v, _ in known), sum(v * v / dof for v, dof in known)
    if math.isnan(total):
        return math.nan
    return total * total / below if below > 0 else math.inf


def lending(samples: Mapping[Group, tuple[Floats64, Runs]]) -> dict[Group, Lent]:
    """Return what each group may borrow, from the sample [n] and the runs of all groups.

    A group borrows from the groups with as many labels that have several levels. Those in the same mode come
    first; if there are none, any mode will do. The modes of one method share its pre-trainings, so they are
    averaged and count once. The pre-trainings of different methods are independent, so their degrees of freedom
    add up. Those of repeats do not, because all methods have the same draws of labels.
    """
    lenders: dict[bool, dict[Group, Variance]] = {True: {}, False: {}}
    for group, (sample, runs) in samples.items():
        for is_seed, level, applies in (
            (True, runs.seeds, runs.has_seeds),
            (False, runs.repeats, runs.has_repeats),
        ):
            means = level_means(sample, level)[1]
            if applies and len(means) > 1 and np.isfinite(means).all():
                lenders[is_seed][group] = Variance(float(np.var(means, ddof=1)), len(means) - 1.0)
    return {group: Lent(*(_borrowed(group, lenders[kind], kind) for kind in (True, False))) for group in samples}


def _borrowed(group: Group, lenders: Mapping[Group, Variance], independent: bool) -> Variance | None:
    near = {other: variance for other, variance in lenders.items() if other[2] == group[2] and other != group}
    near = {other: variance for other, variance in near.items() if other[1] == group[1]} or near
    if not near:
        return None
    methods: dict[str, list[Variance]] = {}
    for other, variance in near.items():
        methods.setdefault(other[0], []).append(variance)
    means = [(np.mean([v.value for v in own]), min(v.dof for v in own)) for own in methods.values()]
    total = sum(dof for _, dof in means)
    pooled = sum(value * dof for value, dof in means) / total
    return Variance(float(pooled), total if independent else total / len(means))


def unknown(*rows: Mapping[str, object]) -> str:
    """Return in words what the errors of some lines of the tables lack, or an empty text if they are complete.

    Older tables lack these columns, and nothing is said of them.
    """
    lacking = [words for column, words in WORDS.items() if any(row.get(column) == UNKNOWN for row in rows)]
    return "; ".join(lacking)
