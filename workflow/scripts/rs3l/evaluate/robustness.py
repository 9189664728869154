"""Measure how a tagger's output changes from the nominal simulation to another one, on unpaired samples.

In the shapes, N counts the jets of one class under one variant, R the replicas, and K the signal efficiencies. A
replica gives each jet a weight, which says how often its hard event was drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rs3l.evaluate.bootstrap import blocks
from rs3l.types import Floats64

_TOLERANCE = 1e-12
"""Cumulative sums are rounded, so that an efficiency reached to this precision counts as reached."""


class Changes(NamedTuple):
    """The changes from the nominal to a variant in each replica, where rates are fractions of jets above a cut.

    ``wasserstein`` [2, R] is the distance for signal and for background. The other arrays [R, K] have an entry per
    signal efficiency. ``own`` is the relative change of the false-positive rate if nominal and variant each have
    their own threshold of that efficiency. ``fixed`` is the same change at the threshold of the nominal, and
    ``efficiency`` is the relative change of the signal efficiency there. ``passing`` is the number of nominal
    background jets above the nominal's threshold.
    """

    wasserstein: Floats64
    own: Floats64
    fixed: Floats64
    efficiency: Floats64
    passing: Floats64


def scaled(logit: NDArray[np.floating]) -> Floats64:
    """Return the tagger output in 0 ... 1 of a logit."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logit.astype(np.float64))))


@dataclass(frozen=True)
class Weights:
    """Weights of the jets in each replica [R, N], which sum to 1 per class and replica and suit all classifiers.

    ``shares`` are the weights of signal and background, nominal, then varied. ``joint`` holds, for signal and for
    background, the nominal weights and the negative varied ones, joined along the jets.
    """

    shares: tuple[Floats64, ...]
    joint: tuple[Floats64, Floats64]


def weights(counts: Sequence[NDArray[np.integer]]) -> Iterator[Weights]:
    """Yield the weights of blocks of replicas, in bounded memory.

    ``counts`` [R, N] say how often each jet is drawn, for signal and background, nominal, then varied. No class
    may be empty in a replica.
    """
    for block in blocks(counts):
        signal, background, *varied = (each / each.sum(axis=1, keepdims=True) for each in block)
        pairs = zip((signal, background), varied, strict=True)
        joint = [np.concatenate([nominal, -other], axis=1) for nominal, other in pairs]
        yield Weights((signal, background, *varied), (joint[0], joint[1]))


def changes(scores: Sequence[Floats64], counts: Sequence[NDArray[np.integer]], efficiencies: Floats64) -> Changes:
    """Return what changes from the nominal to the varied jets, in each replica.

    ``scores``, each [N], are those whose distance is wanted, and ``counts`` belong to the same four samples
    (:func:`weights`). A nominal false-positive rate of fewer than one jet counts as one jet.
    """
    areas = [Area.between(scores[i], scores[i + 2]) for i in range(2)]
    classes = [Falling.of(score) for score in scores]
    return joined([_changes(areas, classes, weight, efficiencies) for weight in weights(counts)])


def _changes(
    areas: Sequence[Area], classes: Sequence[Falling], weight: Weights, efficiencies: Floats64
) -> Changes:
    distances = [area.wasserstein(joint) for area, joint in zip(areas, weight.joint, strict=True)]
    tails = (falling.tail(share) for falling, share in zip(classes, weight.shares, strict=True))
    signal, background, new_signal, new_background = tails
    cut, own_cut = cut_at(signal, efficiencies), cut_at(new_signal, efficiencies)
    passing = rate(background, cut) * len(background.score)
    before = np.maximum(passing, 1.0) / len(background.score)
    return Changes(
        wasserstein=np.stack(distances),
        own=rate(new_background, own_cut) / before - 1.0,
        fixed=rate(new_background, cut) / before - 1.0,
        efficiency=rate(new_signal, cut) / efficiencies - 1.0,
        passing=passing,
    )


