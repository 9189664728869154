"""The views of some consecutive hard events, side by side, as rows of the data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rs3l.config.blocks import MergeBlock
from rs3l.dataset.schema import FINGERPRINT, SHOWER_WEIGHT, Status, dataset_schema
from rs3l.dataset.splits import split_of
from rs3l.errors import DataError
from rs3l.lhe.weights import PREFIX
from rs3l.merge import further
from rs3l.merge.exact import exact_sum
from rs3l.merge.survival import Moments, added, moments
from rs3l.paths import Split
from rs3l.types import Bools

SAME = (
    "event_id", FINGERPRINT, "weight",
    "parton_pdg_id", "parton_pt", "parton_eta", "parton_phi", "parton_energy",
)  # fmt: skip
"""Columns of the hard event, which are the same to the bit in every view."""


@dataclass(frozen=True)
class Counts:
    """Numbers of some hard events: statuses by variant, events with all and with two views, sums."""

    status: dict[str, dict[str, int]]
    all_variants: int
    two_variants: int
    weights: int
    survival: Moments
    further: further.Sums


def added_counts(pieces: list[Counts]) -> Counts:
    """Return the numbers of the hard events of all pieces."""
    return Counts(
        status={
            variant: {key: sum(piece.status[variant][key] for piece in pieces) for key in counts}
            for variant, counts in pieces[0].status.items()
        },
        all_variants=sum(piece.all_variants for piece in pieces),
        two_variants=sum(piece.two_variants for piece in pieces),
        weights=sum(piece.weights for piece in pieces),
        survival=added([piece.survival for piece in pieces]),
        further=further.added([piece.further for piece in pieces]),
    )


class Views:
    """The rows of the shards [E] of every variant for the hard events ``first ... first + E - 1`` of a process."""

    def __init__(self, block: MergeBlock, process: str, first: int, tables: Mapping[str, pa.Table]) -> None:
        """Raise :class:`DataError` unless the rows, one table [E] per variant, are of the same hard events."""
        check_hard_events(tables)
        self.block, self.process, self.first = block, process, first
        self.tables = tables
        self.events = tables["nominal"].num_rows
        self.ok = np.stack([table["status"].to_numpy() == Status.OK for table in tables.values()])
        self.complete: Bools = self.ok[[name not in block.limited for name in tables]]
        self._all = data_rows(block, process, tables)

    def counts(self) -> Counts:
        """Return the numbers for the manifest."""
        views = self.complete.sum(axis=0)
        return Counts(
            status={variant: _count_status(table) for variant, table in self.tables.items()},
            all_variants=int(self.complete.all(axis=0).sum()),
            two_variants=int((views >= 2).sum()),
            weights=exact_sum(self.tables["nominal"]["weight"].to_numpy()),
            survival=moments(self.tables, self.complete),
            further=further.sums(self.tables, self.block.weights),
        )

    def of_splits(self) -> dict[Split, pa.Table]:
        """Return the rows of the data set in each split, ordered by event and then by variant."""
        block, process = self.block, self.process
        keep = self.complete.sum(axis=0) >= block.min_views
        indices = range(self.first, self.first + self.events)
        split = np.array([split_of(block.seed, block.splits, process, event) for event in indices])
        return {name: self._rows(self.ok & (keep & (split == name))) for name in block.splits.names}

    def _rows(self, chosen: Bools) -> pa.Table:
        """Return the chosen views [V, E]; they have a jet, so that nothing of them is null."""
        event, variant = np.nonzero(chosen.T)
        rows = self._all.take(pa.array(variant * self.events + event))
        schema = dataset_schema(self.block.weights)
        columns = [rows[field.name].combine_chunks().cast(field.type) for field in schema]
        return pa.table(columns, schema=schema)


def check_hard_events(tables: Mapping[str, pa.Table]) -> None:
    """Raise :class:`DataError` unless every view of an event carries the same hard event, to the bit."""
    same = [*SAME, *(name for name in tables["nominal"].column_names if name.startswith(PREFIX))]
    nominal = tables["nominal"].select(same)
    for variant, table in tables.items():
        if not table.select(same).equals(nominal):
            raise DataError(
                f"the hard events of {variant} are not those of nominal; delete its jets and run again"
            )


def data_rows(block: MergeBlock, process: str, tables: Mapping[str, pa.Table]) -> pa.Table:
    """Return rows [V x E], variant after variant, with the columns of the data set, null without a jet.

    Their weights are those of the hard event times those of the shower. The jet types are the nominal's, because
    only its shower tells how a gluon splits.
    """
    pieces = [_of_variant(block, table, tables["nominal"]["jet_type"]) for table in tables.values()]
    rows = pa.concat_tables(pieces).combine_chunks()
    length = rows.num_rows // len(tables)
    names = {
        "process": _repeated(process, rows.num_rows),
        "label": _repeated(block.processes[process].label, rows.num_rows),
        "variant": pa.concat_arrays([_repeated(name, length) for name in tables]),
    }
    wanted = dataset_schema(block.weights).names
    return pa.table({name: names[name] if name in names else rows[name] for name in wanted})


def _of_variant(block: MergeBlock, table: pa.Table, jet_type: pa.ChunkedArray) -> pa.Table:
    """Return the columns [E] of the data set of one variant but the names."""
    weight = pc.multiply(table["weight"], table[SHOWER_WEIGHT])
    own = {"jet_type": jet_type, "weight": weight, **further.further_weights(table, block.weights)}
    known = {**{name: table[name] for name in table.column_names}, **own}
    return pa.table({name: known[name] for name in dataset_schema(block.weights).names if name in known})


def _repeated(name: str, length: int) -> pa.Array:
    return pa.array([name] * length, pa.string())


def _count_status(table: pa.Table) -> dict[str, int]:
    found = np.bincount(table["status"].to_numpy(), minlength=len(Status))
    return {status.name.lower(): int(found[status]) for status in Status}
