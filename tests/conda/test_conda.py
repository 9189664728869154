"""`--sdm conda`: environments of real packages are solved, linked and used, and what is wrong with one is an error.

conda itself and its channels are replaced (see stand_in.py and channel.py); Snakemake's part is the real one.
Run by `make test-conda`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import channel
from support.places import REPOSITORY
from support.workflow import Snakemake

pytestmark = pytest.mark.conda
HERE = Path(__file__).resolve().parent
ENVS = REPOSITORY / "envs"
STEPS = ("generation", "merge", "training", "report")


class Conda(Snakemake):
    """Snakemake with --sdm conda: no package of the test's own environment is in reach of a job."""

    def __init__(self, folder: Path, values: dict[str, Any], channel_folder: Path, prefix: Path) -> None:
        super().__init__(folder, values)
        self.channel = channel_folder
        self.prefix = prefix

    def command(self, *arguments: str, cores: int = 2) -> list[str]:
        return [*super().command(*arguments, cores=cores), "--sdm", "conda", "--conda-prefix", str(self.prefix)]

    def environment(self) -> dict[str, str]:
        return {
            "HOME": os.environ["HOME"],
            "PATH": f"{HERE / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "OMP_NUM_THREADS": "1",
            "CONDA_STAND_IN_PYTHON": os.environ["CONDA_STAND_IN_PYTHON"],
            "CONDA_STAND_IN_CHANNELS": json.dumps({"conda-forge": self.channel.as_uri()}),
            "CONDA_STAND_IN_CACHE": str(self.prefix / "cache"),
        }

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run any command in the environment of the jobs."""
        return subprocess.run(command, capture_output=True, text=True, env=self.environment(), cwd=self.folder)


@pytest.fixture(scope="session")
def channel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a local channel with the packages of the steps' environments."""
    folder = tmp_path_factory.mktemp("channel")
    names = channel.build([ENVS / f"{step}.yaml" for step in STEPS], folder)
    assert {"python", "numpy", "pyarrow", "pytorch", "dask-core", "matplotlib-base"} <= set(names)
    return folder


@pytest.fixture(scope="session")
def conda(channel_folder: Path, tmp_path_factory: pytest.TempPathFactory, test_values: dict[str, Any]) -> Conda:
    """Return the miniature campaign, not run yet."""
    folder, prefix = tmp_path_factory.mktemp("conda"), tmp_path_factory.mktemp("prefix")
    return Conda(folder, test_values, channel_folder, prefix)


@pytest.fixture(scope="session")
def campaign_in_conda(conda: Conda) -> Conda:
    """Run the whole miniature campaign, each rule in its environment."""
    conda()
    return conda


def pythons(conda: Conda, rule: str) -> set[Path]:
    """Return the interpreters that ran a rule, from the first lines of its logs."""
    found = set()
    for log in (conda.folder / "results" / "test" / "logs").rglob("*.log"):
        if rule in log.parts or log.stem == rule:
            found.add(Path(log.read_text(encoding="utf-8").split("command: ")[1].split()[0]))
    return found


def test_every_rule_ran_in_an_environment_of_its_step(campaign_in_conda: Conda) -> None:
    assert (campaign_in_conda.folder / "results" / "test" / "summary.json").is_file()
    used = {
        rule: pythons(campaign_in_conda, rule)
        for rule in (
            "hard_process",
            "resimulate",
            "merge",
            "pretrain",
            "embed",
            "quality",
            "finetune",
            "evaluate",
            "plot",
        )
    }
    assert all(len(found) == 1 for found in used.values()), used
    assert all(campaign_in_conda.prefix in python.parents for (python,) in used.values())
    steps = [
        ("hard_process", "resimulate"),
        ("merge",),
        ("pretrain", "embed", "quality", "finetune"),
        ("evaluate", "plot"),
    ]
    assert len(set().union(*used.values())) == len(steps)
    for rules in steps:
        assert len(set().union(*(used[rule] for rule in rules))) == 1, rules


def test_the_results_are_those_without_conda(campaign_in_conda: Conda, finished: Snakemake) -> None:
    for pattern in ("dataset/*/*.parquet", "dataset/manifest.json", "evaluation/*.csv"):
        paths = sorted((finished.folder / "results" / "test").glob(pattern))
        assert paths
        for path in paths:
            other = campaign_in_conda.folder / path.relative_to(finished.folder)
            assert other.read_bytes() == path.read_bytes(), path


