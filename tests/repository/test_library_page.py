"""The notebook is that of the page, it runs from start to end in a kernel of its own, and it holds no output."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from make_notebook import PAGE, notebook
from support.places import SCRIPTS

NOTEBOOK = PAGE.with_suffix(".ipynb")
Cells = list[nbformat.NotebookNode]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def cells(folder: Path) -> Cells:
    """Return the cells of code after they ran, in a folder without anything."""
    found = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(found)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPTS), "MPLBACKEND": "agg"}
    NotebookClient(
        found, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute(env=environment)
    return [cell for cell in found.cells if cell.cell_type == "code"]


def text(cell: nbformat.NotebookNode) -> str:
    """Return what a cell printed and returned."""
    results = [output.get("data", {}).get("text/plain", output.get("text", "")) for output in cell.outputs]
    return "\n".join(results)


def test_it_is_that_of_the_page_and_holds_no_output() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert NOTEBOOK.read_text(encoding="utf-8") == notebook(page), "make notebook"
    stored = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert len(code) == page.count("```python\n") > 8
    assert not any(cell.outputs or cell.execution_count for cell in code)


def test_every_cell_runs_without_a_warning(cells: Cells, folder: Path) -> None:
    assert all(cell.execution_count for cell in cells)
    errors = [text(cell) for cell in cells for output in cell.outputs if output.get("name") == "stderr"]
    assert errors == []
    assert (folder / "library.png").stat().st_size > 10_000
    assert [path.name for path in folder.iterdir()] == ["library.png"]


def test_it_shows_what_the_text_says(cells: Cells) -> None:
    shown = "\n".join(map(text, cells))
    assert "200 hard events, " in shown
    same, other = map(float, re.search(r"two showers: (\S+) of one event, (\S+) of two", shown).groups())  # type: ignore[union-attr]
    assert same > other + 0.3
    areas = [float(value) for value in re.findall(r"AUC (\S+) ±", shown)]
    assert len(areas) == 3 and areas[0] > 0.85  # the first is the model of the package, whose AUC is 0.97


def test_an_encoder_takes_twenty_lines(cells: Cells) -> None:
    (own,) = (cell.source for cell in cells if "(JetEncoder)" in cell.source)
    network = own[: own.index("sums = ")]
    assert len([line for line in network.splitlines() if line.strip()]) <= 20