def unbiased_change(change: Floats64, passing: Floats64) -> Floats64:
    """Return a relative change of a rate [R] without the bias of a ratio to few jets; entry 0 is the sample.

    ``passing`` [R] is the number of nominal jets that the rate before the change rests on. The mean of y / x over
    samples is larger than the ratio of the means by var(x) / x^2 - cov(x, y) / (x y), which the replicas tell.
    Beale's estimator divides this bias out: y / x (1 + cov(x, y) / (x y)) / (1 + var(x) / x^2). Where the jets are
    so few that the replicas say the opposite, the change is returned as it is.
    """
    before = np.maximum(passing, 1.0)
    after = (1.0 + change) * before
    if len(change) < 3 or not after[1:].mean() > 0.0:
        return change
    x, y = (each[1:] / each[1:].mean() for each in (before, after))
    (variance, covariance), _ = np.cov(x, y)
    return np.asarray((1.0 + change) * min(1.0, (1.0 + max(0.0, covariance)) / (1.0 + variance)) - 1.0)


def joined(parts: Sequence[Changes]) -> Changes:
    """Return the changes in all replicas from those in blocks of replicas."""
    distances = np.concatenate([part.wasserstein for part in parts], axis=1)
    return Changes(distances, *(np.concatenate(values) for values in list(zip(*parts, strict=True))[1:]))


@dataclass(frozen=True)
class Area:
    """The area between the distributions of two samples of scores.

    ``order`` sorts the scores of both, without the last one, and ``step`` is the distance from each to the next.
    """

    order: NDArray[np.intp]
    step: Floats64

    @classmethod
    def between(cls, first: Floats64, second: Floats64) -> Area:
        """Sort the scores of both."""
        score = np.concatenate([first, second])
        order = np.argsort(score, kind="stable")
        return cls(order[:-1], np.diff(score[order]))

    def wasserstein(self, joint: Floats64) -> Floats64:
        """Return the Wasserstein distance [R].

        ``joint`` [R, N] holds the weights of the first sample, and those of the other with a minus sign.
        """
        difference = np.cumsum(np.take(joint, self.order, axis=1), axis=1)
        return np.asarray(np.abs(difference, out=difference) @ self.step)


@dataclass(frozen=True)
class Falling:
    """The jets of a class [N] by falling score, and these scores."""

    order: NDArray[np.intp]
    score: Floats64

    @classmethod
    def of(cls, score: Floats64) -> Falling:
        """Sort the scores."""
        order = np.argsort(-score, kind="stable")
        return cls(order, score[order])

    def tail(self, share: Floats64) -> Tail:
        """Return the tail fractions under weights ``share`` [R, N]."""
        fraction = np.zeros((len(share), len(self.order) + 1))
        np.cumsum(np.take(share, self.order, axis=1), axis=1, out=fraction[:, 1:])
        return Tail(self.score, fraction)


@dataclass(frozen=True)
class Tail:
    """Falling scores [N], and the fraction of the class among the first 0, 1, ... N of them [R, N + 1]."""

    score: Floats64
    fraction: Floats64

    def above(self, threshold: Floats64, inclusive: bool) -> Floats64:
        """Return the fraction [R, K] above the thresholds [R, K], or at and above them."""
        place = np.searchsorted(-self.score, -threshold, side="right" if inclusive else "left")
        return np.asarray(np.take_along_axis(self.fraction, place, axis=1))


class Cut(NamedTuple):
    """Thresholds [R, K], and the part of the jets with exactly that score that is accepted."""

    threshold: Floats64
    part: Floats64


def cut_at(signal: Tail, efficiency: Floats64) -> Cut:
    """Return the highest thresholds that keep a fraction ``efficiency`` [K] of the signal."""
    place = np.stack([np.searchsorted(row, efficiency - _TOLERANCE, side="left") for row in signal.fraction])
    threshold = signal.score[place.clip(1, len(signal.score)) - 1]
    below, reached = signal.above(threshold, inclusive=False), signal.above(threshold, inclusive=True)
    return Cut(threshold, np.clip((efficiency - below) / (reached - below), 0.0, 1.0))


def rate(jets: Tail, cut: Cut) -> Floats64:
    """Return the fraction [R, K] of a class that passes a cut."""
    strict = jets.above(cut.threshold, inclusive=False)
    return strict + cut.part * (jets.above(cut.threshold, inclusive=True) - strict)
