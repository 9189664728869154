"""The tables of the evaluation, from the measures of all classifiers.

In the shapes, M counts the classifiers, N the jets, and R the bootstrap replicas; on an axis of R + 1, entry 0 is
the sample itself. K counts the metrics, which are the AUC, then the rejection at each configured signal
efficiency.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rs3l.config.evaluate import Evaluate
from rs3l.dataset.checksum import intact_text
from rs3l.errors import DataError, TrainingError
from rs3l.evaluate import student
from rs3l.evaluate.bootstrap import Estimate, combine_difference
from rs3l.evaluate.measures import Key, TaskMeasures
from rs3l.evaluate.metrics import rejection
from rs3l.evaluate.names import SUBJECT_MODES, fpr_name, is_reference, log_rejection_name, rejection_name
from rs3l.evaluate.spread import Group, Lent, lending
from rs3l.types import Floats64

Row = dict[str, Any]

HISTORY_COLUMNS = (
    "task", "run", "mode", "labels", "repeat", "best_epoch", "epochs", "steps", "val_loss", "val_auc",
)  # fmt: skip


@dataclass(frozen=True)
class TaskMetrics:
    """Metrics of every classifier of a task, under every replica.

    In ``plain`` [M, R + 1, K] every jet counts once. This is the headline because the training sample is sampled
    evenly in pT. In ``weighted`` [M, R + 1, K] every jet counts with its cross-section weight. ``passing`` [M, K]
    is the number of background jets that pass, and ``lower_limit`` [M, K] says whether the rejection is only a
    lower limit (both are zero for the AUC).
    """

    measures: TaskMeasures
    names: list[str]
    plain: Floats64
    weighted: Floats64
    passing: Floats64
    lower_limit: NDArray[np.bool_]
    n_jets: tuple[int, int]
    n_events: tuple[int, int]
    efficiencies: Sequence[float] = ()

    def column(self, name: str) -> int:
        """Return the index of a metric."""
        return self.names.index(name)

    def additive(self, group: Group, k: int, weighted: bool = False) -> Floats64:
        """Return what is averaged over the runs of a group [n, R + 1], which for rejections is the logarithm."""
        values = (self.weighted if weighted else self.plain)[self.measures.groups()[group], :, k]
        return np.asarray(np.log(values) if k else values)

    def estimate(self, group: Group, k: int, weighted: bool = False) -> Estimate:
        """Return the mean of a metric over the runs of a group, which for rejections is the geometric mean."""
        mean = self._means[weighted][k][group]
        return mean.exponential() if k else mean

    def intervals(self, group: Group, k: int) -> Row:
        """Return the cells of the central intervals, which for rejections are symmetric in the logarithm."""
        cells: Row = {}
        for name, probability in (("68", student.ONE_SIGMA), ("95", student.TWO_SIGMA)):
            ends = self._means[False][k][group].interval(probability)
            cells |= {f"low_{name}": ends[0], f"high_{name}": ends[1]}
        return {name: float(np.exp(x)) if k else x for name, x in cells.items()}

    def log_estimate(self, group: Group, k: int, weighted: bool = False) -> Estimate:
        """Return the mean of the logarithm of a rejection over the runs of a group."""
        return self._means[weighted][k][group]

    def rates(self, efficiency: float, weighted: bool = False) -> dict[Group, Floats64]:
        """Return the false-positive rates [n, R + 1] of the runs of each group at a signal efficiency."""
        key = Key(f"{'weighted_' if weighted else ''}fpr", efficiency=efficiency)
        return {group: self.measures.of(rows, key) for group, rows in self.measures.groups().items()}

    @cached_property
    def rate_means(self) -> dict[tuple[float, bool], dict[Group, Estimate]]:
        """The mean false-positive rates by signal efficiency and whether jets have cross-section weights."""
        return {
            (efficiency, weighted): self.measures.combined(self.rates(efficiency, weighted))
            for efficiency in self.efficiencies
            for weighted in (False, True)
        }

    @cached_property
    def rates_lent(self) -> dict[float, dict[Group, Lent]]:
        """What each group may borrow for its false-positive rate."""
        groups = self.measures.groups()
        return {
            efficiency: lending(
                {g: (x[:, 0], self.measures.runs(groups[g])) for g, x in self.rates(efficiency).items()}
            )
            for efficiency in self.efficiencies
        }

    @cached_property
    def _means(self) -> dict[bool, list[dict[Group, Estimate]]]:
        groups = self.measures.groups()
        return {
            weighted: [
                self.measures.combined({group: self.additive(group, k, weighted) for group in groups})
                for k in range(len(self.names))
            ]
            for weighted in (False, True)
        }

    @cached_property
    def lent(self) -> list[dict[Group, Lent]]:
        """Return what each group may borrow, for each metric (for rejections in the logarithm)."""
        groups = self.measures.groups()
        return [
            lending({g: (self.additive(g, k)[:, 0], self.measures.runs(rows)) for g, rows in groups.items()})
            for k in range(len(self.names))
        ]


def task_metrics(measures: TaskMeasures, settings: Evaluate) -> TaskMetrics:
    """Return the metrics of all classifiers of a task, on the jets of ``settings.variants``."""
    everyone, background = range(len(measures.classifiers)), measures.jets.chosen[1]
    areas, passed, limits = {}, [], []
    for prefix in ("", "weighted_"):
        areas[prefix] = [measures.of(everyone, Key(f"{prefix}auc"))]
        for efficiency in settings.efficiencies:
            rates = measures.of(everyone, Key(f"{prefix}fpr", efficiency=efficiency))
            found = [rejection(rate[:, None], background) for rate in rates]
            areas[prefix].append(np.stack([value[:, 0] for value, _ in found]))
            if not prefix:
                passed.append(rates[:, 0] * background)
                limits.append([limit[0, 0] for _, limit in found])
    return TaskMetrics(
        measures=measures,
        names=["auc", *map(rejection_name, settings.efficiencies)],
        plain=np.stack(areas[""], axis=2),
        weighted=np.stack(areas["weighted_"], axis=2),
        passing=np.column_stack([np.zeros(len(everyone)), *passed]),
        lower_limit=np.column_stack([np.zeros(len(everyone), dtype=bool), *limits]),
        n_jets=measures.jets.chosen,
        n_events=measures.jets.events,
        efficiencies=list(settings.efficiencies),
    )


def metrics_table(results: Iterable[TaskMetrics]) -> pd.DataFrame:
    """Return ``metrics.csv``, with a line per task, method, mode, labels and metric.

    ``value`` +- ``error`` is the mean over runs (for rejections the geometric mean of
    :func:`rs3l.evaluate.metrics.rejection`). ``std``, ``run_error``, ``bootstrap``, ``error``, ``dof`` and the
    origin of the spreads are as in :func:`rs3l.evaluate.bootstrap.combine`. ``low_68`` ... ``high_95`` are the
    central intervals of 68.3 and 95.4 % by Student's t, taken in the logarithm for rejections; limits have none,
    nor do values with an unknown spread. ``weighted`` +- ``weighted_error`` is the mean with cross-section
    weights. ``background_passing`` is the mean number of background jets above the threshold, and ``lower_limit``
    says whether fewer than one passed in some run.
    """
    rows: list[Row] = []
    for result in results:
        groups = result.measures.groups()
        for group, k in itertools.product(groups, range(len(result.names))):
            rows.append(_metric_row(result, group, k))
            if k and result.efficiencies:
                rows += [_log_row(result, group, k, rows[-1]), _rate_row(result, group, k, rows[-1])]
    return pd.DataFrame(rows)


def _log_row(result: TaskMetrics, group: Group, k: int, row: Row) -> Row:
    """Return the line of the logarithm of the rejection whose line is ``row``."""
    found = result.log_estimate(group, k)
    weighted = result.log_estimate(group, k, weighted=True)
    name = log_rejection_name(result.efficiencies[k - 1])
    return _further_row(row, name, found, weighted, bool(row["lower_limit"]))


def _rate_row(result: TaskMetrics, group: Group, k: int, row: Row) -> Row:
    """Return the line of the false-positive rate, which is measured where the rejection is only a limit, too."""
    efficiency = result.efficiencies[k - 1]
    found, weighted = (result.rate_means[efficiency, own][group] for own in (False, True))
    return {**_further_row(row, fpr_name(efficiency), found, weighted), "lower_limit": False}


def _further_row(row: Row, name: str, found: Estimate, weighted: Estimate, is_limit: bool = False) -> Row:
    ends: Row = {}
    for width, probability in (("68", student.ONE_SIGMA), ("95", student.TWO_SIGMA)):
        low, high = (np.nan, np.nan) if is_limit else found.interval(probability)
        ends |= {f"low_{width}": low, f"high_{width}": high}
    errors = {"weighted": weighted.value, "weighted_error": weighted.error}
    return {**row, "metric": name, **estimate_columns(found), **ends, **errors}


def _metric_row(result: TaskMetrics, group: Group, k: int) -> Row:
    members = result.measures.groups()[group]
    weighted = result.estimate(group, k, weighted=True)
    is_limit = bool(result.lower_limit[members, k].any())
    intervals = result.intervals(group, k)
    return {
        **group_columns(result.measures.task, group),
        "metric": result.names[k],
        **estimate_columns(result.estimate(group, k)),
        **(dict.fromkeys(intervals, np.nan) if is_limit else intervals),
        "weighted": weighted.value,
        "weighted_error": weighted.error,
        "n_signal": result.n_jets[0],
        "n_background": result.n_jets[1],
        "n_signal_events": result.n_events[0],
        "n_background_events": result.n_events[1],
        "background_passing": float(result.passing[members, k].mean()) if k else np.nan,
        "lower_limit": is_limit,
    }


def runs_table(results: Iterable[TaskMetrics]) -> pd.DataFrame:
    """Return ``runs.csv``, with a line per classifier and metric.

    ``bootstrap`` is the error of the test sample.
    """
    rows: list[Row] = []
    for result in results:
        for index, classifier in enumerate(result.measures.classifiers):
            for k, name in enumerate(result.names):
                rows.append(
                    {
                        "task": result.measures.task,
                        "run": classifier.run,
                        **dict(zip(("method", "mode", "labels"), classifier.group, strict=True)),
                        "seed": classifier.seed,
                        "repeat": classifier.repeat,
                        "metric": name,
                        "value": result.plain[index, 0, k],
                        "bootstrap": float(np.std(result.plain[index, 1:, k], ddof=1)),
                        "weighted": result.weighted[index, 0, k],
                        "background_passing": result.passing[index, k] if k else np.nan,
                        "lower_limit": bool(result.lower_limit[index, k]),
                    }
                )
    return pd.DataFrame(rows)


def differences_table(results: Iterable[TaskMetrics], subject: str) -> pd.DataFrame:
    """Return ``differences.csv``, the encoders of ``subject``, frozen (on h) and tuned, minus each reference.

    ``value`` +- ``error`` is the difference of the means, paired over test events and repeats (see
    :func:`rs3l.evaluate.bootstrap.combine_difference`). For rejections, ``ratio`` +- ``ratio_error`` is the ratio
    of the geometric means over runs, with the error of the paired difference of the logarithms. ``z``, ``p_value``
    and ``significance`` are explained at :func:`significance`; for rejections they, and ``dof``, are those of the
    logarithm of the ratio. ``p_bootstrap`` comes from the replicas of the test sample alone (with the runs as they
    are), and is at least 2 / (R + 1). ``n_trials`` is the number of comparisons of this metric and task in the
    table, and ``p_best`` the p-value of the best of so many (:func:`rs3l.evaluate.student.sidak`).
    """
    rows: list[Row] = []
    for result in results:
        groups = result.measures.groups()
        for chosen, group in itertools.product(((subject, mode) for mode in SUBJECT_MODES), groups):
            own = (*chosen, group[2])
            if own in groups and is_reference(group[:2], chosen):
                for k in range(len(result.names)):
                    rows.append(_difference_row(result, own, group, k))
                    if k and result.efficiencies:
                        rows += _further_differences(result, own, group, k, rows[-1])
    return with_trials(pd.DataFrame(rows, columns=_DIFFERENCE_COLUMNS))


def with_trials(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of comparisons with ``n_trials``, those of one task and metric, and ``p_best``."""
    trials = table.groupby(["task", "metric"], sort=False)["metric"].transform("size").astype(int)
    pairs = zip(table["p_value"], trials, strict=True)
    return table.assign(n_trials=trials, p_best=[student.sidak(p, n) for p, n in pairs])


