"""The tables of the evaluation, from the scores of the test split.

M: classifiers. N: jets. R: bootstrap replicas; in an axis of R + 1, entry 0 is the sample itself.
K: metrics: the AUC, then the rejection at each configured signal efficiency.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rs3l.config.blocks import EvaluateBlock
from rs3l.config.models import Evaluate
from rs3l.errors import DataError, TrainingError
from rs3l.eval.bootstrap import Estimate, combine, combine_difference, drawn
from rs3l.eval.metrics import auc_and_background_efficiency, rejection
from rs3l.eval.names import COMPARED, SUBJECT_MODES, has_seen, is_reference, rejection_name
from rs3l.eval.scores import TaskScores
from rs3l.eval.stability import rank_shift, spearman

Floats = NDArray[np.float64]
Row = dict[str, Any]

HISTORY_COLUMNS = (
    "task", "run", "mode", "labels", "repeat", "best_epoch", "epochs", "steps", "val_loss", "val_auc",
)  # fmt: skip
ROC_EFFICIENCIES = np.round(np.linspace(0.02, 1.0, 50), 2)
"""Signal efficiencies of the points of the ROC curves."""


@dataclass(frozen=True)
class TaskMetrics:
    """Metrics of every classifier of a task, under every replica.

    ``plain``, ``weighted`` [M, R + 1, K]: every jet counts once (the training sample is sampled evenly in
    pT, so that this is the headline), or with its cross-section weight. ``passing``, ``lower_limit`` [M, K]:
    background jets that pass, and whether the rejection is only a lower limit (zeros for the AUC).
    """

    scores: TaskScores
    names: list[str]
    plain: Floats
    weighted: Floats
    passing: Floats
    lower_limit: NDArray[np.bool_]
    n_jets: tuple[int, int]
    n_events: tuple[int, int]

    def column(self, name: str) -> int:
        """Return the index of a metric."""
        return self.names.index(name)


def task_metrics(scores: TaskScores, counts: NDArray[np.integer], settings: Evaluate) -> TaskMetrics:
    """Return the metrics on the jets of ``settings.variants``; ``counts`` [R + 1, E]: the replicas."""
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
    """Return ``metrics.csv``: a line per task, method, mode, labels and metric.

    ``value`` +- ``error`` is the unweighted mean over runs (for rejections: of 1 / FPR); ``std``,
    ``run_error``, ``bootstrap``, ``error`` as in :func:`rs3l.eval.bootstrap.combine`. ``weighted`` +-
    ``weighted_error``: with cross-section weights. ``background_passing``: mean number of background jets
    above the threshold; ``lower_limit``: in some run fewer than one passed, and one was counted.
    """
    rows: list[Row] = []
    for result in results:
        for group, members in result.scores.groups().items():
            rows += [_metric_row(result, group, members, k) for k in range(len(result.names))]
    return pd.DataFrame(rows)


def _metric_row(result: TaskMetrics, group: tuple[str, str, int], members: list[int], k: int) -> Row:
    runs = result.scores.seeds_and_repeats(members)
    estimate = combine(result.plain[members, :, k], *runs)
    weighted = combine(result.weighted[members, :, k], *runs)
    return {
        **group_columns(result.scores.task, group),
        "metric": result.names[k],
        **estimate_columns(estimate),
        "weighted": weighted.value,
        "weighted_error": weighted.error,
        "n_signal": result.n_jets[0],
        "n_background": result.n_jets[1],
        "n_signal_events": result.n_events[0],
        "n_background_events": result.n_events[1],
        "background_passing": float(result.passing[members, k].mean()) if k else np.nan,
        "lower_limit": bool(result.lower_limit[members, k].any()),
    }


def runs_table(results: Iterable[TaskMetrics]) -> pd.DataFrame:
    """Return ``runs.csv``: a line per classifier and metric; ``bootstrap``: error of the test sample."""
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


def differences_table(results: Iterable[TaskMetrics], method: str) -> pd.DataFrame:
    """Return ``differences.csv``: the encoders of ``method``, frozen (on h) and tuned, minus each reference.

    ``value`` +- ``error``: difference of the means, paired over test events and repeats (see
    :func:`rs3l.eval.bootstrap.combine_difference`). For rejections also ``ratio`` +- ``ratio_error``: ratio
    of the geometric means over runs, with the error of the paired difference of the logarithms. ``z`` and
    ``p_value``: value / error, and the two-sided probability of a normal deviate beyond it. ``p_bootstrap``: the
    same from the replicas of the test sample alone (the runs as they are), at least 1 / (R + 1).
    """
    rows: list[Row] = []
    for result in results:
        groups = result.scores.groups()
        for subject, group in itertools.product(((method, mode) for mode in SUBJECT_MODES), groups):
            own = (*subject, group[2])
            if own in groups and is_reference(group[:2], subject):
                rows += [_difference_row(result, own, group, k) for k in range(len(result.names))]
    return pd.DataFrame(rows, columns=_DIFFERENCE_COLUMNS)


ESTIMATE_COLUMNS = ["value", "std", "run_error", "bootstrap", "error", "n_runs"]
_DIFFERENCE_COLUMNS = [
    "task", "method", "mode", "reference_method", "reference_mode", "labels", "metric",
    *ESTIMATE_COLUMNS, "ratio", "ratio_error", "z", "p_value", "p_bootstrap",
]  # fmt: skip


def _difference_row(
    result: TaskMetrics, subject: tuple[str, str, int], other: tuple[str, str, int], k: int
) -> Row:
    groups = result.scores.groups()
    runs = [result.scores.seeds_and_repeats(groups[group]) for group in (subject, other)]
    first, second = (result.plain[groups[group], :, k] for group in (subject, other))
    estimate = combine_difference(first, runs[0], second, runs[1])
    ratio = ratio_error = np.nan
    if k:
        logarithm = combine_difference(np.log(first), runs[0], np.log(second), runs[1])
        ratio = float(np.exp(logarithm.value))
        ratio_error = ratio * logarithm.error
    return {
        "task": result.scores.task,
        "method": subject[0],
        "mode": subject[1],
        "reference_method": other[0],
        "reference_mode": other[1],
        "labels": other[2],
        "metric": result.names[k],
        **estimate_columns(estimate),
        "ratio": ratio,
        "ratio_error": ratio_error,
        **significance(estimate),
        "p_bootstrap": bootstrap_p_value(first.mean(axis=0) - second.mean(axis=0)),
    }


def significance(estimate: Estimate) -> Row:
    """Return ``z``, the value in units of its error, and ``p_value``, two-sided, of a normal deviate."""
    if not estimate.error > 0:
        return {"z": np.nan, "p_value": np.nan}
    z = estimate.value / estimate.error
    return {"z": z, "p_value": math.erfc(abs(z) / math.sqrt(2.0))}


def bootstrap_p_value(difference: Floats) -> float:
    """Return the two-sided p-value of a difference [R + 1]: how often replicas lie on the other side of zero."""
    replicas = difference[1:]
    tail = min(int((replicas <= 0.0).sum()), int((replicas >= 0.0).sum()))
    return min(1.0, 2.0 * (tail + 1) / (len(replicas) + 1))


def stability_table(
    results: Iterable[TaskMetrics], counts: Mapping[str, NDArray[np.integer]], block: EvaluateBlock
) -> pd.DataFrame:
    """Return ``stability.csv``: how scores change between views of the same hard event.

    For signal and background apart: ``spearman`` between the scores under the two variants of
    ``evaluate.pair``, and ``spearman`` and ``rank_shift`` from the nominal to every other variant, on the hard
    events with a jet in both. ``use``: that of the second variant; ``seen``: the method has learned from it. The
    AUC (with its error) stands beside each, for a tagger that knows nothing is stable. Correlations beyond the
    configured pair are given at the most labels alone.
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
    rows = []
    for group, members in scores.groups().items() if everywhere else scores.most_labels():
        values = np.stack([function(row[first], row[second], event_counts) for row in scores.scores[members]])
        rows.append(
            {
                **group_columns(scores.task, group),
                "class": "signal" if is_signal else "background",
                "quantity": quantity,
                "first": variants[0],
                "second": variants[1],
                "use": block.variants[variants[1]],
                "seen": has_seen(block, group[:2], variants[1]),
                **estimate_columns(combine(values, *scores.seeds_and_repeats(members))),
                "n_events": len(first),
                **auc_columns(result, members),
            }
        )
    return rows


