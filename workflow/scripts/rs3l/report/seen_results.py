"""Say what is seen in the figures of the classifiers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from rs3l.evaluate.names import Method
from rs3l.evaluate.names import method_label as name
from rs3l.evaluate.spread import unknown
from rs3l.figures.plot_data import FEWEST_JETS
from rs3l.figures.plot_results import most_labels, read_table
from rs3l.figures.plot_tables import EFFICIENCY
from rs3l.report.figure_data import KEY, VALUE, FigureData, ends, first_row
from rs3l.report.words import (
    NO_DIFFERENCE,
    Row,
    apart,
    by_chance,
    counted,
    dof_of,
    is_beyond,
    lacks,
    measured,
    of_best,
    of_row,
    plain,
    ratio_verdict,
    sides,
    signed,
    verdict,
)

_DIFFERENCE = ["method", "mode", "reference_method", "reference_mode", "labels", "metric", *VALUE]
_CHANGE = ["method", "mode", "variant", "use", "class", "quantity", "efficiency", *VALUE, "auc", "auc_error"]
_MOST_TASKS = 4
"""A sentence covers at most this many tasks."""


def paired(differences: pd.DataFrame, subject: Method, other: Method, labels: int, metric: str) -> Row | None:
    """Return the line of the paired difference of two methods."""
    cells = {"reference_method": other[0], "reference_mode": other[1], "labels": labels, "metric": metric}
    return first_row(differences, subject, **cells)


def roc(data: FigureData) -> str:
    """Compare the rejection with that of scratch and of the second method, at the fewest and the most labels."""
    metrics = data.of_task("metrics", *KEY, "metric", *VALUE, "lower_limit", "background_passing")
    differences = data.if_any("differences", *_DIFFERENCE, "ratio", "ratio_error")
    texts = [_rejections(data, metrics, differences, labels) for labels in ends(metrics)]
    if not any(texts):
        return ""
    signal, background = data.label("signal"), data.label("background")
    about = f"{background} rejection of {name(data.subject)} at {data.efficiency:.0%} {signal} efficiency: "
    return f"{about}{'; '.join(filter(None, texts))}."


def _rejections(data: FigureData, metrics: pd.DataFrame, differences: pd.DataFrame, labels: int) -> str:
    metrics = metrics[(metrics["labels"] == labels) & (metrics["metric"] == data.rejection)]
    subject = first_row(metrics, data.subject)
    if subject is None:
        return ""
    background = data.label("background")
    parts = []
    for other in filter(None, (data.scratch(metrics), data.peer)):
        if row := first_row(metrics, other):
            difference = paired(differences, data.subject, other, labels, data.rejection)
            parts.append(f"against {_rejection(row, background, name(other))}, {_ratio(subject, row, difference)}")
    own = f"with {counted(labels)} labels {_rejection(subject, background)}{lacks(subject)}"
    return f"{own} {', and '.join(parts)}".rstrip()


def _rejection(row: Row, background: str, method: str = "") -> str:
    """Return a rejection, with the number of background jets that pass where they are few."""
    passing = float(row["background_passing"])
    few = f"only {passing:.1f} {background} jets pass" if passing < FEWEST_JETS else ""
    notes = [note for note in (method, "lower limit" if row["lower_limit"] else "", few) if note]
    return of_row(row) + (f" ({'; '.join(notes)})" if notes else "")


def _ratio(subject: Row, other: Row, difference: Row | None) -> str:
    """Return the paired ratio in words, or a note if one side is a limit."""
    if subject["lower_limit"] or other["lower_limit"]:
        return "no ratio with a limit"
    if difference is None or not math.isfinite(difference["ratio"]):
        return "no paired ratio in the tables"
    return ratio_verdict(difference["ratio"], difference["ratio_error"], dof_of(difference), unknown(difference))


def label_efficiency(data: FigureData) -> str:
    """Compare the AUC with that of scratch and of all other methods, and say how many labels are saved.

    The comparisons are made at the fewest and the most labels.
    """
    metrics = data.of_task("metrics", *KEY, "metric", *VALUE)
    differences = data.if_any("differences", *_DIFFERENCE)
    metrics = metrics[metrics["metric"] == "auc"]
    texts = [_areas(data, metrics, differences, labels) for labels in ends(metrics)]
    if not any(texts):
        return ""
    about = f"AUC of {name(data.subject)}: {'; '.join(text for text in texts if text)}."
    tables = [_comparisons(data, differences, labels) for labels in ends(metrics)]
    others = [_others(table) for table in tables if len(table) > 1]
    chance = by_chance(sum(map(len, tables))).strip()
    return " ".join(filter(None, [about, *others, chance, _saved(data)]))


def _areas(data: FigureData, metrics: pd.DataFrame, differences: pd.DataFrame, labels: int) -> str:
    other = data.scratch(metrics)
    subject, reference = (first_row(metrics, method, labels=labels) for method in (data.subject, other))
    if subject is None or reference is None:
        return ""
    text = f"with {counted(labels)} labels {of_row(subject)} against {of_row(reference)} ({name(other)})"
    difference = paired(differences, data.subject, other, labels, "auc")
    if difference is None:
        return text
    words = verdict(difference["value"], difference["error"], dof_of(difference), unknown(difference))
    return f"{text}, {words}"


def _comparisons(data: FigureData, differences: pd.DataFrame, labels: int) -> pd.DataFrame:
    """Return the lines of the AUC of the first method minus each other one, at a number of labels."""
    method, mode = data.subject
    table = differences[(differences["method"] == method) & (differences["mode"] == mode)]
    return table[(table["labels"] == labels) & (table["metric"] == "auc")]


def _others(table: pd.DataFrame) -> str:
    """Return which of the other methods have a higher or a lower AUC."""
    found: dict[str, list[str]] = {"higher": [], "lower": [], "neither": [], "unknown": []}
    lacking: list[str] = []
    for row in ({str(key): cell for key, cell in line.items()} for line in table.to_dict("records")):
        beyond = is_beyond(row["value"], row["error"], dof_of(row))
        side = ("lower" if row["value"] > 0 else "higher") if beyond else "neither"
        if unknown(row):
            side = "unknown"
            lacking.append(unknown(row))
        found[side].append(name((str(row["reference_method"]), str(row["reference_mode"]))))
    labels = counted(table["labels"].iloc[0])
    if len(lacking) == len(table):
        return f"With {labels} labels nothing is said of the others ({lacking[0]})."
    return " ".join(filter(None, [_beyond(found, labels, len(table)), _not_compared(lacking)]))


def _beyond(found: Mapping[str, list[str]], labels: str, n: int) -> str:
    """Return which of ``n`` methods have a higher AUC, and which a lower one."""
    said = sides({side: found[side] for side in ("higher", "lower")}, comma="; ")
    if not said:
        return f"With {labels} labels, the AUC of no other method differs by more than two standard deviations."
    rest = f"; {len(found['neither'])} of {n} do not differ so much" if found["neither"] else ""
    by = "by more than two standard deviations of the paired difference"
    return f"With {labels} labels, {by}, the AUC is {', and '.join(said)}{rest}."


def _not_compared(lacking: Sequence[str]) -> str:
    return f"Not compared ({lacking[0]}): {len(lacking)}." if lacking else ""


def _saved(data: FigureData) -> str:
    """Return how many times as many labels the network from scratch needs, for the fewest labels."""
    table = data.if_any("savings", *KEY, "metric", "reference_method", "limit", *VALUE)
    table = table[table["metric"] == "auc"].sort_values("labels", kind="stable")
    row = first_row(table, data.subject)
    if row is None:
        return ""
    labels = int(row["labels"])
    training = f"training {name((str(row['reference_method']), 'scratch'))}"
    text = f"To reach its AUC with {counted(labels)} labels, {training}"
    if row["limit"] == "more":
        return f"{text} needs more than {plain(row['value'])} times as many: those of the campaign do not suffice."
    if row["limit"] == "less":
        return f"{text} needs at most {plain(row['value'])} times as many: the fewest of the campaign suffice."
    return f"{text} needs {of_row(row)} times as many{lacks(row)}."


def stability(data: FigureData) -> str:
    """Give the correlation of the scores of the same event under two variants, with the AUC.

    No significance is known for it.
    """
    if data.config.evaluate.pair is None:
        return ""
    table, (first, second) = data.correlations(), data.config.evaluate.pair
    tasks = [task for task in data.config.tasks if task in set(table["task"])][:_MOST_TASKS]
    parts = [_correlations(data, table[table["task"] == task], task) for task in tasks]
    if not any(parts):
        return ""
    return (
        f"Correlation, {first} and {second}. {' '.join(filter(None, parts))} Each error is that of one value; the "
        "test events are the same, and the tables have no paired error of the differences."
    )


def _correlations(data: FigureData, table: pd.DataFrame, task: str) -> str:
    table = most_labels(table)
    parts = []
    for method in (data.subject, data.scratch(table)):
        rows = {role: first_row(table, method, **{"class": role}) for role in ("signal", "background")}
        found = [f"{of_row(row)} ({data.label(role, task)})" for role, row in rows.items() if row]
        if found:
            row = next(row for row in rows.values() if row)
            area = measured(row["auc"], row["auc_error"])
            parts.append(f"{name(method)} {' and '.join(found)} at AUC {area}")
    return f"{task}, {counted(table['labels'].max())} labels: {'; '.join(parts)}." if parts else ""


def robustness(data: FigureData) -> str:
    """Compare how far the scores of the first method and of scratch move under the held-out variants (or all).

    The AUCs of both are given too.
    """
    table = data.of_task("robustness", *_CHANGE)
    table = table[table["quantity"] == "wasserstein"]
    held_out = table[table["use"] == "held_out"]
    which = "held-out variants" if len(held_out) else "variants (none is held out)"
    return _moves(
        data, held_out if len(held_out) else table, f"Wasserstein distance of the score, {which}", measured
    )


def mistag_change(data: FigureData) -> str:
    """Compare the change of the mistag rate with that of scratch under all variants, each at its own threshold."""
    table = data.of_task("robustness", *_CHANGE, "background_passing")
    table = table[(table["quantity"] == "fpr_change_own") & (table["background_passing"] >= FEWEST_JETS)]
    signal, background = data.label("signal"), data.label("background")
    for efficiency in sorted(table["efficiency"].unique(), key=lambda x: abs(x - EFFICIENCY)):
        about = f"Relative change of the {background} mistag rate at {efficiency:.0%} {signal} efficiency"
        if text := _moves(data, table[table["efficiency"] == efficiency], about, signed):
            return text
    return ""


def _moves(data: FigureData, table: pd.DataFrame, about: str, show: Callable[[float, float], str]) -> str:
    """Return by how much the outputs of two methods move, and which moves less under which variants.

    The sizes of the two changes are compared, with their errors in quadrature.
    """
    methods = (data.subject, data.scratch(table))
    pairs = _pairs(data, table, methods)
    if not pairs:
        return ""
    largest = max(pairs, key=lambda key: abs(pairs[key][0]["value"]))
    areas = [measured(row["auc"], row["auc_error"]) for row in pairs[largest]]
    first, second = (show(row["value"], row["error"]) for row in pairs[largest])
    return (
        f"{about}: {name(methods[0])} (AUC {areas[0]}) has the largest under {largest}, {first}; "
        f"{name(methods[1])} (AUC {areas[1]}) has {second} there. {_which(pairs)}"
    )


def _pairs(data: FigureData, table: pd.DataFrame, methods: Sequence[Method]) -> dict[str, tuple[Row, Row]]:
    """Return the lines of two methods for each variant and class that both have."""
    found = {}
    several = table["class"].nunique() > 1
    for variant, role in dict.fromkeys(zip(table["variant"], table["class"], strict=True)):
        rows = [first_row(table, method, variant=variant, **{"class": role}) for method in methods]
        if rows[0] is not None and rows[1] is not None:
            found[f"{variant} ({data.label(role)})" if several else str(variant)] = (rows[0], rows[1])
    return found


def _which(pairs: dict[str, tuple[Row, Row]]) -> str:
    if lacking := unknown(*(row for pair in pairs.values() for row in pair)):
        return f"Which of the two moves less is not said ({lacking})."
    less: list[str] = []
    more: list[str] = []
    for key, (first, second) in pairs.items():
        difference = abs(first["value"]) - abs(second["value"])
        if is_beyond(difference, *apart(first, second)[1:]):
            (less if difference < 0 else more).append(key)
    if not less and not more:
        return f"The sizes of the two: {NO_DIFFERENCE} in any of {len(pairs)} (errors in quadrature)."
    said = sides({"less": less, "more": more})
    rest = len(pairs) - len(less) - len(more)
    none = f"; {NO_DIFFERENCE} in {rest} of {len(pairs)}" if rest else ""
    text = f"By more than two standard deviations (errors in quadrature) the first moves {', and '.join(said)}"
    return f"{text}{none}.{by_chance(len(pairs))}"


def calibration(data: FigureData) -> str:
    """Compare the calibration errors of the first method and of scratch, at the most labels of each task."""
    table = data.table("calibration", *KEY, "quantity", *VALUE)
    table = table[table["quantity"] == "calibration_error"]
    tasks = [task for task in data.config.tasks if task in set(table["task"])][:_MOST_TASKS]
    parts = [_calibrated(data, table[table["task"] == task], task) for task in tasks]
    return f"Calibration error. {' '.join(filter(None, parts))}" if any(parts) else ""


def _calibrated(data: FigureData, table: pd.DataFrame, task: str) -> str:
    other, labels = data.scratch(table), int(table["labels"].max())
    first, second = (first_row(table, method, labels=labels) for method in (data.subject, other))
    if first is None or second is None:
        return ""
    words = verdict(*apart(first, second), unknown(first, second))
    return (
        f"{task}, {counted(labels)} labels: {of_row(first)} ({name(data.subject)}) against {of_row(second)} "
        f"({name(other)}), {words} (errors in quadrature)."
    )


def ablations(data: FigureData) -> str:
    """Name the ablations with the highest and the lowest rejection, and their ratios to the first method."""
    metrics = read_table(data.paths.ablations("metrics"), [*KEY, "metric", *VALUE, "lower_limit"])
    differences = read_table(data.paths.ablations("differences"), ["task", *_DIFFERENCE, "ratio", "ratio_error"])
    tasks = [task for task in data.config.tasks if task in set(metrics["task"])][:_MOST_TASKS]
    parts = [_ablated(data, metrics, differences, task) for task in tasks]
    return " ".join(filter(None, parts))


def _ablated(data: FigureData, metrics: pd.DataFrame, differences: pd.DataFrame, task: str) -> str:
    metrics, differences = (table[table["task"] == task] for table in (metrics, differences))
    labels = int(metrics["labels"].max())
    metrics = metrics[(metrics["labels"] == labels) & (metrics["metric"] == data.rejection)]
    subject = first_row(metrics, data.subject)
    rows = {other: first_row(metrics, (other, data.subject[1])) for other in data.config.ablations}
    known = {other: row for other, row in rows.items() if row is not None and not row["lower_limit"]}
    if subject is None or subject["lower_limit"] or not known:
        return ""
    order = sorted(known, key=lambda other: -float(known[other]["value"]))
    shown = {"highest": order[0], "lowest": order[-1]} if len(order) > 1 else {"the one": order[0]}
    texts = []
    for place, other in shown.items():
        row = paired(differences, data.subject, (other, data.subject[1]), labels, data.rejection)
        chance = "" if row is None or len(known) < 2 else of_best(float(row.get("p_value", math.nan)), len(known))
        texts.append(f"{place}, {other}, {of_row(known[other])}, {_ratio(subject, known[other], row)}{chance}")
    return (
        f"{task}, {data.label('background', task)} rejection at {data.efficiency:.0%} efficiency: "
        f"{of_row(subject)} ({name(data.subject)}); of the ablations ({len(known)}) {'; '.join(texts)}. Ratios: "
        "first method over ablation."
    )
