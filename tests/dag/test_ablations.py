"""Ablations in the workflow: a target of their own, and no effect on the campaign's jobs."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

from support.workflow import Snakemake

Values = dict[str, Any]
ABLATIONS: Values = {
    "seed_only": {"variants": ["nominal", "seed"]},
    "blind": {"displacement": False},
    "published": {"model": "published.safetensors"},
}
REPORT = {"report": 1, "all": 1}
"""What shows the configuration, and runs again when it changes."""

FIGURES = ("plot_", "embed", "merge", "hard_process", "resimulate", "report", "all", "ablations")


def with_ablations(values: Values, **more: Any) -> Values:
    return {**copy.deepcopy(values), "ablations": {**ABLATIONS, **more}}


def training_jobs(planned: dict[str, int]) -> dict[str, int]:
    """Return the jobs without figures, without qualities, and without the scores and measures of each fine-tuning."""
    jobs = {rule: n for rule, n in planned.items() if not rule.startswith(FIGURES)}
    assert jobs.pop("quality") >= jobs["pretrain"]
    assert jobs.pop("measure") == jobs["finetune"]
    assert jobs.pop("score") == 2 * jobs["finetune"], "a group per process"
    return jobs


def test_they_are_not_part_of_the_campaign(tmp_path: Path, test_values: Values) -> None:
    snakemake = Snakemake(tmp_path, with_ablations(test_values))
    (tmp_path / "published.safetensors").touch()
    assert training_jobs(snakemake.planned("all")) == {"pretrain": 2, "finetune": 6, "evaluate": 1}
    runs = 3 + 1 + 2  # the ablations, the method that they are compared with, two baselines
    expected = {"pretrain": 3, "finetune": 2 * runs, "evaluate_ablations": 1}
    assert training_jobs(snakemake.planned("ablations")) == expected


def test_without_ablations_there_is_nothing_to_do(tmp_path: Path, test_values: Values) -> None:
    assert Snakemake(tmp_path, copy.deepcopy(test_values)).planned("ablations") == {"ablations": 1}


def test_a_missing_model_is_named(tmp_path: Path, test_values: Values) -> None:
    result = Snakemake(tmp_path, with_ablations(test_values))("ablations", "--dry-run", check=False)
    assert result.returncode != 0 and "published.safetensors" in result.stdout


def test_ablations_warn_where_the_campaign_stops(tmp_path: Path, test_values: Values) -> None:
    snakemake = Snakemake(tmp_path, with_ablations(test_values))
    (tmp_path / "published.safetensors").touch()
    commands = snakemake("ablations", "--dry-run", "--printshellcmds").stdout.splitlines()
    said = {
        re.findall(r"models/(\w+)/model", line)[0]: re.findall(r"--on-collapse (\w+)", line)[0]
        for line in commands
        if "--on-collapse" in line
    }
    assert said == {"rs3l_s0": "stop", "seed_only_s0": "warn", "blind_s0": "warn"}
    judged = {
        re.findall(r"h_vs_qcd/(\w+)/history", line)[0]: re.findall(r"--on-undertrained (\w+)", line)[0]
        for line in commands
        if "--on-undertrained" in line and "h_vs_qcd/" in line
    }
    warned = ("seed_only_s0", "blind_s0", "published_s0", "none_blind_s0")
    assert judged == {"rs3l_s0": "stop", "none": "stop", **dict.fromkeys(warned, "warn")}


def test_methods_by_name_are_part_of_the_campaign(tmp_path: Path, test_values: Values) -> None:
    values = copy.deepcopy(test_values)
    values["pretrain"]["methods"] = {"rs3l": {}, "blind": {"displacement": False}, "supcon": {}}
    planned = Snakemake(tmp_path, values).planned()
    assert training_jobs(planned) == {"pretrain": 3, "finetune": 2 * (3 + 2), "evaluate": 1}


def test_adding_an_ablation_reruns_the_report_alone(finished: Snakemake, test_values: Values) -> None:
    (finished.folder / "published.safetensors").touch()
    try:
        finished.configure(with_ablations(test_values))
        assert finished.planned() == REPORT
        planned = finished.planned("ablations")
        more = with_ablations(test_values, cold={"temperature": 0.05})
        finished.configure(more)
        with_one_more = finished.planned("ablations")
    finally:
        finished.configure(test_values)
    assert training_jobs(planned) == {"pretrain": 2, "finetune": 2 * 4, "evaluate_ablations": 1}
    assert training_jobs(with_one_more) == {"pretrain": 3, "finetune": 2 * 5, "evaluate_ablations": 1}
    assert finished.planned() == {}
