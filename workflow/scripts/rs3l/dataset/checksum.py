"""Checksums that the writer of a file leaves with it, so that damage is found when the file is read.

A Parquet file has them in its metadata. The header's checksum covers every entry of the metadata, one of which is
the checksum of the values. A header is therefore checked without its values, and both are checked before a value
is used. A JSON file has an entry ``sha256`` over all others. A text has a file ``<name>.sha256`` beside it, as
``sha256sum`` writes it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rs3l.errors import DataError
from rs3l.files import sha256, write_text
from rs3l.paths import checksum_of

VALUES = "rs3l.values_sha256"
"""Entry of the metadata for the checksum of the values."""
HEADER = "rs3l.header_sha256"
"""Entry of the metadata for the checksum of all other entries."""
COLUMNS = "rs3l.columns"
"""Entry of the metadata for the names and types of the columns."""
COLLAPSED = "rs3l.collapsed"
"""Entry of the metadata for signs that the pre-training behind the values collapsed."""
JSON = "sha256"
"""Entry of a JSON file for the checksum of all other entries."""


class ValuesDigest:
    """SHA-256 of the names and values of a table that comes in pieces.

    It is the same for any pieces, and whatever lies under a null, because every column has its own sums, over
    which values are valid, the lengths of lists, and the valid values.
    """

    def __init__(self) -> None:
        """Begin with no column."""
        self._sums: dict[str, list[Any]] = {}

    def update(self, table: pa.Table) -> None:
        """Add the rows of ``table``, which has the same columns as all other pieces."""
        for name in table.column_names:
            sums = self._sums.setdefault(name, [])
            for i, piece in enumerate(_pieces(table[name].combine_chunks())):
                if i == len(sums):
                    sums.append(hashlib.sha256())
                sums[i].update(piece)

    def hexdigest(self) -> str:
        """Return the checksum of all rows so far."""
        sums = {name: [part.hexdigest() for part in parts] for name, parts in self._sums.items()}
        return hashlib.sha256(json.dumps(sums).encode()).hexdigest()


def values_sha256(table: pa.Table) -> str:
    """Return the checksum of all names and values of a table."""
    digest = ValuesDigest()
    digest.update(table)
    return digest.hexdigest()


def _pieces(array: pa.Array) -> Iterator[Any]:
    """Yield the bytes of a column: which values are valid, the lengths of lists and strings, the valid values."""
    yield array.is_valid().to_numpy(zero_copy_only=False)
    values = array.drop_null()
    if pa.types.is_list(values.type) or pa.types.is_fixed_size_list(values.type):
        yield pc.list_value_length(values).to_numpy(zero_copy_only=False)
        yield from _pieces(values.flatten())
    elif pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        yield pc.binary_length(values).to_numpy(zero_copy_only=False)
        yield _characters(values)
    else:
        numbers = values.to_numpy(zero_copy_only=False)
        if numbers.dtype == object:
            raise ValueError(f"no checksum of a column of type {values.type}")
        yield numbers


def _characters(values: pa.StringArray) -> Any:
    """Return the bytes of all strings, one after the other; there must be no null."""
    _, offsets, characters = values.buffers()
    width = np.int64 if pa.types.is_large_string(values.type) else np.int32
    ends = np.frombuffer(offsets, width)[values.offset : values.offset + len(values) + 1]
    return b"" if characters is None else memoryview(characters)[ends[0] : ends[-1]]


def sealed(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return ``metadata`` with the checksum of its entries."""
    return {**metadata, HEADER: _header_sha256(metadata)}


def is_sealed(metadata: Mapping[str, str]) -> bool:
    """Return whether the checksum of the entries is there and right."""
    return metadata.get(HEADER) == _header_sha256(metadata)


def _header_sha256(metadata: Mapping[str, str]) -> str:
    entries = sorted((key, value) for key, value in metadata.items() if key != HEADER)
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()


