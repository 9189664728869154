"""Own jets as Arrow tables of some thousand rows, whatever they come from."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.dataset.own import jetclass
from rs3l.dataset.own.columns import COLUMNS
from rs3l.dataset.own.jets import Jets
from rs3l.dataset.own.lists import is_list
from rs3l.errors import ConfigError, DataError

JETS_AT_A_TIME = 16_384
ROOT_SUFFIXES = (".root",)


class Piece(NamedTuple):
    """Some rows of a source, with its name and the number of the first row, for errors."""

    where: str
    start: int
    table: pa.Table


def pieces(jets: Jets, scalars: bool = False) -> Iterator[Piece]:
    """Yield the rows of a source in order, with the columns that are used; with ``scalars``, all but lists.

    The names of columns are still those of the source. Raises :class:`DataError` for a file that cannot be read,
    and :class:`ConfigError` for data of another kind, or where a package is missing.
    """
    start, where = 0, source_name(jets)
    for table in _tables(jets, scalars):
        plain = _plain(table)
        for first in range(0, plain.num_rows, JETS_AT_A_TIME):
            part = plain.slice(first, JETS_AT_A_TIME)
            yield Piece(where, start, part)
            start += part.num_rows


def source_name(jets: Jets) -> str:
    """Return what errors and the card call a source: a path, or the kind of its data."""
    return str(jets.data) if isinstance(jets.data, str | Path) else f"{type(jets.data).__name__} in memory"


def wanted(jets: Jets, names: list[str], lists: Callable[[str], bool], scalars: bool) -> list[str]:
    """Return those columns of a source that are used; ``lists`` says whether one is of lists."""
    needed = {jets.rename.get(column.name, column.name) for column in COLUMNS}
    needed |= set(jetclass.NEEDED) if jetclass.is_jetclass(names) else set()
    return [name for name in names if name in needed or (scalars and not lists(name))]


def _tables(jets: Jets, scalars: bool) -> Iterator[pa.Table]:
    data = jets.data
    if isinstance(data, str | Path):
        path = Path(data)
        if path.is_dir():
            raise DataError(f"{path}: is a folder; give each file in it as a source of its own")
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        read = _root if path.suffix in ROOT_SUFFIXES else _parquet
        yield from read(path, jets, scalars)
    elif isinstance(data, Iterator):
        for part in data:
            yield as_table(part)
    elif isinstance(data, pa.RecordBatchReader):
        yield from (pa.Table.from_batches([batch]) for batch in data)
    else:
        yield as_table(data)


def _parquet(path: Path, jets: Jets, scalars: bool) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            names = wanted(jets, schema.names, lambda name: is_list(_storage(schema.field(name).type)), scalars)
            for batch in file.iter_batches(JETS_AT_A_TIME, columns=names, use_threads=False):
                yield pa.Table.from_batches([batch])
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({str(error).splitlines()[0]})") from None


def _root(path: Path, jets: Jets, scalars: bool) -> Iterator[pa.Table]:
    """Yield the rows of a tree of a ROOT file."""
    uproot = package("uproot", "ROOT files")
    with _as_data_error(path), uproot.open(path) as file:
        tree = _tree(path, file, jets.tree)
        shape = {name: tree[name].interpretation for name in tree.keys(recursive=False)}
        flat = [name for name, kind in shape.items() if _readable(uproot, kind)]
        names = wanted(jets, flat, lambda name: not isinstance(shape[name], uproot.AsDtype), scalars)
        if not names:
            raise DataError(f"{path}: the tree {tree.name} has no branch that is used; it has {', '.join(shape)}")
        for array in tree.iterate(names, step_size=JETS_AT_A_TIME, library="ak"):
            yield _from_awkward(array)


@contextlib.contextmanager
def _as_data_error(path: Path) -> Iterator[None]:
    """Turn what goes wrong in reading a ROOT file into an error that names it."""
    try:
        yield
    except (OSError, ValueError, KeyError, NotImplementedError, AssertionError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{path}: cannot be read as a ROOT file ({reason}); get it again") from None


def _readable(uproot: ModuleType, kind: Any) -> bool:
    """Return whether a branch has numbers, lists of numbers or text."""
    if isinstance(kind, uproot.AsDtype):
        return kind.from_dtype.names is None
    flat = isinstance(kind, uproot.AsJagged) and isinstance(kind.content, uproot.AsDtype)
    return flat or isinstance(kind, uproot.AsStrings)


def _tree(path: Path, file: Any, name: str) -> Any:
    """Return the tree of a name, or the only one."""
    kinds = file.classnames()
    found = list(dict.fromkeys(key.partition(";")[0] for key, kind in kinds.items() if kind == "TTree"))
    tuples = [key.partition(";")[0] for key, kind in kinds.items() if kind.endswith("RNTuple")]
    if name in tuples or (tuples and not found):
        raise DataError(
            f"{path}: {name or tuples[0]} is an RNTuple, and only a TTree is read; write it as one "
            "(uproot: `mktree`), or as Parquet"
        )
    if name and name not in found:
        raise DataError(f"{path}: no tree {name} (it has {', '.join(found) or 'none'})")
    if not name and len(found) != 1:
        raise DataError(f"{path}: {len(found)} trees ({', '.join(found)}); say which (`tree`)")
    return file[name or found[0]]


def package(name: str, needed_for: str) -> ModuleType:
    """Return an optional package; raises :class:`ConfigError` where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(f"{needed_for} need the package {name}: pip install {name}") from None


