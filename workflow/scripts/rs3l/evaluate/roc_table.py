"""The table of ROC curves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from rs3l.evaluate.measure import ROC_EFFICIENCIES
from rs3l.evaluate.measures import Key
from rs3l.evaluate.metrics import rejection
from rs3l.evaluate.names import compared
from rs3l.evaluate.spread import Group
from rs3l.evaluate.tables import Row, TaskMetrics, estimate_columns, group_columns


def roc_table(results: Iterable[TaskMetrics]) -> pd.DataFrame:
    """Return ``roc.csv``, the rejection +- error over signal efficiency, at the fewest and the most labels.

    The columns are those of :func:`rs3l.evaluate.tables.metrics_table`, for the methods that the figures compare.
    """
    return pd.DataFrame([row for result in results for row in _rows(result)])


def _rows(result: TaskMetrics) -> Iterator[Row]:
    measures, groups = result.measures, result.measures.groups()
    labels = [group[2] for group in groups]
    shown = compared(classifier.run for classifier in measures.classifiers)
    chosen = [group for group in groups if group[:2] in shown and group[2] in (min(labels), max(labels))]
    points = [_points(result, chosen, float(efficiency)) for efficiency in ROC_EFFICIENCIES]
    yield from (point[group] for group in chosen for point in points)


def _points(result: TaskMetrics, chosen: list[Group], efficiency: float) -> dict[Group, Row]:
    measures, groups, n_background = result.measures, result.measures.groups(), result.n_jets[1]
    rates = {group: measures.of(groups[group], Key("roc_fpr", efficiency=efficiency)) for group in chosen}
    found = {group: [rejection(rate[:, None], n_background) for rate in each] for group, each in rates.items()}
    logarithms = {group: np.stack([np.log(value[:, 0]) for value, _ in each]) for group, each in found.items()}
    return {
        group: {
            **group_columns(measures.task, group),
            "efficiency": efficiency,
            **estimate_columns(estimate.exponential()),
            "background_passing": float(rates[group][:, 0].mean() * n_background),
            "lower_limit": any(bool(limit[0, 0]) for _, limit in found[group]),
        }
        for group, estimate in measures.combined(logarithms).items()
    }
