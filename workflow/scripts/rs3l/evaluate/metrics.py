"""Area under the ROC curve and background rejection, of many bootstrap replicas at once.

A replica gives each jet a weight, which says how often its hard event was drawn, times the jet's own weight if
asked for. The scores are sorted once, so that each replica then costs only cumulative sums.

In the shapes, N counts the jets, R the replicas, G the distinct scores, and K the signal efficiencies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rs3l.errors import DataError
from rs3l.evaluate.bootstrap import blocks
from rs3l.types import Floats64

_TOLERANCE = 1e-12
"""Cumulative sums are rounded, so that an efficiency reached to this precision counts as reached."""


@dataclass(frozen=True)
class Curves:
    """ROC curves of R replicas, from (0, 0) to (1, 1), with one point per distinct score.

    ``signal`` and ``background`` [R, G + 1] are the fractions of the weight with at least that score. Jets of one
    score enter together, so that a straight line between two points accepts a fraction of the tie.
    """

    signal: Floats64
    background: Floats64


@dataclass(frozen=True)
class Ranking:
    """The jets of each class by falling score, and how many of them have at least each distinct score [G + 1]."""

    signal: NDArray[np.intp]
    background: NDArray[np.intp]
    signal_above: NDArray[np.intp]
    background_above: NDArray[np.intp]

    def curves(self, weight: Floats64) -> Curves:
        """Return the curves under ``weight`` [R, N].

        Raises :class:`DataError` if a class has no weight in a replica.
        """
        return Curves(
            signal=_fractions(weight, self.signal, self.signal_above, "signal"),
            background=_fractions(weight, self.background, self.background_above, "background"),
        )


def ranking(score: NDArray[np.floating], is_signal: NDArray[np.bool_]) -> Ranking:
    """Return the ranking by ``score`` [N], where a higher score is more signal-like.

    Raises :class:`DataError` if a score is not finite.
    """
    if not np.isfinite(score).all():
        raise DataError("a score is not finite: the classifier diverged; repeat its training")
    order = np.argsort(-score, kind="stable")
    ranked, signal = score[order], is_signal[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    above = [np.append(0, np.cumsum(chosen)[last]) for chosen in (signal, ~signal)]
    return Ranking(order[signal], order[~signal], *above)


def _fractions(weight: Floats64, members: NDArray[np.intp], above: NDArray[np.intp], name: str) -> Floats64:
    """Return the fraction of the weight that the first ``above`` of the jets ``members`` have."""
    total = np.zeros((len(weight), len(members) + 1))
    np.cumsum(np.take(weight, members, axis=1), axis=1, out=total[:, 1:])
    if not (total[:, -1] > 0).all():
        raise DataError(f"no {name} jet has weight in the test split: simulate more events")
    total /= total[:, -1:]
    return np.take(total, above, axis=1)


def auc(roc: Curves) -> Floats64:
    """Return the area under each curve [R], which is P(signal above background) + P(tie) / 2.

    It is the sum of the trapezoids, sum_i (b_i - b_{i-1}) (s_i + s_{i-1}) / 2, multiplied out (the diagonal terms
    telescope).
    """
    above = np.einsum("rg,rg->r", roc.background[:, 1:], roc.signal[:, :-1])
    below = np.einsum("rg,rg->r", roc.background[:, :-1], roc.signal[:, 1:])
    return np.asarray(0.5 * (1.0 + above - below))


def background_efficiency(roc: Curves, efficiency: Floats64) -> Floats64:
    """Return the false-positive rate [R, K] at each signal ``efficiency`` [K] (0 < efficiency <= 1).

    The rate is taken at the highest threshold that reaches the efficiency, and by linear interpolation inside a
    tie.
    """
    result = np.empty((len(roc.signal), len(efficiency)))
    for row, (signal, background) in enumerate(zip(roc.signal, roc.background, strict=True)):
        after = np.searchsorted(signal, efficiency - _TOLERANCE, side="left").clip(1, len(signal) - 1)
        step = signal[after] - signal[after - 1]
        part = np.clip((efficiency - signal[after - 1]) / step, 0.0, 1.0)
        result[row] = background[after - 1] + part * (background[after] - background[after - 1])
    return result


def rejection(false_positive_rate: Floats64, n_background: int) -> tuple[Floats64, NDArray[np.bool_]]:
    """Return the background rejection [R + 1, K] of the sample and its replicas, and where it is a lower limit.

    1 / FPR is too large on average where few jets pass, and can even be infinite. Let k of n jets pass, of which f
    come together (the views of one event; f = 1 if the jets are independent). The rejection is then (n + f / 2) /
    (k + f / 2), because the mean of its logarithm is that of the true rejection to first order in f / k (Haldane,
    Ann. Hum. Genet. 20 (1956) 309; Anscombe, Biometrika 43 (1956) 461). If fewer than one background jet of
    average weight passes, the rejection is only a lower limit. If fewer than f / 2 jets pass, they count as f / 2,
    and the rejection is then about n / f.
    """
    passing = false_positive_rate * n_background
    half = 0.5 * together(passing)
    lower_limit = passing < 1.0 - 1e-9
    return (n_background + half) / (np.maximum(passing, half) + half), lower_limit


def together(passing: Floats64) -> Floats64:
    """Return how many of the ``passing`` jets [R + 1, K] come together, [K].

    This is their variance over their number, where the variance is that over the replicas (entries 1 and up). At
    least one jet comes at a time.
    """
    if len(passing) < 3:
        return np.ones(passing.shape[1])
    variance = passing[1:].var(axis=0, ddof=1)
    return np.asarray(np.maximum(1.0, variance / np.maximum(passing[0], 1.0)))


def auc_and_background_efficiency(
    score: NDArray[np.floating],
    is_signal: NDArray[np.bool_],
    counts: NDArray[np.integer],
    efficiency: Floats64,
    weight: Floats64 | None = None,
) -> tuple[Floats64, Floats64]:
    """Return AUC [R] and FPR [R, K] at each signal ``efficiency`` [K], in bounded memory.

    ``counts`` [R, N] says how often each jet is in each replica, and ``weight`` [N] holds the cross-section
    weights.
    """
    ranked = ranking(score, is_signal)
    areas, rates = [], []
    for (block,) in blocks([counts]):
        roc = ranked.curves(block if weight is None else block * weight)
        areas.append(auc(roc))
        rates.append(background_efficiency(roc, efficiency))
    return np.concatenate(areas), np.concatenate(rates)
