"""Plan, profile and what a campaign took, held together: jobs, memory, and what the profile asks for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rs3l.config import Campaign, parse_campaign
from rs3l.plan import STAGES, Line, load_costs, peak_memory, plan
from rs3l.plan.measured import benchmark_files
from rs3l.plan.profile import SNAKEMAKE_MB, asked_rules, load_profile
from support.places import REPOSITORY
from support.workflow import Snakemake

pytestmark = pytest.mark.campaign

FACTOR = 1.5
"""Memory as planned and as measured agree within this factor."""


def lines_of(config: Campaign) -> list[Line]:
    """Return the plan by the committed table of costs."""
    return plan(config, load_costs(REPOSITORY / "benchmarks" / "costs.json"))


def test_every_stage_has_the_jobs_that_were_planned(finished: Snakemake, test_values: dict[str, Any]) -> None:
    root = finished.folder / "results" / "test"
    for line in lines_of(parse_campaign(test_values)):
        assert len(benchmark_files(root, line.stage)) == line.work.jobs, line.stage


def lines_with_memory(root: Path, config: Campaign) -> Iterator[tuple[Line, float]]:
    """Yield the lines of a plan with the largest memory of their stage's jobs [MB]."""
    measured = {path.name.removesuffix(".jsonl") for path in (root / "benchmarks").iterdir()}
    for line in lines_of(config):
        if measured & set(STAGES[line.stage].rules):
            yield line, peak_memory(root, line.stage)


def test_memory_is_as_planned_and_less_than_the_profile_asks(
    undisturbed: Snakemake, tiny_values: dict[str, Any]
) -> None:
    """Each job a Python of its own, as in a campaign."""
    profile = load_profile(REPOSITORY / "profiles" / "slurm")
    root = undisturbed.folder / "results" / "test"
    seen = 0
    for line, measured in lines_with_memory(root, parse_campaign(tiny_values)):
        assert line.memory_mb / FACTOR < measured < line.memory_mb * FACTOR, line.stage
        for rule in asked_rules(line, profile):
            asked = profile.ask(rule).number("mem_mb")
            assert asked >= max(line.memory_mb, measured) + SNAKEMAKE_MB, rule
        seen += 1
    assert seen == len(STAGES) - 2  # all but the figures and the report
