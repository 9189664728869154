"""Taggers that see a few jet observables and no candidates, as a gradient-boosted tree or as a cut on N2.

Shapes: n jets. Labels are 1 for signal, 0 for background.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from rs3l.errors import ConfigError, TrainingError
from rs3l.finetune.probe import balanced_loss
from rs3l.types import Array, Floats32

OBSERVABLES = ("jet_mass", "jet_msd", "jet_n2", "jet_n_constituents")
"""The tree sees mass, soft-drop mass, N2 (NaN where undefined) and multiplicity."""

N2 = OBSERVABLES.index("jet_n2")

MAX_TREES = 1000
PATIENCE = 30
"""The boosting stops after this number of trees without a better validation loss."""

TOLERANCE = 1e-4
"""This is the smallest change of the validation loss that counts as one."""

EDGE = 1e-6
"""The scaled N2 stays this far from 0 and 1, so that its logit is finite."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Trees:
    """A boosted tree cut off at its best number of trees."""

    model: HistGradientBoostingClassifier
    best: int
    val_loss: float
    val_auc: float

    def logits(self, x: Values) -> Floats32:
        """Return the logits [n] of the observables ``x`` [n, 4]."""
        for stage, values in enumerate(self.model.staged_decision_function(x), start=1):
            if stage == self.best:
                return _flat(values)
        raise AssertionError("the best number of trees is among the trees")


def fit_trees(x: Values, y: Array, x_val: Values, y_val: Array, seed: int) -> Trees:
    """Boost until the validation loss has not improved for :data:`PATIENCE` trees; keep the best number of trees.

    A quantity that no jet has (NaN everywhere) is not looked at.
    Raises :class:`TrainingError` if :data:`MAX_TREES` are reached first.
    """
    model = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=MAX_TREES,
        max_leaf_nodes=8,
        min_samples_leaf=5,
        l2_regularization=1.0,
        early_stopping=True,
        n_iter_no_change=PATIENCE,
        tol=TOLERANCE,
        random_state=seed % 2**32,
    )
    balanced = np.where(y_val == 1, 0.5 / np.mean(y_val == 1), 0.5 / np.mean(y_val == 0))
    x = np.where(np.isnan(x).all(axis=0), 0.0, x)
    model.fit(x, y, X_val=x_val, y_val=y_val, sample_weight_val=balanced)
    if model.n_iter_ == MAX_TREES:
        raise TrainingError(f"the boosted tree on {len(x)} jets was still improving after {MAX_TREES} trees")
    stages = [_flat(values) for values in model.staged_decision_function(x_val)]
    losses = [balanced_loss(values, y_val) for values in stages]
    best = int(np.argmax(np.array(losses) <= min(losses) + TOLERANCE))
    return Trees(model, best + 1, losses[best], float(roc_auc_score(y_val, stages[best])))


def _flat(values: Array) -> Floats32:
    result: Floats32 = np.asarray(values, dtype=np.float32).reshape(-1)
    return result


@dataclass(frozen=True)
class Cut:
    """N2 scaled to 0 ... 1 between ``low`` and ``high``; with ``falling``, the signal has the smaller N2."""

    low: float
    high: float
    falling: bool
    val_loss: float = 0.0
    val_auc: float = 0.5

    def logits(self, n2: Values) -> Floats32:
        """Return the logit [n] of the scaled N2, whose most signal-like value is 1.

        Undefined N2 counts as background.
        """
        scaled = np.clip((n2 - self.low) / (self.high - self.low), EDGE, 1.0 - EDGE)
        score = np.where(np.isnan(n2), EDGE, 1.0 - scaled if self.falling else scaled)
        result: Floats32 = np.log(score / (1.0 - score)).astype(np.float32)
        return result


def fit_cut(n2: Values, y: Array) -> Cut:
    """Return the cut with the range and direction of the validation jets.

    Raises :class:`ConfigError` if they have no N2.
    """
    found = n2[np.isfinite(n2)]
    if not len(found) or found.min() == found.max():
        raise ConfigError(
            "finetune.modes: n2 needs the N2 of jets, which this data set does not have; set jets.substructure: "
            "true and simulate again, or remove it"
        )
    cuts = [Cut(float(found.min()), float(found.max()), falling) for falling in (True, False)]
    aucs = [float(roc_auc_score(y, cut.logits(n2))) for cut in cuts]
    best = cuts[int(np.argmax(aucs))]
    return Cut(best.low, best.high, best.falling, balanced_loss(best.logits(n2), y), max(aucs))