@pytest.mark.parametrize(
    ("rule", "has", "lacks"),
    [
        (
            "resimulate",
            ["pythia8mc", "fastjet", "numba", "pylhe"],
            ["torch", "distributed", "matplotlib", "snakemake"],
        ),
        ("merge", ["distributed", "pyarrow"], ["torch", "pythia8mc", "matplotlib", "snakemake"]),
        ("pretrain", ["torch", "sklearn"], ["pythia8mc", "distributed", "matplotlib", "snakemake"]),
        ("evaluate", ["matplotlib", "pandas"], ["torch", "pythia8mc", "distributed", "snakemake"]),
    ],
)
def test_an_environment_holds_its_packages_and_no_others(
    campaign_in_conda: Conda, rule: str, has: list[str], lacks: list[str]
) -> None:
    (python,) = pythons(campaign_in_conda, rule)
    code = "import importlib.util, sys; print(*(importlib.util.find_spec(m) is not None for m in sys.argv[1:]))"
    result = campaign_in_conda.call(str(python), "-c", code, *has, *lacks)
    assert result.stdout.split() == ["True"] * len(has) + ["False"] * len(lacks), result.stderr


def test_environments_are_made_once(campaign_in_conda: Conda) -> None:
    output = campaign_in_conda("--dry-run")
    assert "Nothing to be done" in output.stdout
    assert "will be created" not in output.stdout + output.stderr


class Small:
    """A workflow of one rule with one environment."""

    def __init__(self, conda: Conda, folder: Path) -> None:
        self.conda = conda
        self.folder = folder
        self.env = folder / "one.yaml"
        self.pins = folder / "one.linux-64.pin.txt"
        (folder / "Snakefile").write_text(
            'rule one:\n    output: "version"\n    conda: "one.yaml"\n'
            "    shell: \"python -c 'import pydantic; print(pydantic.VERSION)' > {output}\"\n",
            encoding="utf-8",
        )

    def describe(self, *packages: str) -> None:
        """Write the environment's description."""
        lines = ["channels: [conda-forge, nodefaults]", "dependencies:", *(f"  - {name}" for name in packages)]
        self.env.write_text("\n".join(lines), encoding="utf-8")

    def make(self, *tool: str) -> subprocess.CompletedProcess[str]:
        """Make the environment, by Snakemake or by the tool."""
        return self.conda.call(
            sys.executable, *tool, "--snakefile", str(self.folder / "Snakefile"), "--directory", str(self.folder),
        )  # fmt: skip

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run the rule."""
        return self.make("-m", "snakemake", "--sdm", "conda", "--cores", "1")

    def make_pins(self) -> None:
        """Write the pin file of the environment that there is."""
        prefix = next(self.folder.glob(".snakemake/conda/*/conda-meta")).parent
        result = self.conda.call("conda", "list", "--explicit", "--md5", "--prefix", str(prefix))
        assert result.returncode == 0 and "@EXPLICIT" in result.stdout
        self.pins.write_text(result.stdout, encoding="utf-8")


TOOL = str(REPOSITORY / "tools" / "make_envs.py")


@pytest.fixture
def small(conda: Conda, tmp_path: Path) -> Small:
    return Small(conda, tmp_path)


def test_an_environment_that_cannot_be_solved_is_an_error(small: Small) -> None:
    small.describe("python=3.11", "pydantic=0.0.1")
    for result in (small.run(), small.make(TOOL)):
        assert result.returncode != 0
        assert "Could not create conda environment" in result.stdout + result.stderr
        assert "pydantic" in result.stdout + result.stderr
    assert not (small.folder / "version").exists()


def test_versions_that_exclude_each_other_are_an_error(small: Small) -> None:
    small.describe("python=3.11", "pandas=3.1.1", "numpy<1.0")
    result = small.run()
    assert result.returncode != 0 and "numpy" in result.stdout + result.stderr


def test_a_pin_file_gives_the_same_packages(small: Small) -> None:
    small.describe("python=3.11", "pydantic=2.14.3")
    assert small.run().returncode == 0
    small.make_pins()
    first = small.pins.read_text(encoding="utf-8")
    for path in small.folder.glob(".snakemake/conda/*"):
        path.rename(small.folder / path.name)
    result = small.make(TOOL)
    assert result.returncode == 0, result.stderr
    assert "Using pinnings from" in result.stderr
    small.make_pins()
    assert small.pins.read_text(encoding="utf-8") == first


def test_a_pin_file_that_does_not_fit_is_an_error(small: Small) -> None:
    small.describe("python=3.11", "pydantic=2.14.3")
    assert small.run().returncode == 0
    small.make_pins()
    lines = small.pins.read_text(encoding="utf-8").splitlines()
    small.pins.write_text(
        "\n".join(line.replace("pydantic-2.14.3", "pydantic-2.14.2") for line in lines), encoding="utf-8"
    )
    result = small.make(TOOL)
    assert result.returncode != 0
    assert "a pin file could not be installed" in result.stderr
    assert "No candidates were found for pydantic ==2.14.2" in result.stderr


def test_a_package_that_was_changed_after_it_was_pinned_is_an_error(small: Small) -> None:
    small.describe("python=3.11", "pydantic=2.14.3")
    assert small.run().returncode == 0
    small.make_pins()
    text = small.pins.read_text(encoding="utf-8")
    md5 = text.split("#")[-1].strip()
    small.pins.write_text(text.replace(md5, "0" * len(md5)), encoding="utf-8")
    result = small.make(TOOL)
    assert result.returncode != 0 and "does not fit the channel" in result.stderr
