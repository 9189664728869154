"""Sums of replica weights over ordered jets, of all replicas at once.

The weights of the replicas of one event lie side by side, so that one look-up of a jet serves all of them. Sums up
to every 64th jet are kept; what lies between is summed again where it is needed.

In the shapes, N counts the jets, E the hard events, R the replicas, and K positions per replica.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rs3l.evaluate.replicas import Weights
from rs3l.types import Array, Floats32, Floats64

BLOCK = 64
"""Jets between two sums that are kept. Sums of so many weights fit in 16 bits."""
_SIDE_BY_SIDE = 128
"""Blocks that are worked on together, so that what is in progress stays in the cache."""
TOLERANCE = 1e-12
"""Divided sums are rounded, so that a fraction reached to this precision counts as reached."""

Rows = NDArray[np.int32]
"""Rows of the weights, one per jet."""


def padded(values: NDArray[Any], fill: float) -> NDArray[Any]:
    """Return ``values`` [N] filled up to whole blocks."""
    return np.concatenate([values, np.full(-len(values) % BLOCK, fill, values.dtype)])


def batches(number: int) -> Iterator[slice]:
    """Yield slices of whole blocks of ``number`` padded jets."""
    size = BLOCK * _SIDE_BY_SIDE
    for first in range(0, number, size):
        yield slice(first, min(first + size, number))


def steps(values: NDArray[Any]) -> NDArray[Any]:
    """Return padded ``values`` such that row i has the i-th jets of all blocks, [64, blocks]."""
    return np.ascontiguousarray(values.reshape(-1, BLOCK).T)


def looked_up(weights: Array, rows: Array, out: Array | None = None) -> Array:
    """Return the weights [n, R] of the jets ``rows`` [n]."""
    return np.take(weights, rows, axis=0, out=out, mode="clip")


@dataclass(frozen=True)
class Sums:
    """Sums over jets in their order.

    ``rows`` [N, padded] are the jets' rows of ``weights``. ``before`` [blocks + 1, R] is the sum over all blocks
    before each. ``scale`` [N, padded] multiplies the weights, or is None.
    """

    weights: Weights
    rows: Rows
    before: Array
    scale: Floats32 | None = None

    @classmethod
    def of(cls, weights: Weights, rows: Rows) -> Sums:
        """Sum up the weights of the jets ``rows`` [N] in this order."""
        rows = padded(rows, len(weights) - 1)
        before = np.zeros((len(rows) // BLOCK + 1, weights.shape[1]), dtype=np.uint32)
        for chosen in batches(len(rows)):
            found = looked_up(weights, rows[chosen]).reshape(-1, BLOCK, weights.shape[1])
            first = chosen.start // BLOCK
            before[first + 1 : first + 1 + len(found)] = found.sum(axis=1, dtype=np.uint16)
        return cls(weights, rows, np.cumsum(before, axis=0, out=before))

    @property
    def total(self) -> Floats64:
        """Return the sum over all jets, [R]."""
        return np.asarray(self.before[-1], dtype=np.float64)

    def at(self, position: Array) -> Floats64:
        """Return the sums over the jets before the positions [R, K]."""
        block = np.minimum(position // BLOCK, len(self.before) - 2)
        inside = self._of_blocks(block)
        inside *= np.arange(BLOCK) < (position - block * BLOCK)[..., None]
        return np.asarray(self._before(block) + inside.sum(axis=2))

    def crossing(self, fraction: Floats64) -> Array:
        """Return the first jets with which the sums reach each ``fraction`` [K] of the total, [R, K]."""
        aim, total = fraction - TOLERANCE, self.total
        columns = zip(self.before.T, total, strict=True)
        found = np.stack([np.searchsorted(column / whole, aim, side="left") for column, whole in columns])
        block = np.clip(found - 1, 0, len(self.before) - 2)
        sums = self._before(block)[..., None] + np.cumsum(self._of_blocks(block), axis=2)
        reached = sums / total[:, None, None] >= aim[None, :, None]
        inside = np.where(reached.any(axis=2), reached.argmax(axis=2), BLOCK - 1)
        return np.asarray(block * BLOCK + inside)

    def _before(self, block: Array) -> Floats64:
        return np.asarray(np.take_along_axis(self.before, block.T, axis=0).T, dtype=np.float64)

    def _of_blocks(self, block: Array) -> Floats64:
        """Return the weights of the jets of the blocks [R, K], [R, K, 64]."""
        place = block[..., None] * BLOCK + np.arange(BLOCK)
        flat = self.rows[place] * np.int64(len(block)) + np.arange(len(block))[:, None, None]
        found = np.take(self.weights.reshape(-1), flat, mode="clip").astype(np.float64)
        return found if self.scale is None else found * self.scale[place]


def weighted_sums(weights: Weights, rows: Rows, values: Floats64) -> Floats64:
    """Return the sums [q, R] over the jets ``rows`` [N] of their ``values`` [q, N] times their weights."""
    result = np.zeros((len(values), weights.shape[1]))
    for first in range(0, len(rows), 2048):
        found = looked_up(weights, rows[first : first + 2048]).astype(np.float64)
        result += values[:, first : first + 2048] @ found
    return result