def _further_differences(result: TaskMetrics, subject: Group, other: Group, k: int, row: Row) -> list[Row]:
    """Return the lines of the logarithm of the rejection and of the false-positive rate beside that of ``row``."""
    groups, efficiency = result.measures.groups(), result.efficiencies[k - 1]
    runs = [result.measures.runs(groups[group]) for group in (subject, other)]
    logs = [result.additive(group, k) for group in (subject, other)]
    rates = [result.rates(efficiency)[group] for group in (subject, other)]
    lines = []
    for name, values, lent in (
        (log_rejection_name(efficiency), logs, result.lent[k]),
        (fpr_name(efficiency), rates, result.rates_lent[efficiency]),
    ):
        found = combine_difference(values[0], runs[0], values[1], runs[1], (lent[subject], lent[other]))
        p_value = bootstrap_p_value(values[0].mean(axis=0) - values[1].mean(axis=0))
        further = {**significance(found), "p_bootstrap": p_value}
        lines.append({**row, "metric": name, **estimate_columns(found), **further})
    lines[1] |= {"ratio": np.nan, "ratio_error": np.nan}
    return lines


SPREAD_COLUMNS = ["dof", "seed_spread", "repeat_spread"]
SIGNIFICANCE_COLUMNS = ["z", "p_value", "significance"]
ESTIMATE_COLUMNS = ["value", "std", "run_error", "bootstrap", "error", "n_runs", *SPREAD_COLUMNS]
_DIFFERENCE_COLUMNS = [
    "task", "method", "mode", "reference_method", "reference_mode", "labels", "metric",
    *ESTIMATE_COLUMNS, "ratio", "ratio_error", *SIGNIFICANCE_COLUMNS, "p_bootstrap",
]  # fmt: skip


