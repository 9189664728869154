"""The tables of the evaluation, each declared once, as data.

The rule, the script, the report and the page of results read these entries. One more table takes an entry here, a
function that makes it, and a line of docs/evaluate.md. Nothing here imports the modules that compute, because
Snakemake reads this module too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class TableKind:
    """One table of the evaluation.

    ``function`` names a module of :mod:`rs3l.evaluate` and a function in it, which is called with those results
    that its parameters name (:func:`rs3l.evaluate.evaluate.evaluate`). ``section`` is the section of the report.
    ``published`` says whether the table is kept beside a page of results, and ``published_of_ablations`` whether
    that of the ablations is kept too.
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
    TableKind("stability", "stability_table.stability_table", "robustness", published_of_ablations=True),
    TableKind("robustness", "robustness_table.robustness_table", "robustness"),
    TableKind("matched", "matched.matched_table", "robustness"),
    TableKind("calibration", "calibration_table.calibration_table", "tasks"),
    TableKind("latents", "latent_table.latents_table", "pretraining"),
    TableKind("training", "tables.histories_table", "provenance", published=False),
    TableKind("roc", "roc_table.roc_table", "tasks", published=False),
)

TABLES: Mapping[str, TableKind] = MappingProxyType({table.name: table for table in _ALL})
"""All tables by name, in the order in which they are made."""
