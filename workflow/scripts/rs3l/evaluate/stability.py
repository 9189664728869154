"""Measure whether a score stays the same when the same hard event is showered again.

Unpaired comparisons of score distributions hardly separate methods. These numbers always stand beside the AUC
because a tagger that knows nothing is perfectly stable.

In the shapes, E counts the hard events with a jet in both views, and R the replicas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rs3l.types import Floats64


def spearman(x: NDArray[np.floating], y: NDArray[np.floating], counts: NDArray[np.integer]) -> Floats64:
    """Return Spearman's rank correlation of ``x`` and ``y`` [E] in each replica [R].

    ``counts`` [R, E] say how often each event is in the replica. Equal scores, and copies of an event, share their
    mean rank, as in ``scipy.stats.spearmanr`` on the resampled events. The result is NaN if a score is constant.
    """
    first, second = _sort(x), _sort(y)
    return np.array([_spearman(first, second, count.astype(np.float64)) for count in counts])


def _spearman(first: _Sorted, second: _Sorted, count: Floats64) -> float:
    a, b = first.centred_ranks(count), second.centred_ranks(count)
    drawn = count * a
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(drawn @ b / np.sqrt((drawn @ a) * ((count * b) @ b)))


@dataclass(frozen=True)
class _Sorted:
    """Events [E] by rising score.

    ``order`` sorts the events, ``starts`` says where in this order each distinct score begins, and ``group`` [E]
    gives the index of each event's distinct score.
    """

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    group: NDArray[np.intp]

    def centred_ranks(self, count: Floats64) -> Floats64:
        """Return the mean rank of the copies of each event [E], minus the mean rank of all."""
        size = count[self.order]
        if len(self.starts) < len(size):
            size = np.add.reduceat(size, self.starts)
        middle = np.cumsum(size) - 0.5 * (size + count.sum())
        return np.asarray(middle[self.group])


def _sort(values: NDArray[np.floating]) -> _Sorted:
    order = np.argsort(values, kind="stable")
    new = np.append(True, np.diff(values[order]) > 0)
    group = np.empty_like(order)
    group[order] = np.cumsum(new) - 1
    return _Sorted(order, np.flatnonzero(new), group)


def ranks(score: NDArray[np.floating], reference: NDArray[np.floating]) -> Floats64:
    """Return the rank of each ``score`` among the ``reference`` scores, in 0 ... 1, where ties count half."""
    values, size = np.unique(reference, return_counts=True)
    below = np.append(0, np.cumsum(size))
    place = np.searchsorted(values, score, side="left")
    tied = values[place.clip(max=len(values) - 1)] == score
    return np.asarray(0.5 * (below[place] + below[place + tied]) / len(reference))


def rank_shift(
    nominal: NDArray[np.floating], varied: NDArray[np.floating], counts: NDArray[np.integer]
) -> Floats64:
    """Return the mean change of rank from ``nominal`` to ``varied`` [E] in each replica [R].

    The rank is that among the nominal scores of these events (fixed, not redrawn with the replica), so that any
    monotone change of the score leaves it alone. The shift is 0 if the variant moves no jet on average.
    """
    shift = ranks(varied, nominal) - ranks(nominal, nominal)
    return np.asarray((counts @ shift) / counts.sum(axis=1))
