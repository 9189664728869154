"""Write config/schema.json and the key tables of config/README.md from the typed configuration."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "workflow" / "scripts"))

from rs3l.config.docs import replace_tables  # noqa: E402
from rs3l.config.schema import schema_text  # noqa: E402
from rs3l.files import write_text, written  # noqa: E402


def main() -> None:
    """Write both files."""
    config = REPOSITORY / "config"
    write_text(config / "schema.json", schema_text())
    write_text(config / "README.md", replace_tables((config / "README.md").read_text(encoding="utf-8")))
    print("\n".join(written()))


if __name__ == "__main__":
    main()
