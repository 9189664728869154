"""The status of a campaign from its files: counts, rates, causes, time left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rs3l.config import Campaign, parse_campaign
from rs3l.paths import CampaignPaths
from rs3l.status import (
    SAMPLE,
    PlannedJob,
    StageStatus,
    campaign_status,
    cause_of_failure,
    clock,
    planned_jobs,
    status_text,
)
from support.places import REPOSITORY

CONFIG = REPOSITORY / "config" / "test.yaml"


@pytest.fixture(name="campaign")
def campaign_of_small_shards(test_values: dict[str, Any]) -> Campaign:
    """Return the miniature campaign with three shards of most processes."""
    return parse_campaign({**test_values, "events_per_shard": 60})


@pytest.fixture
def jobs(campaign: Campaign, tmp_path: Path) -> dict[str, list[PlannedJob]]:
    return planned_jobs(campaign, CampaignPaths(str(tmp_path / campaign.root)))


def write(path: str, text: str = "") -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def finish(job: PlannedJob, seconds: float) -> None:
    """Write what a finished job leaves."""
    write(job.log, "2026-01-01 00:00:00 INFO done\n")
    write(job.benchmark, json.dumps({"s": seconds, "cpu_time": 1.0}) + "\n")
    for output in job.outputs:
        write(output)


def stages(campaign: Campaign, folder: Path) -> dict[str, StageStatus]:
    return {stage.name: stage for stage in campaign_status(campaign, folder)}


def test_variants_that_share_a_shower_are_one_job(campaign: Campaign, tmp_path: Path) -> None:
    sharing = campaign.model_copy(update={"share_shower": True})
    jobs = planned_jobs(sharing, CampaignPaths(str(tmp_path / campaign.root)))["re-simulation"]
    together = [job for job in jobs if len(job.outputs) == 2]
    assert (len(jobs), len(together)) == (3 * 8, 8)
    assert {path.split("/")[-2] for job in together for path in job.outputs} == {"nominal", "rehadron"}
    assert all("/resimulate_together/" in job.log and job.events == 120 for job in together)


def test_nothing_has_begun(campaign: Campaign, tmp_path: Path) -> None:
    found = stages(campaign, tmp_path)
    assert {name: stage.planned for name, stage in found.items()} == {
        "hard process": 8, "re-simulation": 32, "merge": 1, "pre-training": 2, "latents": 6, "quality": 2,
        "fine-tuning": 6, "scores": 12, "measures": 6, "evaluation": 1, "figures": 28, "report": 1,
    }  # fmt: skip
    assert all((s.done, s.begun, s.failures, s.seconds, s.rate) == (0, 0, [], None, None) for s in found.values())
    text = status_text(campaign, list(found.values()), 2)
    assert "campaign 0/105, at least 0:00 left with 2 jobs at a time" in text
    assert text.count("not measured yet") == 12


def test_rates_and_time_left_are_means_of_what_was_measured(
    campaign: Campaign, jobs: dict[str, list[PlannedJob]], tmp_path: Path
) -> None:
    """180 events in shards of 60: three shards of 60; 120 in two. Hard jobs of 2 s and 4 s, 60 events each."""
    finish(jobs["hard process"][0], 2.0)
    finish(jobs["hard process"][1], 4.0)
    stage = stages(campaign, tmp_path)["hard process"]
    assert (stage.done, stage.left, stage.seconds, stage.rate) == (2, 6, 3.0, 20.0)
    assert [stage.seconds_left(cores) for cores in (1, 2, 4, 100)] == [18.0, 9.0, 6.0, 3.0]
    text = status_text(campaign, [stage], 4)
    assert "hard process  2/8" in text
    assert "campaign 2/8, 0:06 left with 4 jobs at a time" in text


def test_a_short_last_shard_counts_its_own_events(campaign: Campaign, tmp_path: Path) -> None:
    config = campaign.model_copy(update={"events_per_shard": 100})
    planned = planned_jobs(config, CampaignPaths(str(tmp_path)))
    assert [job.events for job in planned["hard process"]] == [100, 80, 100, 80, 100, 20]
    assert sum(job.events for job in planned["re-simulation"]) == 4 * 480


def test_failed_running_and_finished_jobs_are_told_apart(
    campaign: Campaign, jobs: dict[str, list[PlannedJob]], tmp_path: Path
) -> None:
    done, running, refused, raised, again = jobs["re-simulation"][:5]
    finish(done, 1.0)
    write(running.log, "2026-01-01 00:00:00 INFO command: python --block 'error: '\n")
    write(refused.log, "2026-01-01 00:00:00 INFO x\nerror: a.lhe.gz: truncated or damaged\n  more\n")
    write(
        raised.log,
        "Traceback (most recent call last):\n  File 'x'\nKeyError: 'a'\n\nDuring handling\nTraceback (most recent call last):\nTypeError: b\n",
    )
    write(again.log, "error: of an attempt before\n")
    write(again.outputs[0])
    stage = stages(campaign, tmp_path)["re-simulation"]
    assert (stage.planned, stage.done, stage.begun) == (32, 2, 1)
    causes = {Path(f.log).relative_to(tmp_path).name: f.cause for f in stage.failures}
    assert sorted(causes.values()) == ["TypeError: b", "error: a.lhe.gz: truncated or damaged"]
    text = status_text(campaign, [stage], 1)
    assert f"  {refused.log}: error: a.lhe.gz: truncated or damaged" in text.split("failed:\n")[1].splitlines()


def test_a_job_with_part_of_its_outputs_is_not_done(
    campaign: Campaign, jobs: dict[str, list[PlannedJob]], tmp_path: Path
) -> None:
    write(jobs["pre-training"][0].outputs[0])
    assert stages(campaign, tmp_path)["pre-training"].done == 0


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", None),
        ("2026 INFO fine\nDeprecationWarning: x\n", None),
        ("2026-01-01 00:00:00,5 - distributed.worker - ERROR - no heartbeat\n", None),
        ("2026-01-01 00:00:00 ERROR disk\nerror: full\n", "2026-01-01 00:00:00 ERROR disk"),
        ("Traceback (most recent call last):\n  x\nrs3l.errors.DataError: y\n", "rs3l.errors.DataError: y"),
        ("Traceback (most recent call last):\n  x\nKeyboardInterrupt\n", "KeyboardInterrupt"),
        ("x" * 100_000 + "\nerror: at the end of a long log\n", "error: at the end of a long log"),
    ],
)
def test_cause(tmp_path: Path, text: str, cause: str | None) -> None:
    write(str(tmp_path / "log"), text)
    assert cause_of_failure(tmp_path / "log") == cause
    assert cause_of_failure(tmp_path / "missing") is None


def test_damaged_and_missing_benchmarks_are_left_out(
    campaign: Campaign, jobs: dict[str, list[PlannedJob]], tmp_path: Path
) -> None:
    for job, text in zip(
        jobs["re-simulation"], ("", "{", "[]", '{"s": "-"}', '{"s": 3.0}\n{"s": 5.0}\n'), strict=False
    ):
        finish(job, 1.0)
        write(job.benchmark, text)
    Path(jobs["re-simulation"][0].benchmark).unlink()
    stage = stages(campaign, tmp_path)["re-simulation"]
    assert (stage.done, stage.seconds, stage.rate) == (5, 5.0, 12.0)


def test_a_large_campaign_reads_a_sample(campaign: Campaign, tmp_path: Path) -> None:
    config = campaign.model_copy(update={"events_per_shard": 1})
    for job in planned_jobs(config, CampaignPaths(str(tmp_path / config.root)))["hard process"]:
        finish(job, 2.0)
    stage = stages(config, tmp_path)["hard process"]
    assert (stage.done, stage.seconds) == (480, 2.0)
    assert SAMPLE < 480


def test_clock() -> None:
    assert [clock(s) for s in (0, 59.6, 3599, 3600, 360_000)] == ["0:00", "1:00", "59:59", "1:00:00", "100:00:00"]


def test_the_command(campaign: Campaign, jobs: dict[str, list[PlannedJob]], tmp_path: Path) -> None:
    for stage in jobs.values():
        for job in stage:
            finish(job, 1.0)
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.read_text(encoding="utf-8").replace("shard: 120", "shard: 60"), encoding="utf-8")
    command = [sys.executable, str(REPOSITORY / "tools" / "status.py"), "--config"]
    result = subprocess.run([*command, str(config), "--directory", str(tmp_path)], capture_output=True, text=True)
    assert result.stdout.startswith("test in results/test\n"), result.stderr
    assert "campaign 105/105: complete" in result.stdout
    wrong = subprocess.run([*command, "missing.yaml"], capture_output=True, text=True)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: missing.yaml: cannot be read")
    for cores in ("0", "-1", "1.5", "many"):
        wrong = subprocess.run([*command, str(config), f"--cores={cores}"], capture_output=True, text=True)
        assert wrong.returncode == 2 and "a whole number above 0 or `all` is expected" in wrong.stderr
