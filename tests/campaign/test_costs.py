"""Plan, profile and what a campaign took, held together: jobs, memory, and what the profile asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

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
SEEN = 2.5
"""CPU seconds of a job whose peak Snakemake sees, which looks twice a second; shorter ones may show less."""


def lines_of(config: Campaign) -> list[Line]:
    """Return the plan by the committed table of costs."""
    return plan(config, load_costs(REPOSITORY / "benchmarks" / "costs.json"))


def test_every_stage_has_the_jobs_that_were_planned(finished: Snakemake, test_values: dict[str, Any]) -> None:
    root = finished.folder / "results" / "test"
    for line in lines_of(parse_campaign(test_values)):
        assert len(benchmark_files(root, line.stage)) == line.work.jobs, line.stage


class Peak(NamedTuple):
    """The largest memory of a stage's jobs [MB], and the most CPU seconds of one."""

    memory_mb: float
    cpu_s: float


def lines_with_memory(root: Path, config: Campaign) -> Iterator[tuple[Line, Peak]]:
    """Yield the lines of a plan with what was measured of their stage's jobs."""
    measured = {path.name.removesuffix(".jsonl") for path in (root / "benchmarks").iterdir()}
    for line in lines_of(config):
        if measured & set(STAGES[line.stage].rules):
            rows = [json.loads(path.read_text(encoding="utf-8")) for path in benchmark_files(root, line.stage)]
            yield line, Peak(peak_memory(root, line.stage), max(row["cpu_time"] for row in rows))


def test_memory_is_as_planned_and_less_than_the_profile_asks(
    undisturbed: Snakemake, tiny_values: dict[str, Any]
) -> None:
    """Each job a Python of its own, as in a campaign."""
    profile = load_profile(REPOSITORY / "profiles" / "slurm")
    root = undisturbed.folder / "results" / "test"
    found = list(lines_with_memory(root, parse_campaign(tiny_values)))
    for line, peak in found:
        assert peak.memory_mb < line.memory_mb * FACTOR, line.stage
        assert peak.cpu_s < SEEN or peak.memory_mb > line.memory_mb / FACTOR, line.stage
        for rule in asked_rules(line, profile):
            asked = profile.ask(rule).number("mem_mb")
            assert asked >= max(line.memory_mb, peak.memory_mb) + SNAKEMAKE_MB, rule
    assert {line.stage for line, _ in found} == {*STAGES} - {
        "pileup",
        "embed",
        "figures",
        "report",
    }  # no table needs these
    assert {"pretrain", "finetune"} <= {line.stage for line, peak in found if peak.cpu_s >= SEEN}
