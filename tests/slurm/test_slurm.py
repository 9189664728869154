"""The campaign through `snakemake --profile slurm` on a real Slurm, from a fresh clone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import cluster
from rs3l.figures.registry import MEMORY_MB
from slurm_site import Clone, Values, accounted, needs_slurm, queue, results, rule_of, small, visible_devices
from support.places import REPOSITORY
from support.workflow import Snakemake

pytestmark = [needs_slurm, pytest.mark.slurm]
TRAINING = {"pretrain"}


@pytest.fixture(scope="module")
def clone(test_values: Values, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Run the whole campaign on Slurm."""
    result = Clone(tmp_path_factory.mktemp("slurm"), small(test_values))
    result.run()
    return result


@pytest.fixture(scope="module")
def jobs(clone: Clone) -> dict[str, list[dict[str, str]]]:
    """Return what the accounting knows of the campaign's jobs."""
    return jobs_of(clone)


def jobs_of(clone: Clone) -> dict[str, list[dict[str, str]]]:
    """Return what the accounting knows of the jobs of a clone's run, by rule or group."""
    run = re.search(r"SLURM run ID: (\S+)", clone.output())
    assert run
    found: dict[str, list[dict[str, str]]] = {}
    for job in accounted(run[1], "Partition", "Account", "ReqMem", "Timelimit", "AllocCPUS", "AllocTRES"):
        found.setdefault(rule_of(job["Comment"]), []).append(job)
    return found


def test_the_campaign_is_complete(clone: Clone) -> None:
    assert (clone.root / "summary.json").is_file()
    assert len(list((clone.root / "figures").glob("*.svg"))) >= 9
    assert not list(clone.root.rglob("*.tmp")) and not queue()


@pytest.fixture(scope="module")
def local(test_values: Values, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return data set and models of a run without Slurm."""
    folder = tmp_path_factory.mktemp("local")
    Snakemake(folder, small(test_values))("dataset", "models")
    return results(folder / "results" / "test", "dataset", "models")


def test_the_data_set_and_the_models_are_those_of_a_local_run(clone: Clone, local: dict[str, bytes]) -> None:
    there = clone.files("dataset", "models")
    there = {
        name: data
        for name, data in there.items()
        if "/latents/" not in name and not name.endswith("quality.parquet")
    }
    assert len(local) > 6 and there == local


def test_few_jobs_and_all_of_them_well(jobs: dict[str, list[dict[str, str]]]) -> None:
    counts = {rule: len(found) for rule, found in jobs.items()}
    assert counts.pop("figures") == 1
    expected = {
        "hard_process": 2,
        "resimulate": 6,
        "merge": 1,
        "pretrain": 2,
        "embed": 4,
        "quality": 2,
        "finetune": 3,
        "score": 6,
        "measure": 3,
        "evaluate": 1,
        "report": 1,
    }
    assert counts == expected
    assert {job["State"] for found in jobs.values() for job in found} == {"COMPLETED"}


def test_training_goes_to_the_gpus_and_the_rest_does_not(jobs: dict[str, list[dict[str, str]]]) -> None:
    for rule, found in jobs.items():
        for job in found:
            seen = visible_devices(job["JobID"])
            if rule in TRAINING:
                assert job["Partition"] == "gpu" and "gres/gpu=1" in job["AllocTRES"]
                assert seen and seen <= {"0", "1"}, job
            else:
                assert job["Partition"] == "cpu" and "gres/gpu" not in job["AllocTRES"]
                assert seen == {"none"}, job


def first_attempt(rule: str) -> tuple[str, str, str]:
    """Return memory, time and cores that the profile gives a rule, as Slurm writes them."""
    resources = yaml.safe_load((REPOSITORY / "profiles/slurm/config.yaml").read_text(encoding="utf-8"))[
        "set-resources"
    ][rule]
    memory, minutes = (int(str(resources[key]).removesuffix(" * attempt")) for key in ("mem_mb", "runtime"))
    return f"{memory}M", f"{minutes // 60:02}:{minutes % 60:02}:00", "1"


def test_memory_time_and_cores_are_those_of_the_profile(jobs: dict[str, list[dict[str, str]]]) -> None:
    def asked(rule: str) -> set[tuple[str, ...]]:
        return {(job["ReqMem"], job["Timelimit"], job["AllocCPUS"]) for job in jobs[rule]}

    for rule in ("resimulate", "pretrain"):
        assert asked(rule) == {first_attempt(rule)}
    (memory, _, cores) = next(iter(asked("figures")))
    assert (memory, cores) == (f"{MEMORY_MB}M", "1")
    assert {job["Account"] for found in jobs.values() for job in found} == {cluster.ACCOUNT}


def test_no_settings_are_in_the_home_folder_and_no_log_is_left(clone: Clone) -> None:
    """It was empty; libraries put caches and a template of their settings there, Snakemake nothing that it reads."""
    assert {path.name for path in clone.home.iterdir()} <= {".cache", ".config"}
    assert not list((clone.home / ".config").glob("snakemake*"))
    assert not list((clone.folder / "results" / "slurm-logs").rglob("*.log"))


def test_small_shards_can_be_one_job_each(local: dict[str, bytes], test_values: Values, tmp_path: Path) -> None:
    """The groups of docs/cluster.md: a hard process and its variants, one after another on one core."""
    clone = Clone(tmp_path, small(test_values))

    def chain_shards(profile: Values) -> None:
        profile["groups"] = {"hard_process": "shard", "resimulate": "shard"}
        for rule in ("hard_process", "resimulate"):
            profile["set-resources"][rule]["serial"] = 1

    clone.edit_profile(chain_shards)
    clone.run("dataset")
    found = jobs_of(clone)
    assert {rule: len(jobs) for rule, jobs in found.items()} == {"shard": 2, "merge": 1}
    assert {(job["ReqMem"], job["AllocCPUS"]) for job in found["shard"]} == {("1500M", "1")}
    assert clone.files("dataset") == {name: data for name, data in local.items() if name.startswith("dataset/")}


def test_nothing_listens_beyond_loopback() -> None:
    daemons = ("slurmctld", "slurmdbd", "mariadbd", *(f"slurmd.{node}" for node in cluster.NODES))
    for daemon in daemons:
        process = cluster.running(daemon)
        assert process
        sockets = [socket for socket in process.net_connections("tcp") if socket.status == "LISTEN"]
        assert sockets and {socket.laddr.ip for socket in sockets} == {"127.0.0.1"}, (daemon, sockets)
