"""Jobs that die, a controller and a node that go away, a Snakemake that is killed: afterwards, the same bytes."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import cluster
from slurm_site import Clone, Values, accounted, needs_slurm, queue, results, running, small
from support.workflow import Snakemake

pytestmark = [needs_slurm, pytest.mark.slurm, pytest.mark.faults]
STAGES = ["hard_process", "resimulate", "merge", "pretrain"]
Files = dict[str, bytes]


def tiny(values: Values) -> Values:
    """Return the campaign of these tests: up to one pre-training."""
    result = small(values)
    result["pretrain"]["methods"] = ["rs3l"]
    result["evaluate"]["variants"] = ["nominal", "seed"]
    del result["variants"]["rehadron"]
    return result


@pytest.fixture(scope="module")
def undisturbed(test_values: Values, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Return data set and models of a run on this machine that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    Snakemake(folder, tiny(test_values))("dataset", "models")
    return results(folder / "results" / "test", "dataset", "models")


def dataset_of(files: Files) -> Files:
    """Return the files of the data set alone."""
    return {name: data for name, data in files.items() if name.startswith("dataset/")}


@pytest.fixture
def clone(test_values: Values, tmp_path: Path) -> Iterator[Clone]:
    result = Clone(tmp_path, tiny(test_values))
    yield result
    result.close()


@pytest.fixture(autouse=True)
def whole_cluster() -> Iterator[None]:
    """Put back what a test took away, and cancel what it left."""
    yield
    cluster.start()
    cluster.quiet("scancel", "--user=root")
    cluster.wait_for("the jobs to end", lambda: not queue())


def job_of(clone: Clone, process: subprocess.Popen[bytes], rule: str) -> Any:
    """Wait for a running job of a rule; return it."""
    return clone.wait_for(process, lambda: running(rule))[0]


def snakemake_of(process: subprocess.Popen[bytes]) -> psutil.Process:
    """Return the Snakemake that a process is, or has started."""
    parent = psutil.Process(process.pid)
    below = [child for child in parent.children() if "snakemake" in " ".join(child.cmdline())]
    return below[0] if below else parent


def states(clone: Clone) -> list[str]:
    """Return the states of all jobs of the last run, those that were run again included."""
    return [job["State"] for job in accounted(re.findall(r"SLURM run ID: (\S+)", clone.output())[-1])]


def test_snakemake_killed_in_each_stage_and_resumed(clone: Clone, undisturbed: Files) -> None:
    process = clone.start("models")
    for stage in STAGES:
        job_of(clone, process, stage)
        refused = subprocess.run(
            [sys.executable, "tools/resume.py", *clone.options("models")],
            cwd=clone.folder, capture_output=True, text=True,
        )  # fmt: skip
        assert refused.returncode == 1 and "Snakemake" in refused.stderr, refused.stderr
        snakemake_of(process).send_signal(signal.SIGKILL)
        process.wait()
        assert queue(), "its jobs go on without it"
        process = clone.start("models", resume=True)
    output = clone.finish(process)
    for stage in STAGES:
        assert re.search(rf"cancelling Slurm job \d+ \(rule_{stage}", output)
    assert clone.files("dataset", "models") == undisturbed


def test_orphans_that_are_awaited(clone: Clone, undisturbed: Files) -> None:
    process = clone.start("dataset")
    job_of(clone, process, "resimulate")
    process.kill()
    process.wait()
    output = clone.run("dataset", "--await", resume=True)
    assert "awaiting Slurm job" in output and "cancelling" not in output
    assert re.search(r"kept without a record .*: results/test/jets/\S+/0000.parquet", output)
    assert clone.files("dataset") == dataset_of(undisturbed)


def test_what_ended_after_the_crash_is_made_again(clone: Clone) -> None:
    """Snakemake accepts such files, but does not know their settings; `make resume` does not leave it at that."""
    process = clone.start("hard")
    job_of(clone, process, "hard_process")
    process.kill()
    process.wait()
    cluster.wait_for("the orphans to end", lambda: not queue(), 120)
    orphaned = clone.files("hard")
    assert len(orphaned) == 2
    output = clone.run("hard", resume=True)
    assert "making 2 outputs again that were finished after the crash" in output
    assert clone.files("hard") == orphaned
    assert "Nothing to be done" in clone.run("hard")


@pytest.mark.parametrize("blow", [["scancel"], ["scontrol", "requeue"]], ids=["scancel", "requeue"])
def test_a_job_of_each_stage_is_struck(clone: Clone, undisturbed: Files, blow: list[str]) -> None:
    process = clone.start("models")
    struck = []
    for stage in STAGES:
        struck.append(job_of(clone, process, stage).id)
        cluster.output(*blow, struck[-1])
    clone.finish(process)
    assert clone.files("dataset", "models") == undisturbed
    run = re.findall(r"SLURM run ID: (\S+)", clone.output())[-1]
    ended = [(job["JobID"], job["State"].split()[0]) for job in accounted(run)]
    expected = "CANCELLED" if blow == ["scancel"] else "REQUEUED"
    assert {(job, expected) for job in struck} <= set(ended), ended


def test_the_controller_is_away_for_a_minute(clone: Clone, undisturbed: Files) -> None:
    process = clone.start("dataset")
    job_of(clone, process, "resimulate")
    time.sleep(6)  # Slurm saves its jobs every five seconds: it forgets later ones, and holds one in launch
    cluster.end("slurmctld", kill=True)
    time.sleep(60)
    assert process.poll() is None, clone.output()[-4000:]
    cluster.start_controller()
    clone.finish(process)
    assert clone.files("dataset") == dataset_of(undisturbed)


def processes_on(jobs: list[str]) -> list[psutil.Process]:
    """Return the processes of some jobs, with the daemons that watch over them."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            if process.environ().get("SLURM_JOB_ID") in jobs or re.match(
                rf"slurmstepd: \[({'|'.join(jobs)})\.", line
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_node_dies(clone: Clone, undisturbed: Files) -> None:
    process = clone.start("dataset")
    job = job_of(clone, process, "resimulate")
    cluster.end(f"slurmd.{job.node}", kill=True)
    lost = [other.id for other in queue() if other.node == job.node]
    for victim in processes_on(lost):
        victim.kill()
    clone.finish(process)
    assert clone.files("dataset") == dataset_of(undisturbed)
    assert "NODE_FAIL" in states(clone)


