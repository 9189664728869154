"""The tables of the evaluation, from the scores of the test split.

In the shapes, M counts the classifiers, N the jets, and R the bootstrap replicas; on an axis of R + 1, entry 0 is
the sample itself. K counts the metrics, which are the AUC, then the rejection at each configured signal
efficiency.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rs3l.config.blocks import EvaluateBlock
from rs3l.config.evaluate import Evaluate
from rs3l.dataset.checksum import intact_text
from rs3l.errors import DataError, TrainingError
from rs3l.evaluate import student
from rs3l.evaluate.bootstrap import Estimate, combine_difference, drawn
from rs3l.evaluate.metrics import auc_and_background_efficiency, rejection
from rs3l.evaluate.names import SUBJECT_MODES, compared, has_seen, is_reference, rejection_name
from rs3l.evaluate.scores import TaskScores
from rs3l.evaluate.spread import Group, Lent, lending
from rs3l.evaluate.stability import rank_shift, spearman
from rs3l.types import Floats64

Row = dict[str, Any]

HISTORY_COLUMNS = (
    "task", "run", "mode", "labels", "repeat", "best_epoch", "epochs", "steps", "val_loss", "val_auc",
)  # fmt: skip
ROC_EFFICIENCIES = np.round(np.linspace(0.02, 1.0, 50), 2)
"""Signal efficiencies of the points of the ROC curves."""


@dataclass(frozen=True)
class TaskMetrics:
    """Metrics of every classifier of a task, under every replica.

    In ``plain`` [M, R + 1, K] every jet counts once. This is the headline because the training sample is sampled
    evenly in pT. In ``weighted`` [M, R + 1, K] every jet counts with its cross-section weight. ``passing`` [M, K]
    is the number of background jets that pass, and ``lower_limit`` [M, K] says whether the rejection is only a
    lower limit (both are zero for the AUC).
    """

    scores: TaskScores
    names: list[str]
    plain: Floats64
    weighted: Floats64
    passing: Floats64
    lower_limit: NDArray[np.bool_]
    n_jets: tuple[int, int]
    n_events: tuple[int, int]

    def column(self, name: str) -> int:
        """Return the index of a metric."""
        return self.names.index(name)

    def additive(self, group: Group, k: int, weighted: bool = False) -> Floats64:
        """Return what is averaged over the runs of a group [n, R + 1], which for rejections is the logarithm."""
        values = (self.weighted if weighted else self.plain)[self.scores.groups()[group], :, k]
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

    @cached_property
    def _means(self) -> dict[bool, list[dict[Group, Estimate]]]:
        groups = self.scores.groups()
        return {
            weighted: [
                self.scores.combined({group: self.additive(group, k, weighted) for group in groups})
                for k in range(len(self.names))
            ]
            for weighted in (False, True)
        }

    @cached_property
    def lent(self) -> list[dict[Group, Lent]]:
        """Return what each group may borrow, for each metric (for rejections in the logarithm)."""
        groups = self.scores.groups()
        return [
            lending({g: (self.additive(g, k)[:, 0], self.scores.runs(rows)) for g, rows in groups.items()})
            for k in range(len(self.names))
        ]


def task_metrics(scores: TaskScores, counts: NDArray[np.integer], settings: Evaluate) -> TaskMetrics:
    """Return the metrics on the jets of ``settings.variants``.

    ``counts`` [R + 1, E] are the replicas. Raises :class:`DataError` if there is no signal or no background jet.
    """
    chosen = np.isin(scores.variant, settings.variants)
    signal, event = scores.is_signal[chosen], scores.event[chosen]
    n_jets = (int(signal.sum()), int((~signal).sum()))
    if min(n_jets) == 0:
        raise DataError(
            f"task {scores.task}: {n_jets[0]} signal and {n_jets[1]} background jets of "
            f"{', '.join(settings.variants)} in the test split; raise processes.<name>.events"
        )
    efficiencies = np.array(settings.efficiencies)
    jet_counts = drawn(counts, event)
    plain, weighted, passing, limits = [], [], [], []
    for row in scores.scores:
        area, rate = auc_and_background_efficiency(row[chosen], signal, jet_counts, efficiencies)
        value, limit = rejection(rate, n_jets[1])
        plain.append(np.column_stack([area, value]))
        limits.append(np.append(False, limit[0]))
        passing.append(np.append(0.0, rate[0] * n_jets[1]))
        area, rate = auc_and_background_efficiency(
            row[chosen], signal, jet_counts, efficiencies, scores.weight[chosen]
        )
        weighted.append(np.column_stack([area, rejection(rate, n_jets[1])[0]]))
    return TaskMetrics(
        scores=scores,
        names=["auc", *map(rejection_name, settings.efficiencies)],
        plain=np.stack(plain),
        weighted=np.stack(weighted),
        passing=np.stack(passing),
        lower_limit=np.stack(limits),
        n_jets=n_jets,
        n_events=(len(np.unique(event[signal])), len(np.unique(event[~signal]))),
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
        groups = result.scores.groups()
        for group, k in itertools.product(groups, range(len(result.names))):
            rows.append(_metric_row(result, group, k))
    return pd.DataFrame(rows)


def _metric_row(result: TaskMetrics, group: Group, k: int) -> Row:
    members = result.scores.groups()[group]
    weighted = result.estimate(group, k, weighted=True)
    is_limit = bool(result.lower_limit[members, k].any())
    intervals = result.intervals(group, k)
    return {
        **group_columns(result.scores.task, group),
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
        for index, classifier in enumerate(result.scores.classifiers):
            for k, name in enumerate(result.names):
                rows.append(
                    {
                        "task": result.scores.task,
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
    are), and is at least 2 / (R + 1).
    """
    rows: list[Row] = []
    for result in results:
        groups = result.scores.groups()
        for chosen, group in itertools.product(((subject, mode) for mode in SUBJECT_MODES), groups):
            own = (*chosen, group[2])
            if own in groups and is_reference(group[:2], chosen):
                rows += [_difference_row(result, own, group, k) for k in range(len(result.names))]
    return pd.DataFrame(rows, columns=_DIFFERENCE_COLUMNS)


