"""Figures of the classifiers' output: its distribution and its false-positive rate under every variant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from numpy.typing import NDArray

from rs3l.config.blocks import FiguresBlock
from rs3l.errors import DataError
from rs3l.eval import style
from rs3l.eval.bootstrap import combine, replicas
from rs3l.eval.histograms import Accumulator, Shapes, add_views
from rs3l.eval.metrics import auc_and_background_efficiency
from rs3l.eval.names import LABELS, Method
from rs3l.eval.plot_data import FEWEST_JETS, draw_shapes, shape_points
from rs3l.eval.robustness import scaled
from rs3l.eval.scores import Classifier, TaskScores, load
from rs3l.eval.style import Drawing, Header

Floats = NDArray[np.float64]
Row = dict[str, Any]

SHOWN: tuple[Method, ...] = (
    ("rs3l", "probe_h"),
    ("rs3l", "tuned"),
    ("none", "scratch"),
    ("none", "scratch_views"),
)
"""Methods with a panel."""

EFFICIENCIES = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
"""Signal efficiencies of the change of the false-positive rate, those of the paper."""

REPLICAS = 100
"""Bootstrap replicas, at most: enough for an error bar."""

_EDGES = np.linspace(0.0, 1.0, 26)
_MODES = sorted({mode for _, mode in SHOWN})


def most_labels(block: FiguresBlock, paths: Sequence[str | Path], task: str) -> TaskScores:
    """Return the scores of the classifiers in :data:`SHOWN` with the most labels; other files are not read."""
    shown = [path for path in map(Path, paths) if _run_method(path) in {method for method, _ in SHOWN}]
    contents = {path: found for path in shown if len(found := _classifiers(path))}
    if not contents:
        raise DataError(f"no predictions of any method that is shown: {', '.join(dict(SHOWN))} with {_MODES}")
    labels = max(int(found["labels"].max()) for found in contents.values())
    filters = [("labels", "==", labels), ("mode", "in", _MODES)]
    runs = [path.parent.name for path in contents]
    return load(contents, {task: block.tasks[task]}, runs, filters)[task]


def _run_method(path: Path) -> str:
    return Classifier(path.parent.name, "", 0, 0).method


def _classifiers(path: Path) -> pd.DataFrame:
    """Return mode and labels of the classifiers of a file that are shown."""
    try:
        table = pq.read_table(path, columns=["mode", "labels"])
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: no table of predictions: {error}") from None
    found: pd.DataFrame = table.group_by(["mode", "labels"]).aggregate([]).to_pandas()
    return found[found["mode"].isin(_MODES)]


def _methods(scores: TaskScores) -> dict[Method, list[int]]:
    """Return the classifiers of each method in :data:`SHOWN`."""
    found = {group[:2]: members for group, members in scores.groups().items()}
    return {method: found[method] for method in SHOWN if method in found}


def tagger_output(block: FiguresBlock, header: Header, paths: Sequence[str | Path], task: str) -> Drawing:
    """Distribution of the score of signal and background under every variant, with ratios to the nominal."""
    scores = most_labels(block, paths, task)
    methods = _methods(scores)
    variants = ["nominal", *(name for name in block.variants if name != "nominal")]
    classes = {block.labels[block.tasks[task].signal]: True, block.labels[block.tasks[task].background]: False}
    figure = style.new_figure(3.3 * len(methods) + 0.6, 8.6, header)
    axes = figure.subplots(4, len(methods), sharey="row", squeeze=False, height_ratios=(2.2, 1, 2.2, 1))
    points = []
    for column, (method, members) in enumerate(methods.items()):
        for row, (label, is_signal) in enumerate(classes.items()):
            shapes = _shapes(scores, members[0], is_signal, variants)
            top, bottom = axes[2 * row : 2 * row + 2, column]
            draw_shapes(top, bottom, shapes, variants)
            style.stack(top, bottom)
            _titles(top, bottom, column, f"{LABELS[method]}: {label}")
            columns = {"method": method[0], "mode": method[1], "class": "signal" if is_signal else "background"}
            points.append(shape_points(shapes, variants).assign(**columns))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=8)
    return Drawing(figure, pd.concat(points, ignore_index=True))


def _titles(top: Axes, bottom: Axes, column: int, title: str) -> None:
    top.set_title(title, loc="left", size=8.5)
    top.set_yscale("log")
    top.set_ylim(2e-4, 2.0)
    bottom.set(ylim=(0.5, 1.5), xlim=(0.0, 1.0), xlabel="Score")
    if column == 0:
        top.set_ylabel("Fraction of jets per bin")
        bottom.set_ylabel("Ratio")


def _shapes(scores: TaskScores, row: int, is_signal: bool, variants: Sequence[str]) -> Shapes:
    """Return the histograms of one classifier's score, squeezed to 0 ... 1, of one class."""
    chosen = scores.is_signal == is_signal
    output = np.clip(scaled(scores.scores[row][chosen]), 0.0, np.nextafter(1.0, 0.0))
    sums = Accumulator(len(variants), _EDGES)
    add_views(sums, scores.event[chosen], scores.variant[chosen], variants, output, np.ones(int(chosen.sum())))
    return sums.shapes()