def test_out_of_memory_is_run_again_with_more(clone: Clone, undisturbed: Files) -> None:
    clone.edit_profile(lambda profile: profile["set-resources"]["resimulate"].update(mem_mb="300 * attempt"))
    clone.run("dataset")
    assert clone.files("dataset") == dataset_of(undisturbed)
    run = re.findall(r"SLURM run ID: (\S+)", clone.output())[-1]
    asked = {
        (job["ReqMem"], job["State"].split()[0])
        for job in accounted(run, "ReqMem")
        if "resimulate" in job["Comment"]
    }
    assert ("300M", "FAILED") in asked and ("600M", "COMPLETED") in asked, asked


def test_wall_time_is_run_again_and_goes_on(clone: Clone, test_values: Values, tmp_path: Path) -> None:
    """A training longer than its wall time: the second job begins after the last epoch of the first."""
    values = tiny(test_values)
    values["pretrain"]["epochs"] = 1500
    clone.configure(values)
    clone.edit_profile(lambda profile: profile["set-resources"]["pretrain"].update(runtime="2 * attempt - 1"))
    clone.run("models")
    log = (clone.root / "logs" / "pretrain" / "rs3l_s0.log").read_text(encoding="utf-8")
    assert re.search(r"resumed after epoch [1-9]", log)
    assert "TIMEOUT" in states(clone)
    local = Snakemake(tmp_path / "local", values)
    local("models")
    assert clone.files("models") == results(tmp_path / "local" / "results" / "test", "models")
