"""A campaign to be merged: small, of two processes and three variants."""

from __future__ import annotations

from typing import Any

from rs3l.config import Campaign, parse_campaign

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
