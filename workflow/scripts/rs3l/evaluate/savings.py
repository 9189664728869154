"""Measure how many labels pre-training saves, given where a supervised network reaches the same metric.

In the shapes, L counts the numbers of labels and R the replicas; on an axis of R + 1, entry 0 is the sample
itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rs3l.evaluate.classifiers import Classifiers
from rs3l.evaluate.names import baseline_of
from rs3l.evaluate.spread import MEASURED, UNKNOWN
from rs3l.evaluate.tables import Row, TaskMetrics, group_columns
from rs3l.runs import is_baseline
from rs3l.types import Floats64

REFERENCE = "scratch"
"""The mode whose need for labels is compared."""

LIMITS = {1: "more", -1: "less", 0: ""}


def savings_table(results: Iterable[TaskMetrics]) -> pd.DataFrame:
    """Return ``savings.csv``, the factor of labels that each classifier on a pre-trained network saves.

    ``value`` is the number of labels at which a supervised network of the same kind reaches the metric, divided by
    ``labels``. It is interpolated linearly in the logarithm of the labels (for rejections also in their
    logarithm). ``limit`` is ``more`` if the network never reaches the metric (the value is then a lower limit),
    and ``less`` if it does with the fewest labels already. ``bootstrap`` comes from the replicas of the test
    sample, and ``run_error`` from a jackknife over repeats and pre-training seeds; both are relative errors times
    the value. A limit has no errors, and near a limit the errors are too small because replicas cannot pass it.
    ``seed_spread`` and ``repeat_spread`` are ``unknown`` where there is a single level, which has no jackknife;
    nothing is borrowed here.
    """
    return pd.DataFrame([row for result in results for row in _task_rows(result)], columns=_COLUMNS)


_COLUMNS = [
    "task", "method", "mode", "labels", "metric", "reference_method", "value", "limit", "run_error", "bootstrap",
    "error", "n_runs", "n_reference_runs", "seed_spread", "repeat_spread",
]  # fmt: skip


def _task_rows(result: TaskMetrics) -> Iterator[Row]:
    measures, groups = result.measures, result.measures.groups()
    for group, members in groups.items():
        if is_baseline(group[0]):
            continue
        baseline = baseline_of(group[0], {method for method, _, _ in groups})
        reference = {labels: rows for (*name, labels), rows in groups.items() if name == [baseline, REFERENCE]}
        if len(reference) < 2:
            continue
        for k, name in enumerate(result.names):
            head = {**group_columns(measures.task, group), "metric": name, "reference_method": baseline}
            yield {**head, **_saving(result, members, reference, group[2], k)}


def _saving(result: TaskMetrics, members: list[int], reference: dict[int, list[int]], labels: int, k: int) -> Row:
    def logarithm(subject: list[int], others: dict[int, list[int]]) -> tuple[Floats64, int]:
        curve = np.stack([_mean(result, others[count], k) for count in sorted(others)])
        return log_factor(_mean(result, subject, k), np.array(sorted(others)), curve, labels)

    values, limit = logarithm(members, reference)
    variance = 0.0
    spreads = {"seed_spread": UNKNOWN, "repeat_spread": UNKNOWN}
    for kind, kept in _without_one_level(result.measures, members, reference):
        spreads[kind] = MEASURED
        parts = [float(logarithm(*each)[0][0]) for each in kept]
        variance += (len(parts) - 1) / len(parts) * float(np.sum((np.array(parts) - np.mean(parts)) ** 2))
    value, spread = math.exp(values[0]), float(np.std(values[1:], ddof=1))
    variance, spread = (math.nan, math.nan) if limit else (variance, spread)
    return {
        "value": value,
        "limit": LIMITS[limit],
        "run_error": value * math.sqrt(variance),
        "bootstrap": value * spread,
        "error": value * math.sqrt(variance + spread**2),
        "n_runs": len(members),
        "n_reference_runs": min(map(len, reference.values())),
        **spreads,
    }


def _mean(result: TaskMetrics, rows: list[int], k: int) -> Floats64:
    """Return the mean over runs [R + 1] of a metric, or of its logarithm if it is a rejection."""
    values = result.plain[rows, :, k]
    return np.asarray((np.log(values) if k else values).mean(axis=0))


def _without_one_level(
    measures: Classifiers, members: list[int], reference: dict[int, list[int]]
) -> Iterator[tuple[str, list[tuple[list[int], dict[int, list[int]]]]]]:
    """Yield, for repeats and then for seeds, the name of its column and what is left without each level.

    A single level yields nothing.
    """

    def left(rows: list[int], level: str, value: int) -> list[int]:
        return [row for row in rows if getattr(measures.classifiers[row], level) != value]

    repeats = sorted({measures.classifiers[row].repeat for row in members})
    if len(repeats) > 1 and all(left(rows, "repeat", r) for rows in reference.values() for r in repeats):
        kept = [
            (left(members, "repeat", r), {count: left(rows, "repeat", r) for count, rows in reference.items()})
            for r in repeats
        ]
        yield "repeat_spread", kept
    seeds = sorted({measures.classifiers[row].seed for row in members})
    if len(seeds) > 1:
        yield "seed_spread", [(left(members, "seed", seed), reference) for seed in seeds]


def log_factor(value: Floats64, counts: NDArray[np.integer], curve: Floats64, labels: int) -> tuple[Floats64, int]:
    """Return the logarithm [R + 1] of labels needed / ``labels``, and whether entry 0 is a limit.

    The second value is 1 for a lower limit, -1 for an upper one, and 0 otherwise. ``curve`` [L, R + 1] is taken at
    the rising ``counts`` [L]; where it falls, the best value so far counts.
    """
    best = np.maximum.accumulate(curve, axis=0)
    x = np.log(counts)
    needed = np.array([_first_crossing(x, best[:, r], value[r]) for r in range(len(value))])
    limit = 1 if value[0] > best[-1, 0] else -1 if value[0] <= best[0, 0] else 0
    return needed - math.log(labels), limit


def _first_crossing(x: Floats64, y: Floats64, level: float) -> float:
    """Return where the rising line through (x, y) first reaches ``level``, or the nearer end if it never does."""
    above = int(np.searchsorted(y, level, side="left"))
    if above in (0, len(y)):
        return float(x[min(above, len(y) - 1)])
    part = (level - y[above - 1]) / (y[above] - y[above - 1])
    return float(x[above - 1] + part * (x[above] - x[above - 1]))
