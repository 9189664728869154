"""The table of what frozen encoders know, made from one file per pre-training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.config.blocks import EvaluateBlock
from rs3l.dataset.checksum import intact_parquet
from rs3l.errors import DataError
from rs3l.evaluate.bootstrap import Estimate, combine_all
from rs3l.evaluate.spread import Group, Runs
from rs3l.evaluate.tables import ESTIMATE_COLUMNS, Row, estimate_columns
from rs3l.runs import Run, is_baseline
from rs3l.types import Floats64

_KEY = ["method", "space", "quantity", "subject"]


def latents_table(qualities: Sequence[str | Path], block: EvaluateBlock) -> pd.DataFrame:
    """Return ``latents.csv``, with a line per method, space (h, z), quantity and subject, averaged over the runs.

    ``n`` is the number of test jets, or of the events among which one is looked for. ``classes`` is the number of
    classes of a probe, or of candidates of a retrieval. ``seen`` says whether the pre-training had the variant of
    a retrieval as a view. Raises :class:`DataError` if a run is missing; without any file the table is empty.
    """
    if not qualities:
        return pd.DataFrame(columns=[*_KEY, "use", "seen", *ESTIMATE_COLUMNS, "n", "classes"])
    table = pd.concat([_read(Path(path)) for path in _files(qualities, block)], ignore_index=True)
    found = dict(iter(table.groupby(_KEY, sort=True)))
    estimates = _estimates(found)
    rows = [_row(dict(zip(_KEY, key, strict=True)), found[key], estimates[key], block) for key in found]
    return pd.DataFrame(rows)


def _estimates(found: Mapping[Any, pd.DataFrame]) -> dict[Any, Estimate]:
    """Return the means over the pre-trainings.

    The estimates of one space, quantity and subject lend each other the variances that they lack.
    """
    result: dict[Any, Estimate] = {}
    for about in dict.fromkeys(key[1:] for key in found):
        values: dict[Group, tuple[Floats64, Runs]] = {}
        for key in (key for key in found if key[1:] == about):
            seed = found[key]["seed"].to_numpy()
            runs = Runs(seed, np.zeros_like(seed), has_repeats=False)
            values[str(key[0]), "", 0] = np.stack(found[key]["values"].to_list()).astype(np.float64), runs
        result |= {(group[0], *about): estimate for group, estimate in combine_all(values).items()}
    return result


def _row(cells: Row, group: pd.DataFrame, estimate: Estimate, block: EvaluateBlock) -> Row:
    method, variant = str(cells["method"]), str(cells["subject"])
    retrieval = cells["quantity"] == "retrieval"
    return {
        **cells,
        "use": block.variants[variant] if retrieval else "",
        "seen": variant in block.views[method] if retrieval else "",
        **estimate_columns(estimate),
        "n": int(group["n"].min()),
        "classes": int(group["classes"].max()),
    }


def _files(paths: Sequence[str | Path], block: EvaluateBlock) -> list[Path]:
    found = {str(Run.of_file(path)): Path(path) for path in paths}
    wanted = [run for run in block.runs if not is_baseline(run)]
    if missing := [run for run in wanted if run not in found]:
        raise DataError(f"no latent quality of {', '.join(missing)}: give their files too (embed.py --quality)")
    return [found[run] for run in wanted]


def _read(path: Path) -> pd.DataFrame:
    try:
        table: pd.DataFrame = pq.read_table(intact_parquet(path)).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: no table of latent quality: {error}") from None
    run = Run.of_file(path)
    return table.assign(method=run.method, seed=run.seed)
