"""The documents."""

from __future__ import annotations

from pathlib import Path

from support.places import REPOSITORY

PAGES = sorted([*REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("docs/config/*.md")])
"""The pages of docs/."""

DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *PAGES, REPOSITORY / "config" / "README.md"])


def name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))
