"""Tell which files of a campaign belong to its configuration, and which are left from another one.

Names change when a task is renamed, or a process or a method is removed. Files with the old names stay where they
are until somebody deletes them. The report shows what the present configuration defines, and
:mod:`rs3l.report.left_over` says what else lies there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rs3l.config import blocks
from rs3l.config.campaign import Campaign
from rs3l.errors import DataError
from rs3l.evaluate.names import baselines_of, methods_of
from rs3l.figures.plot_results import read_table
from rs3l.figures.registry import Figure, figure_names, figures_of, lacking
from rs3l.paths import CampaignPaths

TOGETHER = ("any two", "all")
"""These rows of the matching figure are no variant."""

ABLATIONS = "ablations"
"""The figure of the ablations, and the folder of their tables, have this name."""

GROWTH = "growth"
"""The figure and the table that ``growth.py`` writes beside those of the ablations; no rule makes them."""


@dataclass(frozen=True)
class Known:
    """The names that the cells of a table may hold, by column; a column that is not listed may hold any name."""

    cells: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, config: Campaign, ablations: bool = False) -> Known:
        """Return the names of a configuration, either of its evaluation or of that of its ablations."""
        runs = (blocks.evaluate_ablations(config) if ablations else blocks.evaluate(config)).runs
        variants = frozenset(config.variants)
        methods = frozenset([*methods_of(runs), *baselines_of(runs)])
        return cls(
            {
                "task": frozenset(config.tasks),
                "process": frozenset(config.processes),
                "run": frozenset(runs),
                **dict.fromkeys(("method", "reference_method"), methods),
                **dict.fromkeys(("variant", "first", "second"), variants),
            }
        )

    def foreign(self, table: pd.DataFrame) -> dict[str, list[str]]:
        """Return the cells of each column that hold another name; cells with numbers name nothing."""
        found = {}
        for column, names in self.cells.items():
            if column in table.columns:
                texts = [cell for cell in table[column].unique() if isinstance(cell, str) and cell]
                found[column] = [text for text in texts if text not in names]
        return {column: cells for column, cells in found.items() if cells}

    def rows(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the lines of a table without other names."""
        for column, cells in self.foreign(table).items():
            table = table[~table[column].isin(cells)]
        return table


def figures(config: Campaign) -> list[str]:
    """Return the names of the figures that the configuration defines, including those of the ablations."""
    return figure_names(config.processes, config.tasks, bool(config.ablations), lacking(config))


def kinds_of(config: Campaign) -> list[tuple[Figure, str]]:
    """Return the same figures, each as its kind and its process or task (an empty text if it has neither)."""
    return figures_of(config.processes, config.tasks, bool(config.ablations), lacking(config))


def is_shown(config: Campaign, paths: CampaignPaths, figure: str) -> bool:
    """Return whether a figure belongs to the configuration and its points name nothing else."""
    return figure in figures(config) and not foreign_points(config, paths, figure)


def foreign_points(config: Campaign, paths: CampaignPaths, figure: str) -> dict[str, list[str]]:
    """Return the names in the points of a figure that the configuration lacks, or nothing if it has no points."""
    try:
        points = read_table(paths.figure(figure, "csv"))
    except DataError:
        return {}
    return foreign_names(config, figure, points)


def foreign_names(config: Campaign, figure: str, points: pd.DataFrame) -> dict[str, list[str]]:
    """Return the names in the points of a figure that the configuration lacks, by what they name."""
    if figure == "matching" and "what" in points.columns:
        points = points[~points["what"].isin(TOGETHER)].rename(columns={"what": "variant"})
    if figure == "similarity" and "what" in points.columns:  # cosine_views:process, cosine_means:process:process
        processes = points["what"].str.split(":").str[1:].explode()
        points = pd.DataFrame({"process": processes})
    return Known.of(config, figure == ABLATIONS).foreign(points)


def is_of(config: Campaign, summary: Mapping[str, Any], ablations: bool = False) -> bool:
    """Return whether a summary is about a task and methods that the configuration has."""
    names = Known.of(config, ablations).cells
    methods = {entry["method"] for entry in summary.get("methods", [])}
    return summary.get("task", next(iter(config.tasks))) in names["task"] and methods <= names["method"]
