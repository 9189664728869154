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

VALUES = "rs3l.values_sha256"
"""Entry of the metadata: checksum of the values."""
HEADER = "rs3l.header_sha256"
"""Entry of the metadata: checksum of all other entries."""


def values_sha256(table: pa.Table) -> str:
    """Return the SHA-256 of all names and values, the same for any chunks and whatever lies under a null."""
    digest = hashlib.sha256()
    for name in table.column_names:
        digest.update(name.encode())
        for piece in _pieces(table[name].combine_chunks()):
            digest.update(piece)
    return digest.hexdigest()


def _pieces(array: pa.Array) -> Iterator[Any]:
    """Yield the bytes of a column: which values are valid, the lengths of lists, the valid values."""
    yield array.is_valid().to_numpy(zero_copy_only=False)
    values = array.drop_null()
    if pa.types.is_list(values.type):
        yield values.value_lengths().to_numpy(zero_copy_only=False)
        yield from _pieces(values.flatten())
    elif pa.types.is_string(values.type):
        yield json.dumps(values.to_pylist()).encode()
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
