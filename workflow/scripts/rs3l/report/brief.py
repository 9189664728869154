"""Say in one sentence what is seen: the findings on the first screen, and the line below each figure.

A sentence comes from the tables of the campaign or from the points of its figure. A difference within two standard
deviations of its paired error is never called one.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import pandas as pd

from rs3l.config.campaign import Campaign
from rs3l.errors import DataError
from rs3l.evaluate.names import Method, method_label, short_label
from rs3l.evaluate.spread import unknown
from rs3l.evaluate.tables import rows_where
from rs3l.figures.plot_data import FEWEST_JETS
from rs3l.figures.plot_kinematics import type_name
from rs3l.figures.plot_tables import EFFICIENCY
from rs3l.figures.registry import FIGURES
from rs3l.paths import CampaignPaths
from rs3l.report.figure_data import KEY, VALUE, FigureData, ends, first_row
from rs3l.report.seen import seen
from rs3l.report.seen_results import paired
from rs3l.report.words import BEYOND, Row, counted, dof_of, is_beyond, listed, of_row, plain

TREES: Method = ("none", "gbt")
_DIFFERENCE = [
    "method", "mode", "reference_method", "reference_mode", "labels", "metric", *VALUE, "ratio", "ratio_error",
]  # fmt: skip
_ROBUSTNESS = ["method", "mode", "variant", "class", "quantity", "efficiency", "background_passing", *VALUE]
_SENTENCE = re.compile(r"(?<=[a-z0-9%)σ])\.\s+(?=[A-Z])")


def findings(paths: CampaignPaths, config: Campaign) -> list[str]:
    """Return at most three sentences of what was found.

    They are the rejections of the first two tasks with the fewest labels (of one task, with the fewest and the
    most), and the correlation of the scores of one event that is showered twice.
    """
    tasks = list(config.tasks)[:2]
    which = [(task, 0) for task in tasks] if len(tasks) > 1 else [(tasks[0], 0), (tasks[0], -1)]
    found = [_said(functools.partial(rejections, end=end), paths, config, task) for task, end in which]
    return list(dict.fromkeys(text for text in [*found, _said(_stability, paths, config, tasks[0])] if text))


def brief(kind: str, item: str, paths: CampaignPaths, config: Campaign) -> str:
    """Return what is seen in a figure as one sentence, or an empty text if nothing can be said."""
    if kind in _BRIEF:
        return _said(_BRIEF[kind], paths, config, item)
    return _SENTENCE.split(seen(kind, item, paths, config))[0].rstrip(".").join(("", ".")).lstrip(".")


def _said(say: Callable[[FigureData], str], paths: CampaignPaths, config: Campaign, item: str) -> str:
    """Return a sentence, or an empty text if a table is missing or is that of another version."""
    try:
        return say(FigureData(item, paths, config))
    except (DataError, KeyError, IndexError):
        return ""


def rejections(data: FigureData, end: int = 0) -> str:
    """Return the rejection of the first method, of training from scratch, and of boosted trees, with a verdict.

    ``end`` is 0 for the fewest and -1 for the most labels.
    """
    table = data.of_task("metrics", *KEY, "metric", *VALUE, "lower_limit")
    table = table[table["metric"] == data.rejection]
    labels = ends(table)[end]
    at = table[table["labels"] == labels]
    rows = {
        method: first_row(at, method) for method in (data.subject, data.scratch(at), data.peer, TREES) if method
    }
    own = rows.pop(data.subject)
    if own is None:
        return ""
    others = [f"{_name(method)} {of_row(row)}" for method, row in rows.items() if row]
    signal, background = data.label("signal"), data.label("background")
    text = (
        f"{signal} against {background}, {counted(labels)} labels: {_name(data.subject)} rejects {of_row(own)} "
        f"{background} jets for each that passes, at {data.efficiency:.0%} {signal} efficiency"
    )
    return f"{text} ({'; '.join(others)}){_verdict(data, [m for m, row in rows.items() if row], labels)}."


def _verdict(data: FigureData, others: list[Method], labels: int) -> str:
    """Return which of the other methods are worse, and which better, by the paired ratio of the rejections."""
    differences = data.if_any("differences", *_DIFFERENCE)
    better: list[str] = []
    worse: list[str] = []
    lacking = 0
    for other in others:
        row = paired(differences, data.subject, other, labels, data.rejection)
        if row is None or not math.isfinite(row["ratio"]) or unknown(row):
            lacking += 1
            continue
        if is_beyond(math.log(row["ratio"]), row["ratio_error"] / row["ratio"], dof_of(row)):
            (worse if row["ratio"] > 1.0 else better).append(_name(other))
    if lacking == len(others):
        return ", too few runs to tell a difference"
    parts = [f"more than {listed(worse)}"] if worse else []
    parts += [f"less than {listed(better)}"] if better else []
    return f", {' and '.join(parts)} by more than {BEYOND:g}σ" if parts else f", no difference beyond {BEYOND:g}σ"


def _name(method: Method) -> str:
    """Return a short name of a method in the modes that the first screen compares."""
    if method == TREES:
        return "boosted trees"
    return short_label(method[0]) if method[1] == "probe_h" else method_label(method)


def _stability(data: FigureData) -> str:
    table = rows_where(data.correlations(), {"task": data.item, "class": "signal"})
    table = table[table["labels"] == table["labels"].max()]
    methods = [data.subject, data.scratch(table), *([data.peer] if data.peer else [])]
    shown = [
        f"{of_row(row)} ({_name(m)}, AUC {plain(row['auc'])})" for m in methods if (row := first_row(table, m))
    ]
    about = f"The scores of one {data.label('signal')} event showered twice have a rank correlation of"
    return f"{about} {listed(shown)}." if shown else ""


def _stability_of_first(data: FigureData) -> str:
    return _stability(FigureData(next(iter(data.config.tasks)), data.paths, data.config))


def _label_efficiency(data: FigureData) -> str:
    table = data.of_task("metrics", *KEY, "metric", *VALUE)
    table = table[table["metric"] == "auc"]
    texts = []
    for labels in ends(table):
        at = table[table["labels"] == labels]
        rows = {m: first_row(at, m) for m in (data.subject, data.scratch(at), TREES)}
        shown = [f"{of_row(row)} ({_name(method)})" for method, row in rows.items() if row]
        texts.append(f"{listed(shown)} with {counted(labels)} labels")
    return f"The AUC is {'; '.join(texts)}." if texts else ""


def _moves(quantity: str, what: str, efficiency: float | None = None) -> Callable[[FigureData], str]:
    """Return the function that says where the first method moves most, and by how much scratch does there."""

    def say(data: FigureData) -> str:
        table = data.of_task("robustness", *_ROBUSTNESS)
        table = table[table["quantity"] == quantity]
        if efficiency is not None and len(table):
            near = min(table["efficiency"].unique(), key=lambda x: abs(x - efficiency))
            enough = table["background_passing"] >= FEWEST_JETS
            table = table[(table["efficiency"] == near) & enough]
        own = rows_where(table, dict(zip(("method", "mode"), data.subject, strict=True))).dropna(subset=["value"])
        if own.empty:
            return ""
        top = _largest(own, own["value"].abs())
        cells = {name: top[name] for name in ("variant", "class")}
        other = first_row(table, data.scratch(table), **cells)
        there = f"; from scratch it is {of_row(other)} there" if other else ""
        where = f"{top['variant']} ({data.label(str(top['class']))})"
        return f"{what} of {_name(data.subject)} is largest under {where}, {of_row(top)}{there}."

    return say


def _latent_quality(data: FigureData) -> str:
    table = data.table("latents", "method", "space", "quantity", "subject", *VALUE)
    table = table[(table["space"] == "h") & (table["quantity"] == "r2")]
    own = table[table["method"] == data.subject[0]].sort_values("value")
    if own.empty:
        return ""
    best, worst = own.iloc[-1], own.iloc[0]
    names = [_OBSERVABLES.get(str(row["subject"]), str(row["subject"])) for row in (best, worst)]
    return (
        f"{short_label(data.subject[0])} knows the {names[0]} of a jet best (R² {best['value']:.2f}), "
        f"its {names[1]} least ({worst['value']:.2f})."
    )


_OBSERVABLES = {
    "jet_mass": "mass", "jet_msd": "soft-drop mass", "jet_n2": "N₂", "jet_n_constituents": "multiplicity",
    "jet_tau21": "τ₂₁", "log jet_pt": "pT",
}  # fmt: skip


def _matching(data: FigureData) -> str:
    points = data.points("matching", "process", "what", "efficiency")
    whole = points[points["what"] == "all"]["efficiency"]
    single = points[~points["what"].isin(["all", "any two"])]["efficiency"]
    return (
        f"A variant leaves a jet in {_span(single)} of the hard events, all variants together in {_span(whole)}."
    )


def _survival(data: FigureData) -> str:
    points = data.points("survival", "process", "low", "nominal_jet", "fraction")
    points = points[points["nominal_jet"] >= FEWEST_JETS]
    lowest = points[points["low"] == points["low"].min()]["fraction"]
    above = points[points["low"] > 1.5 * points["low"].min()]["fraction"]
    return f"Next to the pT cut {_span(lowest)} of the events remain, far above it {_span(above)}."


def _largest(points: pd.DataFrame, values: pd.Series[float]) -> Row:
    """Return the line with the largest of some values."""
    return {str(name): cell for name, cell in points.iloc[int(values.to_numpy().argmax())].items()}


def _span(values: pd.Series[float]) -> str:
    """Return the range of some fractions."""
    low, high = f"{values.min():.0%}", f"{values.max():.0%}"
    return low if low == high else f"{low.rstrip('%')}–{high}"


def _deviations(kind: str, *names: str) -> Callable[[FigureData], str]:
    """Return the function that names the variant with the largest deviation, and how many deviate."""

    def say(data: FigureData) -> str:
        file = "_".join(filter(None, (kind, data.item)))
        points = data.points(file, "variant", "deviation_sigma", *names)
        lines = points[points["variant"] != "nominal"].drop_duplicates(["variant", *names])
        lines = lines.dropna(subset=["deviation_sigma"])
        if lines.empty:
            return "Too few jets to compare the variants."
        top = _largest(lines, lines["deviation_sigma"])
        cells = [_cell(data, column, str(top[column])) for column in names if column not in ("method", "mode")]
        label = [method_label((str(top["method"]), str(top["mode"])))] if "mode" in names else []
        where = ", ".join([*cells, *label])
        many = int((lines["deviation_sigma"] > BEYOND).sum())
        beyond = f"{many or 'none'} of {len(lines)} comparisons {'are' if many > 1 else 'is'} beyond {BEYOND:g}σ"
        name = f"{top['variant']} ({where})" if where else str(top["variant"])
        return f"Furthest from the nominal is {name}, {top['deviation_sigma']:.1f}σ; {beyond}."

    return say


def _cell(data: FigureData, column: str, value: str) -> str:
    if column == "process":
        return data.process(value)
    if column == "class" and data.item:
        return data.label(value)
    return {"jet_pt": "pT", "jet_eta": "η", "jet_phi": "φ", "jet_energy": "energy", **_OBSERVABLES}.get(
        value, value
    )


def _jet_types(data: FigureData) -> str:
    points = data.points("jet_types", "process", "jet_type", "quantity", "jets")
    points = points[points["quantity"] == "jet_pt"]
    counts = points.groupby(["process", "jet_type"], sort=False)["jets"].sum()
    parts = []
    for process in dict.fromkeys(points["process"]):
        own = counts[process].sort_values(ascending=False)
        if len(own) > 1 and own.sum():
            shares = [f"{jets / own.sum():.0%} {type_name(str(kind))}" for kind, jets in own.head(3).items()]
            parts.append(f"the {data.process(str(process))} jets are {', '.join(shares)}")
    return f"By number, {'; '.join(parts)}." if parts else "Each process has one type of jet."


def _event_views(data: FigureData) -> str:
    points = data.points("event_views", "process", "variant", "pt")
    numbers = points.groupby(["process", "variant"]).size()
    parts = [
        f"{data.process(str(process))} jet has {own.min()} to {own.max()} candidates"
        for process, own in numbers.groupby(level="process", sort=False)
    ]
    return f"Over its views the {', the '.join(parts)}."


def _training(data: FigureData) -> str:
    points = data.points("training", "epoch", "val_loss", "run")
    parts = [
        f"{plain(own['val_loss'].iloc[0])} to {plain(own['val_loss'].iloc[-1])} ({run})"
        for run, own in _runs(points)
    ]
    return f"From the first to the last epoch the loss goes from {listed(parts)}." if parts else ""


def _similarity(data: FigureData) -> str:
    points = data.points("similarity", "epoch", "what", "cosine", "run")
    last = points[points["epoch"] == points["epoch"].max()].dropna(subset=["cosine"])
    views = last["what"].str.startswith("cosine_views")
    last = last.assign(is_of_views=views)
    means = {run: own.groupby("is_of_views")["cosine"].mean() for run, own in _runs(last)}
    of_views, of_processes = (
        listed([f"{mean[which]:.2f} ({run})".replace("-", "−", 1) for run, mean in means.items() if which in mean])
        for which in (True, False)
    )
    return (
        f"In the end the views of one event have a mean cosine of {of_views}, the processes of {of_processes}."
        if means
        else ""
    )


def _runs(points: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the points of the first run of each method with the method's name."""
    found: dict[str, pd.DataFrame] = {}
    for run, own in points.groupby("run", sort=False):
        found.setdefault(short_label(str(run).rpartition("_s")[0]), own)
    return list(found.items())


