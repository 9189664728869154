"""A campaign to be merged: small, of two processes and three variants."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.config import Campaign, parse_campaign
from rs3l.dataset.checksum import VALUES, sealed, values_sha256

EVENTS = {"higgs_bb": 40, "qcd": 30}


def small(values: dict[str, Any], shard: int) -> Campaign:
    """Return the miniature campaign with two processes, three variants and a few events."""
    processes = {name: {**values["processes"][name], "events": n} for name, n in EVENTS.items()}
    variants = {name: values["variants"][name] for name in ("nominal", "seed", "rehadron")}
    return parse_campaign(
        {
            **values,
            "processes": processes,
            "variants": variants,
            "events_per_shard": shard,
            "tasks": {"h_vs_qcd": values["tasks"]["h_vs_qcd"]},
            "dataset": {**values["dataset"], "events_per_part": 25, "events_per_row_group": 8},
        }
    )


def rewrite(path: str, table: pa.Table | None = None, **metadata: str) -> None:
    """Write a file again with other values or entries of its header, and with the checksums that belong to them."""
    old = pq.read_table(path)
    new = old if table is None else table
    entries = {key.decode(): value.decode() for key, value in old.schema.metadata.items()}
    changed = {f"rs3l.{key}": value for key, value in metadata.items()}
    pq.write_table(new.replace_schema_metadata(sealed({**entries, VALUES: values_sha256(new), **changed})), path)
