"""Area under the ROC curve and background rejection, of many bootstrap replicas at once.

A replica is a weight per jet: how often its hard event was drawn, times the jet's own weight if asked for.
The scores are sorted once; each replica then costs cumulative sums.

N: jets. R: replicas. G: distinct scores. K: signal efficiencies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rs3l.errors import DataError

Floats = NDArray[np.float64]

_BLOCK = 4_000_000
"""Largest number of weights (replicas x jets) in memory at a time."""

_TOLERANCE = 1e-12
"""Rounding of the cumulative sums: an efficiency reached to this precision is reached."""


@dataclass(frozen=True)
class Curves:
    """ROC curves of R replicas, from (0, 0) to (1, 1), with one point per distinct score.

    ``signal``, ``background``: [R, G + 1], the fractions of the weight with at least that score. Jets of
    one score enter together, so that a straight line between two points accepts a fraction of the tie.
    """

    signal: Floats
    background: Floats


def curves(score: NDArray[np.floating], is_signal: NDArray[np.bool_], weight: Floats) -> Curves:
    """Return the ROC curves of ``score`` [N] (higher = more signal-like) under ``weight`` [R, N].

    Raises :class:`DataError` if a score is not finite, or a class has no weight in some replica.
    """
    if not np.isfinite(score).all():
        raise DataError("a score is not finite: the classifier diverged; repeat its training")
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    sorted_weight = weight[:, order]
    signal = is_signal[order]
    return Curves(
        signal=_cumulated(np.where(signal, sorted_weight, 0.0), last, "signal"),
        background=_cumulated(np.where(signal, 0.0, sorted_weight), last, "background"),
    )


def _cumulated(weight: Floats, last: NDArray[np.intp], name: str) -> Floats:
    total = np.cumsum(weight, axis=1)
    if total.shape[1] == 0 or not (total[:, -1] > 0).all():
        raise DataError(f"no {name} jet has weight in the test split: simulate more events")
    result = np.zeros((len(weight), len(last) + 1))
    np.divide(total[:, last], total[:, -1:], out=result[:, 1:])
    return result


def auc(roc: Curves) -> Floats:
    """Return the area under each curve [R]: P(signal above background) + P(tie) / 2."""
    mean = 0.5 * (roc.signal[:, 1:] + roc.signal[:, :-1])
    return np.asarray(np.einsum("rg,rg->r", np.diff(roc.background, axis=1), mean))


def background_efficiency(roc: Curves, efficiency: Floats) -> Floats:
    """Return the false-positive rate [R, K] at each signal ``efficiency`` [K] (0 < efficiency <= 1).

    Taken at the highest threshold that reaches the efficiency; inside a tie, by linear interpolation.
    """
    result = np.empty((len(roc.signal), len(efficiency)))
    for row, (signal, background) in enumerate(zip(roc.signal, roc.background, strict=True)):
        after = np.searchsorted(signal, efficiency - _TOLERANCE, side="left").clip(1, len(signal) - 1)
        step = signal[after] - signal[after - 1]
        part = np.clip((efficiency - signal[after - 1]) / step, 0.0, 1.0)
        result[row] = background[after - 1] + part * (background[after] - background[after - 1])
    return result


def rejection(false_positive_rate: Floats, n_background: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Return 1 / FPR, and where it is a lower limit.

    With fewer than one background jet of average weight passing (FPR < 1 / n), one is counted: the
    rejection is then n, and only a lower limit.
    """
    floor = 1.0 / n_background
    lower_limit = false_positive_rate < floor * (1.0 - 1e-9)
    return 1.0 / np.maximum(false_positive_rate, floor), lower_limit


def auc_and_background_efficiency(
    score: NDArray[np.floating],
    is_signal: NDArray[np.bool_],
    counts: NDArray[np.integer],
    efficiency: Floats,
    weight: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Return AUC [R] and FPR [R, K] at each signal ``efficiency`` [K], in bounded memory.

    ``counts`` [R, N]: how often each jet is in each replica; ``weight`` [N]: cross-section weights.
    """
    rows = max(1, _BLOCK // max(1, len(score)))
    areas, rates = [], []
    for first in range(0, len(counts), rows):
        block = counts[first : first + rows].astype(np.float64)
        roc = curves(score, is_signal, block if weight is None else block * weight)
        areas.append(auc(roc))
        rates.append(background_efficiency(roc, efficiency))
    return np.concatenate(areas), np.concatenate(rates)
