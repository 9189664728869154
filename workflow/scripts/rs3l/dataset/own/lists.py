"""List columns of own jets as flat arrays with lengths, whatever Arrow's type of list. T counts all entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rs3l.errors import DataError
from rs3l.types import Array, Ints


def is_list(kind: pa.DataType) -> bool:
    """Return whether a type is one of lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


@dataclass(frozen=True)
class Lists:
    """A list column ``name``: the number of entries of each row [J], and all entries [T]."""

    name: str
    lengths: Ints
    values: Array

    @property
    def rows(self) -> Ints:
        """Return the row of each entry [T]."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def check_same(self, where: str, other: Lists, start: int) -> None:
        """Raise :class:`DataError` if another column has lists of other lengths; ``start`` is the first row."""
        differ = np.flatnonzero(self.lengths != other.lengths)
        if len(differ):
            row = differ[0]
            raise DataError(
                f"{where}: {other.name} and {self.name} differ in length, first in row {start + row} "
                f"({other.lengths[row]} and {self.lengths[row]} entries); each needs one per candidate"
            )


def read_lists(where: str, table: pa.Table, name: str, start: int) -> Lists:
    """Return a list column; raises :class:`DataError` if it holds no lists of numbers, or has empty values."""
    column = table[name].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if not is_list(column.type):
        raise DataError(f"{where}: {name}: must be lists, one entry per candidate of the jet")
    refuse_nulls(where, name, column, start)
    lengths = np.asarray(pc.list_value_length(column).to_numpy(zero_copy_only=False), dtype=np.int64)
    values = pc.list_flatten(column)
    if values.null_count:
        rows = np.repeat(np.arange(len(lengths)), lengths)
        refuse_nulls(where, name, values, start, rows)
    return Lists(name, lengths, numbers(where, name, values))


def numbers(where: str, name: str, values: pa.Array | pa.ChunkedArray) -> Array:
    """Return numbers as an array of 64 bits; raises :class:`DataError` for anything else."""
    kind = values.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        raise DataError(f"{where}: {name} holds {kind}; it must hold numbers")
    target = pa.int64() if pa.types.is_integer(kind) else pa.float64()
    if pa.types.is_boolean(kind):
        values = pc.cast(values, pa.int8())
    try:
        return np.asarray(pc.cast(values, target).to_numpy(zero_copy_only=False))
    except pa.ArrowException as error:
        raise DataError(f"{where}: {name}: {error}; give smaller numbers") from None


def refuse_nulls(where: str, name: str, values: Any, start: int, rows: Ints | None = None) -> None:
    """Raise :class:`DataError` if a column has empty values; ``rows`` are those of flattened entries."""
    if values.null_count:
        first = int(np.argmax(np.asarray(pc.is_null(values).to_numpy(zero_copy_only=False))))
        row = first if rows is None else int(rows[first])
        raise DataError(
            f"{where}: {name} has {values.null_count} empty values, first in row {start + row}; fill them, or "
            "leave these jets out"
        )


def list_array(lengths: Ints, values: Array, kind: pa.DataType | None = None) -> pa.ListArray:
    """Return a list column of rows with ``lengths`` entries each."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(values, kind))
