"""Checksums of a shard of jets, kept in the metadata of its file: damage after writing is found when it is read.

The header's checksum covers every entry of the metadata, and one of them is the checksum of the values. So a
header is checked without its values, and both are checked before a value is used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

VALUES = "rs3l.values_sha256"
"""Entry of the metadata: checksum of the values."""
HEADER = "rs3l.header_sha256"
"""Entry of the metadata: checksum of all other entries."""


class ValuesDigest:
    """SHA-256 of the names and values of a table that comes in pieces.

    The same for any pieces, and whatever lies under a null: every column has its own sums, over which values
    are valid, the lengths of lists, and the valid values.
    """

    def __init__(self) -> None:
        """Begin with no column."""
        self._sums: dict[str, list[Any]] = {}

    def update(self, table: pa.Table) -> None:
        """Add the rows of ``table``; all pieces have the same columns."""
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
    if pa.types.is_list(values.type):
        yield values.value_lengths().to_numpy(zero_copy_only=False)
        yield from _pieces(values.flatten())
    elif pa.types.is_string(values.type):
        yield pc.binary_length(values).to_numpy(zero_copy_only=False)
        yield "".join(values.to_pylist()).encode()
    else:
        yield values.to_numpy(zero_copy_only=False)


def sealed(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return ``metadata`` with the checksum of its entries."""
    return {**metadata, HEADER: _header_sha256(metadata)}


def is_sealed(metadata: Mapping[str, str]) -> bool:
    """Return whether the checksum of the entries is there and right."""
    return metadata.get(HEADER) == _header_sha256(metadata)


def _header_sha256(metadata: Mapping[str, str]) -> str:
    entries = sorted((key, value) for key, value in metadata.items() if key != HEADER)
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()
