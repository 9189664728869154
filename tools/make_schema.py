"""Write config/schema.json and the key tables of docs/config from the typed configuration."""

from __future__ import annotations

from pathlib import Path

from rs3l.config.pages import FOLDER, with_tables
from rs3l.config.schema import schema_text
from rs3l.files import write_text, written

REPOSITORY = Path(__file__).resolve().parent.parent


def main() -> None:
    """Write the schema, and the pages with new tables."""
    write_text(REPOSITORY / "config" / "schema.json", schema_text())
    pages = {path.name: path.read_text(encoding="utf-8") for path in sorted((REPOSITORY / FOLDER).glob("*.md"))}
    for name, text in with_tables(pages).items():
        write_text(REPOSITORY / FOLDER / name, text)
    print("\n".join(written()))


if __name__ == "__main__":
    main()