def _difference_row(result: TaskMetrics, subject: Group, other: Group, k: int) -> Row:
    groups = result.measures.groups()
    runs = [result.measures.runs(groups[group]) for group in (subject, other)]
    lent = [result.lent[k][group] for group in (subject, other)]
    first, second = (result.additive(group, k) for group in (subject, other))
    tested = estimate = combine_difference(first, runs[0], second, runs[1], (lent[0], lent[1]))
    ratio = ratio_error = np.nan
    if k:
        ratio = float(np.exp(tested.value))
        ratio_error = ratio * tested.error
        means = [float(np.exp(x[:, 0].mean())) for x in (first, second)]
        linear = [mean * (1.0 + x - x[:, 0].mean()) for mean, x in zip(means, (first, second), strict=True)]
        scaled = [each.scaled(mean) for mean, each in zip(means, lent, strict=True)]
        estimate = combine_difference(linear[0], runs[0], linear[1], runs[1], (scaled[0], scaled[1]))
    return {
        "task": result.measures.task,
        "method": subject[0],
        "mode": subject[1],
        "reference_method": other[0],
        "reference_mode": other[1],
        "labels": other[2],
        "metric": result.names[k],
        **estimate_columns(estimate),
        "dof": tested.dof,
        "ratio": ratio,
        "ratio_error": ratio_error,
        **significance(tested),
        "p_bootstrap": bootstrap_p_value(first.mean(axis=0) - second.mean(axis=0)),
    }


