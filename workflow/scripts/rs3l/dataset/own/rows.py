"""Rows of a data set from own jets: keys, names, substitutes. J counts jets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rs3l import seeds
from rs3l.config.base import NAME
from rs3l.dataset.own.clean import Clean, clean
from rs3l.dataset.own.columns import BY_NAME, FURTHER, SEEN
from rs3l.dataset.own.jets import Jets
from rs3l.dataset.own.lists import numbers, refuse_nulls
from rs3l.dataset.own.tables import Piece
from rs3l.dataset.schema import HARD_COLUMNS, JET_COLUMNS, dataset_schema
from rs3l.errors import DataError
from rs3l.paths import EVERY_SPLIT
from rs3l.types import Array, Floats64, Ints

SPLIT = "split"
"""Column beside those of the data set, with the split that a source gives, or an empty text."""
LARGEST_EVENT = (1 << 40) - 1


def rows_schema() -> pa.Schema:
    """Return the schema of rows before they are split."""
    return dataset_schema().append(pa.field(SPLIT, pa.string(), nullable=False))


class RowMaker:
    """Turns pieces of sources into rows, and counts what it sees.

    ``variants`` and ``processes`` are in the order in which they came, ``lacking`` are the columns that got their
    substitute anywhere, ``invalid`` the jets that were left out by column.
    """

    def __init__(self, labels: Mapping[str, str], constituents: int | None, leave_out: bool) -> None:
        """Begin with no jet; events without a number get the next one of their process."""
        self.labels, self.constituents, self.leave_out = labels, constituents, leave_out
        self.variants: dict[str, None] = {}
        self.processes: Counter[str] = Counter()
        self.lacking: set[str] = set()
        self.invalid: Counter[str] = Counter()
        self.numbered: bool | None = None

    def rows(self, piece: Piece, jets: Jets) -> pa.Table:
        """Return the rows of a piece in its order; raises :class:`DataError` for what cannot be used."""
        found = clean(piece, jets, self.leave_out)
        where = piece.where
        self.invalid += found.invalid
        self.lacking |= {name for name in SEEN if name in jets.fill and name not in found.columns.column_names}
        process = self._text(where, "process", found, piece.start, jets.process)
        variant = self._text(where, "variant", found, piece.start, jets.variant or _default_variant(found))
        self._note(where, process, variant)
        columns: dict[str, Any] = {
            **dict(zip(SEEN, found.table(self.constituents).select(SEEN).columns, strict=True)),
            **self._further(where, found, piece.start),
            "event_id": self._keys(where, found, piece.start, process),
            "process": process,
            "variant": variant,
            "label": pa.array([self.labels.get(name, name) for name in process.to_pylist()], pa.string()),
            SPLIT: self._splits(where, found, piece.start, jets),
        }
        schema = rows_schema()
        return pa.table([_typed(columns[field.name], field.type) for field in schema], schema=schema)

    def _text(self, where: str, name: str, found: Clean, start: int, given: str) -> pa.Array:
        """Return the names of processes or variants [J]."""
        if given:
            values = pa.array([given]).take(pa.array(np.zeros(len(found.rows), np.int64)))
        elif name in found.columns.column_names:
            column = found.columns[name]
            refuse_nulls(where, name, column, start)
            values = pc.cast(column, pa.string()).combine_chunks()
        else:
            raise DataError(f"{where}: no column {name}; add it, or say which {name} these jets are of (`{name}`)")
        for one in pc.unique(values).to_pylist():
            if not re.fullmatch(NAME, one):
                raise DataError(
                    f"{where}: {name} {one!r}: a name has small letters, digits and _, 40 at most, and begins "
                    "with a letter; rename it"
                )
        return values

    def _note(self, where: str, process: pa.Array, variant: pa.Array) -> None:
        self.variants |= dict.fromkeys(pc.unique(variant).to_pylist())
        for name in pc.unique(process).to_pylist():
            clash = [
                one
                for one in self.processes
                if one != name and seeds.process_code(one) == seeds.process_code(name)
            ]
            if clash:
                raise DataError(f"{where}: the processes {name} and {clash[0]} have one code of keys; rename one")
            self.processes.setdefault(name, 0)

    def _keys(self, where: str, found: Clean, start: int, process: pa.Array) -> Ints:
        """Return the key of each jet's event [J]."""
        numbered = "event_id" in found.columns.column_names
        if self.numbered not in (None, numbered):
            raise DataError(
                f"{where}: has {'a' if numbered else 'no'} column event_id, unlike the sources before; give all "
                "of them one, or none"
            )
        self.numbered = numbered
        names = np.asarray(process.to_numpy(zero_copy_only=False))
        keys = np.zeros(len(names), np.int64)
        for name in dict.fromkeys(names):
            own = np.flatnonzero(names == name)
            first = seeds.event_id(name, 0)
            keys[own] = first + self._indices(where, found, start, name, own, first)
        return keys

    def _indices(self, where: str, found: Clean, start: int, name: str, own: Ints, first: int) -> Ints:
        """Return the indices of the events of the jets ``own`` of a process, whose first key is ``first``."""
        if not self.numbered:
            begin = self.processes[name]
            self.processes[name] += len(own)
            return np.arange(begin, begin + len(own))
        column = found.columns["event_id"]
        refuse_nulls(where, "event_id", column, start)
        values = numbers(where, "event_id", column)[own]
        index = np.where(values > LARGEST_EVENT, values - first, values)
        wrong = np.flatnonzero((index < 0) | (index > LARGEST_EVENT) | (index != np.rint(index)))
        if len(wrong):
            row = start + found.rows[own[wrong[0]]]
            raise DataError(
                f"{where}: event_id is {values[wrong[0]]} in row {row}, neither a number from 0 to 2^40 - 1 nor a "
                f"key of the process {name}; number the events"
            )
        return np.asarray(index, dtype=np.int64)

    def _splits(self, where: str, found: Clean, start: int, jets: Jets) -> Array:
        """Return the split that the source gives for each jet [J], or empty texts."""
        if jets.split or SPLIT not in found.columns.column_names:
            return np.full(len(found.rows), jets.split, dtype=object)
        values = np.asarray(found.columns[SPLIT].to_numpy(zero_copy_only=False))
        wrong = np.flatnonzero(~np.isin(values.astype(str), EVERY_SPLIT))
        if len(wrong):
            raise DataError(
                f"{where}: split is {values[wrong[0]]!r} in row {start + found.rows[wrong[0]]}, none of "
                f"{', '.join(EVERY_SPLIT)}; correct it"
            )
        return values

    def _further(self, where: str, found: Clean, start: int) -> dict[str, Any]:
        """Return weight, jet type and further columns, with substitutes for those that are missing."""
        there = [name for name in ("weight", *FURTHER) if name in found.columns.column_names]
        self.lacking |= {name for name in ("weight", *FURTHER) if name not in there}
        columns: dict[str, Any] = _substitutes(found)
        for name in there:
            columns[name] = (
                self._text_type(where, found) if name == "jet_type" else _values(where, found, name, start)
            )
        return columns

    def _text_type(self, where: str, found: Clean) -> pa.Array:
        return pc.fill_null(pc.cast(found.columns["jet_type"], pa.string()), "other").combine_chunks()


