"""The tables of a campaign and the names for people, from which the sentences on the figures are made."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from rs3l.config import blocks, methods
from rs3l.config.campaign import Campaign
from rs3l.errors import DataError
from rs3l.evaluate.names import Method, baseline_of, headline_efficiency, method_of, peer_of, rejection_name
from rs3l.evaluate.tables import rows_where
from rs3l.figures.plot_results import read_table
from rs3l.paths import CampaignPaths
from rs3l.report.known import Known
from rs3l.report.words import Row

KEY = ["task", "method", "mode", "labels"]
VALUE = ["value", "error"]


@dataclass(frozen=True)
class FigureData:
    """A figure's task or process (``item``, which may be empty), the campaign's files, and its configuration."""

    item: str
    paths: CampaignPaths
    config: Campaign

    def points(self, figure: str, *columns: str) -> pd.DataFrame:
        """Return the points of a figure."""
        return read_table(self.paths.figure(figure, "csv"), columns)

    def table(self, name: str, *columns: str) -> pd.DataFrame:
        """Return a table of the evaluation, without the lines of tasks and methods that no longer exist."""
        return Known.of(self.config).rows(read_table(self.paths.evaluation(name), columns))

    def of_task(self, name: str, *columns: str) -> pd.DataFrame:
        """Return the lines of this task in a table.

        Raises :class:`DataError` if there are none.
        """
        table = self.table(name, "task", *columns)
        found = table[table["task"] == self.item]
        if found.empty:
            raise DataError(f"{self.paths.evaluation(name)}: no lines of task {self.item!r}")
        return found

    def if_any(self, name: str, *columns: str) -> pd.DataFrame:
        """Return the lines of this task in a table, or an empty table if it is missing or has none of them."""
        try:
            return self.of_task(name, *columns)
        except DataError:
            return pd.DataFrame(columns=list(dict.fromkeys(["task", *columns])))

    def correlations(self) -> pd.DataFrame:
        """Return the rank correlations under the two variants of `evaluate.pair`, of all tasks; none without."""
        columns = ["class", "quantity", "first", "second", *VALUE, "auc", "auc_error"]
        if self.config.evaluate.pair is None:
            return pd.DataFrame(columns=[*KEY, *columns])
        first, second = self.config.evaluate.pair
        cells = {"quantity": "spearman", "first": first, "second": second}
        return rows_where(self.table("stability", *KEY, *columns), cells)

    @property
    def subject(self) -> Method:
        """Return the campaign's first method, frozen, with which all others are compared."""
        return next(iter(methods.methods(self.config))), "probe_h"

    @property
    def peer(self) -> Method | None:
        """Return the method that the subject is compared with, frozen."""
        other = peer_of(blocks.evaluate(self.config))
        return (other, "probe_h") if other else None

    def scratch(self, table: pd.DataFrame, column: str = "method") -> Method:
        """Return the network from scratch, with the subject's own networks if there is such a baseline."""
        return baseline_of(self.subject[0], set(table[column])), "scratch"

    @property
    def efficiency(self) -> float:
        """Return the signal efficiency of the headline numbers."""
        return headline_efficiency(self.config.evaluate.efficiencies)

    @property
    def rejection(self) -> str:
        """Return the name of the rejection at that efficiency in the tables."""
        return rejection_name(self.efficiency)

    def label(self, role: str, task: str = "") -> str:
        """Return the label of the signal or the background of a ``task``, by default this one."""
        labels = {name: process.label for name, process in self.config.processes.items()}
        return self.config.tasks[task or self.item].label(role, labels)

    def process(self, name: str) -> str:
        """Return the label of a process, or its name if it has none."""
        known = self.config.processes
        return str(known[name].label) if name in known else name

    @property
    def runs(self) -> dict[str, list[str]]:
        """Return the pre-training runs of each method."""
        found: dict[str, list[str]] = {}
        for run in blocks.runs(self.config):
            found.setdefault(method_of(run), []).append(run)
        return found


def first_row(table: pd.DataFrame, method: Method | None = None, **cells: object) -> Row | None:
    """Return the first line with these cells and a finite value, or None."""
    if method is not None:
        cells |= {"method": method[0], "mode": method[1]}
    for row in rows_where(table, cells).to_dict("records"):
        if math.isfinite(float(row["value"])):
            return {str(name): cell for name, cell in row.items()}
    return None


def ends(table: pd.DataFrame) -> list[int]:
    """Return the fewest and the most labels of a table, which are one number if they are equal, or none."""
    counts = sorted(int(labels) for labels in table["labels"].unique())
    return sorted({counts[0], counts[-1]}) if counts else []
