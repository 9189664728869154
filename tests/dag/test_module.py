"""A module of another workflow: the rules under other names, one overridden, their configuration from there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.places import REPOSITORY

WORKFLOW = """
configfile: "config.yaml"


module rs3l:
    snakefile:
        "{snakefile}"
    config:
        config["rs3l"]


use rule * from rs3l as rs3l_*


use rule resimulate from rs3l as rs3l_resimulate with:
    threads: 2


rule mine:
    default_target: True
    input:
        "results/{campaign}/report.html",
    output:
        "mine.txt",
    shell:
        "wc {{input}} > {{output}}"
"""


@pytest.fixture
def other(tmp_path: Path, test_values: dict[str, Any]) -> Path:
    """Return the folder of a workflow that takes this one as a module."""
    values = {"rs3l": {**test_values, "campaign": "theirs"}, "of_my_own": 1}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    text = WORKFLOW.format(snakefile=REPOSITORY / "Snakefile", campaign="theirs")
    (tmp_path / "Snakefile").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_rules_of_a_module(other: Path) -> None:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--dry-run"]
    result = subprocess.run(command, cwd=other, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    jobs = {
        words[0]: int(words[1])
        for words in map(str.split, result.stdout.splitlines())
        if len(words) == 2 and words[1].isdigit()
    }
    assert jobs["rs3l_hard_process"] == 5 and jobs["rs3l_resimulate"] == 20 and jobs["rs3l_report"] == 1
    assert sum(count for rule, count in jobs.items() if rule.startswith("rs3l_plot_")) == 28
    blocks = [text for text in result.stdout.split("\n\n") if "rule rs3l_resimulate:" in text]
    assert blocks and all("threads: 2" in text for text in blocks), "overridden"
    assert "results/theirs/jets/qcd/seed/0000.parquet" in result.stdout


DEPLOYED = """
from snakemake.utils import min_version


min_version("6.10.0")


configfile: "config/config.yaml"


module rs3l_campaign:
    snakefile:
        {source}
    config:
        config


use rule * from rs3l_campaign
"""


@pytest.fixture
def deployed(tmp_path: Path, test_values: dict[str, Any]) -> Path:
    """Return a folder as `snakedeploy deploy-workflow` makes it, with a campaign of its own."""
    for name in ("config", "profiles"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    text = yaml.safe_dump({**test_values, "campaign": "deployed"}, sort_keys=False)
    (tmp_path / "config" / "config.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "workflow").mkdir()
    return tmp_path


def dry_run(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    (folder / "workflow" / "Snakefile").write_text(DEPLOYED.format(source=source), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--dry-run"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)


def test_a_deployed_workflow(deployed: Path) -> None:
    """With the path of a clone, all rules under their own names and the configuration of the folder."""
    result = dry_run(deployed, f'"{REPOSITORY}/workflow/Snakefile"')
    assert result.returncode == 0, result.stdout + result.stderr
    assert "results/deployed/jets/qcd/seed/0000.parquet" in result.stdout
    assert "results/deployed/report.html" in result.stdout


def test_from_an_address_it_says_what_it_needs(deployed: Path) -> None:
    clone = deployed / "clone"
    (clone / "workflow").mkdir(parents=True)
    for name in ("Snakefile", "workflow/Snakefile"):
        shutil.copy(REPOSITORY / name, clone / name)
    for command in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm a", "tag v1"):
        subprocess.run(["git", *command.split()], cwd=clone, check=True)
    result = dry_run(deployed, f'"git+file://{clone}/workflow/Snakefile@v1"')
    assert result.returncode != 0
    assert "clone the repository, install it (`pip install .`)" in result.stdout + result.stderr
