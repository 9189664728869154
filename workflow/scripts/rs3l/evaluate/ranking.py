"""Area under the ROC curve and background efficiencies, of all replicas at once.

A replica gives each jet a weight, which says how often its hard event is in it, times the jet's own weight if
asked for. The scores are sorted once; each replica then costs cumulative sums.

In the shapes, N counts the jets, R the replicas, and K the signal efficiencies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rs3l.errors import DataError
from rs3l.evaluate.replicas import Weights
from rs3l.evaluate.sums import BLOCK, Rows, Sums, batches, looked_up, padded, steps
from rs3l.types import Array, Bools, Floats32, Floats64


@dataclass(frozen=True)
class Ranking:
    """Jets by falling score; in a tie the background comes first.

    ``order`` [N] sorts the jets. ``first`` and ``last`` [N] are where the jets of the same score begin and end, or
    None if all scores differ.
    """

    order: NDArray[np.int32]
    is_signal: Bools
    first: NDArray[np.int32] | None
    last: NDArray[np.int32] | None

    @classmethod
    def of(cls, score: Floats32, is_signal: Bools) -> Ranking:
        """Sort jets by their ``score`` [N], where a higher one is more like the signal.

        Raises :class:`DataError` if a score is not finite.
        """
        if not np.isfinite(score).all():
            raise DataError("a score is not finite: the classifier diverged; repeat its training")
        order = np.lexsort((is_signal, -score)).astype(np.int32)
        ranked = score[order]
        new = np.append(True, ranked[1:] != ranked[:-1])
        if new.all():
            return cls(order, is_signal[order], None, None)
        starts = np.append(np.flatnonzero(new), len(score)).astype(np.int32)
        group = np.cumsum(new, dtype=np.int32) - 1
        return cls(order, is_signal[order], starts[group], starts[group + 1])


class Roc(NamedTuple):
    """The sums of signal and background by falling score, and the area under the curve [R].

    Replicas without a jet of one class have no area (NaN).
    """

    signal: Sums
    background: Sums
    auc: Floats64


def roc(ranking: Ranking, weights: Weights, rows: Rows, scale: Floats32 | None = None) -> Roc:
    """Return the ROC curves of jets with these ``rows`` of the weights and, if given, weights ``scale`` [N]."""
    rows, nobody = rows[ranking.order], len(weights) - 1
    own = (
        None
        if scale is None
        else padded((scale / scale.mean(dtype=np.float64)).astype(np.float32)[ranking.order], 0.0)
    )
    signal = padded(np.where(ranking.is_signal, rows, nobody).astype(np.int32), nobody)
    background = padded(np.where(ranking.is_signal, nobody, rows).astype(np.int32), nobody)
    pairs, *before = _pairs(weights, signal, background, own)
    sums = [Sums(weights, jets, each, own) for jets, each in zip((signal, background), before, strict=True)]
    if ranking.first is not None:
        pairs += 0.5 * _tied(ranking, weights, signal, background, own)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Roc(sums[0], sums[1], pairs / (sums[0].total * sums[1].total))


def _pairs(weights: Weights, signal: Rows, background: Rows, scale: Floats32 | None) -> tuple[Array, Array, Array]:
    """Return the weight of all pairs with the signal strictly before [R], and the sums before each block."""
    exact = scale is None
    shape = (len(signal) // BLOCK + 1, weights.shape[1])
    before = [np.zeros(shape, np.uint32 if exact else np.float64) for _ in range(2)]
    result = np.zeros(weights.shape[1])
    for chosen in batches(len(signal)):
        own = None if scale is None else steps(scale[chosen])[:, :, None]
        found = _within(weights, steps(signal[chosen]), steps(background[chosen]), own)
        place = slice(chosen.start // BLOCK, chosen.stop // BLOCK + 1)
        for sums, each in zip(before, found[1:], strict=True):
            sums[place][1:] = each
            np.cumsum(sums[place], axis=0, out=sums[place])
        result += found[0].sum(axis=0, dtype=np.float64)
        result += np.einsum("br,br->r", found[2].astype(np.float64), before[0][place][:-1].astype(np.float64))
    return result, before[0], before[1]


def _within(
    weights: Weights, signal: Rows, background: Rows, scale: Floats32 | None
) -> tuple[Array, Array, Array]:
    """Return, for blocks side by side, the weight of their pairs, of their signal and of their background."""
    small, large = (np.uint16, np.uint32) if scale is None else (np.float32, np.float32)
    shape = (signal.shape[1], weights.shape[1])
    pairs, (above, below, product) = np.zeros(shape, large), (np.zeros(shape, small) for _ in range(3))
    copies, now = np.empty(shape, np.uint8), np.empty(shape, small)
    for i in range(BLOCK):
        for rows, sums in ((background[i], below), (signal[i], above)):
            looked_up(weights, rows, copies)
            found: Array = copies if scale is None else np.multiply(copies, scale[i], out=now)
            sums += found
            if sums is below:
                pairs += np.multiply(found, above, out=product)
    return pairs, above, below


def _tied(ranking: Ranking, weights: Weights, signal: Rows, background: Rows, scale: Floats32 | None) -> Floats64:
    """Return the weight of the pairs of the same score, [R]."""
    assert ranking.first is not None and ranking.last is not None
    result, carried = np.zeros(weights.shape[1]), np.zeros((2, weights.shape[1]))
    jets = np.flatnonzero(ranking.last - ranking.first > 1)
    for begin in range(0, len(jets), 4096):
        now = jets[begin : begin + 4096]
        group = ranking.first[now]
        starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
        own = np.ones((len(now), 1)) if scale is None else scale[now, None].astype(np.float64)
        sums = [np.add.reduceat(looked_up(weights, rows[now]) * own, starts) for rows in (signal, background)]
        if begin and group[0] == ranking.first[jets[begin - 1]]:
            sums[0][0] += carried[0]
            sums[1][0] += carried[1]
        elif begin:
            result += carried[0] * carried[1]
        result += np.einsum("gr,gr->r", sums[0][:-1], sums[1][:-1])
        carried = np.stack([sums[0][-1], sums[1][-1]])
    return np.asarray(result + carried[0] * carried[1])


def background_efficiency(ranking: Ranking, curves: Roc, efficiency: Floats64) -> Floats64:
    """Return the false-positive rate [R, K] at each signal ``efficiency`` [K] (0 < efficiency <= 1).

    The rate is taken at the highest threshold that reaches the efficiency, and by linear interpolation inside a
    tie. It is NaN in replicas without a jet of one class. The sums of weighted jets are of single precision in
    each block of 64, so that an efficiency of 1 may be missed by the last jet.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        place = np.minimum(curves.signal.crossing(efficiency), len(ranking.order) - 1)
        first = place if ranking.first is None else ranking.first[place]
        rates = curves.background.at(first) / curves.background.total[:, None]
        if ranking.last is not None:
            last = ranking.last[place]
            low, high = (curves.signal.at(end) / curves.signal.total[:, None] for end in (first, last))
            part = np.clip((efficiency - low) / (high - low), 0.0, 1.0)
            rates += part * (curves.background.at(last) / curves.background.total[:, None] - rates)
    rates[np.isnan(curves.auc)] = np.nan
    return rates
