"""Boosted trees as arrays, which give the very numbers of scikit-learn's and can be stored without pickling.

Each inner node knows which leaves are left if a jet does not go to its left. A jet ends in the leftmost leaf that
all nodes leave (QuickScorer, doi:10.1145/2766462.2767733), so that no jet walks down a tree and every step is one
for all jets. Shapes: n jets, F observables, T trees of up to 8 leaves and 7 inner nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from rs3l.types import Floats32, Floats64

LEAVES = 8
"""A tree has no more leaves than this, one for each bit of a byte, of which the highest is the leftmost leaf."""

BLOCK = 4_096
"""This number of jets is worked on at a time, so that they stay cached."""

_ALL = 2**LEAVES - 1
_LEFTMOST = np.array([LEAVES - max(left, 1).bit_length() for left in range(_ALL + 1)])


@dataclass(frozen=True)
class BoostedTrees:
    """A sum of trees.

    ``feature``, ``threshold``, ``nan_left`` and ``keep`` [T, 7] describe the inner nodes. A jet goes to the left
    if its observable is not above the threshold, or is NaN and ``nan_left`` is set; if it does not, the leaves in
    ``keep`` are left. Nodes that a tree does not have keep all leaves. ``leaf`` [T, 8] holds the values.
    """

    start: float
    feature: NDArray[np.unsignedinteger[Any]]
    threshold: Floats64
    nan_left: NDArray[np.uint8]
    keep: NDArray[np.uint8]
    leaf: Floats64

    @classmethod
    def of(cls, model: HistGradientBoostingClassifier, trees: int) -> Self:
        """Return the first trees of a model of scikit-learn for two classes."""
        shape = trees, LEAVES - 1
        feature, nan_left = np.zeros(shape, np.min_scalar_type(model.n_features_in_)), np.zeros(shape, np.uint8)
        threshold, keep = np.zeros(shape), np.full(shape, _ALL, np.uint8)
        result = cls(
            float(model._baseline_prediction.item()), feature, threshold, nan_left, keep, np.zeros((trees, LEAVES))
        )
        for tree, (predictor,) in enumerate(model._predictors[:trees]):
            result._fill(tree, predictor.nodes)
        return result

    def _fill(self, tree: int, nodes: NDArray[Any]) -> None:
        """Take the nodes of one tree, which are records of scikit-learn."""
        inner, leaves = 0, 0

        def visit(index: int) -> int:
            """Number the leaves below a node from the left, and return their bits."""
            nonlocal inner, leaves
            node = nodes[index]
            if node["is_leaf"]:
                assert leaves < LEAVES, "a tree has more leaves than bits"
                self.leaf[tree, leaves] = node["value"]
                leaves += 1
                return 1 << (LEAVES - leaves)
            own, inner = inner, inner + 1
            assert not node["is_categorical"], "observables are numbers"
            self.feature[tree, own], self.threshold[tree, own] = node["feature_idx"], node["num_threshold"]
            self.nan_left[tree, own] = node["missing_go_to_left"]
            left = visit(int(node["left"]))
            self.keep[tree, own] = _ALL - left
            return left | visit(int(node["right"]))

        visit(0)

    def logits(self, x: Floats64) -> Floats32:
        """Return the logits [n] of the observables ``x`` [n, F]."""
        result = np.empty(len(x), dtype=np.float32)
        for first in range(0, len(x), BLOCK):
            result[first : first + BLOCK] = self._block(np.ascontiguousarray(x[first : first + BLOCK].T))
        return result

    def _block(self, x: Floats64) -> Floats64:
        """Return the sums [n] of the trees, in their order, for observables ``x`` [F, n]."""
        missing = [nan if nan.any() else None for nan in map(np.isnan, x)]
        total = np.full(x.shape[1], self.start)
        for tree, values in enumerate(self.leaf[:, _LEFTMOST]):
            left = np.full(x.shape[1], _ALL, dtype=np.uint8)
            for node in np.flatnonzero(self.keep[tree] != _ALL):
                feature = self.feature[tree, node]
                goes_left = x[feature] <= self.threshold[tree, node]
                if self.nan_left[tree, node] and (nan := missing[feature]) is not None:
                    goes_left |= nan
                left &= _where_left(goes_left) | self.keep[tree, node]
            total += values[left]
        return total


def _where_left(goes_left: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return all bits where a jet goes to the left, and none elsewhere."""
    return np.negative(goes_left.view(np.uint8))
