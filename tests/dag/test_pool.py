"""The pool of pile-up in the graph: made once, only if a variant has pile-up, and known to plan, status and report."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from rs3l.config import blocks, parse_campaign
from rs3l.paths import CampaignPaths
from rs3l.plan import load_costs, plan, stages_of, work_of
from rs3l.report.graph import rule_graph
from rs3l.status import planned_jobs
from support.places import REPOSITORY
from support.workflow import Snakemake

Values = dict[str, Any]


@pytest.fixture
def values(test_values: Values) -> Values:
    """Return the miniature campaign with pile-up, one variant without it, and a pool of three shards."""
    result = copy.deepcopy(test_values)
    result["pileup"] = {"mean": 20, "events": 250, "events_per_shard": 100}
    result["variants"]["repile"] = {"like": "repile"}
    result["variants"]["clean"] = {"resample": "pileup", "pileup": {"mean": 0}}
    return result


def test_the_pool_is_made_for_the_views_that_have_pile_up(tmp_path: Path, values: Values) -> None:
    snakemake = Snakemake(tmp_path, values)
    planned = snakemake.planned("dataset")
    assert (planned["pileup"], planned["resimulate"]) == (3, 5 * 6)
    one = "results/test/jets/qcd/{}/0001.parquet"
    assert snakemake.planned(one.format("repile")) == {"hard_process": 1, "pileup": 3, "resimulate": 1}
    assert snakemake.planned(one.format("clean")) == {"hard_process": 1, "resimulate": 1}
    shown = snakemake(one.format("repile"), "--dry-run", "--printshellcmds").stdout
    pool = [f"results/test/pileup/{shard:04d}.arrow" for shard in range(3)]
    assert f"--pileup {' '.join(pool)} --out" in shown


def test_without_pile_up_there_is_no_pool_and_the_command_is_what_it_was(
    tmp_path: Path, test_values: Values
) -> None:
    target = "results/test/jets/qcd/seed/0001.parquet"
    for pileup in ({}, {"mean": 0}):
        shown = Snakemake(tmp_path, {**test_values, "pileup": pileup})(target, "--dry-run", "-p").stdout
        assert "--shard-events 120 --out" in shown and "pileup" not in shown


def test_plan_status_and_report_know_the_pool(values: Values, test_values: Values) -> None:
    config, without = parse_campaign(values), parse_campaign(test_values)
    assert set(stages_of(config)) - set(stages_of(without)) == {"pileup"}
    work = work_of("pileup", config)
    assert (work.jobs, work.units, work.largest) == (3, 250, 100)
    costs = load_costs(REPOSITORY / "benchmarks" / "costs.json")
    assert [line.work.stage for line in plan(config, costs)] == list(stages_of(config))
    clean = parse_campaign({**values, "pileup": {**values["pileup"], "mean": 0.001}})
    assert work_of("resimulate", config).units > 1.3 * work_of("resimulate", clean).units
    jobs = planned_jobs(config, CampaignPaths("r"))["pile-up pool"]
    assert [(job.outputs, job.events) for job in jobs[1:]] == [
        (("r/pileup/0001.arrow",), 100), (("r/pileup/0002.arrow",), 50)
    ]  # fmt: skip
    assert "pile-up pool" not in planned_jobs(without, CampaignPaths("r"))
    assert ("pileup", "resimulate") in rule_graph(config).edges
    assert "pileup" not in rule_graph(without)
    assert blocks.pool_shard(config, 2).first == 200
