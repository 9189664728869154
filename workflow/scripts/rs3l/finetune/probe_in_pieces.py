"""Linear probes on more features than are held at a time, by Newton's method, which only needs sums over jets.

The objective is that of :func:`rs3l.finetune.probe.fit_probe`: C times the sum of the cross-entropies plus half of
the squared weights, on standardised features, with a free bias. Shapes: n jets, D features.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from rs3l.errors import TrainingError
from rs3l.finetune.embedded import Embedded
from rs3l.finetune.probe import C_GRID, Probe, balanced_loss, fit_probe
from rs3l.types import Array, Floats32

MAX_STEPS = 100
"""A probe counts as not converged after this number of steps."""

TOLERANCE = 1e-6
"""The gradient per jet and unit of C is smaller than this in the end; L-BFGS in scikit-learn stops at 10⁻⁴."""

SHARE = 8192
"""Number of jets whose standardised features are in memory in double precision."""

Vector = NDArray[np.float64]


class Sums(NamedTuple):
    """Objective, gradient [D + 1] and Hessian [D + 1, D + 1] at some weights, all divided by C n."""

    value: float
    gradient: Vector
    hessian: Vector


def fit_embedded(data: Embedded, x_val: Floats32, y_val: Array) -> Probe:
    """Return the probe on labelled jets, in pieces if they are in a file.

    Raises :class:`TrainingError` if a fit does not converge.
    """
    if isinstance(data.values, Path):
        return fit_probe_in_pieces(data, x_val, y_val)
    return fit_probe(data.values, data.y, x_val, y_val)


def fit_probe_in_pieces(data: Embedded, x_val: Floats32, y_val: Array) -> Probe:
    """Return the probe that is best on the validation jets.

    Raises :class:`TrainingError` if a fit does not converge.
    """
    mean, std = (moment.numpy().astype(np.float64) for moment in data.moments())
    std = np.where(std < 1e-6 * max(float(std.max()), 1e-30), 1.0, std)
    weight = np.zeros(data.width + 1)
    best: Probe | None = None
    for c in C_GRID:
        weight, steps = _newton(data, mean, std, c, weight)
        own = weight[:-1] / std
        bias = float(weight[-1] - own @ mean)
        logits = x_val @ own + bias
        loss = balanced_loss(logits, y_val)
        if best is None or loss < best.val_loss:
            auc = float(roc_auc_score(y_val, logits))
            best = Probe(own.astype(np.float32), bias, c, steps, loss, auc)
    assert best is not None
    return best


def _newton(data: Embedded, mean: Vector, std: Vector, c: float, weight: Vector) -> tuple[Vector, int]:
    """Return the weights [D + 1] of strength ``c``, the bias last, and the number of passes over the jets."""
    sums, scale = _sums(data, mean, std, c, weight), 1.0
    for step in range(1, MAX_STEPS):
        if np.abs(sums.gradient).max() < TOLERANCE:
            return weight, step
        direction = np.linalg.solve(sums.hessian, sums.gradient)
        trial = weight - scale * direction
        found = _sums(data, mean, std, c, trial)
        if found.value <= sums.value:
            weight, sums, scale = trial, found, min(1.0, 2 * scale)
        else:
            scale /= 2
    raise TrainingError(f"the linear probe with C = {c:g} on {len(data)} jets did not converge")


def _sums(data: Embedded, mean: Vector, std: Vector, c: float, weight: Vector) -> Sums:
    penalty = np.append(np.full(data.width, 1 / (c * len(data))), 0.0)
    value, gradient, hessian = 0.0, np.zeros_like(weight), np.zeros((len(weight), len(weight)))
    for x, y in data.pieces():
        for start in range(0, len(x), SHARE):
            own = np.ones((len(x[start : start + SHARE]), len(weight)))
            own[:, :-1] = (x[start : start + SHARE] - mean) / std
            logit = own @ weight
            probability = 1 / (1 + np.exp(-np.clip(logit, -500, 500)))
            value += float(np.logaddexp(0, np.where(y[start : start + SHARE] == 1, -logit, logit)).sum())
            gradient += own.T @ (probability - y[start : start + SHARE])
            hessian += (own * (probability * (1 - probability))[:, None]).T @ own
    n = len(data)
    return Sums(
        value / n + float(penalty @ weight**2) / 2,
        gradient / n + penalty * weight,
        hessian / n + np.diag(penalty + 1e-12),
    )
