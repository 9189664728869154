"""The labelled jets of one task: which ones there are, from light columns, and those that are asked for, in full.

A split is never held whole. :class:`Index` knows the nominal jets of a task by a few bytes each, and
:meth:`Index.read` decodes the row groups that hold some chosen events, one at a time.

E is the number of events of the task with a nominal jet, J the number of jets (one per view) that were read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rs3l.config.tasks import Task
from rs3l.dataset.manifest import check_names, read_manifest
from rs3l.dataset.row_groups import RowGroup, row_groups
from rs3l.dataset.schema import CANDIDATE_COLUMNS
from rs3l.dataset.store import COLUMNS, JetStore, join_parts, part_arrays
from rs3l.errors import DataError
from rs3l.finetune.high_level import OBSERVABLES
from rs3l.types import Ints

SIDES = ("signal", "background")
"""The process names of a sample's store are those of the classes, because both may be of one process."""

NOMINAL = "nominal"


@dataclass(frozen=True)
class Sample:
    """The jets in ``store``, with process 0 for signal and 1 for background, and their ``observables`` [J, 4]."""

    store: JetStore
    observables: NDArray[np.float64]


class Wanted:
    """The events to read, ``events`` under all variants of the index and ``nominal`` under the nominal alone."""

    def __init__(self, events: Ints | None = None, nominal: Ints | None = None) -> None:
        """Take the keys of events, in any order; one may be there twice."""
        none = np.empty(0, dtype=np.int64)
        self.events, self.nominal = (none if ids is None else np.unique(ids) for ids in (events, nominal))

    def mask(self, event_id: Ints, is_nominal: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which rows with ``event_id`` [n] are wanted."""
        return among(event_id, self.events) | (is_nominal & among(event_id, self.nominal))


def among(values: Ints, keys: Ints) -> NDArray[np.bool_]:
    """Return which of ``values`` [n] are among the sorted ``keys``."""
    if not len(keys):
        return np.zeros(len(values), dtype=bool)
    found: NDArray[np.bool_] = keys[np.minimum(np.searchsorted(keys, values), len(keys) - 1)] == values
    return found


class Index:
    """The events of a task with a nominal jet in one split, in the order of the data set.

    ``event_id`` [E], ``side`` [E] (0 for signal, 1 for background), ``group`` [E], which is the row group that
    holds them, and ``views`` [E], the number of their jets under ``variants``. This is 14 bytes an event.
    """

    def __init__(self, manifest: str | Path, split: str, task: Task, variants: Sequence[str]) -> None:
        """Read three light columns, a row group at a time.

        Raises :class:`DataError` if a file is missing, foreign or changed, if the data set does not have a
        variant, or if a class has no jet.
        """
        self.manifest, self.split, self.task = manifest, split, task
        self.variants = tuple(dict.fromkeys([NOMINAL, *variants]))
        check_names(manifest, "variant", self.variants, read_manifest(manifest).variants)
        processes = list(dict.fromkeys((task.signal, task.background)))
        self.groups = row_groups(manifest, split, processes)
        found = [self._of_group(number, group) for number, group in enumerate(self.groups)]
        empty = _entries(np.empty(0, np.int64), np.empty(0), 0, np.empty(0))
        joined = {name: np.concatenate([each[name] for each in (empty, *found)]) for name in empty}
        self.event_id, self.side = joined["event_id"], joined["side"]
        self.group, self.views = joined["group"], joined["views"]
        for code, name in enumerate(SIDES):
            if not (self.side == code).any():
                raise self._no_jet(name)

    def __len__(self) -> int:
        return len(self.event_id)

    def _of_group(self, number: int, group: RowGroup) -> dict[str, NDArray[Any]]:
        """Return the entries of one row group."""
        table = group.read(("event_id", "variant", "jet_type"))
        side = _side(self.task, group.process, table["jet_type"])
        keys = table["event_id"].to_numpy()[side < len(SIDES)]
        variant = pc.index_in(table["variant"], value_set=pa.array(self.variants)).fill_null(-1).to_numpy()
        variant = variant[side < len(SIDES)]
        events, views = np.unique(keys[variant >= 0], return_counts=True)
        nominal = variant == 0
        count = views[np.searchsorted(events, keys[nominal])]
        return _entries(keys[nominal], side[side < len(SIDES)][nominal], number, count)

    def _no_jet(self, side: str) -> DataError:
        types = sorted({kind for group in self.groups for kind in _types(group)})
        return DataError(
            f"{self.manifest}: no jet of the {side} {_text(self.task, side)} in the split {self.split!r} under "
            f"{NOMINAL}; its types are {', '.join(types)}; name other types, or raise processes.<name>.events"
        )

    def positions(self, side: str) -> Ints:
        """Return the positions, in order, of the events of one class."""
        return np.flatnonzero(self.side == SIDES.index(side))

    def jets(self, events: Ints) -> int:
        """Return the number of jets of some events under all variants of the index."""
        return int(self.views[among(self.event_id, np.unique(events))].sum(dtype=np.int64))

    def read(self, wanted: Wanted, constituents: int) -> Sample:
        """Return the wanted jets in the order of the data set, with their first ``constituents`` candidates."""
        observables: list[NDArray[np.float64]] = [np.empty((0, len(OBSERVABLES)))]
        room = (self.jets(wanted.events) + len(wanted.nominal)) * constituents

        def parts() -> Iterator[dict[str, NDArray[Any]]]:
            for group, table, side in self.tables(wanted, constituents):
                observables.append(_observables(table))
                yield {**part_arrays(group.path, table, 0, self.variants), "process": side}

        store = join_parts(parts(), SIDES, self.variants, constituents, room)
        return Sample(store, np.concatenate(observables))

    def tables(self, wanted: Wanted, constituents: int) -> Iterator[tuple[RowGroup, pa.Table, Ints]]:
        """Yield the wanted rows of each row group that has some, and the class of each row."""
        chosen = wanted.mask(self.event_id, np.ones(len(self), dtype=bool))
        columns = tuple(dict.fromkeys((*COLUMNS, *OBSERVABLES)))
        for number in np.unique(self.group[chosen]):
            table = self.groups[number].read(columns)
            table = table.filter(pa.array(self._rows(table, wanted)))
            yield self.groups[number], _first(table, constituents), self._sides(number, table)

    def _rows(self, table: pa.Table, wanted: Wanted) -> NDArray[np.bool_]:
        known = pc.is_in(table["variant"], value_set=pa.array(self.variants)).to_numpy()
        nominal = pc.equal(table["variant"], NOMINAL).to_numpy()
        rows: NDArray[np.bool_] = known & wanted.mask(table["event_id"].to_numpy(), nominal)
        return rows

    def _sides(self, number: int, table: pa.Table) -> Ints:
        own = slice(*np.searchsorted(self.group, [number, number + 1]))
        place = np.searchsorted(self.event_id[own], table["event_id"].to_numpy())
        sides: Ints = self.side[own][place].astype(np.int64)
        return sides


def _entries(event_id: Ints, side: NDArray[Any], group: int, views: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {
        "event_id": event_id,
        "side": side.astype(np.int8),
        "group": np.full(len(event_id), group, dtype=np.int32),
        "views": views.astype(np.uint8),
    }


def _first(table: pa.Table, constituents: int) -> pa.Table:
    """Return a table with the first ``constituents`` candidates of each jet."""
    for name in CANDIDATE_COLUMNS:
        index = table.column_names.index(name)
        table = table.set_column(index, name, pc.list_slice(table[name], 0, constituents))
    return table


def _observables(table: pa.Table) -> NDArray[np.float64]:
    return np.column_stack([table[name].to_numpy().astype(np.float64) for name in OBSERVABLES])


def _types(group: RowGroup) -> set[str]:
    return set(group.read(("jet_type",))["jet_type"].unique().to_pylist())


def _side(task: Task, process: str, jet_type: pa.ChunkedArray) -> Ints:
    """Return 0 for signal, 1 for background and 2 for neither of rows of one process."""
    side = np.full(len(jet_type), len(SIDES), dtype=np.int64)
    for code, name in enumerate(SIDES):
        types = getattr(task, f"{name}_types")
        if getattr(task, name) == process:
            side[... if types is None else pc.is_in(jet_type, value_set=pa.array(types)).to_numpy()] = code
    return side


def _text(task: Task, side: str) -> str:
    types = getattr(task, f"{side}_types")
    return " ".join([getattr(task, side), *(f"({name})" for name in types or [])])
