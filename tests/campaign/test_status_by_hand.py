"""The status of a real campaign: every job is counted, and found by the paths of its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rs3l.config import Campaign
from rs3l.status import campaign_status
from support.workflow import Snakemake

pytestmark = pytest.mark.campaign


def test_a_finished_campaign_is_complete_and_measured(finished: Snakemake, campaign: Campaign) -> None:
    stages = campaign_status(campaign, finished.folder)
    assert [(s.name, s.left, s.begun, s.failures) for s in stages if s.left or s.begun or s.failures] == []
    assert all(stage.seconds is not None and stage.seconds > 0 for stage in stages)
    assert [stage.name for stage in stages if stage.rate] == ["hard process", "re-simulation"]


def test_as_many_jobs_as_snakemake_plans(campaign: Campaign, test_values: dict[str, Any], tmp_path: Path) -> None:
    planned = Snakemake(tmp_path, test_values).planned()
    counted = {stage.name: stage.planned for stage in campaign_status(campaign, tmp_path)}
    assert counted == {
        "hard process": planned["hard_process"],
        "re-simulation": planned["resimulate"],
        "merge": planned["merge"],
        "report": planned["report"],
        "pre-training": planned["pretrain"],
        "latents": planned["embed"],
        "quality": planned["quality"],
        "fine-tuning": planned["finetune"],
        "scores": planned["score"],
        "measures": planned["measure"],
        "evaluation": planned["evaluate"],
        "figures": sum(jobs for rule, jobs in planned.items() if rule.startswith("plot_")),
    }
