"""Read a data set, or a part of it, as a pandas table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.dataset.manifest import check_names, read_manifest, verified
from rs3l.dataset.schema import dataset_schema
from rs3l.errors import DataError


def read_frame(
    manifest_path: str | Path,
    split: str | None = None,
    processes: Sequence[str] | None = None,
    variants: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the jets of a data set, one row each, in the order of the manifest; None stands for all.

    The views of a hard event are adjacent rows with the same ``event_id``. Columns ``cand_...`` hold an array per
    jet, candidates by descending pT; GeV, mm, rad (docs/merge.md). Everything that is asked for is in memory: some
    1.5 kB per jet with all columns. Raises :class:`DataError` if the manifest or a file of it is missing, foreign
    or changed, if a name is not in the data set, or if nothing is selected.
    """
    manifest = read_manifest(manifest_path)
    check_names(manifest_path, "process", processes or [], manifest.processes)
    check_names(manifest_path, "variant", variants or [], manifest.variants)
    names = list(columns or dataset_schema().names)
    check_names(manifest_path, "column", names, dataset_schema().names)
    chosen = [("variant", "in", list(variants))] if variants else None
    tables = [
        pq.read_table(verified(manifest.path(part), part.sha256), columns=names, filters=chosen)
        for part in manifest.files(split)
        if part.process in (processes or manifest.processes)
    ]
    if not sum(table.num_rows for table in tables):
        raise DataError(f"{manifest_path}: no jet of these processes under these variants in the split {split!r}")
    frame: pd.DataFrame = pa.concat_tables(tables).select(names).to_pandas()
    return frame
