"""Measure how a tagger's output changes from the nominal simulation to another one, on unpaired samples.

In the shapes, N counts the jets of one class under one variant, R the replicas, and K the signal efficiencies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rs3l.evaluate.replicas import Weights
from rs3l.evaluate.sums import BLOCK, Rows, Sums, looked_up, padded
from rs3l.types import Array, Floats32, Floats64

_SIDE_BY_SIDE = 32
"""Blocks of 64 jets whose distances are summed together, so that they stay in the cache."""
_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


class Changes(NamedTuple):
    """The changes from the nominal to a variant in each replica, where rates are fractions of jets above a cut.

    All are [R, K], with an entry per signal efficiency. ``own`` is the relative change of the false-positive rate
    if nominal and variant each have their own threshold of that efficiency. ``fixed`` is the same change at the
    threshold of the nominal, and ``efficiency`` is the relative change of the signal efficiency there. ``passing``
    is the number of nominal background jets above the nominal's threshold. They are NaN in replicas in which one
    of the samples has no jet.
    """

    own: Floats64
    fixed: Floats64
    efficiency: Floats64
    passing: Floats64


def scaled(logit: NDArray[np.floating]) -> Floats64:
    """Return the tagger output in 0 ... 1 of a logit."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logit.astype(np.float64))))


@dataclass(frozen=True)
class Falling:
    """The scores of a class under one variant, falling [N], and the sums of their weights in this order."""

    score: Floats32
    sums: Sums

    @classmethod
    def of(cls, score: Floats32, weights: Weights, rows: Rows) -> Falling:
        """Sort the scores [N] of jets with these ``rows`` of the weights."""
        order = np.argsort(-score, kind="stable").astype(np.int32)
        return cls(score[order], Sums.of(weights, rows[order]))

    def above(self, threshold: Array) -> tuple[Floats64, Floats64]:
        """Return the fractions [R, K] above the thresholds [R, K], and at and above them."""
        first, last = (np.searchsorted(-self.score, -threshold, side=side) for side in _SIDES)
        strict = self.sums.at(first) / self.sums.total[:, None]
        if np.array_equal(first, last):
            return strict, strict
        return strict, self.sums.at(last) / self.sums.total[:, None]


class Cut(NamedTuple):
    """Thresholds [R, K], and the part of the jets with exactly that score that is accepted."""

    threshold: Array
    part: Floats64


def cut_at(signal: Falling, efficiency: Floats64) -> Cut:
    """Return the highest thresholds that keep a fraction ``efficiency`` [K] of the signal."""
    place = np.minimum(signal.sums.crossing(efficiency), len(signal.score) - 1)
    threshold = signal.score[place]
    below, reached = signal.above(threshold)
    return Cut(threshold, np.clip((efficiency - below) / (reached - below), 0.0, 1.0))


def rate(jets: Falling, cut: Cut) -> Floats64:
    """Return the fraction [R, K] of a class that passes a cut."""
    strict, inclusive = jets.above(cut.threshold)
    return strict + cut.part * (inclusive - strict)


def changes(classes: Sequence[Falling], efficiencies: Floats64) -> Changes:
    """Return what changes from the nominal to the varied jets, in each replica.

    ``classes`` are signal and background, nominal, then varied. A nominal false-positive rate of fewer than one
    jet counts as one jet.
    """
    signal, background, new_signal, new_background = classes
    with np.errstate(invalid="ignore", divide="ignore"):
        cut, own_cut = cut_at(signal, efficiencies), cut_at(new_signal, efficiencies)
        passing = rate(background, cut) * len(background.score)
        before = np.maximum(passing, 1.0) / len(background.score)
        return Changes(
            own=rate(new_background, own_cut) / before - 1.0,
            fixed=rate(new_background, cut) / before - 1.0,
            efficiency=rate(new_signal, cut) / efficiencies - 1.0,
            passing=passing,
        )


def wasserstein(first: Falling, second: Falling) -> Floats64:
    """Return the Wasserstein distance [R] between the outputs in 0 ... 1 of two samples.

    It is the area between the two distributions, and NaN in replicas in which one sample has no jet.
    """
    score = np.concatenate([first.score, second.score])
    order = np.argsort(-score, kind="stable")
    output = scaled(score[order])
    rows = np.concatenate([each.sums.rows[: len(each.score)] for each in (first, second)])[order]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.stack([1.0 / first.sums.total, -1.0 / second.sums.total])
    weights = first.sums.weights
    with np.errstate(invalid="ignore"):
        return _area(
            weights,
            padded(rows, len(weights) - 1),
            padded((order >= len(first.score)).astype(np.int8), 0),
            padded((output - np.append(output[1:], output[-1])).astype(np.float32), 0.0),
            share.astype(np.float32),
        )


def _area(weights: Weights, rows: Rows, side: Array, step: Floats32, share: Floats32) -> Floats64:
    """Return the area between two distributions [R].

    The jets of both, [n, padded], have ``rows`` of the weights, a ``side`` (0 or 1), and a ``step`` to the output
    of the next one; ``share`` [2, R] is the fraction of each side that a jet is (negative for the other side).
    """
    result, before = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
    size = BLOCK * _SIDE_BY_SIDE
    for begin in range(0, len(rows), size):
        now = slice(begin, begin + size)
        turned = [np.ascontiguousarray(each[now].reshape(-1, BLOCK).T).ravel() for each in (rows, side, step)]
        change = looked_up(weights, turned[0]).astype(np.float32)
        change *= looked_up(share, turned[1])
        blocks = change.reshape(BLOCK, -1, weights.shape[1])
        ends = before + np.cumsum(blocks.sum(axis=0), axis=0, dtype=np.float64)
        blocks[0, 0] += before.astype(np.float32)
        blocks[0, 1:] += ends[:-1].astype(np.float32)
        for i in range(1, BLOCK):
            blocks[i] += blocks[i - 1]
        result += turned[2] @ np.abs(change, out=change)
        before = ends[-1]
    return result


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
