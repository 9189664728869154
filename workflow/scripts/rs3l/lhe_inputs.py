"""Which external Les Houches files a process names (without the physics, so that the rules may ask)."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from rs3l.errors import ConfigError


def find_files(process: str, patterns: Sequence[str]) -> list[str]:
    """Return the sorted files of a process; raises :class:`ConfigError` for a pattern without a file."""
    found: set[str] = set()
    for pattern in patterns:
        matches = _matches(pattern)
        if not matches:
            raise ConfigError(f"processes.{process}.lhe: no file matches {pattern!r} (from {Path.cwd()})")
        found.update(matches)
    return sorted(found)


def _matches(pattern: str) -> list[str]:
    """Return the files of a pattern; a plain path is returned as it is, so that a missing file is named."""
    if not glob.has_magic(pattern):
        return [pattern]
    return glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
