"""What others find: versions that agree, the layout that the catalogue of workflows asks for, checks on GitHub."""

from __future__ import annotations

import re
from typing import Any

import yaml

from rs3l import __version__
from support.places import REPOSITORY


def text(path: str) -> str:
    return (REPOSITORY / path).read_text(encoding="utf-8")


def read(path: str) -> Any:
    return yaml.safe_load(text(path))


def test_the_versions_agree() -> None:
    citation = read("CITATION.cff")
    headings = re.findall(r"^## \[([\d.]+)\]", text("CHANGELOG.md"), re.MULTILINE)
    assert citation["version"] == headings[0] == __version__
    assert 'version = {attr = "rs3l.__version__"}' in text("pyproject.toml")


def test_a_doi_is_none_or_one() -> None:
    """Nobody invents one: before a release is archived, there is only its place."""
    citation = read("CITATION.cff")
    assert re.fullmatch(r"10\.\d{4,9}/\S+", citation.get("doi", "10.5281/zenodo.0"))
    assert "doi: 10.5281/zenodo." in text("CITATION.cff")
    (paper,) = [each for each in citation["references"] if each["type"] == "article"]
    assert paper["identifiers"] == [{"type": "other", "value": "arXiv:2403.07066", "description": "arXiv"}]


def test_the_layout_of_the_catalogue_of_workflows() -> None:
    """Its published rules for standardized usage."""
    readme = text("README.md").lower()
    assert "snakemake" in readme and "workflow" in readme
    assert (REPOSITORY / "workflow" / "Snakefile").is_file() and (REPOSITORY / "config" / "README.md").is_file()
    assert list((REPOSITORY / "workflow" / "rules").glob("*.smk"))
    usage = read(".snakemake-workflow-catalog.yml")["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    deployment = usage["software-stack-deployment"]
    assert deployment["conda"] and deployment["singularity"] and deployment["report"]


def test_github_runs_all_checks() -> None:
    workflow = read(".github/workflows/ci.yml")
    steps = workflow["jobs"]["checks"]["steps"]
    assert ".ci/run" in [step.get("run") for step in steps]
    assert (REPOSITORY / ".ci" / "run").stat().st_mode & 0o100
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]) for step in steps if "uses" in step)
    assert workflow["jobs"]["checks"]["container"].startswith("python:3.11-"), "Debian, with the oldest Python"


def test_the_templates_have_what_github_needs() -> None:
    for path in sorted((REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("*.yml")):
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.name == "config.yml":
            continue
        assert form["name"] and form["description"] and form["body"], path.name
        names = [field["id"] for field in form["body"]]
        assert len(set(names)) == len(names) and all(field["attributes"]["label"] for field in form["body"])
    assert "make lint" in text(".github/pull_request_template.md")