SPREAD_COLUMNS = ["dof", "seed_spread", "repeat_spread"]
SIGNIFICANCE_COLUMNS = ["z", "p_value", "significance"]
ESTIMATE_COLUMNS = ["value", "std", "run_error", "bootstrap", "error", "n_runs", *SPREAD_COLUMNS]
_DIFFERENCE_COLUMNS = [
    "task", "method", "mode", "reference_method", "reference_mode", "labels", "metric",
    *ESTIMATE_COLUMNS, "ratio", "ratio_error", *SIGNIFICANCE_COLUMNS, "p_bootstrap",
]  # fmt: skip


def _difference_row(result: TaskMetrics, subject: Group, other: Group, k: int) -> Row:
    groups = result.scores.groups()
    runs = [result.scores.runs(groups[group]) for group in (subject, other)]
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
        "task": result.scores.task,
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


def stability_table(
    results: Iterable[TaskMetrics], counts: Mapping[str, NDArray[np.integer]], block: EvaluateBlock
) -> pd.DataFrame:
    """Return ``stability.csv``, which says how scores change between views of the same hard event.

    Signal and background have separate lines. They give ``spearman`` between the scores under the two variants of
    ``evaluate.pair``, and ``spearman`` and ``rank_shift`` from the nominal to every other variant, on the hard
    events with a jet in both. ``use`` is that of the second variant, and ``seen`` says whether the method has
    learned from it. The AUC (with its error) stands beside each because a tagger that knows nothing is stable.
    Correlations beyond the configured pair are given at the most labels alone.
    """
    rows: list[Row] = []
    for result in results:
        for case in paired_cases(block):
            for is_signal in (True, False):
                rows += _stability_rows(result, counts[result.scores.task], case, is_signal, block)
    return pd.DataFrame(rows)


def paired_cases(block: EvaluateBlock) -> list[tuple[str, str, str]]:
    """Return the quantity and the two variants of each paired measure, the configured pair first."""
    variants = [name for name in block.variants if name != "nominal"]
    cases = [("spearman", *block.evaluate.pair)]
    cases += [(quantity, "nominal", name) for quantity in ("spearman", "rank_shift") for name in variants]
    return list(dict.fromkeys(cases))


