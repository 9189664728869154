"""What the report says of jets that exist already: where they come from, and what cannot be had from the files."""

from __future__ import annotations

import pandas as pd

from rs3l.config.campaign import Campaign
from rs3l.figures.registry import FIGURES, left_out
from rs3l.paths import CampaignPaths
from rs3l.report.contents import Table, frame_table, read_json
from rs3l.report.words import listed

SOURCE = "Source"
"""Title of the section that stands in place of the simulation."""

_LEFT_OUT = {
    "events_without_jets": "events without a jet",
    "invalid_jets": "jets with values that cannot be used",
    "events_of_other_types": "events of jet types that no process takes",
}
"""Counts of what an import leaves out, in words."""


def source_tables(config: Campaign, paths: CampaignPaths) -> list[Table]:
    """Return the processes and variants of a campaign whose jets exist already, and the files they come from."""
    processes = [
        {
            "process": name,
            "label": process.label,
            "use": process.use,
            "jet types": ", ".join(process.jet_types or []) or "as the files say",
        }
        for name, process in config.processes.items()
    ]
    variants = [{"variant": name, "use": variant.use} for name, variant in config.variants.items()]
    manifest = read_json(paths.manifest)
    about = f"The jets are not simulated here: {manifest.get('source', '')}."
    return [
        frame_table("processes", "Processes", pd.DataFrame(processes), about, is_open=True),
        frame_table("variants", "Variants", pd.DataFrame(variants), is_open=True),
        *_files(paths),
    ]


def _files(paths: CampaignPaths) -> list[Table]:
    """Return the table of the files that were imported, or none of a data set that is used where it lies."""
    files = read_json(paths.merge_provenance).get("files", [])
    rows = [
        {
            "file": file["name"],
            "events": file["events"],
            **{words: file["left_out"].get(name, 0) for name, words in _LEFT_OUT.items()},
            "angles": file["angles"],
            "SHA-256": file["sha256"],
        }
        for file in files
    ]
    about = "What was left out of each is counted."
    return [frame_table("files", "Files", pd.DataFrame(rows), about)] if rows else []


def not_had(config: Campaign) -> list[str]:
    """Return sentences on what cannot be had from the files: figures that are left out, and what captions take."""
    cuts = (
        "Captions speak of cuts and of an energy that the configuration names (jets, generator.ecm): nothing here "
        "makes or checks them. Weights are those of the files; where these have none, each is 1."
    )
    found = left_out(config)
    if not found:
        return [cuts]
    texts = [f"{FIGURES[name].heading()} ({' and '.join(needs)})" for name, needs in found.items()]
    names = listed(texts, most=len(texts), comma="; ")
    return [f"Figures that are left out, because the files do not have what they show: {names}.", cuts]