def _latent(data: FigureData) -> str:
    points = data.points("latent", "process", "event_id", "joined", "first", "second", "run")
    parts = []
    for run, own in _runs(points):
        jets, views = (own[own["joined"] == joined][["first", "second", "event_id"]] for joined in (False, True))
        within = views.groupby("event_id")[["first", "second"]].var(ddof=0).sum(axis=1).mean()
        spread = jets[["first", "second"]].var(ddof=0).sum()
        parts.append(f"{math.sqrt(within / spread):.0%} ({run})")
    return f"The joined views of an event scatter by {listed(parts)} of the scatter of all jets."


def _latent_corner(data: FigureData) -> str:
    points = data.points("latent_corner", "process", "first", "second", "pearson_r").dropna(subset=["pearson_r"])
    top = _largest(points, points["pearson_r"].abs())
    where = f"features {top['first']} and {top['second']} of {data.process(str(top['process']))} jets"
    return f"The strongest correlation is that of {where}, r = {top['pearson_r']:+.2f}."


def _resources(data: FigureData) -> str:
    points = data.points("resources", "rule", "core_hours")
    top, total = _largest(points, points["core_hours"]), points["core_hours"].sum()
    return (
        f"The jobs took {plain_hours(total)} of core time, {top['core_hours'] / total:.0%} of it in {top['rule']}."
    )