def event_pairs(
    scores: TaskScores, first: str, second: str, is_signal: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the jets [P], [P] of the hard events of one class with a jet under both variants."""
    rows = [np.flatnonzero((scores.variant == name) & (scores.is_signal == is_signal)) for name in (first, second)]
    _, a, b = np.intersect1d(scores.event[rows[0]], scores.event[rows[1]], assume_unique=True, return_indices=True)
    return rows[0][a], rows[1][b]


def _stability_rows(
    result: TaskMetrics,
    counts: NDArray[np.integer],
    case: tuple[str, str, str],
    is_signal: bool,
    block: EvaluateBlock,
) -> list[Row]:
    scores, (quantity, *variants) = result.scores, case
    first, second = event_pairs(scores, variants[0], variants[1], is_signal)
    if len(first) < 2:
        return []
    event_counts = drawn(counts, scores.event[first])
    event_counts = event_counts[event_counts.any(axis=1)]
    function = spearman if quantity == "spearman" else rank_shift
    everywhere = quantity == "rank_shift" or tuple(variants) == block.evaluate.pair
    values = {
        group: np.stack([function(row[first], row[second], event_counts) for row in scores.scores[members]])
        for group, members in (scores.groups().items() if everywhere else scores.most_labels())
    }
    rows = []
    for group, estimate in scores.combined(values).items():
        rows.append(
            {
                **group_columns(scores.task, group),
                "class": "signal" if is_signal else "background",
                "quantity": quantity,
                "first": variants[0],
                "second": variants[1],
                "use": block.variants[variants[1]],
                "seen": has_seen(block, group[:2], variants[1]),
                **estimate_columns(estimate),
                "n_events": len(first),
                **auc_columns(result, group),
            }
        )
    return rows


def rows_where(table: pd.DataFrame, cells: Mapping[str, object]) -> pd.DataFrame:
    """Return the lines of a table with these values in these columns."""
    for column, value in cells.items():
        table = table[table[column] == value]
    return table


def auc_columns(result: TaskMetrics, group: Group) -> Row:
    """Return the cells of the AUC, which stands beside every shift."""
    auc = result.estimate(group, 0)
    return {"auc": auc.value, "auc_error": auc.error}


def roc_table(
    results: Iterable[TaskMetrics], counts: Mapping[str, NDArray[np.integer]], block: EvaluateBlock
) -> pd.DataFrame:
    """Return ``roc.csv``, the rejection +- error over signal efficiency, at the fewest and the most labels.

    The columns are those of :func:`metrics_table`, for the methods that the figures compare.
    """
    rows: list[Row] = []
    for result in results:
        scores = result.scores
        chosen = np.isin(scores.variant, block.evaluate.variants)
        jet_counts = drawn(counts[scores.task], scores.event[chosen])
        labels = [group[2] for group in scores.groups()]
        rates: dict[Group, Floats64] = {}
        shown = compared(classifier.run for classifier in scores.classifiers)
        for group, members in scores.groups().items():
            if group[:2] in shown and group[2] in (min(labels), max(labels)):
                found = [
                    auc_and_background_efficiency(
                        scores.scores[i][chosen], scores.is_signal[chosen], jet_counts, ROC_EFFICIENCIES
                    )[1]
                    for i in members
                ]
                rates[group] = np.stack(found)
        rows += _roc_rows(result, rates)
    return pd.DataFrame(rows)


def _roc_rows(result: TaskMetrics, rates: Mapping[Group, Floats64]) -> list[Row]:
    rejections = {group: [rejection(run, result.n_jets[1]) for run in each] for group, each in rates.items()}
    logarithms = {group: np.log([value for value, _ in each]) for group, each in rejections.items()}
    estimates = [
        result.scores.combined({group: each[:, :, k] for group, each in logarithms.items()})
        for k in range(len(ROC_EFFICIENCIES))
    ]
    return [
        {
            **group_columns(result.scores.task, group),
            "efficiency": efficiency,
            **estimate_columns(estimates[k][group].exponential()),
            "background_passing": float(each[:, 0, k].mean() * result.n_jets[1]),
            "lower_limit": any(limit[0, k] for _, limit in rejections[group]),
        }
        for group, each in rates.items()
        for k, efficiency in enumerate(ROC_EFFICIENCIES)
    ]


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


def _history(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(intact_text(path))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as CSV: {error}") from None
    if missing := [name for name in HISTORY_COLUMNS if name not in table.columns]:
        raise DataError(f"{path}: columns {', '.join(missing)} are missing; repeat the fine-tuning")
    if "converged" in table and table["converged"].dtype != bool:
        raise DataError(f"{path}: converged is neither True nor False somewhere; repeat the fine-tuning")
    signs = ["" if sign != sign else str(sign) for sign in table.get("collapsed", [""] * len(table))]
    return table.assign(
        converged=table.get("converged", True), collapsed=pd.Series(signs, table.index, dtype=object)
    )


def group_columns(task: str, group: Group) -> Row:
    """Return the cells that name a group."""
    return {"task": task, "method": group[0], "mode": group[1], "labels": group[2]}


def spread_columns(estimate: Estimate) -> Row:
    """Return the cells that say how well an error is known."""
    return {name: getattr(estimate, name) for name in SPREAD_COLUMNS}


def estimate_columns(estimate: Estimate) -> Row:
    """Return the cells of a value and its errors."""
    return {name: getattr(estimate, name) for name in ESTIMATE_COLUMNS}
