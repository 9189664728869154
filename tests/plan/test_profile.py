"""What a plan says of a profile, of nodes and of partitions: memory, time, attempts, and the lines that would fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rs3l.config import load_campaign
from rs3l.errors import ConfigError
from rs3l.plan import Line, Work, load_costs, plan
from rs3l.plan.profile import (
    SNAKEMAKE_MB,
    Limits,
    Profile,
    load_profile,
    machines_of,
    misfits,
    set_resources,
    value_of,
)
from support.places import REPOSITORY

SLURM = REPOSITORY / "profiles" / "slurm"


def line(stage: str, memory_mb: float = 1000, hours: float = 1.0) -> Line:
    """Return a stage of one job."""
    return Line(Work(stage, 1, 1, 1, 0, 0), [stage], hours, hours, memory_mb, 0, threads=1)


def profile(folder: Path, rules: dict[str, Any], **more: Any) -> Profile:
    """Return a profile that asks for ``rules``."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"set-resources": rules, **more}), encoding="utf-8")
    return load_profile(folder)


@pytest.mark.parametrize(
    ("value", "attempt", "expected"),
    [
        (8000, 1, 8000),
        ("8000 * attempt", 3, 24000),
        ("min(8000 * attempt, 20000)", 3, 20000),
        ("1000 + 500 * (attempt - 1)", 2, 1500),
        ("1000 * 2 ** attempt", 3, 8000),
    ],
)
def test_expressions_of_attempts(value: object, attempt: int, expected: float) -> None:
    assert value_of(value, attempt, "x") == expected


@pytest.mark.parametrize(
    ("resources", "name", "expected"),
    [
        ({"mem": "8GB"}, "mem_mb", 8000),
        ({"mem": 3000}, "mem_mb", 3000),
        ({"mem": "2000 * attempt"}, "mem_mb", 2000),
        ({"mem_mib": 1000}, "mem_mb", 1048.576),
        ({"runtime": "4h"}, "runtime", 240),
        ({"runtime": "2d"}, "runtime", 2880),
        ({"runtime": "90"}, "runtime", 90),
        ({"runtime": "60 * attempt"}, "runtime", 60),
    ],
)
def test_units_are_those_of_snakemake(
    tmp_path: Path, resources: dict[str, Any], name: str, expected: float
) -> None:
    own = profile(tmp_path / "p", {"embed": resources}, **{"default-resources": {"mem_mb": 10, "runtime": 1}})
    assert own.ask("embed").number(name) == pytest.approx(expected)


@pytest.mark.parametrize(
    "value", ["input.size_mb * 2", "__import__('os')", "4G", "attempt.real", "1 / 0", "", None]
)
def test_other_expressions_are_named_and_never_run(value: object) -> None:
    with pytest.raises(ConfigError, match=r"finetune: mem_mb: .* is no number and no expression of `attempt`"):
        value_of(value, 1, "set-resources of finetune: mem_mb")


def test_memory_is_compared_with_the_first_attempt(tmp_path: Path) -> None:
    asks = profile(tmp_path, {"finetune": {"mem_mb": "8000 * attempt", "runtime": 240}})
    fits, larger = line("finetune", 8000 - SNAKEMAKE_MB), line("finetune", 12000 - SNAKEMAKE_MB)
    assert misfits([fits], asks, Limits()) == []
    assert misfits([larger], asks, Limits()) == ["finetune needs 12 GB at attempt 1: the profile asks 8 GB"]


def test_nodes_have_a_size(tmp_path: Path) -> None:
    asks = profile(tmp_path, {"merge": {"mem_mb": "30000 * attempt", "runtime": 240}}, retries=2)
    assert misfits([line("merge", 20000)], asks, Limits(node_mb=96000)) == []
    assert misfits([line("merge", 20000)], asks, Limits(node_mb=64000)) == [
        "merge asks 90 GB at attempt 3: no node of 64 GB can start it"
    ]
    found = misfits([line("pretrain", 80000)], asks, Limits(node_mb=64000))
    assert found == [
        "pretrain needs 80.3 GB: it does not fit a node of 64 GB (pretrain.loop.stream: true, or fewer ranks)"
    ]


def test_a_job_that_goes_on_has_all_its_attempts(tmp_path: Path) -> None:
    wanted = {"mem_mb": 8000, "runtime": "60 * attempt"}
    asks = profile(tmp_path, {"pretrain": wanted, "score": wanted}, retries=2)
    assert misfits([line("pretrain", hours=5.9)], asks, Limits()) == []
    assert (
        "6.1 h: all its 3 attempts together have 6.0 h"
        in misfits([line("pretrain", hours=6.1)], asks, Limits())[0]
    )
    assert misfits([line("score", hours=0.9)], asks, Limits()) == []
    assert misfits([line("score", hours=1.1)], asks, Limits()) == [
        "score takes 1.1 h: the profile gives it 1.0 h at attempt 1"
    ]


def test_partitions_end_jobs(tmp_path: Path) -> None:
    asks = profile(tmp_path, {"score": {"mem_mb": 8000, "runtime": "60 * attempt"}}, retries=2)
    assert misfits([line("score", hours=0.5)], asks, Limits(hours=3)) == []
    assert misfits([line("score", hours=0.5)], asks, Limits(hours=2)) == [
        "score asks 3 h at the last attempt: the partition gives 2 h"
    ]


