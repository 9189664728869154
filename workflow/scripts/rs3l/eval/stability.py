"""Whether a score stays the same when the same hard event is showered again.

Unpaired comparisons of score distributions hardly separate methods, and a tagger that knows nothing is
perfectly stable: these numbers always stand beside the AUC.

E: hard events with a jet in both views. R: replicas.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BLOCK = 4_000_000


def spearman(x: NDArray[np.floating], y: NDArray[np.floating], counts: NDArray[np.integer]) -> Floats:
    """Return Spearman's rank correlation of ``x`` and ``y`` [E] in each replica [R].

    ``counts`` [R, E]: how often each event is in the replica. Equal scores, and copies of an event, share
    their mean rank, as in ``scipy.stats.spearmanr`` on the resampled events. NaN if a score is constant.
    """
    rows = max(1, _BLOCK // max(1, len(x)))
    return np.concatenate(
        [_spearman(x, y, counts[i : i + rows].astype(np.float64)) for i in range(0, len(counts), rows)]
    )


def _spearman(x: NDArray[np.floating], y: NDArray[np.floating], counts: Floats) -> Floats:
    a, b = (_centred_ranks(values, counts) for values in (x, y))
    covariance = np.einsum("re,re,re->r", counts, a, b)
    norm = np.einsum("re,re->r", counts, a**2) * np.einsum("re,re->r", counts, b**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(covariance / np.sqrt(norm))


def _centred_ranks(values: NDArray[np.floating], counts: Floats) -> Floats:
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    size = counts[:, order]
    if len(starts := np.flatnonzero(np.append(True, np.diff(group[order]) > 0))) < len(order):
        size = np.add.reduceat(size, starts, axis=1)
    middle = np.cumsum(size, axis=1) - 0.5 * size
    return np.asarray(middle[:, group] - 0.5 * counts.sum(axis=1, keepdims=True))


def ranks(score: NDArray[np.floating], reference: NDArray[np.floating]) -> Floats:
    """Return the rank of each ``score`` in the ``reference`` scores, in 0 ... 1; ties count half."""
    ordered = np.sort(reference)
    below = np.searchsorted(ordered, score, side="left")
    return np.asarray(0.5 * (below + np.searchsorted(ordered, score, side="right")) / len(ordered))


def rank_shift(nominal: NDArray[np.floating], varied: NDArray[np.floating], counts: NDArray[np.integer]) -> Floats:
    """Return the mean change of rank from ``nominal`` to ``varied`` [E] in each replica [R].

    The rank is that among the nominal scores of these events (fixed, not redrawn with the replica), so
    that any monotone change of the score leaves it alone. 0: the variant moves no jet on average.
    """
    shift = ranks(varied, nominal) - ranks(nominal, nominal)
    return np.asarray((counts @ shift) / counts.sum(axis=1))
