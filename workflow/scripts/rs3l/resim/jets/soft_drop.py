"""Soft drop (arXiv:1402.2657) on Cambridge/Aachen trees of FastJet, for all jets at once.

FastJet's own grooming, as reached from Python, takes longer than everything else that is done with a jet, because
it lists the constituents in a time that grows with the square of their number. Here the tree is read once.

There are M jets, and a jet of N particles has 2N - 1 nodes, its particles first. FastJet lists the nodes in
post-order, in which a node comes right after its second branch, and the nodes below it are a contiguous range
before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from rs3l.angles import wrapped
from rs3l.config.jets import Jets
from rs3l.types import Floats64, Ints


@dataclass(frozen=True)
class Trees:
    """Nodes of all jets, in post-order and padded [M, L], with their momenta.

    ``node`` is the number of the node in its jet, -1 at padding. ``open`` counts the branches without a parent so
    far, which tells where a node's range begins. ``size`` [M] is the number of particles. Momenta are flat, jet by
    jet; those of jet ``i`` begin at ``first[i]``.
    """

    node: Ints
    open: Ints
    size: Ints
    first: Ints
    px: Floats64
    py: Floats64
    pz: Floats64
    energy: Floats64

    def flat(self, jets: Ints, position: Ints) -> Ints:
        """Return the places of nodes in the flat momenta."""
        return self.first[jets] + self.node[jets, position]

    def before(self, jets: Ints, position: Ints) -> Ints:
        """Return the position before the range of a node, which is its left sibling's if it has one, or -1."""
        column = np.arange(self.open.shape[1])
        target = self.open[jets, position] - 1
        mask = (self.open[jets] == target[:, None]) & (column < position[:, None])
        last: Ints = np.where(mask, column, -1).max(axis=1)
        return last


@dataclass(frozen=True)
class Groomed:
    """Groomed jets with their mass [M], and the momenta of their constituents, flat with offsets [M + 1]."""

    mass: Floats64
    offsets: Ints
    momenta: tuple[Floats64, Floats64, Floats64, Floats64]


def soft_drop(sequence: Any, config: Jets) -> Groomed:
    """Return the groomed jets of Cambridge/Aachen sequences that each end in one jet.

    The softer branch is dropped, starting at the root of the tree, until z > zcut (R / R0)^beta or one particle is
    left.
    """
    trees = _read(sequence)
    position = 2 * trees.size - 2
    active = np.flatnonzero(trees.size > 1)
    while len(active):
        second = position[active] - 1
        first = trees.before(active, second)
        harder, passed = _compare(trees, active, first, second, config)
        position[active[~passed]] = harder[~passed]
        is_leaf = trees.node[active, position[active]] < trees.size[active]
        active = active[~passed & ~is_leaf]
    return _groomed(trees, position)


def _read(sequence: Any) -> Trees:
    nodes, order = sequence.jets(), sequence.unique_history_order()
    counts = ak.to_numpy(ak.num(nodes.px)).astype(np.int64)
    size = (counts + 1) // 2
    column = np.arange(int(counts.max(initial=0)))
    valid = column < counts[:, None]
    node = np.full(valid.shape, -1, np.int64)
    in_tree = ak.local_index(order) < counts  # leave out the last entry, which is the end of the clustering
    node[valid] = ak.to_numpy(ak.flatten(order[in_tree]))
    steps = np.where(node < size[:, None], 1, -1) * valid
    momenta = (ak.to_numpy(ak.flatten(nodes[axis])) for axis in ("px", "py", "pz", "E"))
    first = np.cumsum(counts) - counts
    return Trees(node, np.cumsum(steps, axis=1), size, first, *momenta)


def _compare(
    trees: Trees, jets: Ints, first: Ints, second: Ints, config: Jets
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return the position of the harder of two branches, and whether both together pass."""
    a, b = trees.flat(jets, first), trees.flat(jets, second)
    pt_a, pt_b = (np.hypot(trees.px[x], trees.py[x]) for x in (a, b))
    z = np.minimum(pt_a, pt_b) / (pt_a + pt_b)
    threshold = config.soft_drop_zcut * (_distance(trees, a, b) / config.radius) ** config.soft_drop_beta
    return np.where(pt_a >= pt_b, first, second), z > threshold


def _distance(trees: Trees, a: Ints, b: Ints) -> Floats64:
    """Return the distance in rapidity and azimuth."""
    (y_a, phi_a), (y_b, phi_b) = (
        (np.arctanh(trees.pz[x] / trees.energy[x]), np.arctan2(trees.py[x], trees.px[x])) for x in (a, b)
    )
    distance: Floats64 = np.hypot(y_a - y_b, wrapped(phi_a - phi_b))
    return distance


def _groomed(trees: Trees, position: Ints) -> Groomed:
    jets = np.arange(len(position))
    root = trees.flat(jets, position)
    px, py, pz, energy = (axis[root] for axis in (trees.px, trees.py, trees.pz, trees.energy))
    mass2 = (energy + pz) * (energy - pz) - px**2 - py**2
    column = np.arange(trees.node.shape[1])
    start = trees.before(jets, position)[:, None]
    kept = (column > start) & (column <= position[:, None]) & (trees.node < trees.size[:, None])
    row, place = np.nonzero(kept)
    chosen = trees.flat(row, place)
    offsets = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int64)
    momenta = (trees.px[chosen], trees.py[chosen], trees.pz[chosen], trees.energy[chosen])
    return Groomed(np.sqrt(np.maximum(mass2, 0.0)), offsets, momenta)
