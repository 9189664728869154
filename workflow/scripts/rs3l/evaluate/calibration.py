"""Test whether the output of a classifier is a probability, for equal amounts of signal and background.

In the shapes, N counts the nominal test jets, R the replicas, and B the bins of the output.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rs3l.evaluate.bootstrap import drawn
from rs3l.evaluate.robustness import scaled
from rs3l.evaluate.spread import Group
from rs3l.evaluate.tables import Row, TaskMetrics, auc_columns, estimate_columns, group_columns
from rs3l.types import Floats64

BINS = 10
"""The expected calibration error is computed in this many bins of equal width."""


def calibration_table(results: Iterable[TaskMetrics], counts: Mapping[str, NDArray[np.integer]]) -> pd.DataFrame:
    """Return ``calibration.csv``, with a line per group and quantity (``brier`` or ``calibration_error``)."""
    rows: list[Row] = []
    functions = {"brier": brier, "calibration_error": calibration_error}
    for result in results:
        values: dict[str, dict[Group, Floats64]] = {name: {} for name in functions}
        scores = result.scores
        nominal = np.flatnonzero(scores.variant == "nominal")
        signal = scores.is_signal[nominal]
        weight = balanced(drawn(counts[scores.task], scores.event[nominal]), signal)
        for group, members in scores.groups().items():
            output = [scaled(scores.scores[i][nominal]) for i in members]
            for name, function in functions.items():
                values[name][group] = np.stack([function(each, signal, weight) for each in output])
        estimates = {name: scores.combined(values[name]) for name in functions}
        sizes = {"n_signal": int(signal.sum()), "n_background": int((~signal).sum())}
        for group, name in itertools.product(scores.groups(), functions):
            head = {**group_columns(scores.task, group), "quantity": name}
            cells = estimate_columns(estimates[name][group])
            rows.append({**head, **cells, **sizes, **auc_columns(result, group)})
    return pd.DataFrame(rows)


def balanced(counts: NDArray[np.integer], is_signal: NDArray[np.bool_]) -> Floats64:
    """Return the weight of each jet in each usable replica, [R, N], such that each class sums to 1/2.

    A replica is usable if it has jets of both classes; the others are left out.
    """
    usable = counts[:, is_signal].any(axis=1) & counts[:, ~is_signal].any(axis=1)
    weight = counts[usable].astype(np.float64)
    for chosen in (is_signal, ~is_signal):
        weight[:, chosen] *= 0.5 / weight[:, chosen].sum(axis=1, keepdims=True)
    return weight


def brier(output: Floats64, is_signal: NDArray[np.bool_], weight: Floats64) -> Floats64:
    """Return the mean squared distance [R] of the output from 0 (background) or 1 (signal)."""
    return np.asarray(weight @ (output - is_signal) ** 2)


def calibration_error(output: Floats64, is_signal: NDArray[np.bool_], weight: Floats64) -> Floats64:
    """Return the mean over the jets of abs(fraction of signal - mean output) in their bin, [R]."""
    bins = np.minimum((output * BINS).astype(np.int64), BINS - 1)
    excess = np.zeros((len(output), BINS))
    excess[np.arange(len(output)), bins] = is_signal - output
    return np.asarray(np.abs(weight @ excess).sum(axis=1))
