"""The profiles: valid, found from a fresh clone, and without the settings that are known to fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.cli import get_argument_parser

from rs3l.figures.registry import FIGURES
from support.rules import jobs

REPOSITORY = Path(__file__).resolve().parents[2]
PROFILES = REPOSITORY / "profiles"
NAMES = ["default", "local", "slurm"]


def load(name: str) -> dict[str, Any]:
    value = yaml.safe_load((PROFILES / name / "config.yaml").read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return {key: entry for key, entry in value.items() if not key.startswith("__")}  # without YTE's own


def dry_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Announce the miniature campaign from the repository, with its files in ``folder``."""
    config = str(REPOSITORY / "config" / "test.yaml")
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "hard",
        "-n",
        *arguments,
        "-d",
        str(folder),
        "--configfile",
        config,
    ]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)


def test_there_are_three_profiles() -> None:
    assert sorted(path.name for path in PROFILES.iterdir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_key_is_an_option_of_snakemake(name: str) -> None:
    parser = get_argument_parser()
    options = {option.lstrip("-") for action in parser._actions for option in action.option_strings}
    assert load(name) and set(load(name)) <= options


@pytest.mark.parametrize("name", ["local", "slurm"])
def test_a_link_in_the_root_leads_to_the_profile(name: str) -> None:
    link = REPOSITORY / name
    assert link.is_symlink() and link.readlink() == Path("profiles") / name


def test_the_default_profile_takes_nothing_from_the_others() -> None:
    default = load("default")
    assert not {"default-resources", "cores", "jobs", "executor", "retries"} & set(default)
    for name in ("local", "slurm"):
        shared = set(default) & set(load(name))
        assert all(default[key] == load(name)[key] for key in shared), shared


def test_slurm_avoids_what_is_known_to_fail() -> None:
    profile = load("slurm")
    assert profile["executor"] == "slurm" and profile["slurm-status-command"] == "squeue"
    assert profile["retries"] >= 1 and "slurm-array-jobs" not in profile and "cores" not in profile
    assert profile["default-resources"]["mem_mb"] >= 500
    assert "slurm_account" not in profile["default-resources"]
    assert profile["slurm-status-attempts"] / profile["max-status-checks-per-second"] >= 600


def test_slurm_says_what_every_rule_needs() -> None:
    """Rules that the profile does not know would be asked for with the defaults; a name that no rule has does nothing.

    The rules of the figures say what they need themselves, and are in their group.
    """
    profile = load("slurm")
    figures = {name for name, rule in jobs().items() if rule.ruleinfo.group == "figures"}
    assert figures == {f"plot_{figure}" for figure in FIGURES}
    assert set(jobs()) - figures == set(profile["set-resources"])
    assert "groups" not in profile
    assert all("runtime" in wanted and "mem_mb" in wanted for wanted in profile["set-resources"].values())


def test_rules_leave_retries_to_the_profile() -> None:
    assert {name for name, rule in jobs().items() if rule.ruleinfo.retries is not None} == set()


@pytest.mark.parametrize("profile", [[], ["--profile", "local"], ["--profile", "slurm"]], ids=lambda p: "".join(p))
def test_dry_run_from_the_checkout(profile: list[str], tmp_path: Path) -> None:
    result = dry_run(tmp_path, *profile)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "hard_process" in result.stdout
    assert "profiles/default" in result.stderr and (not profile or profile[-1] in result.stderr)


def test_a_profile_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    result = dry_run(tmp_path, "--profile", "no_such_cluster")
    assert result.returncode != 0 and "no_such_cluster" in result.stdout + result.stderr
