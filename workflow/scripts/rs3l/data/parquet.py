"""How tables are stored: zstd; byte-stream split for floating-point columns, dictionaries for lists of integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa


def parquet_options(schema: pa.Schema) -> dict[str, Any]:
    """Return the options of the Parquet writer.

    Byte-stream split halves the size of floating-point columns. Charges and PDG codes have few values: with
    dictionaries they are smaller, and read in half of the time.
    """
    return {
        "compression": "zstd",
        "use_dictionary": _columns(schema, pa.types.is_integer, lists=True),
        "version": "2.6",
        "column_encoding": dict.fromkeys(_columns(schema, pa.types.is_floating), "BYTE_STREAM_SPLIT"),
    }


def _columns(schema: pa.Schema, of_kind: Callable[[pa.DataType], bool], lists: bool = False) -> list[str]:
    """Return the Parquet names of the columns whose values are ``of_kind``; with ``lists``, of lists alone."""
    values = {
        f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name: field.type
        for field in schema
        if pa.types.is_list(field.type) or not lists
    }
    return [
        name for name, kind in values.items() if of_kind(kind.value_type if pa.types.is_list(kind) else kind)
    ]
