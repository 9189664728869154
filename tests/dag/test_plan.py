"""Which jobs Snakemake plans from scratch: stages, targets, options; and what it refuses at parse time."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import networkx
import pytest
import yaml

from rs3l.config import Campaign, blocks, load_campaign, parse_campaign
from rs3l.plan import STAGES, Scope, stages_of, work_of
from rs3l.report.graph import rule_graph
from support.places import REPOSITORY
from support.rules import jobs
from support.workflow import Snakemake

Values = dict[str, Any]
HARD_JOBS = 2 + 2 + 1
RESIM_JOBS = HARD_JOBS * 4


@pytest.fixture
def snakemake(tmp_path: Path, test_values: Values) -> Snakemake:
    return Snakemake(tmp_path, copy.deepcopy(test_values))


def test_every_stage_appears_with_the_expected_number_of_jobs(snakemake: Snakemake) -> None:
    planned = snakemake.planned()
    runs = 2  # rs3l and jetclr, one seed each
    assert planned["hard_process"] == HARD_JOBS
    assert planned["resimulate"] == RESIM_JOBS
    assert planned["merge"] == 1
    assert planned["pretrain"] == runs
    assert planned["finetune"] == 2 * (runs + 1)
    assert planned["score"] == 2 * planned["finetune"], "a group per process"
    assert planned["measure"] == planned["finetune"]
    assert planned["evaluate"] == 1
    assert planned["all"] == 1


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("hard", {"hard_process": HARD_JOBS}),
        ("resim", {"hard_process": HARD_JOBS, "resimulate": RESIM_JOBS}),
        ("dataset", {"hard_process": HARD_JOBS, "resimulate": RESIM_JOBS, "merge": 1}),
        ("models", {"hard_process": HARD_JOBS, "resimulate": RESIM_JOBS, "merge": 1, "pretrain": 2}),
        (
            "evaluation",
            {"hard_process": HARD_JOBS, "resimulate": RESIM_JOBS, "merge": 1}
            | {"pretrain": 2, "quality": 2, "finetune": 6, "score": 12, "measure": 6, "evaluate": 1},
        ),
        ("results/test/jets/qcd/seed/0001.parquet", {"hard_process": 1, "resimulate": 1}),
    ],
)
def test_targets(snakemake: Snakemake, target: str, expected: dict[str, int]) -> None:
    planned = snakemake.planned(target)
    assert {rule: n for rule, n in planned.items() if rule != target} == expected


def test_variants_that_share_a_shower_are_one_job(snakemake: Snakemake, test_values: Values) -> None:
    """The nominal and the re-hadronised variant in one job, the two other showers in theirs; the files are the same."""
    snakemake.configure({**test_values, "share_shower": True})
    planned = snakemake.planned("dataset")
    assert (planned["resimulate"], planned["resimulate_together"]) == (2 * HARD_JOBS, HARD_JOBS)
    for target, rule in (("seed", "resimulate"), ("rehadron", "resimulate_together")):
        assert snakemake.planned(f"results/test/jets/qcd/{target}/0001.parquet") == {"hard_process": 1, rule: 1}
    shared = work_of("resimulate", parse_campaign({**test_values, "share_shower": True}))
    assert shared.jobs == 3 * HARD_JOBS
    assert shared.units < work_of("resimulate", parse_campaign(test_values)).units


def test_a_variant_is_added_by_one_line(snakemake: Snakemake, test_values: Values) -> None:
    values = copy.deepcopy(test_values)
    values["variants"]["isr_hi"] = {"resample": "shower", "pythia": {"SpaceShower:renormMultFac": 0.707}}
    snakemake.configure(values)
    assert snakemake.planned("resim")["resimulate"] == HARD_JOBS * 5


def test_config_overrides(snakemake: Snakemake) -> None:
    planned = snakemake.planned("resim", "--config", "events_per_shard=20")
    assert planned["hard_process"] == 9 + 9 + 6
    output = snakemake("resim", "--dry-run", "--config", "campaign=other").stdout
    assert "results/other/jets/qcd/seed/0001.parquet" in output


@pytest.mark.parametrize("option", ["--dag", "--rulegraph", "--filegraph"])
def test_graphs(snakemake: Snakemake, option: str) -> None:
    graph = snakemake("all", option).stdout
    assert graph.startswith("digraph")
    assert "resimulate" in graph


def test_a_package_that_is_not_installed_here_is_a_warning(snakemake: Snakemake) -> None:
    values = yaml.safe_load((snakemake.folder / "config.yaml").read_text(encoding="utf-8"))
    values["pretrain"]["encoder"] = {"kind": "no_such_package.nets:Net"}
    snakemake.configure(values)
    assert "no_such_package.nets:Net: its package is not installed here" in snakemake("--dry-run").stderr


@pytest.mark.parametrize("shared", [False, True])
def test_the_picture_of_the_report_is_the_graph_of_the_rules(snakemake: Snakemake, shared: bool) -> None:
    values = yaml.safe_load((snakemake.folder / "config.yaml").read_text(encoding="utf-8")) | {
        "share_shower": shared
    }
    snakemake.configure(values)
    dot = snakemake("report", "--rulegraph", "dot").stdout
    names = dict(re.findall(r'^\s*(\w+)\s*\[label = "(\w+)"', dot, re.MULTILINE))
    names = {key: "figures" if name.startswith("plot_") else name for key, name in names.items()}
    edges = {(names[a], names[b]) for a, b in re.findall(r"^\s*(\w+)\s*->\s*(\w+)", dot, re.MULTILINE)}
    graph = networkx.DiGraph(edge for edge in edges if edge[0] != edge[1])
    assert set(networkx.transitive_reduction(graph).edges) == set(rule_graph(parse_campaign(values)).edges)


@pytest.mark.parametrize("name", sorted(jobs()))
def test_every_rule_that_works_has_all_its_fields(name: str) -> None:
    """The script is an input, so that an edit counts.

    The rules with a job per shard have no message: it is formatted for each job, and the wildcards say it all.
    """
    rule = jobs()[name]
    assert Path(str(rule.input.script)).parent == REPOSITORY / "workflow" / "scripts"
    assert rule.log and rule.benchmark and rule.conda_env
    assert {"mem_mb", "runtime", "disk_mb"} <= set(rule.resources)
    assert (rule.message is None) == (name in ("hard_process", "resimulate", "resimulate_together"))
    assert rule.docstring or name.startswith("plot_"), "those of the figures are made in a loop"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("jets", "pt_mn"), 3, "jets.pt_mn: unknown key; did you mean `pt_min`?"),
        (("processes", "qcd", "pt_hat"), {"min": 290}, "processes.qcd.pt_hat.min"),
        (("variants", "fsr_hi", "pythia"), {"TimeShower:renormMult": 2}, "variants.fsr_hi.pythia.TimeShower:renormMult"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_stops_before_any_job(
    snakemake: Snakemake, test_values: Values, path: tuple[str, ...], value: Any, expected: str
) -> None:
    values = copy.deepcopy(test_values)
    target = values
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    snakemake.configure(values)
    result = snakemake(check=False)
    assert result.returncode != 0
    assert expected in result.stderr
    assert "Traceback" not in result.stderr
    assert not (snakemake.folder / "results").exists()


def test_the_default_configuration_is_the_demo(tmp_path: Path) -> None:
    command = Snakemake(tmp_path, {})
    arguments = [
        a for a in command.command("hard", "--dry-run") if a not in ("--configfile", str(tmp_path / "config.yaml"))
    ]

    result = subprocess.run(arguments, capture_output=True, text=True, cwd=REPOSITORY, env=command.environment())
    demo = load_campaign(REPOSITORY / "config" / "config.yaml")
    last = blocks.shards(demo, "qcd")[-1]
    assert f"results/demo/hard/qcd/{last:04d}.lhe.gz" in result.stdout, result.stderr


def test_paths_escape_neither_folder_nor_shell(snakemake: Snakemake, test_values: Values) -> None:
    snakemake.configure({**test_values, "campaign": "../x"})
    assert snakemake(check=False).returncode != 0
    snakemake.configure({**test_values, "results": "$(touch y)"})
    assert snakemake(check=False).returncode != 0
    assert (
        json.dumps(sorted(p.name for p in snakemake.folder.iterdir() if p.name != ".snakemake"))
        == '["config.yaml"]'
    )


def test_the_plan_of_costs_counts_the_jobs_of_the_dry_run(snakemake: Snakemake, campaign: Campaign) -> None:
    planned = snakemake.planned()
    counted = {stage: work_of(stage, campaign).jobs for stage in stages_of(campaign)}
    counted_figures = counted.pop("figures")
    assert {stage: planned[stage] for stage in counted} == counted
    assert sum(n for rule, n in planned.items() if rule.startswith("plot_")) == counted_figures


def test_the_plan_of_costs_counts_the_jobs_of_the_ablations(snakemake: Snakemake, test_values: Values) -> None:
    values = {**test_values, "ablations": {"blind": {"displacement": False}, "half": {"events": 0.5}}}
    snakemake.configure(values)
    planned = snakemake.planned("all", "ablations")
    for stage, what in STAGES.items():
        rules = [
            rule for rule in planned if rule in what.rules or (stage == "figures" and rule.startswith("plot_"))
        ]
        counted = work_of(stage, parse_campaign(values), Scope(ablations=True)).jobs
        assert sum(planned[rule] for rule in rules) == counted, stage