def significance(estimate: Estimate) -> Row:
    """Return how far a value is from zero.

    ``z`` is value / error, and ``p_value`` is the two-sided probability that Student's t lies beyond it.
    ``significance`` is the normal deviate with that p-value and the sign of the value, which is what "sigma"
    means. All are NaN where a term of the error is unknown, because they would then rest on a part of the error.
    """
    if not estimate.error > 0 or not estimate.is_complete:
        return dict.fromkeys(SIGNIFICANCE_COLUMNS, np.nan)
    z = estimate.value / estimate.error
    p_value = student.two_sided(z, estimate.dof)
    return {"z": z, "p_value": p_value, "significance": math.copysign(student.deviate(p_value), z)}


def bootstrap_p_value(difference: Floats64) -> float:
    """Return the two-sided p-value of a difference [R + 1].

    It counts how often replicas lie on the other side of zero.
    """
    replicas = difference[1:]
    tail = min(int((replicas <= 0.0).sum()), int((replicas >= 0.0).sum()))
    return min(1.0, 2.0 * (tail + 1) / (len(replicas) + 1))


def rows_where(table: pd.DataFrame, cells: Mapping[str, object]) -> pd.DataFrame:
    """Return the lines of a table with these values in these columns."""
    for column, value in cells.items():
        table = table[table[column] == value]
    return table


