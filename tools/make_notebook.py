"""Make the notebook of a page: its blocks of Python are cells of code, all else is text. It holds no output."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from rs3l.files import write_text, written

PAGE = Path(__file__).parents[1] / "docs" / "library.md"


def notebook(page: str) -> str:
    """Return the notebook (nbformat 4.5, JSON) of a page in Markdown."""
    pieces = re.split(r"^```python\n(.*?)\n```$", page, flags=re.MULTILINE | re.DOTALL)
    cells = [
        _cell(number, "code" if number % 2 else "markdown", piece.strip("\n"))
        for number, piece in enumerate(pieces)
        if piece.strip()
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _cell(number: int, kind: str, text: str) -> dict[str, Any]:
    """Return one cell; of code, without output."""
    empty: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
    source = text.splitlines(keepends=True)
    return {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, **empty, "source": source}


def main() -> None:
    """Write the notebook beside its page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", nargs="?", default=str(PAGE), help="Markdown (default: docs/library.md)")
    page = Path(parser.parse_args().page)
    write_text(page.with_suffix(".ipynb"), notebook(page.read_text(encoding="utf-8")))
    print("\n".join(written()))


if __name__ == "__main__":
    main()
