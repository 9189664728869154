"""Draw the distribution of the classifiers' output under every variant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rs3l.config.blocks import FiguresBlock
from rs3l.errors import DataError
from rs3l.evaluate.histograms import EDGES
from rs3l.evaluate.marks import mark
from rs3l.evaluate.measures import CLASSES, Key, TaskMeasures, load
from rs3l.evaluate.names import Method, method_label, with_panels
from rs3l.figures import style
from rs3l.figures.draw import Inputs
from rs3l.figures.histograms import Accumulator, Shapes
from rs3l.figures.plot_data import draw_shapes, shape_points
from rs3l.figures.style import Drawing, Header
from rs3l.types import Floats64


def _methods(block: FiguresBlock, measures: TaskMeasures) -> dict[Method, int]:
    """Return the classifier of each method with a panel, which is the first of those with the most labels."""
    found = {group[:2]: members[0] for group, members in measures.most_labels().items()}
    shown = with_panels(block.runs)
    if not any(method in found for method in shown):
        raise DataError(f"no measures of any method that is shown: {', '.join(map(method_label, shown))}")
    return {method: found[method] for method in shown if method in found}


def tagger_output(block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Draw the distribution of signal and background scores under every variant, with ratios to the nominal."""
    task = inputs.task
    measures = load(inputs.all("measures"), [task], block.runs)[task]
    methods = _methods(block, measures)
    variants = ["nominal", *(name for name in block.variants if name != "nominal")]
    classes = [(block.labels[block.tasks[task].signal], True), (block.labels[block.tasks[task].background], False)]
    figure = style.new_figure(max(6.0, 2.2 * len(methods) + 0.6), 7.2, header)
    axes = figure.subplots(4, len(methods), sharey="row", squeeze=False, height_ratios=(2.2, 1, 2.2, 1))
    points = []
    for column, (method, index) in enumerate(methods.items()):
        for row, (label, is_signal) in enumerate(classes):
            shapes = _shapes(measures, index, CLASSES[is_signal], variants)
            top, bottom = axes[2 * row : 2 * row + 2, column]
            draw_shapes(top, bottom, shapes, variants)
            style.stack(top, bottom)
            columns = {"method": method[0], "mode": method[1], "class": CLASSES[is_signal]}
            marks = {"collapsed": 1} if measures.classifiers[index].run in measures.collapsed else {}
            _titles(top, bottom, column, f"{method_label(method)}{mark(marks)}: {label}")
            points.append(shape_points(shapes, variants).assign(**columns, **marks))
    style.legend_below(figure, axes[0, 0])
    return Drawing(figure, pd.concat(points, ignore_index=True))


def _titles(top: Axes, bottom: Axes, column: int, title: str) -> None:
    top.set_title(title, loc="left", size=8.5)
    top.set_yscale("log")
    top.set_ylim(2e-4, 2.0)
    bottom.set(ylim=(0.5, 1.5), xlim=(0.0, 1.0), xlabel="Score")
    bottom.set_xticks((0.0, 0.5, 1.0), ("0", "0.5", "1"))
    if column == 0:
        top.set_ylabel("Fraction of jets per bin")
        bottom.set_ylabel("Ratio")


def _shapes(measures: TaskMeasures, row: int, side: str, variants: Sequence[str]) -> Shapes:
    """Return the histograms of one classifier's output in 0 ... 1, for one class."""

    def counts(name: str) -> Floats64:
        keys = [Key(f"histogram{name}", "nominal", variant, side) for variant in variants]
        return np.concatenate([measures.of([row], key) for key in keys])

    own, varied, nominal, both = map(counts, ("", "_varied", "_nominal", "_both"))
    sums = Accumulator(len(variants), EDGES)
    sums.weight, sums.in_bin, sums.jets = own.sum(axis=1), own, own.astype(np.int64)
    sums.both = np.stack([own.sum(axis=1), varied.sum(axis=1)])
    sums.first, sums.second, sums.joint = (np.stack([own, each]) for each in (varied, nominal, both))
    return sums.shapes()
