"""How tables are stored: zstd, and byte-stream split for floating-point columns, which halves their size."""

from __future__ import annotations

from typing import Any

import pyarrow as pa


def parquet_options(schema: pa.Schema) -> dict[str, Any]:
    """Return the options of the Parquet writer: zstd; byte-stream split for floating-point columns."""
    floating = [
        f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name
        for field in schema
        if pa.types.is_floating(field.type.value_type if pa.types.is_list(field.type) else field.type)
    ]
    return {
        "compression": "zstd",
        "use_dictionary": False,
        "version": "2.6",
        "column_encoding": dict.fromkeys(floating, "BYTE_STREAM_SPLIT"),
    }