def test_the_lines_to_paste_fit_what_they_were_made_for(tmp_path: Path) -> None:
    """Also the memory of a last attempt, and the time of jobs that go on; what is not planned stays as it is."""
    small = {"mem_mb": "500 * attempt", "runtime": "10 * attempt"}
    rules = {
        "index_lhe": {"mem_mb": 1000, "runtime": 5},
        "merge": small,
        "pretrain": {"gpu": 1, "slurm_partition": "gpu", **small},
        "score": small,
    }
    asks = profile(tmp_path / "before", rules, retries=2)
    lines = [line("merge", 18000, 3), line("pretrain", 20000, 40), line("score", 30000, 2)]
    limits = Limits(node_mb=64000, hours=24)
    assert len(misfits(lines, asks, limits)) == 6
    block = yaml.safe_load(set_resources(lines, asks, limits))
    after = profile(tmp_path / "after", block["set-resources"], retries=2)
    assert misfits(lines, after, limits) == []
    assert after.rules["index_lhe"] == {"mem_mb": 1000, "runtime": 5}
    assert (after.rules["pretrain"]["gpu"], after.rules["pretrain"]["slurm_partition"]) == (1, "gpu")
    too_large = set_resources([line("merge", 70000)], asks, limits)
    assert "# merge needs 70.3 GB: it does not fit a node of 64 GB" in too_large


def test_the_lines_to_paste_use_a_short_partition(tmp_path: Path) -> None:
    """No attempt is shorter than a job that has to be done in one."""
    rules = {rule: {"mem_mb": 8000, "runtime": 10} for rule in ("merge", "score", "pretrain", "evaluate")}
    asks = profile(tmp_path / "before", rules, retries=2)
    lines = [line("merge", hours=0.8), line("score", hours=0.5), line("pretrain", hours=2.9), line("evaluate")]
    limits = Limits(hours=1)
    block = yaml.safe_load(set_resources(lines, asks, limits))["set-resources"]
    assert misfits(lines, profile(tmp_path / "after", block, retries=2), limits) == []
    longer = yaml.safe_load(set_resources(lines, asks, Limits(hours=2)))["set-resources"]
    assert longer["score"]["runtime"] == "min(60 * attempt, 120)"


def test_what_a_profile_does_not_name_is_not_compared(tmp_path: Path) -> None:
    assert misfits([line("merge", 8000)], profile(tmp_path, {"merge": {"dask_jobs": 2}}), Limits()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("set-resources: {merge: 8000}", "set-resources: merge: a mapping of resources is expected"),
        ("retries: many", "retries: 'many' is no number"),
    ],
)
def test_wrong_values_of_a_profile_are_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "config.yaml").write_text(f"{text}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        load_profile(tmp_path)


def test_figures_have_the_time_of_their_rules(tmp_path: Path) -> None:
    asks = profile(tmp_path, {}, retries=2)
    assert misfits([line("figures", 300, hours=0.16)], asks, Limits()) == []
    assert misfits([line("figures", 300, hours=0.5)], asks, Limits()) == [
        "figures take 30 minutes: their rules ask 10 at attempt 1"
    ]


def test_a_folder_without_a_profile_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere: no profile: a folder with a file config.yaml is expected"):
        load_profile(tmp_path / "nowhere")


def test_a_profile_of_another_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("set-resources: [merge:mem_mb=3000]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="set-resources: a mapping of rules or resources is expected"):
        load_profile(tmp_path)


def test_gpus_and_ranks_come_from_the_profile(tmp_path: Path) -> None:
    four = profile(tmp_path, {"pretrain": {"gpu": 4}, "score": {"gpu": 1}, "merge": {"gpu": 1}})
    config, costs = load_campaign(REPOSITORY / "config" / "paper.yaml"), load_costs(COSTS)
    alone, fast = plan(config, costs), plan(config, costs, machines=machines_of(four, gpu_speed=20))
    by_stage = {one.stage: (one, other) for one, other in zip(alone, fast, strict=True)}
    core, gpu = by_stage["score"]
    assert gpu.job_hours == pytest.approx(core.job_hours / 20, rel=0.02) and gpu.gpus == 1
    core, gpu = by_stage["pretrain"]
    assert gpu.job_hours == pytest.approx(core.job_hours / 20 / (4 * 0.85), rel=0.02)
    assert gpu.memory_mb == pytest.approx(4 * core.memory_mb)
    assert by_stage["merge"][0].job_hours == by_stage["merge"][1].job_hours
    on_cores = plan(config, costs, machines=machines_of(four))
    assert next(one for one in on_cores if one.stage == "score").job_hours == by_stage["score"][0].job_hours


COSTS = REPOSITORY / "benchmarks" / "costs.json"


@pytest.mark.parametrize("name", ["config", "test", "paper"])
def test_the_shipped_campaigns_fit_the_shipped_profile_and_ordinary_nodes(name: str) -> None:
    """On cores alone, and with one GPU of which next to nothing is assumed."""
    config, costs, slurm = (
        load_campaign(REPOSITORY / "config" / f"{name}.yaml"),
        load_costs(COSTS),
        load_profile(SLURM),
    )
    for speed in (None, 1.0):
        lines = plan(config, costs, machines=machines_of(slurm, speed))
        assert misfits(lines, slurm, Limits(node_mb=64_000)) == []


def test_the_profile_does_not_ask_for_much_more_than_is_planned() -> None:
    """A profile that asks for ten times the memory of the paper's size keeps nodes empty."""
    lines = plan(load_campaign(REPOSITORY / "config" / "paper.yaml"), load_costs(COSTS))
    slurm = load_profile(SLURM)
    asked = {one.stage: slurm.ask(one.rules[0]).number("mem_mb") for one in lines if one.rules[0] in slurm.rules}
    large = {stage for stage, number in asked.items() if number > 4000}
    assert large <= {"pretrain"}  # whose data set may be in memory