def _default_variant(found: Clean) -> str:
    return "" if "variant" in found.columns.column_names else "nominal"


def _substitutes(found: Clean) -> dict[str, Any]:
    """Return the substitutes of further columns (``rs3l.dataset.own.columns``)."""
    n = len(found.rows)
    floats = [name for name, kind in {**HARD_COLUMNS, **JET_COLUMNS}.items() if pa.types.is_floating(kind)]
    pt, eta, energy = (found.jet[f"jet_{name}"] for name in ("pt", "eta", "energy"))
    return {
        **dict.fromkeys((name for name in floats if name in FURTHER), np.full(n, np.nan)),
        "weight": np.ones(n),
        "jet_type": np.full(n, "other", dtype=object),
        "parton_pdg_id": np.zeros(n, np.int64),
        "jet_mass": np.sqrt(np.maximum(energy**2 - (pt * np.cosh(eta)) ** 2, 0.0)),
        "jet_n_constituents": found.lengths,
    }


def _values(where: str, found: Clean, name: str, start: int) -> Floats64:
    """Return a further column of numbers; empty ones are NaN, but for the mass, the weight and whole numbers."""
    column = found.columns[name]
    whole = BY_NAME[name].kind == "integer"
    needed = whole or name in ("weight", "jet_mass")
    if pa.types.is_floating(column.type) and not needed:
        column = pc.fill_null(column, float("nan"))
    refuse_nulls(where, name, column, start)
    values = numbers(where, name, column).astype(np.float64)
    wrong = ~np.isfinite(values) if needed else np.zeros(len(values), bool)
    if whole:
        wrong |= (values != np.rint(values)) | (np.abs(values) >= 2**31)
    if wrong.any():
        row = start + int(found.rows[int(wrong.argmax())])
        raise DataError(f"{where}: {name} is {values[wrong][0]} in row {row}; correct it, or leave the column out")
    return values


def _typed(values: Any, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    """Return a column in the type of the data set."""
    if isinstance(values, np.ndarray):
        return pa.array(values.astype(kind.to_pandas_dtype()) if values.dtype != object else values, kind)
    return values.cast(kind)


def substitutes(lacking: Sequence[str]) -> dict[str, str]:
    """Return the substitutes of columns in words."""
    return {name: BY_NAME[name].substitute for name in lacking}
