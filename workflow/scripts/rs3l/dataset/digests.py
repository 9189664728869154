"""What the manifest of a data set says of the contents that a job reads, for the params of its rule.

Snakemake evaluates them again and again, so that nothing but JSON is imported here.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from rs3l.config import source_files
from rs3l.config.campaign import Campaign
from rs3l.config.reads import SHORT, Reads, made_with, short
from rs3l.files import sha256
from rs3l.paths import CampaignPaths


def data_read(config: Campaign, reads: Reads) -> str:
    """Return, as JSON, the settings that ``reads`` depends on, and the checksums of its contents where known.

    The settings tell of a change before the merge has run, the checksums of other contents under equal settings.
    """
    paths = CampaignPaths(config.root)
    external = [name for name in reads.processes if config.processes[name].lhe_patterns]
    known = {
        **made_with(config, reads),
        "external": {name: _file_digest(paths.lhe_index(name)) for name in external},
        "contents": contents(_manifest(config, paths), reads),
    }
    return json.dumps(known)


def _manifest(config: Campaign, paths: CampaignPaths) -> str:
    """Return the manifest that tells of the contents: of a data set that is used as it lies, its own."""
    if config.source and config.source.parquet:
        return str(source_files.manifest_path(config.source))
    return paths.manifest


def contents(manifest: str | Path, reads: Reads) -> Any:
    """Return the first digits of the checksums of what a job reads, or None where the manifest does not tell."""
    entries = _entries(str(manifest), _stamp(manifest))
    try:
        if reads.parts is not None:
            return short(" ".join(_parts(entries["files"], reads, range(*reads.parts))))
        return {
            split: {
                process: {name: entries["digests"][split][process][name][:SHORT] for name in reads.variants}
                for process in reads.processes
            }
            for split in reads.splits
        }
    except (KeyError, TypeError):
        return None


def _parts(files: list[dict[str, Any]], reads: Reads, numbers: range) -> list[str]:
    """Return the checksums of the parts of ``reads``, which are counted for each process and split."""
    seen: dict[tuple[str, str], int] = {}
    found = []
    for file in files:
        key = (file["split"], file["process"])
        seen[key] = seen.get(key, -1) + 1
        if file["split"] in reads.splits and file["process"] in reads.processes and seen[key] in numbers:
            found.append(file["sha256"])
    return found


def _stamp(path: str | Path) -> tuple[int, int] | None:
    """Return what tells a file from its successor without reading it, or None if it is missing."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=4)
def _entries(path: str, stamp: tuple[int, int] | None) -> Any:
    """Return the manifest as it is, or None if there is none; jobs check it when they read it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _file_digest(path: str) -> str | None:
    stamp = _stamp(path)
    return None if stamp is None else _cached_digest(path, stamp)


@lru_cache
def _cached_digest(path: str, stamp: tuple[int, int]) -> str:
    return sha256(path)[:SHORT]
