"""Boosted trees as arrays give the very numbers of scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest

from rs3l.finetune.high_level import N2, fit_trees
from rs3l.finetune.trees import BLOCK, BoostedTrees
from rs3l.types import Array, Floats64


def observables(n: int, seed: int, nan: float = 0.1) -> tuple[Floats64, Array]:
    """Return observables [n, 4] of two classes, the last of which takes few values, and the labels."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = rng.normal(size=(n, 4)) + y[:, None] * [0.5, 0.3, 0.2, 0.6]
    x[rng.random(n) < nan, N2] = np.nan
    x[:, 3] = np.round(x[:, 3] * 5)
    return x, y


@pytest.mark.parametrize(("labels", "nan"), [(20, 0.1), (400, 0.1), (400, 0.0), (4000, 0.5)])
def test_trees_give_the_numbers_of_scikit_learn(labels: int, nan: float) -> None:
    """At thresholds, too: the jets of the training are among those scored; and NaN where the training had none."""
    x, y = observables(labels, 0, nan)
    trees = fit_trees(x, y, *observables(500, 1, nan), seed=3)
    jets = np.concatenate([observables(BLOCK + 7, 2)[0], x])
    expected = trees.logits(jets)
    stored = BoostedTrees.of(trees.model, trees.best)
    assert len(stored.leaf) == trees.best and len(np.unique(expected)) > 1
    assert np.array_equal(stored.logits(jets), expected)
    assert np.array_equal(stored.logits(jets[:1]), expected[:1])


def test_a_tree_without_nodes_is_a_constant() -> None:
    x, y = observables(12, 0)
    trees = fit_trees(np.zeros_like(x), y, *observables(100, 1), seed=3)
    found = BoostedTrees.of(trees.model, 1).logits(x)
    assert np.array_equal(found, trees.logits(x)) and len(set(found)) == 1


def test_no_jet_has_no_logit() -> None:
    x, y = observables(20, 0)
    trees = fit_trees(x, y, *observables(100, 1), seed=3)
    assert BoostedTrees.of(trees.model, trees.best).logits(x[:0]).shape == (0,)
