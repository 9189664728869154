"""Write config/schema.json and the key tables of config/README.md from the typed configuration."""

from __future__ import annotations

from pathlib import Path

from rs3l.config.docs import replace_tables
from rs3l.config.schema import schema_text
from rs3l.files import write_text, written

REPOSITORY = Path(__file__).resolve().parent.parent


def main() -> None:
    """Write both files."""
    config = REPOSITORY / "config"
    write_text(config / "schema.json", schema_text())
    write_text(config / "README.md", replace_tables((config / "README.md").read_text(encoding="utf-8")))
    print("\n".join(written()))


if __name__ == "__main__":
    main()
