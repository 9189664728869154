"""The table of calibration, for equal amounts of signal and background."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pandas as pd

from rs3l.evaluate.measures import CLASSES, Key, count_name
from rs3l.evaluate.tables import Row, TaskMetrics, auc_columns, estimate_columns, frame, group_columns

QUANTITIES = ("brier", "calibration_error")


def calibration_table(results: Iterable[TaskMetrics]) -> pd.DataFrame:
    """Return ``calibration.csv``, with a line per group and quantity (``brier`` or ``calibration_error``).

    A task without nominal jets of both classes has no line.
    """
    rows: list[Row] = []
    for result in results:
        measures, groups = result.measures, result.measures.groups()
        sizes = {f"n_{side}": measures.jets.jets[count_name("nominal", side)] for side in CLASSES.values()}
        if min(sizes.values()) == 0:
            continue
        estimates = {
            name: measures.combined({group: measures.of(members, Key(name)) for group, members in groups.items()})
            for name in QUANTITIES
        }
        for group, name in itertools.product(groups, QUANTITIES):
            head = {**group_columns(measures.task, group), "quantity": name}
            rows.append(
                {**head, **estimate_columns(estimates[name][group]), **sizes, **auc_columns(result, group)}
            )
    return frame(rows, ["quantity"], [f"n_{side}" for side in CLASSES.values()])
