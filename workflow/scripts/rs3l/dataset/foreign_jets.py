"""Read jets for a trained network from any Parquet file with our columns, such as one that pandas wrote.

The axis and energy of the jet and the eight lists of its candidates are needed, in the units of the data set.
Lists may have any order and numbers any width; other columns may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rs3l.dataset.schema import CANDIDATE_COLUMNS
from rs3l.dataset.store import JetStore, join_parts, part_arrays
from rs3l.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

JET_COLUMNS = ("jet_pt", "jet_eta", "jet_phi", "jet_energy")
NEEDED = (*JET_COLUMNS, *CANDIDATE_COLUMNS)
JETS_AT_A_TIME = 16_384

_Lists = pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray


def read_jets(path: str | Path, constituents: int) -> Iterator[tuple[pa.Table, JetStore]]:
    """Yield the columns of a file that are no lists, and its jets, some thousands at a time.

    Raises :class:`DataError` if it is no Parquet file, lacks columns, or holds values that cannot be used.
    """
    file = Path(path)
    try:
        with pq.ParquetFile(file) as parquet:
            _check_columns(file, parquet.schema_arrow)
            for batch in parquet.iter_batches(JETS_AT_A_TIME, use_threads=False):
                table = pa.Table.from_batches([batch])
                yield _scalars(table), _store(file, table, constituents)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({str(error).splitlines()[0]})") from None


def jets_of(jets: pd.DataFrame | pa.Table | Mapping[str, Any], constituents: int) -> JetStore:
    """Return jets in memory as a store: a table, or arrays by name, with the columns :data:`NEEDED`.

    Columns have an entry per jet [J], which for ``cand_...`` is a sequence with an entry per candidate, in any
    order; GeV, mm, rad. Raises :class:`DataError` if columns are missing, or hold values that cannot be used.
    """
    columns = {name: jets[name] for name in NEEDED if name in _names(jets)}
    try:
        table = pa.table({name: _arrow(column) for name, column in columns.items()})
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise DataError(f"the jets: {str(error).splitlines()[0]}") from None
    _check_columns(Path("the jets"), table.schema)
    if not table.num_rows:
        raise DataError("the jets: there is none")
    return _store(Path("the jets"), table, constituents)


def _names(jets: pd.DataFrame | pa.Table | Mapping[str, Any]) -> list[str]:
    return list(jets.column_names if isinstance(jets, pa.Table) else jets)


def _arrow(column: Any) -> pa.Array | pa.ChunkedArray:
    if isinstance(column, pa.Array | pa.ChunkedArray):
        return column
    if type(column).__module__.startswith("awkward."):
        import awkward

        return awkward.to_arrow(column, extensionarray=False)
    return pa.array(list(column) if isinstance(column, np.ndarray) and column.ndim > 1 else column)


def _check_columns(path: Path, schema: pa.Schema) -> None:
    missing = [name for name in NEEDED if name not in schema.names]
    if missing:
        raise DataError(
            f"{path}: no column {', '.join(missing)}; needed are {', '.join(JET_COLUMNS)} (GeV, rad) and lists "
            f"{', '.join(CANDIDATE_COLUMNS)} with an entry per candidate (docs/merge.md)"
        )
    flat = [name for name in CANDIDATE_COLUMNS if not _is_list(schema.field(name).type)]
    if flat:
        raise DataError(f"{path}: {', '.join(flat)}: must be lists, one entry per candidate of the jet")


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _scalars(table: pa.Table) -> pa.Table:
    return table.select([field.name for field in table.schema if not _is_list(field.type)])


def _store(path: Path, table: pa.Table, constituents: int) -> JetStore:
    """Return the jets of a table, each of which counts as an event of its own."""
    columns = {name: _jet_column(path, table, name) for name in JET_COLUMNS}
    columns |= {name: _list_column(path, table, name) for name in CANDIDATE_COLUMNS}
    n = table.num_rows
    columns |= {
        "jet_mass": pa.array(np.zeros(n, np.float32)),
        "event_id": pa.array(np.arange(n)),
        "weight": pa.array(np.ones(n)),
        "variant": pa.array(["nominal"] * n),
    }
    own = pa.table(columns)
    part = part_arrays(path, _by_pt(own), 0, ["nominal"])
    return join_parts([part], ("jets",), ("nominal",), constituents, len(part["cand_pt"]))


def _jet_column(path: Path, table: pa.Table, name: str) -> pa.Array:
    _refuse_nulls(path, name, table[name])
    return _cast(path, name, table[name].combine_chunks(), pa.float32())


def _list_column(path: Path, table: pa.Table, name: str) -> pa.ListArray:
    """Return a list column in the type of the data set."""
    column = table[name].combine_chunks()
    _refuse_nulls(path, name, column)
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    values = pc.list_flatten(column)
    _refuse_nulls(path, name, values)
    return pa.ListArray.from_arrays(offsets, _cast(path, name, values, CANDIDATE_COLUMNS[name]))


def _refuse_nulls(path: Path, name: str, values: pa.Array | pa.ChunkedArray) -> None:
    if values.null_count:
        raise DataError(f"{path}: {name} has {values.null_count} empty values; leave these jets out")


def _cast(path: Path, name: str, values: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return pc.cast(values, kind, safe=not pa.types.is_floating(kind))
    except pa.ArrowException as error:
        raise DataError(f"{path}: {name}: {error}; it must be of the type {kind}") from None


def _by_pt(table: pa.Table) -> pa.Table:
    """Return ``table`` with the candidates of each jet by descending pT, because networks see the hardest."""
    lists = {name: table[name].combine_chunks() for name in CANDIDATE_COLUMNS}
    offsets = lists["cand_pt"].offsets
    jet = np.repeat(np.arange(table.num_rows), np.diff(offsets.to_numpy()))
    pt = lists["cand_pt"].values.to_numpy()
    order = np.lexsort((-pt, jet))
    if np.array_equal(order, np.arange(len(order))):
        return table
    for name, column in lists.items():
        if len(column.values) != len(order):
            return table  # the reader refuses lists of different lengths by name
        index = table.schema.get_field_index(name)
        table = table.set_column(
            index, name, pa.ListArray.from_arrays(offsets, column.values.take(pa.array(order)))
        )
    return table
