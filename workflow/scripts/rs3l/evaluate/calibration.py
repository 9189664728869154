"""Test whether the output of a classifier is a probability, for equal amounts of signal and background.

In the shapes, N counts the nominal test jets, R the replicas and the sample, and B the bins of the output.
"""

from __future__ import annotations

import numpy as np

from rs3l.evaluate.measures import CLASSES
from rs3l.evaluate.replicas import Weights
from rs3l.evaluate.robustness import scaled
from rs3l.evaluate.sums import Rows, weighted_sums
from rs3l.types import Bools, Floats32, Floats64

BINS = 10
"""The expected calibration error is computed in this many bins of equal width."""


def calibration(score: Floats32, is_signal: Bools, weights: Weights, rows: Rows) -> dict[str, Floats64]:
    """Return the two quantities [R] of nominal jets with logits ``score`` [N] and ``rows`` of the weights.

    ``brier`` is the mean squared distance of the output from 0 (background) or 1 (signal). ``calibration_error``
    is the mean over the jets of abs(fraction of signal - mean output) in their bin. The jets of each class have a
    total weight of 1/2; a replica without a jet of one class has NaN.
    """
    brier, excess = np.zeros(weights.shape[1]), np.zeros((BINS, weights.shape[1]))
    for side in CLASSES:
        jets = np.flatnonzero(is_signal == side)
        total, squares, bins = _class_sums(scaled(score[jets]), float(side), weights, rows[jets])
        with np.errstate(invalid="ignore", divide="ignore"):
            brier += 0.5 * squares / total
            excess += 0.5 * bins / total
    return {"brier": brier, "calibration_error": np.abs(excess).sum(axis=0)}


def _class_sums(output: Floats64, truth: float, weights: Weights, rows: Rows) -> tuple[Floats64, ...]:
    """Return the weight [R], the sum of squared distances [R] and that of distances in each bin [B, R]."""
    result = np.zeros((BINS + 2, weights.shape[1]))
    for begin in range(0, len(output), 2048):
        distance = truth - output[begin : begin + 2048]
        values = np.zeros((BINS + 2, len(distance)))
        values[0], values[1] = 1.0, distance**2
        place = np.minimum((output[begin : begin + 2048] * BINS).astype(np.int64), BINS - 1)
        values[2 + place, np.arange(len(distance))] = distance
        result += weighted_sums(weights, rows[begin : begin + 2048], values)
    return result[0], result[1], result[2:]
