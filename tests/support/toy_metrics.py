"""Metrics of toy classifiers."""

from __future__ import annotations

import numpy as np

from rs3l.evaluate.classifiers import ClassifierKey
from rs3l.evaluate.measures import TaskMeasures
from rs3l.evaluate.replicas import Weights
from rs3l.evaluate.sums import Rows
from rs3l.evaluate.tables import TaskMetrics
from rs3l.types import Counts


def weights_of(counts: Counts) -> tuple[Weights, Rows]:
    """Return the ``counts`` [R, N] of jets as weights of as many events, and their rows."""
    rows = np.arange(counts.shape[1], dtype=np.int32)
    return np.concatenate([counts.T, np.zeros((1, len(counts)), int)]).astype(np.uint8), rows


def metrics(auc: dict[tuple[str, str, int, int, int], float], replicas: int = 30) -> TaskMetrics:
    """Return metrics of classifiers (run, mode, labels, repeat, index of noise): the AUC and a rejection."""
    rng = np.random.default_rng(0)
    classifiers = [ClassifierKey(run, mode, labels, repeat) for run, mode, labels, repeat, _ in auc]
    values = np.array(list(auc.values()))[:, None, None] + np.zeros((1, replicas + 1, 2))
    values[:, 1:] += rng.normal(0, 0.005, (len(auc), replicas, 2))
    values[:, :, 1] = np.exp(values[:, :, 1])
    measures = TaskMeasures("t", classifiers)
    flags = np.zeros((len(auc), 2), dtype=bool)
    return TaskMetrics(measures, ["auc", "rejection_0.5"], values, values, flags * 1.0, flags, (1, 1), (1, 1))