def plain_hours(hours: float) -> str:
    """Return a time in the unit that suits its size."""
    if hours < 1.0 / 60.0:
        return f"{hours * 3600:.0f} s"
    return f"{hours * 60:.0f} min" if hours < 2.0 else f"{hours:,.0f} h"


_BRIEF: Mapping[str, Callable[[FigureData], str]] = MappingProxyType(
    {
        "event_views": _event_views,
        "matching": _matching,
        "survival": _survival,
        "jet_types": _jet_types,
        "jet_mass": _deviations("jet_mass", "process"),
        "multiplicity": _deviations("multiplicity", "process"),
        "jet_variations": _deviations("jet_variations", "quantity"),
        "training": _training,
        "similarity": _similarity,
        "latent": _latent,
        "latent_feature": _deviations("latent_feature", "process"),
        "latent_corner": _latent_corner,
        "latent_quality": _latent_quality,
        "roc": rejections,
        "label_efficiency": _label_efficiency,
        "stability": _stability_of_first,
        "tagger_output": _deviations("tagger_output", "class", "method", "mode"),
        "robustness": _moves("wasserstein", "The distance of the scores"),
        "mistag_change": _moves("fpr_change_own", "The change of the mistag rate", EFFICIENCY),
        "resources": _resources,
    }
)
assert set(_BRIEF) <= set(FIGURES)
