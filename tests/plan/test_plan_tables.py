"""The tables in the documents: as a plan makes them now, and where they belong."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from rs3l.config import load_campaign
from rs3l.errors import DataError
from rs3l.plan import STAGES, load_costs
from rs3l.plan.docs import documents, replaced, with_memory
from support.places import REPOSITORY


def test_the_documents_are_those_of_the_committed_costs() -> None:
    """`make plan-docs` renews them."""
    for path, content in documents(REPOSITORY).items():
        assert path.read_text(encoding="utf-8") == content, path


def test_every_stage_is_in_every_table() -> None:
    text = (REPOSITORY / "docs" / "scale.md").read_text(encoding="utf-8")
    for stage in STAGES:
        planned = 0 if stage == "pileup" else 2
        assert f"| `{stage}` |" in text
        assert len(re.findall(rf"^{stage} .* (s|min|h)$", text, re.MULTILINE)) == planned


def test_other_costs_make_other_tables(tmp_path: Path) -> None:
    for name in ("benchmarks", "config", "docs", "profiles"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    costs = load_costs(tmp_path / "benchmarks" / "costs.json")
    stages = {**costs.stages, "resimulate": costs.stages["resimulate"].model_copy(update={"memory_mb": 777.0})}
    changed = costs.model_copy(update={"stages": stages})
    (tmp_path / "benchmarks" / "costs.json").write_text(changed.model_dump_json(), encoding="utf-8")
    found = documents(tmp_path)
    assert {path.name for path in found} == {"scale.md", "paper.yaml", "config.yaml"}
    assert all("777 MB" in content for content in found.values())
    (tmp_path / "config" / "paper.yaml").write_text(found[tmp_path / "config" / "paper.yaml"], encoding="utf-8")
    load_campaign(tmp_path / "config" / "paper.yaml")  # it is still a configuration


def test_missing_markers_are_named() -> None:
    assert replaced("a\n<!-- x -->\nold\n<!-- /x -->\nb\n", "<!-- x -->", "<!-- /x -->", "new", "page") == (
        "a\n<!-- x -->\nnew\n<!-- /x -->\nb\n"
    )
    with pytest.raises(DataError, match="page: the markers <!-- x --> and <!-- /x --> are needed"):
        replaced("a\n<!-- x -->\n", "<!-- x -->", "<!-- /x -->", "new", "page")


def test_numbers_in_a_profile_stand_above_their_rule() -> None:
    text = "set-resources:\n  # [old]\n  # Words [not these].\n  one: {}\n  # [old]\n  two: {}\n  three: {}\n"
    assert with_memory(text, {"one": "[1 GB]", "three": "[3 GB]", "four": "[4 GB]"}) == (
        "set-resources:\n  # [1 GB]\n  # Words [not these].\n  one: {}\n  # [old]\n  two: {}\n  three: {}\n"
    )
