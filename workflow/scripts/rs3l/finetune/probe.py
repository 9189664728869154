"""Linear probes on frozen features, and the validation metrics that all classifiers share.

Shapes: n labelled jets, D features. Labels are 1 for signal, 0 for background.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from rs3l.errors import TrainingError
from rs3l.types import Array, Floats32

C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0)
"""These inverse regularisation strengths are tried."""

MAX_ITERATIONS = 5000
"""A probe counts as not converged after this number of iterations of L-BFGS."""


@dataclass(frozen=True)
class Probe:
    """A linear classifier with logit = x . weight + bias, on features as they come (not standardised)."""

    weight: Floats32
    bias: float
    c: float
    iterations: int
    val_loss: float
    val_auc: float

    @property
    def at_edge(self) -> bool:
        """Whether the best C is the smallest or largest one tried."""
        return self.c in (C_GRID[0], C_GRID[-1])

    def logits(self, x: Floats32) -> Floats32:
        """Return the logits [n] of features ``x`` [n, D]."""
        result: Floats32 = (x @ self.weight + np.float32(self.bias)).astype(np.float32)
        return result


def fit_probe(x: Floats32, y: Array, x_val: Floats32, y_val: Array) -> Probe:
    """Fit logistic regressions on standardised ``x`` [n, D] and return the best on the validation jets.

    The best C has the smallest :func:`balanced_loss`. Raises :class:`TrainingError` if a fit does not converge.
    """
    mean, std = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    std[std < 1e-6 * max(float(std.max()), 1e-30)] = 1.0
    model = LogisticRegression(max_iter=MAX_ITERATIONS, warm_start=True)
    best: Probe | None = None
    for c in C_GRID:
        _fit(model.set_params(C=c), (x - mean) / std, y)
        weight = model.coef_[0] / std
        bias = float(model.intercept_[0] - weight @ mean)
        logits = x_val @ weight + bias
        loss = balanced_loss(logits, y_val)
        if best is None or loss < best.val_loss:
            auc = float(roc_auc_score(y_val, logits))
            best = Probe(weight.astype(np.float32), bias, c, int(model.n_iter_[0]), loss, auc)
    assert best is not None
    return best


def _fit(model: LogisticRegression, x: Array, y: Array) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit(x, y)
        except ConvergenceWarning as warning:
            raise TrainingError(
                f"the linear probe with C = {model.C:g} on {len(x)} jets did not converge: {warning}"
            ) from None


def balanced_loss(logits: Array, y: Array) -> float:
    """Return the binary cross-entropy, averaged over each class first so that both count the same."""
    losses = np.logaddexp(0.0, np.where(y == 1, -logits, logits).astype(np.float64))
    return float((losses[y == 1].mean() + losses[y == 0].mean()) / 2)
