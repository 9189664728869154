"""The tables of the evaluation, each declared once, as data: rule, script, report and page of results read it.

One more table is an entry here, a function that makes it, and a line of docs/evaluate.md. Nothing here imports
what computes: Snakemake reads this, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class TableKind:
    """One table.

    ``function``: module of :mod:`rs3l.evaluate` and function in it; it is called with those of the results that
    its parameters name (:func:`rs3l.evaluate.evaluate.evaluate`). ``section``: of the report. ``published``: kept
    beside a page of results; ``published_of_ablations``: that of the ablations, too.
    """

    name: str
    function: str
    section: str
    published: bool = True
    published_of_ablations: bool = False


_ALL = (
    TableKind("metrics", "tables.metrics_table", "tasks", published_of_ablations=True),
    TableKind("runs", "tables.runs_table", "tasks", published=False),
    TableKind("differences", "tables.differences_table", "tasks", published_of_ablations=True),
    TableKind("savings", "savings.savings_table", "tasks"),
    TableKind("stability", "tables.stability_table", "robustness"),
    TableKind("robustness", "robustness_table.robustness_table", "robustness"),
    TableKind("matched", "matched.matched_table", "robustness"),
    TableKind("calibration", "calibration.calibration_table", "tasks"),
    TableKind("latents", "latent_table.latents_table", "pretraining"),
    TableKind("training", "tables.histories_table", "provenance", published=False),
    TableKind("roc", "tables.roc_table", "tasks", published=False),
)

TABLES: Mapping[str, TableKind] = MappingProxyType({table.name: table for table in _ALL})
"""All tables by name, in the order in which they are made."""
