"""The manifest of a data set that was made from files of jets, and not simulated here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rs3l.dataset.manifest import FORMAT
from rs3l.dataset.schema import dataset_schema
from rs3l.dataset.writer import DatasetWriter


def files_manifest(
    name: str, seed: int, source: str, variants: Mapping[str, str], writer: DatasetWriter
) -> dict[str, Any]:
    """Close ``writer`` and return the manifest of its data set; ``variants`` have their use.

    The entries of the processes are the caller's to fill in (:func:`process_entry`). Simulation is unknown.
    """
    return {
        "format": FORMAT,
        "campaign": name,
        "seed": seed,
        "pythia": None,
        "detector": None,
        "source": source,
        "min_views": 1,
        "variants": dict(variants),
        "processes": {},
        "files": writer.close(),
        "digests": writer.digests(list(variants)),
        "schema": {column.name: str(column.type) for column in dataset_schema()},
    }


def process_entry(
    name: str, label: str, use: str, files: Iterable[Mapping[str, Any]], variants: Iterable[str]
) -> dict[str, Any]:
    """Return what is known of a process; files of jets do not tell how many hard events had none."""
    return {
        "label": label,
        "use": use,
        "hard_events": sum(file["events"] for file in files if file["process"] == name),
        "matching_efficiency": dict.fromkeys(variants),
    }
