"""Taggers on jet observables: the boosted tree stops at its best, the cut on N2 is a cut on N2."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from rs3l.errors import ConfigError, TrainingError
from rs3l.finetune import high_level
from rs3l.finetune.high_level import Cut, fit_cut, fit_trees
from rs3l.finetune.probe import balanced_loss


def sample(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return observables [n, 4], of which two tell the classes apart, one of them with gaps; and labels."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = rng.normal(size=(n, 4))
    x[:, 0] += 1.5 * y
    x[:, 2] -= y
    x[rng.uniform(size=n) < 0.2, 2] = np.nan
    return x, y


def test_the_tree_is_cut_off_where_validation_is_best() -> None:
    (x, y), (x_val, y_val) = sample(400, 0), sample(300, 1)
    trees = fit_trees(x, y, x_val, y_val, seed=5)
    assert 1 <= trees.best < trees.model.n_iter_ < high_level.MAX_TREES
    logits = trees.logits(x_val)
    assert balanced_loss(logits, y_val) == pytest.approx(trees.val_loss, rel=1e-5)
    stages = [balanced_loss(values, y_val) for values in trees.model.staged_decision_function(x_val)]
    assert trees.val_loss <= min(stages) + high_level.TOLERANCE
    assert trees.val_auc == pytest.approx(roc_auc_score(y_val, logits)) and trees.val_auc > 0.85
    assert np.array_equal(logits, fit_trees(x, y, x_val, y_val, seed=5).logits(x_val))


def test_separable_classes_end_the_boosting_too() -> None:
    y = np.arange(40) % 2
    x = np.column_stack([y + 0.01 * np.arange(40)] * 4).astype(float)
    trees = fit_trees(x, y, x, y, seed=0)
    assert trees.val_auc == 1.0 and trees.best < trees.model.n_iter_


def test_a_boosting_cut_short_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(high_level, "MAX_TREES", 5)
    with pytest.raises(TrainingError, match="still improving after 5 trees"):
        fit_trees(*sample(200, 0), *sample(200, 1), seed=0)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_cut_has_the_direction_and_range_of_the_validation_jets(sign: int) -> None:
    y = np.arange(100) % 2
    n2 = 0.3 - 0.05 * sign * y + 0.04 * np.random.default_rng(0).normal(size=100)
    n2[7] = np.nan
    cut = fit_cut(n2, y)
    assert cut.falling == (sign > 0) and cut.val_auc > 0.7
    assert (cut.low, cut.high) == (np.nanmin(n2), np.nanmax(n2))
    assert cut.val_loss == pytest.approx(balanced_loss(cut.logits(n2), y))


def test_its_output_is_the_scaled_n2() -> None:
    n2 = np.array([0.1, 0.2, 0.4, 0.0, 0.9, np.nan])
    output = 1 / (1 + np.exp(-Cut(0.0, 0.4, falling=True).logits(n2).astype(float)))
    np.testing.assert_allclose(output, [0.75, 0.5, 0, 1, 0, 0], atol=1e-5)
    rising = 1 / (1 + np.exp(-Cut(0.0, 0.4, falling=False).logits(n2).astype(float)))
    np.testing.assert_allclose(rising, [0.25, 0.5, 1, 0, 1, 0], atol=1e-5)


def test_jets_without_n2_are_named() -> None:
    with pytest.raises(ConfigError, match=r"finetune\.modes: n2 needs .* jets\.substructure: true"):
        fit_cut(np.full(10, np.nan), np.arange(10) % 2)
