"""How tables are stored: zstd; byte-stream split for floating-point numbers; integers in lists by dictionary."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa


def parquet_options(schema: pa.Schema) -> dict[str, Any]:
    """Return the options of the Parquet writer.

    Byte-stream split halves the size of floating-point columns. Charges and PDG codes have few values, so that
    with dictionaries they are smaller and are read in half of the time.
    """
    lists = [field for field in schema if pa.types.is_list(field.type)]
    return {
        "compression": "zstd",
        "use_dictionary": _columns(lists, pa.types.is_integer),
        "version": "2.6",
        "column_encoding": dict.fromkeys(_columns(schema, pa.types.is_floating), "BYTE_STREAM_SPLIT"),
    }


def scores_options(schema: pa.Schema) -> dict[str, Any]:
    """Return the options of the Parquet writer for keys and scores of jets, or vectors of a fixed size.

    Names are stored by dictionary, which would be tried in vain for numbers.
    """
    floats = [name for field in schema for name in _floating(field)]
    return {
        "use_dictionary": [field.name for field in schema if pa.types.is_string(field.type)],
        "column_encoding": {**dict.fromkeys(floats, "BYTE_STREAM_SPLIT"), "event_id": "DELTA_BINARY_PACKED"},
    }


def _floating(field: pa.Field) -> list[str]:
    """Return the Parquet name of a column of floating-point numbers or vectors, or nothing for another."""
    if pa.types.is_fixed_size_list(field.type):
        return [f"{field.name}.list.element"]
    return [field.name] if pa.types.is_floating(field.type) else []


def _columns(fields: Iterable[pa.Field], of_kind: Callable[[pa.DataType], bool]) -> list[str]:
    """Return the Parquet names of the columns whose values, or entries of lists, are ``of_kind``."""
    return [
        f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name
        for field in fields
        if of_kind(field.type.value_type if pa.types.is_list(field.type) else field.type)
    ]
