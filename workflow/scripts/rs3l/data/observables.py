"""Further columns of a split, in the order of its :class:`rs3l.data.store.JetStore`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rs3l.data.manifest import read_manifest
from rs3l.data.store import JetStore
from rs3l.errors import DataError


def load_columns(
    manifest_path: str | Path, split: str, store: JetStore, names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Return the columns ``names``, each [J], of the jets of ``store``, as it was read of ``split``."""
    tables = []
    for process in store.process_names:
        for entry in read_manifest(manifest_path)["files"]:
            if entry["split"] == split and entry["process"] == process:
                path = Path(manifest_path).parent / entry["path"]
                tables.append(pq.read_table(path, columns=["event_id", *names], filters=_under(store)))
    table = pa.concat_tables(tables)
    if not np.array_equal(table["event_id"].to_numpy(), store.event_id):
        raise DataError(f"{manifest_path}: the data set has changed while it was read; run again")
    return {name: table[name].to_numpy() for name in names}


def _under(store: JetStore) -> list[tuple[str, str, list[str]]]:
    return [("variant", "in", list(store.variant_names))]
