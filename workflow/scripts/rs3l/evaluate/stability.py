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

_AT_ONCE = 1 << 21
"""Ranks (events x replicas) that are worked on at a time."""
_NARROWEST = 16
"""Fewest replicas that are worked on at a time: fewer would not pay for the look-up of an event."""
_ROWS = 128
"""Events whose products are summed in single precision, and which stay in the cache."""


def spearman(x: NDArray[np.floating], y: NDArray[np.floating], weights: Weights, rows: Rows) -> Floats64:
    """Return Spearman's rank correlation of ``x`` and ``y`` [P] in each replica [R].

    ``rows`` [P] are the events' rows of the ``weights``. Equal scores, and copies of an event, share their mean
    rank, as in ``scipy.stats.spearmanr`` on the resampled events. The result is NaN if a score is constant.
    """
    first, second = _sort(x), _sort(y)
    return np.concatenate([_spearman(first, second, copies) for copies in _blocks(weights, rows[first.order])])


def _blocks(weights: Weights, rows: Rows) -> Iterator[Array]:
    """Yield the weights [P, some] of the events, a few replicas at a time."""
    width = max(_NARROWEST, _AT_ONCE // max(1, len(rows)))
    for first in range(0, weights.shape[1], width):
        yield looked_up(np.ascontiguousarray(weights[:, first : first + width]), rows)


def _spearman(first: _Sorted, second: _Sorted, copies: Array) -> Floats64:
    """Return the correlation from the ``copies`` [P, R] of the events, in the order of the first score."""
    place = np.empty_like(first.order)
    place[first.order] = np.arange(len(place))
    ranks = [first.centred_ranks(copies), second.centred_ranks(looked_up(copies, place[second.order]))]
    place[second.order] = np.arange(len(place))
    sums = np.zeros((3, copies.shape[1]))
    for begin in range(0, len(copies), _ROWS):
        now = slice(begin, begin + _ROWS)
        a, b = ranks[0][now], looked_up(ranks[1], place[first.order[now]])
        own, other = a * copies[now], b * copies[now]
        for each, pair in zip(sums, ((own, b), (own, a), (other, b)), strict=True):
            each += np.einsum("pr,pr->r", *pair)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[0] / np.sqrt(sums[1] * sums[2]))


@dataclass(frozen=True)
class _Sorted:
    """Events [P] by rising score.

    ``order`` sorts the events. ``tied`` are the places in this order whose score is there several times; each such
    score begins at the place ``first`` and ends before ``last``.
    """

    order: NDArray[np.intp]
    tied: NDArray[np.intp]
    first: NDArray[np.intp]
    last: NDArray[np.intp]

    def centred_ranks(self, copies: Array) -> Array:
        """Return the mean rank of the copies of each event minus that of all, [P, R].

        ``copies`` and the result are in the order of the score.
        """
        middle = running(copies)
        whole, ends, starts = 0.5 * middle[-1], middle[self.last - 1], middle[self.first - 1]
        starts[self.first == 0] = 0.0
        for begin in range(0, len(middle), _ROWS):
            now = slice(begin, begin + _ROWS)
            middle[now] -= 0.5 * copies[now].astype(np.float32) + whole
        middle[self.tied] = 0.5 * (starts + ends) - whole
        return middle


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
    starts = np.append(np.flatnonzero(new), len(order))
    size = np.diff(starts)
    group = np.repeat(np.flatnonzero(size > 1), size[size > 1])
    tied = np.flatnonzero(np.repeat(size > 1, size))
    return _Sorted(order, tied, starts[group], starts[group + 1])


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