def as_table(data: Any) -> pa.Table:
    """Return arrays as a table: Arrow, pandas, Awkward records, or NumPy arrays by name.

    Raises :class:`ConfigError` for data of another kind.
    """
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if isinstance(data, Mapping):
        return _from_arrays(data)
    module = type(data).__module__.split(".")[0]
    if module == "pandas":
        return pa.Table.from_pandas(data, preserve_index=False)
    if module == "awkward":
        return _from_awkward(data)
    raise ConfigError(
        f"jets of the kind {type(data).__name__} cannot be read; give a path, an Arrow table, a pandas frame, an "
        "Awkward array of records, NumPy arrays by name, or an iterator of these"
    )


def _storage(kind: pa.DataType) -> pa.DataType:
    """Return a type without Arrow's extension types, as Awkward writes them, at any depth of lists."""
    if isinstance(kind, pa.BaseExtensionType):
        return _storage(kind.storage_type)
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_storage(kind.value_type), kind.list_size)
    if is_list(kind):
        make = pa.large_list if pa.types.is_large_list(kind) else pa.list_
        return make(_storage(kind.value_type))
    return kind


def _plain(table: pa.Table) -> pa.Table:
    """Return a table in which columns of extension types have the types that these are stored as."""
    for place, field in enumerate(table.schema):
        if (kind := _storage(field.type)) != field.type:
            table = table.set_column(place, field.name, table[field.name].cast(kind))
    return table


def _from_awkward(array: Any) -> pa.Table:
    if not array.fields:
        raise ConfigError("the Awkward array has no fields; give one of records: ak.zip({...}, depth_limit=1)")
    awkward = package("awkward", "Awkward arrays")
    options = {"list_to32": True, "string_to32": True, "extensionarray": False}
    return pa.table({name: awkward.to_arrow(array[name], **options) for name in array.fields})


def _from_arrays(data: Mapping[str, Any]) -> pa.Table:
    """Return arrays by name as a table, in which rows of two-dimensional ones are lists."""
    columns = {name: _column(name, values) for name, values in data.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"arrays of different lengths: {', '.join(f'{n} {k}' for n, k in lengths.items())}")
    return pa.table(columns)


def _column(name: str, values: Any) -> pa.Array:
    if type(values).__module__.split(".")[0] == "awkward":
        return package("awkward", "Awkward arrays").to_arrow(values, list_to32=True, extensionarray=False)
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if isinstance(values, list):
        return pa.array(values)
    array = np.asarray(values)
    empty = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    if array.dtype == object:
        return pa.array(list(values))
    if array.dtype.kind == "c":
        raise DataError(f"{name} holds {array.dtype}; it must hold real numbers")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)  # Arrow has no other order of bytes
    if array.ndim == 1:
        return pa.array(array, mask=empty)
    if array.ndim != 2:
        raise DataError(f"{name}: an array of shape {array.shape}; one or two dimensions are needed")
    flat = pa.array(np.ascontiguousarray(array).reshape(-1), mask=None if empty is None else empty.reshape(-1))
    offsets = pa.array((np.arange(len(array) + 1) * array.shape[1]).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, flat)
