"""The table of what frozen encoders know, from one file per pre-training run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.config.blocks import EvaluateBlock, is_baseline
from rs3l.data.checksum import intact_parquet
from rs3l.errors import DataError
from rs3l.eval.bootstrap import combine
from rs3l.eval.tables import ESTIMATE_COLUMNS, Row, estimate_columns

_KEY = ["method", "space", "quantity", "subject"]


def latents_table(paths: Sequence[str | Path], block: EvaluateBlock) -> pd.DataFrame:
    """Return ``latents.csv``: a line per method, space (h, z), quantity and subject, averaged over the runs.

    ``n``: test jets, or events among which one is looked for; ``classes``: of a probe, or candidates of a
    retrieval. ``seen``: the pre-training had the variant of a retrieval as view. Raises :class:`DataError` if a
    run is missing; without any file the table is empty.
    """
    if not paths:
        return pd.DataFrame(columns=[*_KEY, "use", "seen", *ESTIMATE_COLUMNS, "n", "classes"])
    table = pd.concat([_read(Path(path)) for path in _files(paths, block)], ignore_index=True)
    rows = [_row(dict(zip(_KEY, key, strict=True)), group, block) for key, group in table.groupby(_KEY, sort=True)]
    return pd.DataFrame(rows)


def _row(cells: Row, group: pd.DataFrame, block: EvaluateBlock) -> Row:
    method, variant = str(cells["method"]), str(cells["subject"])
    retrieval = cells["quantity"] == "retrieval"
    seed = group["seed"].to_numpy()
    estimate = combine(np.stack(group["values"].to_list()).astype(np.float64), seed, np.zeros_like(seed))
    return {
        **cells,
        "use": block.variants[variant] if retrieval else "",
        "seen": variant in block.views[method] if retrieval else "",
        **estimate_columns(estimate),
        "n": int(group["n"].min()),
        "classes": int(group["classes"].max()),
    }


def _files(paths: Sequence[str | Path], block: EvaluateBlock) -> list[Path]:
    found = {Path(path).parent.name: Path(path) for path in paths}
    wanted = [run for run in block.runs if not is_baseline(run)]
    if missing := [run for run in wanted if run not in found]:
        raise DataError(f"no latent quality of {', '.join(missing)}: give their files too (embed.py --quality)")
    return [found[run] for run in wanted]


def _read(path: Path) -> pd.DataFrame:
    try:
        table: pd.DataFrame = pq.read_table(intact_parquet(path)).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: no table of latent quality: {error}") from None
    method, _, seed = path.parent.name.rpartition("_s")
    return table.assign(method=method, seed=int(seed))