def having(table: pd.DataFrame, cells: Mapping[str, object]) -> pd.DataFrame:
    """Return the lines of a table with these values in these columns."""
    for column, value in cells.items():
        table = table[table[column] == value]
    return table


def auc_columns(result: TaskMetrics, members: list[int]) -> Row:
    """Return the cells of the AUC that stands beside every shift."""
    auc = combine(result.plain[members, :, 0], *result.scores.seeds_and_repeats(members))
    return {"auc": auc.value, "auc_error": auc.error}


def roc_table(
    results: Iterable[TaskMetrics], counts: Mapping[str, NDArray[np.integer]], settings: Evaluate
) -> pd.DataFrame:
    """Return ``roc.csv``: rejection +- error over signal efficiency, at the fewest and the most labels.

    Columns as in :func:`metrics_table`, for the methods that the figures compare.
    """
    rows: list[Row] = []
    for result in results:
        scores = result.scores
        chosen = np.isin(scores.variant, settings.variants)
        jet_counts = drawn(counts[scores.task], scores.event[chosen])
        labels = [group[2] for group in scores.groups()]
        for group, members in scores.groups().items():
            if group[:2] in COMPARED and group[2] in (min(labels), max(labels)):
                rates = [
                    auc_and_background_efficiency(
                        scores.scores[i][chosen], scores.is_signal[chosen], jet_counts, ROC_EFFICIENCIES
                    )[1]
                    for i in members
                ]
                rows += _roc_rows(result, group, members, np.stack(rates))
    return pd.DataFrame(rows)