def mistag_change(block: FiguresBlock, header: Header, paths: Sequence[str | Path], task: str) -> Drawing:
    """Relative change of the false-positive rate under each variant, at a threshold of each variant's own."""
    scores = most_labels(block, paths, task)
    methods = _methods(scores)
    variants = [name for name in block.variants if name != "nominal"]
    figure = style.new_figure(3.1 * len(methods) + 0.7, 4.4, header)
    axes = figure.subplots(1, len(methods), sharex=True, sharey=True, squeeze=False)[0]
    points = change_table(scores, methods, variants, block)
    for (method, _), ax in zip(methods.items(), axes, strict=True):
        ax.axhline(0.0, color=style.BLACK, lw=0.8)
        of_method = points[(points["method"] == method[0]) & (points["mode"] == method[1])]
        for v, variant in enumerate(variants):
            chosen = of_method[
                (of_method["variant"] == variant) & (of_method["background_passing"] >= FEWEST_JETS)
            ]
            x = chosen["efficiency"] + 0.07 * ((v + 0.5) / len(variants) - 0.5)
            marker, colour = style.MARKERS[v % 8], style.SERIES[(v + 1) % 8]
            ax.errorbar(x, chosen["change"], chosen["error"], fmt=marker, color=colour, ms=4, label=variant)
        ax.set_title(LABELS[method], loc="left", size=8.5)
        if not (of_method["background_passing"] >= FEWEST_JETS).any():
            style.note(ax, f"fewer than {FEWEST_JETS} background jets pass")
        ax.set(
            xlabel=f"{block.labels[block.tasks[task].signal]} efficiency", xticks=EFFICIENCIES, xlim=(0.44, 0.96)
        )
        ax.tick_params(axis="x", which="minor", bottom=False, top=False)
    axes[0].set_ylabel(f"{block.labels[block.tasks[task].background]} mistag rate: variant / nominal - 1")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=8)
    return Drawing(figure, points)


def change_table(
    scores: TaskScores, methods: dict[Method, list[int]], variants: Sequence[str], block: FiguresBlock
) -> pd.DataFrame:
    """Return FPR(variant) / FPR(nominal) - 1 with its error, a line per method, variant and efficiency.

    Numerator and denominator share their hard events in each replica, so that the error is that of the pair.
    A rate below one background jet counts as one.
    """
    number = min(REPLICAS, block.evaluate.bootstrap)
    counts = replicas(scores.signal_events, number, block.seed, scores.task)
    rows: list[Row] = []
    for method, members in methods.items():
        runs = scores.seeds_and_repeats(members)
        nominal, passing = _rates(scores, members, "nominal", counts)
        for variant in variants:
            if not (scores.variant == variant).any():
                continue
            change = _rates(scores, members, variant, counts)[0] / nominal - 1.0
            for k, efficiency in enumerate(EFFICIENCIES):
                estimate = combine(change[:, :, k], *runs)
                rows.append(
                    {
                        "method": method[0], "mode": method[1], "variant": variant, "efficiency": efficiency,
                        "change": estimate.value, "error": estimate.error, "n_runs": estimate.n_runs,
                        "background_passing": passing[k],
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def _rates(
    scores: TaskScores, members: list[int], variant: str, counts: NDArray[np.int32]
) -> tuple[Floats, Floats]:
    """Return FPR [M, R + 1, K] of the classifiers under ``variant``, and the background jets that pass [K]."""
    chosen = scores.variant == variant
    jet_counts = counts[:, scores.event[chosen]]
    background = int((~scores.is_signal[chosen]).sum())
    rates = np.stack(
        [
            auc_and_background_efficiency(
                scores.scores[i][chosen], scores.is_signal[chosen], jet_counts, EFFICIENCIES
            )[1]
            for i in members
        ]
    )
    return np.maximum(rates, 1.0 / background), rates[:, 0].mean(axis=0) * background