class SealedWriter:
    """Writes a Parquet file (zstd) in pieces, a row group or more each, and its checksums in its metadata.

    Of the metadata of ``schema``, the project's own entries (``rs3l.…``) are kept, and sealed with the rest.
    """

    def __init__(self, path: str | Path, schema: pa.Schema, **options: Any) -> None:
        """Open the file with further ``options`` of pyarrow's writer."""
        self._schema = schema.remove_metadata()
        found = (schema.metadata or {}).items()
        self._own = {key.decode(): value.decode() for key, value in found if key.startswith(b"rs3l.")}
        self._writer = pq.ParquetWriter(path, self._schema, **{"compression": "zstd", **options})
        self._digest = ValuesDigest()
        self._digest.update(schema.empty_table())

    def write_table(self, table: pa.Table, row_group_size: int | None = None) -> None:
        """Write rows, without the metadata of their schema."""
        self._digest.update(table)
        self._writer.write_table(table.replace_schema_metadata(None), row_group_size=row_group_size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            entries = {**self._own, COLUMNS: _columns(self._schema), VALUES: self._digest.hexdigest()}
            self._writer.add_key_value_metadata(sealed(entries))
        self._writer.close()


def write_sealed(path: str | Path, table: pa.Table, row_group_size: int | None = None) -> None:
    """Write a Parquet file (zstd) with its checksums."""
    with SealedWriter(path, table.schema) as writer:
        writer.write_table(table, row_group_size)


def intact_parquet(path: str | Path) -> Path:
    """Return ``path`` after reading all its values to verify that it is what :class:`SealedWriter` wrote.

    Raises :class:`DataError` if it is missing, damaged, or holds no checksums.
    """
    digest = ValuesDigest()
    try:
        with pq.ParquetFile(path) as file:
            expected = _expected(path, file)
            digest.update(file.schema_arrow.empty_table())
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                table.validate(full=True)
                digest.update(table)
    except FileNotFoundError:
        raise DataError(f"{path}: missing; run the step that makes it") from None
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise DataError(f"{path}: truncated or damaged ({error}); delete it and run again") from None
    if expected != digest.hexdigest():
        raise DataError(f"{path}: its values were changed after it was written; delete it and run again")
    return Path(path)


def _expected(path: str | Path, file: pq.ParquetFile) -> str:
    """Return the checksum of the values in the header of a file, after verifying the header."""
    found = (file.metadata.metadata or {}).items()
    entries = {key.decode(): value.decode() for key, value in found if key.startswith(b"rs3l.")}
    if not {HEADER, VALUES, COLUMNS} & entries.keys():
        raise DataError(f"{path}: holds no checksum of this version of the workflow; delete it and run again")
    if not is_sealed(entries) or entries.get(COLUMNS) != _columns(file.schema_arrow):
        raise DataError(f"{path}: its header is damaged; delete it and run again")
    return str(entries.get(VALUES, ""))


def _columns(schema: pa.Schema) -> str:
    """Return names, types and nullability of columns, without Parquet's own name for the entries of lists."""
    return "; ".join(str(field) for field in schema).replace("<element: ", "<item: ")


def sealed_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with the checksum of its entries."""
    return {**value, JSON: _json_sha256(value)}


def check_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Raise :class:`DataError` if the object in ``path`` has a checksum that is not that of its entries."""
    if JSON in value and value[JSON] != _json_sha256(value):
        raise DataError(f"{path}: its contents were changed after it was written; delete it and run again")


def _json_sha256(value: Mapping[str, Any]) -> str:
    """Return the checksum of what a reader of the file gets, whatever the order of keys and the spaces."""
    entries = json.loads(json.dumps({key: entry for key, entry in value.items() if key != JSON}))
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()


def write_checked(path: str | Path, text: str) -> None:
    """Write ``text`` atomically, and its checksum beside it."""
    record = Path(checksum_of(str(path)))
    record.unlink(missing_ok=True)  # killed in between, it leaves no checksum rather than that of the old file
    write_text(path, text)
    write_text(record, f"{hashlib.sha256(text.encode()).hexdigest()}  {Path(path).name}\n")


def intact_text(path: str | Path) -> Path:
    """Return ``path`` if its bytes match the checksum beside it, or if there is no checksum.

    Raises :class:`DataError` if they do not match, or if the file is missing but its checksum is not.
    """
    record = Path(checksum_of(str(path)))
    try:
        expected = record.read_text(encoding="utf-8").split()[:1]
        found = sha256(path)
    except FileNotFoundError:
        return Path(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{record}: cannot be read ({error}); delete it and {path}, and run again") from None
    if expected != [found]:
        raise DataError(
            f"{path}: its SHA-256 is not that in {record.name}: it was changed after it was written; "
            "delete it and run again"
        )
    return Path(path)