def _roc_rows(result: TaskMetrics, group: tuple[str, str, int], members: list[int], rates: Floats) -> list[Row]:
    values, limits = rejection(rates, result.n_jets[1])
    runs = result.scores.seeds_and_repeats(members)
    return [
        {
            **group_columns(result.scores.task, group),
            "efficiency": efficiency,
            **estimate_columns(combine(values[:, :, k], *runs)),
            "background_passing": float(rates[:, 0, k].mean() * result.n_jets[1]),
            "lower_limit": bool(limits[:, 0, k].any()),
        }
        for k, efficiency in enumerate(ROC_EFFICIENCIES)
    ]


def training_table(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Return ``training.csv``: the histories of all classifiers, one line each, with ``converged``.

    ``converged``: the training ended by itself, and its best epoch (by validation loss) is not the last. An
    under-trained baseline would flatter its rivals: :class:`TrainingError` if a classifier has not converged and
    its history does not say so. Classifiers without epochs (``epochs`` 0 or empty) are solved exactly, and count
    as converged. ``collapsed``: signs of collapse of the pre-training, or empty.
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


def _history(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as CSV: {error}") from None
    if missing := [name for name in HISTORY_COLUMNS if name not in table.columns]:
        raise DataError(f"{path}: columns {', '.join(missing)} are missing; repeat the fine-tuning")
    signs = ["" if sign != sign else str(sign) for sign in table.get("collapsed", [""] * len(table))]
    return table.assign(
        converged=table.get("converged", True), collapsed=pd.Series(signs, table.index, dtype=object)
    )


def group_columns(task: str, group: tuple[str, str, int]) -> Row:
    """Return the cells that name a group."""
    return {"task": task, "method": group[0], "mode": group[1], "labels": group[2]}


def estimate_columns(estimate: Estimate) -> Row:
    """Return the cells of a value and its errors."""
    return {name: getattr(estimate, name) for name in ESTIMATE_COLUMNS}
