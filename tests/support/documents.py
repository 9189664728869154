"""The documents."""

from __future__ import annotations

from pathlib import Path

from support.places import REPOSITORY

DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), REPOSITORY / "config" / "README.md"])


def name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))
