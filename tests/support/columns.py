"""Further columns of a split, in the order of its :class:`rs3l.dataset.store.JetStore`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rs3l.dataset.manifest import read_manifest
from rs3l.dataset.store import JetStore
from rs3l.errors import DataError


def load_columns(
    manifest_path: str | Path, split: str, store: JetStore, names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Return the columns ``names``, each [J], of the jets of ``store``, as it was read from ``split``."""
    manifest = read_manifest(manifest_path)
    files = [part for process in store.process_names for part in manifest.files(split, process)]
    table = pa.concat_tables(_read(manifest.path(part), ["event_id", *names], store) for part in files)
    if not np.array_equal(table["event_id"].to_numpy(), store.event_id):
        raise DataError(f"{manifest_path}: the data set has changed while it was read; run again")
    return {name: table[name].to_numpy() for name in names}


def _read(path: Path, columns: Sequence[str], store: JetStore) -> pa.Table:
    variants = [("variant", "in", list(store.variant_names))]
    try:
        return pq.read_table(path, columns=list(columns), filters=variants)
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: {', '.join(columns)} cannot be read ({reason}); merge again") from None