def auc_columns(result: TaskMetrics, group: Group) -> Row:
    """Return the cells of the AUC, which stands beside every shift."""
    auc = result.estimate(group, 0)
    return {"auc": auc.value, "auc_error": auc.error}


def training_table(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Return ``training.csv``, the histories of all classifiers, one line each, with ``converged``.

    A training has ``converged`` if it ended by itself and its best epoch (by validation loss) is not the last.
    Raises :class:`TrainingError` if a classifier has not converged and its history does not say so, because an
    under-trained baseline would flatter its rivals. Classifiers without epochs (``epochs`` is 0 or empty) are
    solved exactly and count as converged. ``collapsed`` holds the signs of collapse of the pre-training, or is
    empty.
    """
    table = pd.concat([_history(Path(path)) for path in paths], ignore_index=True)
    iterative = table["epochs"].fillna(0) > 0
    said = table["converged"]
    table["converged"] = said & (~iterative | (table["best_epoch"] < table["epochs"]))
    if not (table["converged"] | ~said).all():
        bad = table.loc[said & ~table["converged"]]
        names = "; ".join(
            f"{r.task}/{r.run} {r.mode}, {r.labels} labels, repeat {r.repeat}" for r in bad.head(5).itertuples()
        )
        raise TrainingError(
            f"{len(bad)} of {len(table)} classifiers were best in their last epoch, that is under-trained: "
            f"{names}; raise finetune.max_epochs or finetune.patience"
        )
    return table


def histories_table(training: pd.DataFrame) -> pd.DataFrame:
    """Return ``training.csv``, the histories with which the evaluation begins."""
    return training


def read_csv(path: str | Path, columns: Iterable[str], remedy: str, **options: Any) -> pd.DataFrame:
    """Return a CSV table after comparing it with its checksum, if it has one; ``options`` are those of pandas.

    Raises :class:`DataError` if it cannot be read, or lacks one of ``columns``; ``remedy`` is what helps then.
    """
    try:
        table: pd.DataFrame = pd.read_csv(intact_text(path), **options)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as CSV: {error}") from None
    if missing := [name for name in columns if name not in table.columns]:
        raise DataError(f"{path}: columns {', '.join(missing)} are missing; {remedy}")
    return table


def _history(path: Path) -> pd.DataFrame:
    table = read_csv(path, HISTORY_COLUMNS, "repeat the fine-tuning")
    if "converged" in table and table["converged"].dtype != bool:
        raise DataError(f"{path}: converged is neither True nor False somewhere; repeat the fine-tuning")
    signs = ["" if sign != sign else str(sign) for sign in table.get("collapsed", [""] * len(table))]
    return table.assign(
        converged=table.get("converged", True), collapsed=pd.Series(signs, table.index, dtype=object)
    )


def group_columns(task: str, group: Group) -> Row:
    """Return the cells that name a group."""
    return {"task": task, "method": group[0], "mode": group[1], "labels": group[2]}


def frame(rows: Sequence[Row], own: Iterable[str], after: Iterable[str]) -> pd.DataFrame:
    """Return a table of estimates, which has its columns even without rows.

    First come the columns of the group, ``own`` and those of the estimate, then ``after`` and the AUC.
    """
    names = ["task", "method", "mode", "labels", *own, *ESTIMATE_COLUMNS, *after, "auc", "auc_error"]
    return pd.DataFrame(rows, columns=names)


def spread_columns(estimate: Estimate) -> Row:
    """Return the cells that say how well an error is known."""
    return {name: getattr(estimate, name) for name in SPREAD_COLUMNS}


def estimate_columns(estimate: Estimate) -> Row:
    """Return the cells of a value and its errors."""
    return {name: getattr(estimate, name) for name in ESTIMATE_COLUMNS}
