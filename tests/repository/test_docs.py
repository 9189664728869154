"""The documents: links lead somewhere, and the commands that they show exist."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

from rs3l import __version__
from rs3l.dataset.schema import dataset_schema, jets_schema
from rs3l.evaluate.measures import schema as measures_schema
from rs3l.evaluate.registry import TABLES
from rs3l.figures.registry import FIGURES
from rs3l.finetune.finetune import HISTORY
from rs3l.finetune.score import JET_COLUMNS
from support.documents import DOCUMENTS, PAGES, name

REPOSITORY = Path(__file__).resolve().parents[2]
STAGES = ["embed", "evaluate", "figures", "finetune", "hard", "merge", "pileup", "pretrain", "report", "resim"]


def page(stage: str) -> str:
    return (REPOSITORY / "docs" / f"{stage}.md").read_text(encoding="utf-8")


def commands() -> list[tuple[str, str, list[str]]]:
    """Return (document, script, options) of every command of the workflow that is shown."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^ *python workflow/scripts/.*$", text, re.MULTILINE):
            script = line.split()[1]
            found.append((name(document), script, re.findall(r" --([a-z-]+)", line)))
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_to_files(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8"))
    missing = [t for t in targets if not t.startswith("http") and not (document.parent / t).exists()]
    assert not missing


def test_every_stage_has_its_page() -> None:
    assert set(STAGES) <= {path.stem for path in (REPOSITORY / "docs").glob("*.md")}
    for stage in STAGES:
        assert f"({stage}.md)" in page("snakemake")
        assert "## By hand" in page(stage) and "## Checks and errors" in page(stage)


def test_every_script_is_shown_by_hand() -> None:
    shown = {script for document, script, _ in commands() if document.startswith("docs/")}
    assert shown == {name(path) for path in (REPOSITORY / "workflow" / "scripts").glob("*.py")}


@pytest.mark.parametrize(("document", "script", "options"), commands())
def test_options_of_commands_exist(document: str, script: str, options: list[str]) -> None:
    path = REPOSITORY / script
    command = path.parent / "rs3l" / "commands" / path.name if path.parent.name == "scripts" else path
    known = set(re.findall(r'"--([a-z-]+)"', command.read_text(encoding="utf-8"))) | {
        "config",
        "block",
    }
    if "cli.parts_arguments(" in command.read_text(encoding="utf-8"):
        known |= {"process", "parts"}
    if "cli.own_" in command.read_text(encoding="utf-8"):
        known |= {"rename", "relative", "fill", "tree", "jets", "train", "labelled", "val", "test"}
    if script.endswith("evaluate.py"):
        known |= set(TABLES)
    if script.endswith(("figures.py", "growth.py")):
        known |= {"svg", "png", "csv"}
    assert options and set(options) <= known, document


def test_columns_are_explained() -> None:
    for column in dataset_schema().names:
        assert f"`{column}`" in page("merge"), column
    assert "`status`" in page("resim") and "status" in jets_schema().names
    for column in JET_COLUMNS:
        assert f"`{column}`" in page("finetune"), column
    for column in measures_schema({}).names:
        assert f"`{column}`" in page("evaluate"), column
    assert ", ".join(HISTORY) in page("finetune")


def test_tables_and_figures_are_listed() -> None:
    for table in TABLES:
        assert f"| `{table}` |" in page("evaluate")
    for figure in FIGURES:
        assert re.search(rf"`{figure}(_\{{(task|process)\}})?`", page("figures")), figure


def test_messages_in_the_tables_of_errors_exist() -> None:
    """Look up every fixed piece of a quoted message in the library's source."""
    source = " ".join(
        re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8"))
        for path in (REPOSITORY / "workflow" / "scripts" / "rs3l").rglob("*.py")
    )
    for stage in STAGES:
        table = page(stage).split("## Checks and errors")[1].split("\n## ")[0]
        for line in (line for line in table.splitlines() if line.startswith("| `")):
            for message in re.findall(r"`([^`]+)`", line.split(" | ")[0]):
                for piece in filter(None, (piece.strip() for piece in message.split("…"))):
                    assert piece in source, f"docs/{stage}.md: {piece!r} is no message of the library"


def test_the_picture_is_valid() -> None:
    root = ElementTree.parse(REPOSITORY / "docs" / "pipeline.svg").getroot()
    assert root.tag.endswith("svg") and root.find("{http://www.w3.org/2000/svg}title") is not None


def test_citation_and_changelog_name_the_version() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert f"## [{__version__}]" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "2403.07066" in str(citation["references"]) and "2403.07066" in (REPOSITORY / "README.md").read_text(
        encoding="utf-8"
    )


def test_results_have_their_place() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert text.index("<!-- results -->") < text.index("<!-- /results -->")


def test_the_readme_is_read_to_its_end() -> None:
    """It is short; the rest is in pages."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert len(re.findall(r"[\w*`][^\s|]*", text)) <= 900


def test_make_help_lists_every_target_in_a_group() -> None:
    shown = subprocess.run(["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    groups = [line for line in shown.splitlines() if line.startswith("to ")]
    assert groups == ["to run", "to test", "to set up", "to develop"]
    targets = set(re.findall(r"^  make ([a-z-]+) ", shown, re.MULTILINE))
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None and targets == set(phony.group(1).split())


def test_pages_begin_with_what_the_reader_can_do() -> None:
    for path in PAGES:
        if name(path) not in ("docs/index.md", "docs/model.md"):  # the way to the others, and a card
            line = path.read_text(encoding="utf-8").split("\n")[2]
            assert re.match(r"(With|After) this page you ", line), name(path)


def test_the_page_beside_the_configurations_is_short() -> None:
    """It names them; the keys are in docs/config."""
    text = (REPOSITORY / "config" / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= 250
    assert [path.name for path in (REPOSITORY / "config").glob("*.yaml") if f"]({path.name})" not in text] == []
