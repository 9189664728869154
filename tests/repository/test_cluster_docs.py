"""The examples of docs/cluster.md, applied to the profile: valid, and they ask for what the text says."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.places import REPOSITORY

Values = dict[str, Any]
RULES = (
    "hard_process",
    "resimulate",
    "merge",
    "pretrain",
    "embed",
    "quality",
    "finetune",
    "score",
    "measure",
    "evaluate",
    "plot_latent",
)
SITES = ("no GPUs", "GPU partition", "no accounting")


def snippets() -> list[Values]:
    """Return the YAML blocks of the page, in order."""
    text = (REPOSITORY / "docs" / "cluster.md").read_text(encoding="utf-8")
    return [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]


def edited(values: Values, change: Values) -> Values:
    """Return ``values`` with the lines of ``change`` replaced or added, at any depth."""
    result = copy.deepcopy(values)
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = edited(result[key], value) if both else value
    return result


def asked(folder: Path, change: Values) -> dict[str, Values]:
    """Return the resources of each rule's jobs in a dry run with the edited profile."""
    profile = yaml.safe_load((REPOSITORY / "profiles" / "slurm" / "config.yaml").read_text(encoding="utf-8"))
    (folder / "site").mkdir()
    (folder / "site" / "config.yaml").write_text(yaml.safe_dump(edited(profile, change)), encoding="utf-8")
    result = subprocess.run(
        [
            sys.executable, "-m", "snakemake", "--dry-run", "--profile", str(folder / "site"), "-d", str(folder),
            "--configfile", str(REPOSITORY / "config" / "test.yaml"), "--logger", "resources",
        ],
        cwd=REPOSITORY, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "tests" / "plugins")},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    jobs = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    return {job["rule"]: job for job in jobs}


@pytest.fixture(scope="module", params=range(3), ids=SITES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, dict[str, Values]]:
    """Return each example's number and the resources that it leads to."""
    return request.param, asked(tmp_path_factory.mktemp("site"), snippets()[request.param])


def test_every_rule_is_announced(site: tuple[int, dict[str, Values]]) -> None:
    resources = site[1]
    assert set(RULES) <= set(resources)
    for rule in RULES:
        assert resources[rule]["mem_mb"] >= 1000 and resources[rule]["runtime"] >= 10


def test_partitions_accounts_and_devices(site: tuple[int, dict[str, Values]]) -> None:
    number, resources = site
    training = {"pretrain"}
    cpu, gpu = [("standard", "standard"), ("cpu", "a100"), ("batch", "gpu_nodes")][number]
    for rule in RULES:
        wanted = gpu if rule in training else cpu
        assert resources[rule]["slurm_partition"] == wanted
        assert resources[rule].get("gpu", 0) == (1 if rule in training and number else 0)
        assert resources[rule].get("slurm_account") == (None if number == 2 else "hep")


def test_shards_can_be_one_job_each(tmp_path: Path) -> None:
    """That they are is for the tests on Slurm to see."""
    assert len(snippets()) == len(SITES) + 1
    assert set(snippets()[-1]["groups"].values()) == {"shard"}
    resources = asked(tmp_path, snippets()[-1])
    assert all(resources[rule]["serial"] == 1 for rule in ("hard_process", "resimulate", "plot_latent"))


def test_the_profile_as_it_is_names_no_account(tmp_path: Path) -> None:
    resources = asked(tmp_path, {})
    assert resources["pretrain"]["slurm_partition"] == "gpu" and resources["pretrain"]["gpu"] == 1
    assert "slurm_partition" not in resources["merge"] and "slurm_account" not in resources["merge"]
