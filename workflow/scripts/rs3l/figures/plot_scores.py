"""Draw the distribution of the classifiers' output under every variant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rs3l.config.blocks import FiguresBlock
from rs3l.dataset.checksum import intact_parquet
from rs3l.errors import DataError
from rs3l.evaluate.marks import mark
from rs3l.evaluate.names import Method, method_label, with_panels
from rs3l.evaluate.robustness import scaled
from rs3l.evaluate.scores import TaskScores, keys_of, load, owner
from rs3l.figures import style
from rs3l.figures.draw import Inputs
from rs3l.figures.histograms import Accumulator, Shapes, add_views
from rs3l.figures.plot_data import draw_shapes, shape_points
from rs3l.figures.plot_results import is_collapsed
from rs3l.figures.style import Drawing, Header

Row = dict[str, Any]

_EDGES = np.linspace(0.0, 1.0, 26)


def most_labels(block: FiguresBlock, paths: Sequence[str | Path], task: str) -> TaskScores:
    """Return the scores of the classifiers with a panel that have the most labels; other files are not read."""
    panels = with_panels(block.runs)
    modes = sorted({mode for _, mode in panels})
    owners = {path: own for path in map(intact_parquet, paths) if (own := owner(path)) is not None}
    shown = [path for path, own in owners.items() if own.run.method in dict(panels)]
    contents = {path: found for path in shown if (found := _labels(path, modes))}
    if not contents:
        raise DataError(f"no predictions of any method that is shown: {', '.join(dict(panels))} with {modes}")
    most = max(max(found) for found in contents.values())
    runs = list(dict.fromkeys(str(owners[path].run) for path in contents))
    scores = load(contents, {task: block.tasks[task]}, runs, lambda key: key[0] in modes and key[1] == most)
    return scores[task]


def _labels(path: Path, modes: Sequence[str]) -> list[int]:
    """Return the numbers of labels of those classifiers of a file that have one of these modes."""
    return [labels for mode, labels, _ in keys_of(path) if mode in modes]


def _methods(block: FiguresBlock, scores: TaskScores) -> dict[Method, list[int]]:
    """Return the classifiers of each method with a panel."""
    found = {group[:2]: members for group, members in scores.groups().items()}
    return {method: found[method] for method in with_panels(block.runs) if method in found}


def tagger_output(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the distribution of signal and background scores under every variant, with ratios to the nominal."""
    paths, task = inputs.all("predictions"), inputs.task
    scores = most_labels(block, paths, task)
    methods = _methods(block, scores)
    collapsed = {str(own.run) for path in paths if is_collapsed(path) and (own := owner(path)) is not None}
    variants = ["nominal", *(name for name in block.variants if name != "nominal")]
    classes = [(block.labels[block.tasks[task].signal], True), (block.labels[block.tasks[task].background], False)]
    figure = style.new_figure(3.3 * len(methods) + 0.6, 8.6, header)
    axes = figure.subplots(4, len(methods), sharey="row", squeeze=False, height_ratios=(2.2, 1, 2.2, 1))
    points = []
    for column, (method, members) in enumerate(methods.items()):
        for row, (label, is_signal) in enumerate(classes):
            shapes = _shapes(scores, members[0], is_signal, variants)
            top, bottom = axes[2 * row : 2 * row + 2, column]
            draw_shapes(top, bottom, shapes, variants)
            style.stack(top, bottom)
            columns = {"method": method[0], "mode": method[1], "class": "signal" if is_signal else "background"}
            marks = {"collapsed": 1} if scores.classifiers[members[0]].run in collapsed else {}
            _titles(top, bottom, column, f"{method_label(method)}{mark(marks)}: {label}")
            points.append(shape_points(shapes, variants).assign(**columns, **marks))
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
    """Return the histograms of one classifier's score, squeezed to 0 ... 1, for one class."""
    chosen = scores.is_signal == is_signal
    output = np.clip(scaled(scores.scores[row][chosen]), 0.0, np.nextafter(1.0, 0.0))
    sums = Accumulator(len(variants), _EDGES)
    add_views(sums, scores.event[chosen], scores.variant[chosen], variants, output, np.ones(int(chosen.sum())))
    return sums.shapes()
