"""Where things are."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = REPOSITORY / "workflow" / "scripts"

SIMULATED = sorted(path.name for path in (REPOSITORY / "config").glob("*.yaml") if path.stem != "rs3l_public")
"""The shipped campaigns but that on the public files, which wants them to be there."""
