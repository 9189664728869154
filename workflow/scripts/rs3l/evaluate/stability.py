"""Measure whether a score stays the same when the same hard event is showered again.

Unpaired comparisons of score distributions hardly separate methods. These numbers always stand beside the AUC
because a tagger that knows nothing is perfectly stable.

In the shapes, P counts the hard events with a jet in both views, and R the replicas.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rs3l.evaluate.replicas import Weights
from rs3l.evaluate.sums import BLOCK, Rows, looked_up, weighted_sums
from rs3l.types import Array, Floats64

_AT_ONCE = 1 << 23
"""Ranks (events x replicas) in memory at a time."""
_ROWS = BLOCK * 128


def spearman(x: NDArray[np.floating], y: NDArray[np.floating], weights: Weights, rows: Rows) -> Floats64:
    """Return Spearman's rank correlation of ``x`` and ``y`` [P] in each replica [R].

    ``rows`` [P] are the events' rows of the ``weights``. Equal scores, and copies of an event, share their mean
    rank, as in ``scipy.stats.spearmanr`` on the resampled events. The result is NaN if a score is constant.
    """
    first, second = _sort(x), _sort(y)
    return np.concatenate([_spearman(first, second, copies) for copies in _blocks(weights, rows[first.order])])


def _blocks(weights: Weights, rows: Rows) -> Iterator[Array]:
    """Yield the weights [P, some] of the events, a few replicas at a time."""
    width = max(1, _AT_ONCE // max(1, len(rows)))
    for first in range(0, weights.shape[1], width):
        yield looked_up(np.ascontiguousarray(weights[:, first : first + width]), rows)


def _spearman(first: _Sorted, second: _Sorted, copies: Array) -> Floats64:
    """Return the correlation from the ``copies`` [P, R] of the events, in the order of the first score."""
    a, size_a = first.centred_ranks(copies)
    place = np.empty_like(first.order)
    place[first.order] = np.arange(len(place))
    b, size_b = second.centred_ranks(looked_up(copies, place[second.order]))
    covariance = _product(copies, a, b, first.group, second.group_of[first.order])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(covariance / np.sqrt(_product(size_a, a, a) * _product(size_b, b, b)))


def _product(
    size: Array, a: Array, b: Array, of_a: NDArray[np.intp] | None = None, of_b: NDArray[np.intp] | None = None
) -> Floats64:
    """Return the sums [R] over n jets of size times a times b, where ``of_a`` and ``of_b`` are rows of a and b."""
    result = np.zeros(size.shape[1])
    for begin in range(0, len(size), _ROWS):
        now = slice(begin, begin + _ROWS)
        product = (a[now] if of_a is None else looked_up(a, of_a[now])).astype(np.float64)
        product *= b[now] if of_b is None else looked_up(b, of_b[now])
        product *= size[now]
        result += product.sum(axis=0)
    return result


@dataclass(frozen=True)
class _Sorted:
    """Events [P] by rising score.

    ``order`` sorts the events. ``starts`` says where in this order each distinct score begins, or is None if all
    differ. ``group`` is the index of the distinct score of each event in this order (None likewise), and
    ``group_of`` that of each event.
    """

    order: NDArray[np.intp]
    starts: NDArray[np.intp] | None
    group: NDArray[np.intp] | None
    group_of: NDArray[np.intp]

    def centred_ranks(self, copies: Array) -> tuple[Array, Array]:
        """Return the mean rank of the copies of each distinct score minus that of all, and their number.

        ``copies`` [P, R] are in the order of the score.
        """
        size: Array = copies
        if self.starts is not None:
            size = np.add.reduceat(copies, self.starts, axis=0, dtype=np.uint32)
        middle = running(size)
        total = middle[-1].copy()
        middle -= 0.5 * size.astype(np.float32)
        middle -= np.float32(0.5) * total
        return middle, size


def running(size: NDArray[Any]) -> Array:
    """Return the sums [n, R] of ``size`` up to each row, in single precision (exact for up to 2^23 copies)."""
    result = np.empty(size.shape, np.float32)
    whole = len(size) // BLOCK * BLOCK
    blocks, sums = size[:whole].reshape(-1, BLOCK, size.shape[1]), result[:whole].reshape(-1, BLOCK, size.shape[1])
    inside = np.zeros((len(blocks), size.shape[1]), np.float32)
    for i in range(BLOCK):
        inside += blocks[:, i]
        sums[:, i] = inside
    sums[1:] += np.cumsum(inside[:-1], axis=0)[:, None]
    before = result[whole - 1] if whole else 0.0
    result[whole:] = before + np.cumsum(size[whole:], axis=0, dtype=np.float32)
    return result


def _sort(values: NDArray[np.floating]) -> _Sorted:
    order = np.argsort(values, kind="stable")
    new = np.append(True, np.diff(values[order]) > 0)
    group_of = np.empty_like(order)
    group = np.cumsum(new) - 1
    group_of[order] = group
    if new.all():
        return _Sorted(order, None, None, group_of)
    return _Sorted(order, np.flatnonzero(new), group, group_of)


def ranks(score: NDArray[np.floating], reference: NDArray[np.floating]) -> Floats64:
    """Return the rank of each ``score`` among the ``reference`` scores, in 0 ... 1, where ties count half."""
    values, size = np.unique(reference, return_counts=True)
    below = np.append(0, np.cumsum(size))
    place = np.searchsorted(values, score, side="left")
    tied = values[place.clip(max=len(values) - 1)] == score
    return np.asarray(0.5 * (below[place] + below[place + tied]) / len(reference))


def rank_shift(
    nominal: NDArray[np.floating], varied: NDArray[np.floating], weights: Weights, rows: Rows
) -> Floats64:
    """Return the mean change of rank from ``nominal`` to ``varied`` [P] in each replica [R].

    ``rows`` [P] are the events' rows of the ``weights``. The rank is that among the nominal scores of these events
    (fixed, not redrawn with the replica), so that any monotone change of the score leaves it alone. The shift is 0
    if the variant moves no jet on average, and NaN in replicas without an event.
    """
    shift = ranks(varied, nominal) - ranks(nominal, nominal)
    sums = weighted_sums(weights, rows, np.stack([shift, np.ones_like(shift)]))
    with np.errstate(invalid="ignore"):
        return np.asarray(sums[0] / sums[1])
