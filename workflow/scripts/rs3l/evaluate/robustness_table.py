"""The table of unpaired changes from the nominal to every variant."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from rs3l.config.blocks import EvaluateBlock
from rs3l.evaluate.measures import CLASSES, Key, TaskMeasures, count_name
from rs3l.evaluate.names import has_seen
from rs3l.evaluate.robustness import unbiased_change
from rs3l.evaluate.tables import Row, TaskMetrics, auc_columns, estimate_columns, frame, group_columns
from rs3l.types import Floats64

_CHANGES = (
    ("fpr_change_own", "background", "own"),
    ("fpr_change_fixed", "background", "fixed"),
    ("efficiency_change_fixed", "signal", "efficiency"),
)
"""Quantity of the table, class, and name among the measures."""


def robustness_table(results: Iterable[TaskMetrics], block: EvaluateBlock) -> pd.DataFrame:
    """Return ``robustness.csv``, with a line per group, variant, quantity, class, and signal efficiency.

    The table is made at the most labels. Its quantities are the Wasserstein distance of the output in 0 ... 1, and
    those of :class:`rs3l.evaluate.robustness.Changes`. ``n_nominal`` and ``n_varied`` count the jets of the class,
    and ``background_passing`` is the average number of nominal ones above the nominal's threshold. The AUC stands
    beside each quantity because a tagger that knows nothing is stable.
    """
    rows: list[Row] = []
    for result in results:
        for variant in block.variants:
            if variant != "nominal" and can_compare(result.measures, variant):
                rows += _variant_rows(result, variant, block)
    own = ("variant", "use", "seen", "class", "quantity", "efficiency", "background_passing")
    return frame(rows, own, ["n_nominal", "n_varied"])


def can_compare(measures: TaskMeasures, variant: str) -> bool:
    """Return whether there are two jets or more of each class, under the nominal and a variant."""
    names = itertools.product(("nominal", variant), CLASSES.values())
    return min(measures.jets.jets[count_name(*name)] for name in names) > 1


def sizes(measures: TaskMeasures, variant: str, side: str) -> Row:
    """Return the cells of the numbers of jets of a class."""
    jets = measures.jets.jets
    return {"n_nominal": jets[count_name("nominal", side)], "n_varied": jets[count_name(variant, side)]}


class _Quantity(NamedTuple):
    """The cells that name a quantity, and its values [runs, R + 1]."""

    cells: Row
    values: Floats64


def _variant_rows(result: TaskMetrics, variant: str, block: EvaluateBlock) -> Iterator[Row]:
    measures, efficiencies = result.measures, block.evaluate.change_efficiencies
    quantities = {
        group: list(_quantities(measures, members, variant, efficiencies))
        for group, members in measures.most_labels().items()
    }
    number = range(len(next(iter(quantities.values()))))
    estimates = [measures.combined({g: each[q].values for g, each in quantities.items()}) for q in number]
    for (group, each), q in itertools.product(quantities.items(), number):
        yield {
            **group_columns(measures.task, group),
            "variant": variant,
            "use": block.variants[variant],
            "seen": has_seen(block, group[:2], variant),
            **each[q].cells,
            **estimate_columns(estimates[q][group]),
            **sizes(measures, variant, each[q].cells["class"]),
            **auc_columns(result, group),
        }


def _quantities(
    measures: TaskMeasures, rows: list[int], variant: str, efficiencies: list[float]
) -> Iterator[_Quantity]:
    for side in CLASSES.values():
        cells = {"class": side, "quantity": "wasserstein", "efficiency": np.nan, "background_passing": np.nan}
        yield _Quantity(cells, measures.of(rows, Key("wasserstein", "nominal", variant, side)))
    for efficiency, (quantity, side, name) in itertools.product(efficiencies, _CHANGES):
        values, passing = (
            measures.of(rows, Key(f"change_{each}", "nominal", variant, efficiency=efficiency))
            for each in (name, "passing")
        )
        if side == "background":
            values = np.stack([unbiased_change(*each) for each in zip(values, passing, strict=True)])
        cells = {"class": side, "quantity": quantity, "efficiency": efficiency}
        yield _Quantity({**cells, "background_passing": float(passing[:, 0].mean())}, values)
