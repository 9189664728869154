"""What runs again on a finished campaign: exactly what a change touches, and nothing else."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import pytest

from support.workflow import Snakemake

Values = dict[str, Any]


@pytest.fixture
def configured(finished: Snakemake, test_values: Values) -> Any:
    """Return a function that gives the finished campaign another configuration; afterwards its own again."""

    def configure(change: Any) -> Snakemake:
        values = copy.deepcopy(test_values)
        change(values)
        finished.configure(values)
        return finished

    yield configure
    finished.configure(test_values)


def test_a_finished_campaign_has_nothing_to_do(finished: Snakemake) -> None:
    assert finished.planned() == {}
    assert "Nothing to be done" in finished("--dry-run").stdout


def test_changing_one_variant_reruns_its_jobs_and_what_depends_on_them(configured: Any) -> None:
    def change(values: Values) -> None:
        values["variants"]["fsr_hi"]["pythia"]["TimeShower:renormMultFac"] = 0.5

    snakemake = configured(change)
    planned = snakemake.planned()
    assert "hard_process" not in planned
    assert planned["resimulate"] == 5
    assert planned["merge"] == 1
    assert planned["pretrain"] == 2
    output = snakemake("--dry-run").stdout
    assert output.count("variant=fsr_hi,") == 5
    for other in ("nominal", "seed", "rehadron"):
        assert f"variant={other}," not in output


def test_raising_events_adds_shards_and_redoes_none(configured: Any) -> None:
    def change(values: Values) -> None:
        values["processes"]["qcd"]["events"] = 300

    planned = configured(change).planned("dataset")
    assert planned["hard_process"] == 2
    assert planned["resimulate"] == 2 * 4
    assert planned["merge"] == 1


def test_a_held_out_variant_adds_its_own_jobs(configured: Any) -> None:
    def change(values: Values) -> None:
        values["variants"]["fsr_lo"] = {
            "resample": "shower",
            "pythia": {"TimeShower:renormMultFac": 1.414},
            "use": "held_out",
        }

    planned = configured(change).planned("dataset")
    assert planned["resimulate"] == 5
    assert "hard_process" not in planned


def test_another_detector_response_keeps_the_hard_events(configured: Any) -> None:
    def change(values: Values) -> None:
        values["detector"] = {"response": "cms"}

    planned = configured(change).planned("dataset")
    assert planned["resimulate"] == 5 * 4
    assert planned["merge"] == 1
    assert "hard_process" not in planned


def test_changing_the_training_simulates_nothing(configured: Any) -> None:
    def change(values: Values) -> None:
        values["pretrain"]["temperature"] = 0.2

    planned = configured(change).planned()
    assert planned["pretrain"] == 2
    assert not {"hard_process", "resimulate", "merge"} & set(planned)


def test_what_failures_do_reruns_the_report_alone(configured: Any) -> None:
    """What a failure does, and how soon it is seen, changes no result; the report shows the configuration."""

    def change(values: Values) -> None:
        values["pretrain"]["on_collapse"] = values["finetune"]["on_undertrained"] = "warn"
        values["pretrain"]["check_every"] = 7

    snakemake = configured(change)
    assert snakemake.planned() == {"report": 1, "all": 1}
    forced = ("models", "--forcerun", "pretrain", "--dry-run", "--printshellcmds")
    assert snakemake(*forced).stdout.count("--on-collapse warn --check-every 7") == 2


def test_forcing_a_rule_reruns_it_and_what_follows(finished: Snakemake) -> None:
    planned = finished.planned("all", "--forcerun", "evaluate")
    assert planned["evaluate"] == 1
    assert not {"hard_process", "resimulate", "merge", "pretrain", "finetune"} & set(planned)


def test_touching_a_file_reruns_nothing(finished: Snakemake) -> None:
    """A copy or a checkout changes times, not contents."""
    path = Path(finished.folder) / "results" / "test" / "jets" / "qcd" / "seed" / "0000.parquet"
    os.utime(path)
    assert finished.planned() == {}


def test_a_deleted_shard_is_made_again(finished: Snakemake, tmp_path: Path) -> None:
    path = Path(finished.folder) / "results" / "test" / "jets" / "qcd" / "seed" / "0000.parquet"
    path.rename(tmp_path / "away")
    try:
        planned = finished.planned(str(path.relative_to(finished.folder)))
    finally:
        (tmp_path / "away").rename(path)
    assert planned == {"resimulate": 1}
