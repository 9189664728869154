"""What is seen in the figures of the classifiers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pandas as pd

from rs3l.evaluate.names import Method
from rs3l.evaluate.names import method_label as name
from rs3l.evaluate.spread import unknown
from rs3l.figures.plot_data import FEWEST_JETS
from rs3l.figures.plot_results import most_labels, read_table
from rs3l.figures.plot_tables import EFFICIENCY
from rs3l.report.scene import KEY, VALUE, Scene, ends, pick
from rs3l.report.words import (
    NO_DIFFERENCE,
    Row,
    apart,
    by_chance,
    counted,
    dof_of,
    is_beyond,
    lacks,
    listed,
    measured,
    of_row,
    plain,
    ratio_verdict,
    signed,
    verdict,
)

_DIFFERENCE = ["method", "mode", "reference_method", "reference_mode", "labels", "metric", *VALUE]
_CHANGE = ["method", "mode", "variant", "use", "class", "quantity", "efficiency", *VALUE, "auc", "auc_error"]
_MOST_TASKS = 4
"""Tasks that a sentence goes through, at most."""


def paired(differences: pd.DataFrame, subject: Method, other: Method, labels: int, metric: str) -> Row | None:
    """Return the line of the paired difference of two methods."""
    cells = {"reference_method": other[0], "reference_mode": other[1], "labels": labels, "metric": metric}
    return pick(differences, subject, **cells)


def roc(scene: Scene) -> str:
    """Rejection against scratch and the second method, at the fewest and the most labels."""
    metrics = scene.of_task("metrics", *KEY, "metric", *VALUE, "lower_limit", "background_passing")
    differences = scene.if_any("differences", *_DIFFERENCE, "ratio", "ratio_error")
    texts = [_rejections(scene, metrics, differences, labels) for labels in ends(metrics)]
    if not any(texts):
        return ""
    signal, background = scene.label("signal"), scene.label("background")
    about = f"{background} rejection of {name(scene.subject)} at {scene.efficiency:.0%} {signal} efficiency: "
    return f"{about}{'; '.join(filter(None, texts))}."


def _rejections(scene: Scene, metrics: pd.DataFrame, differences: pd.DataFrame, labels: int) -> str:
    metrics = metrics[(metrics["labels"] == labels) & (metrics["metric"] == scene.rejection)]
    subject = pick(metrics, scene.subject)
    if subject is None:
        return ""
    background = scene.label("background")
    parts = []
    for other in filter(None, (scene.scratch(metrics), scene.peer)):
        if row := pick(metrics, other):
            difference = paired(differences, scene.subject, other, labels, scene.rejection)
            parts.append(f"against {_rejection(row, background, name(other))}, {_ratio(subject, row, difference)}")
    own = f"with {counted(labels)} labels {_rejection(subject, background)}{lacks(subject)}"
    return f"{own} {', and '.join(parts)}".rstrip()


def _rejection(row: Row, background: str, method: str = "") -> str:
    """Return a rejection, and how many background jets pass where they are few."""
    passing = float(row["background_passing"])
    few = f"only {passing:.1f} {background} jets pass" if passing < FEWEST_JETS else ""
    notes = [note for note in (method, "lower limit" if row["lower_limit"] else "", few) if note]
    return of_row(row) + (f" ({'; '.join(notes)})" if notes else "")


def _ratio(subject: Row, other: Row, difference: Row | None) -> str:
    """Return the paired ratio in words; nothing of limits."""
    if subject["lower_limit"] or other["lower_limit"]:
        return "no ratio with a limit"
    if difference is None or not math.isfinite(difference["ratio"]):
        return "no paired ratio in the tables"
    return ratio_verdict(difference["ratio"], difference["ratio_error"], dof_of(difference), unknown(difference))


def label_efficiency(scene: Scene) -> str:
    """AUC against scratch at the fewest and the most labels, the labels saved, and all other methods."""
    metrics = scene.of_task("metrics", *KEY, "metric", *VALUE)
    differences = scene.if_any("differences", *_DIFFERENCE)
    metrics = metrics[metrics["metric"] == "auc"]
    texts = [_areas(scene, metrics, differences, labels) for labels in ends(metrics)]
    if not any(texts):
        return ""
    about = f"AUC of {name(scene.subject)}: {'; '.join(text for text in texts if text)}."
    tables = [_comparisons(scene, differences, labels) for labels in ends(metrics)]
    others = [_others(table) for table in tables if len(table) > 1]
    chance = by_chance(sum(map(len, tables))).strip()
    return " ".join(filter(None, [about, *others, chance, _saved(scene)]))


def _areas(scene: Scene, metrics: pd.DataFrame, differences: pd.DataFrame, labels: int) -> str:
    other = scene.scratch(metrics)
    subject, reference = (pick(metrics, method, labels=labels) for method in (scene.subject, other))
    if subject is None or reference is None:
        return ""
    text = f"with {counted(labels)} labels {of_row(subject)} against {of_row(reference)} ({name(other)})"
    difference = paired(differences, scene.subject, other, labels, "auc")
    if difference is None:
        return text
    words = verdict(difference["value"], difference["error"], dof_of(difference), unknown(difference))
    return f"{text}, {words}"


def _comparisons(scene: Scene, differences: pd.DataFrame, labels: int) -> pd.DataFrame:
    """Return the lines of the AUC of the first method minus all others, at a number of labels."""
    method, mode = scene.subject
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
    higher, lower = (listed(found[side], comma="; ") for side in ("higher", "lower"))
    return (
        f"With {labels} labels, higher by more than two standard deviations of the paired difference: {higher}. "
        f"Lower: {lower}. Neither: {len(found['neither'])} of {len(table)}."
        + (f" Not compared ({lacking[0]}): {len(lacking)}." if lacking else "")
    )


def _saved(scene: Scene) -> str:
    """Return how many times as many labels the network from scratch needs, for the fewest labels."""
    table = scene.if_any("savings", *KEY, "metric", "reference_method", "limit", *VALUE)
    table = table[table["metric"] == "auc"].sort_values("labels", kind="stable")
    row = pick(table, scene.subject)
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


def stability(scene: Scene) -> str:
    """Correlation of the scores of the same event under two variants, with the AUC; no significance is known."""
    first, second = scene.config.evaluate.pair
    columns = ["class", "quantity", "first", "second", *VALUE, "auc", "auc_error"]
    table = scene.table("stability", *KEY, *columns)
    table = table[(table["quantity"] == "spearman") & (table["first"] == first) & (table["second"] == second)]
    tasks = [task for task in scene.config.tasks if task in set(table["task"])][:_MOST_TASKS]
    parts = [_correlations(scene, table[table["task"] == task], task) for task in tasks]
    if not any(parts):
        return ""
    return (
        f"Correlation, {first} and {second}. {' '.join(filter(None, parts))} Each error is that of one value; the "
        "test events are the same, and the tables have no paired error of the differences."
    )


def _correlations(scene: Scene, table: pd.DataFrame, task: str) -> str:
    table = most_labels(table)
    parts = []
    for method in (scene.subject, scene.scratch(table)):
        rows = {role: pick(table, method, **{"class": role}) for role in ("signal", "background")}
        found = [f"{of_row(row)} ({scene.label(role, task)})" for role, row in rows.items() if row]
        if found:
            row = next(row for row in rows.values() if row)
            area = measured(row["auc"], row["auc_error"])
            parts.append(f"{name(method)} {' and '.join(found)} at AUC {area}")
    return f"{task}, {counted(table['labels'].max())} labels: {'; '.join(parts)}." if parts else ""


def robustness(scene: Scene) -> str:
    """Distances of the score under the held-out variants (or all), first method against scratch, with the AUCs."""
    table = scene.of_task("robustness", *_CHANGE)
    table = table[table["quantity"] == "wasserstein"]
    held_out = table[table["use"] == "held_out"]
    which = "held-out variants" if len(held_out) else "variants (none is held out)"
    return _moves(
        scene, held_out if len(held_out) else table, f"Wasserstein distance of the score, {which}", measured
    )


def mistag_change(scene: Scene) -> str:
    """Change of the mistag rate under all variants, each at its own threshold, against scratch."""
    table = scene.of_task("robustness", *_CHANGE, "background_passing")
    table = table[(table["quantity"] == "fpr_change_own") & (table["background_passing"] >= FEWEST_JETS)]
    signal, background = scene.label("signal"), scene.label("background")
    for efficiency in sorted(table["efficiency"].unique(), key=lambda x: abs(x - EFFICIENCY)):
        about = f"Relative change of the {background} mistag rate at {efficiency:.0%} {signal} efficiency"
        if text := _moves(scene, table[table["efficiency"] == efficiency], about, signed):
            return text
    return ""


def _moves(scene: Scene, table: pd.DataFrame, about: str, show: Callable[[float, float], str]) -> str:
    """Return by how much the outputs of two methods move, and which moves less under what.

    The sizes of the two changes are compared, their errors in quadrature.
    """
    methods = (scene.subject, scene.scratch(table))
    pairs = _pairs(scene, table, methods)
    if not pairs:
        return ""
    largest = max(pairs, key=lambda key: abs(pairs[key][0]["value"]))
    areas = [measured(row["auc"], row["auc_error"]) for row in pairs[largest]]
    first, second = (show(row["value"], row["error"]) for row in pairs[largest])
    return (
        f"{about}: {name(methods[0])} (AUC {areas[0]}) has the largest under {largest}, {first}; "
        f"{name(methods[1])} (AUC {areas[1]}) has {second} there. {_which(pairs)}"
    )


def _pairs(scene: Scene, table: pd.DataFrame, methods: Sequence[Method]) -> dict[str, tuple[Row, Row]]:
    """Return the lines of two methods for each variant and class that both have."""
    found = {}
    several = table["class"].nunique() > 1
    for variant, role in dict.fromkeys(zip(table["variant"], table["class"], strict=True)):
        rows = [pick(table, method, variant=variant, **{"class": role}) for method in methods]
        if rows[0] is not None and rows[1] is not None:
            found[f"{variant} ({scene.label(role)})" if several else str(variant)] = (rows[0], rows[1])
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
    rest = len(pairs) - len(less) - len(more)
    return (
        f"By more than two standard deviations (errors in quadrature) the first moves less for {listed(less)}; "
        f"more for {listed(more)}; {NO_DIFFERENCE} in {rest} of {len(pairs)}.{by_chance(len(pairs))}"
    )


def calibration(scene: Scene) -> str:
    """Calibration error of the first method and of scratch, at the most labels of each task."""
    table = scene.table("calibration", *KEY, "quantity", *VALUE)
    table = table[table["quantity"] == "calibration_error"]
    tasks = [task for task in scene.config.tasks if task in set(table["task"])][:_MOST_TASKS]
    parts = [_calibrated(scene, table[table["task"] == task], task) for task in tasks]
    return f"Calibration error. {' '.join(filter(None, parts))}" if any(parts) else ""


def _calibrated(scene: Scene, table: pd.DataFrame, task: str) -> str:
    other, labels = scene.scratch(table), int(table["labels"].max())
    first, second = (pick(table, method, labels=labels) for method in (scene.subject, other))
    if first is None or second is None:
        return ""
    words = verdict(*apart(first, second), unknown(first, second))
    return (
        f"{task}, {counted(labels)} labels: {of_row(first)} ({name(scene.subject)}) against {of_row(second)} "
        f"({name(other)}), {words} (errors in quadrature)."
    )


def ablations(scene: Scene) -> str:
    """The ablations with the highest and the lowest rejection, each with its paired ratio to the first method."""
    metrics = read_table(scene.paths.ablations("metrics"), [*KEY, "metric", *VALUE, "lower_limit"])
    differences = read_table(scene.paths.ablations("differences"), ["task", *_DIFFERENCE, "ratio", "ratio_error"])
    tasks = [task for task in scene.config.tasks if task in set(metrics["task"])][:_MOST_TASKS]
    parts = [_ablated(scene, metrics, differences, task) for task in tasks]
    return " ".join(filter(None, parts))


def _ablated(scene: Scene, metrics: pd.DataFrame, differences: pd.DataFrame, task: str) -> str:
    metrics, differences = (table[table["task"] == task] for table in (metrics, differences))
    labels = int(metrics["labels"].max())
    metrics = metrics[(metrics["labels"] == labels) & (metrics["metric"] == scene.rejection)]
    subject = pick(metrics, scene.subject)
    rows = {other: pick(metrics, (other, scene.subject[1])) for other in scene.config.ablations}
    known = {other: row for other, row in rows.items() if row is not None and not row["lower_limit"]}
    if subject is None or subject["lower_limit"] or not known:
        return ""
    order = sorted(known, key=lambda other: -float(known[other]["value"]))
    shown = {"highest": order[0], "lowest": order[-1]} if len(order) > 1 else {"the one": order[0]}
    texts = []
    for place, other in shown.items():
        row = paired(differences, scene.subject, (other, scene.subject[1]), labels, scene.rejection)
        texts.append(f"{place}, {other}, {of_row(known[other])}, {_ratio(subject, known[other], row)}")
    return (
        f"{task}, {scene.label('background', task)} rejection at {scene.efficiency:.0%} efficiency: "
        f"{of_row(subject)} ({name(scene.subject)}); of the ablations ({len(known)}) {'; '.join(texts)}. Ratios: "
        "first method over ablation."
    )
