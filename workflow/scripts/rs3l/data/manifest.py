"""The manifest of a data set: what it holds, and whether its files are those that were written."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from rs3l.errors import DataError
from rs3l.files import sha256

FORMAT = 1
"""Format of the manifest."""


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Return the data set's manifest; raise :class:`DataError` if it is missing or of another format."""
    try:
        manifest = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such manifest; make the data set first (rule merge)") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error}); merge the data set again") from None
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != FORMAT:
        raise DataError(f"{path}: format {found!r}, expected {FORMAT}; merge the data set again")
    return dict(manifest)


def check_names(path: str | Path, kind: str, names: Sequence[str], known: Collection[str]) -> None:
    """Raise :class:`DataError` if a process or variant (``kind``) is not in the data set."""
    unknown = [name for name in names if name not in known]
    if unknown:
        raise DataError(
            f"{path}: no {kind} {', '.join(unknown)} in the data set (it has {', '.join(known)}); "
            "merge the data set again with this configuration"
        )


def verified(path: Path, expected: str) -> Path:
    """Return ``path`` once it is known to be the file that the manifest names."""
    if not path.is_file():
        raise DataError(f"{path}: named in the manifest, and missing; delete the manifest and run again")
    if sha256(path) != expected:
        raise DataError(f"{path}: its SHA-256 is not the manifest's; delete the manifest and run again")
    return path
