"""The conda environments: complete, pinned, and at the versions that are tested."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = REPOSITORY / "workflow" / "scripts"
ENVS = sorted((REPOSITORY / "envs").glob("*.yaml"))

PIP_NAMES = {"pythia8": "pythia8mc", "pytorch": "torch", "dask-core": "dask", "matplotlib-base": "matplotlib"}
"""Packages that conda-forge and PyPI call by different names."""
PREFIX = {"pythia8", "fastjet"}
"""Packages whose last number counts PyPI's builds: the env pins the version of the generator or of FastJet."""
MODULES = {"yaml": "pyyaml", "sklearn": "scikit-learn", "matplotlib": "matplotlib-base", "torch": "pytorch",
           "dask": "dask-core"}  # fmt: skip
"""Modules that are not called like their conda package."""
CHOSEN_AT_RUN_TIME = {SCRIPTS / "rs3l" / "physics" / "generator.py": {"pythia8"}}
"""Modules that a file imports by name (`importlib.import_module`)."""


def load(path: Path) -> dict[str, Any]:
    value = yaml.safe_load(path.read_text())
    assert isinstance(value, dict)
    return value


def pins(path: Path) -> dict[str, str]:
    """Return the versions by package; every line must pin one."""
    result = {}
    for line in load(path)["dependencies"]:
        match = re.fullmatch(r"([a-z0-9][a-z0-9\-]*)=([0-9][0-9A-Za-z.]*)", line)
        assert match, f"{path.name}: {line!r} is not name=version"
        result[match[1]] = match[2]
    return result


def locked() -> dict[str, str]:
    """Return the tested versions: of the lock file, and of torch, which is installed by a script."""
    text = (REPOSITORY / "requirements.lock").read_text()
    versions = dict(re.findall(r"^([a-z0-9][a-z0-9\-._]*)==([^\s;\\]+)", text, re.MULTILINE))
    torch = re.search(
        r'^VERSION = "([^"]+)"', (REPOSITORY / "tools" / "install_torch.py").read_text(), re.MULTILINE
    )
    assert torch
    return {**versions, "torch": torch[1]}


def imports(path: Path) -> set[str]:
    """Return the full names of all modules that a file imports, at any depth of its code."""
    found = set(CHOSEN_AT_RUN_TIME.get(path, set()))
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def library_file(module: str) -> Path | None:
    """Return the file of a module of the library, or None for a name inside a module."""
    stem = SCRIPTS.joinpath(*module.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


def third_party(script: Path) -> set[str]:
    """Return the top-level modules that a script needs, through all files of the library that it imports."""
    todo, seen, found = [script], set(), set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for module in imports(path):
            top = module.split(".")[0]
            if top == "rs3l":
                parents = [".".join(module.split(".")[: i + 1]) for i in range(module.count(".") + 1)]
                todo += [file for name in parents if (file := library_file(name))]
            elif top not in sys.stdlib_module_names:
                found.add(top)
    return found


def scripts_of_rules() -> dict[str, str]:
    """Return the env of each script, from the rules that run it."""
    result = {}
    for rules in sorted((REPOSITORY / "workflow" / "rules").glob("*.smk")):
        for rule in re.split(r"^rule ", rules.read_text(), flags=re.MULTILINE)[1:]:
            script = re.search(r'script=script\("([^"]+)"\)', rule)
            env = re.search(r'conda:\s+"../../envs/([^"]+)"', rule)
            assert script and env, f"{rules.name}: rule {rule.splitlines()[0]} names no script or no env"
            assert result.get(script[1], env[1]) == env[1], f"{script[1]} runs in two envs"
            result[script[1]] = env[1]
    return result


def test_one_env_per_step() -> None:
    assert [path.name for path in ENVS] == ["generation.yaml", "merge.yaml", "report.yaml", "training.yaml"]
    assert set(scripts_of_rules().values()) <= {path.name for path in ENVS}


def test_every_script_belongs_to_a_rule() -> None:
    assert {path.name for path in SCRIPTS.glob("*.py")} <= set(scripts_of_rules())


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.name)
def test_channels(path: Path) -> None:
    assert load(path)["channels"] == ["conda-forge", "nodefaults"]


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.name)
def test_versions_are_the_tested_ones(path: Path) -> None:
    versions = locked()
    found = pins(path)
    assert found.pop("python") == "3.11" and found
    for package, version in found.items():
        tested = versions[PIP_NAMES.get(package, package)]
        if package in PREFIX:
            assert tested.startswith(version + "."), f"{package}: {version} in the env, {tested} tested"
        else:
            assert version == tested, package


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.glob("*.py")))
def test_the_env_holds_what_the_script_imports(script: str) -> None:
    env = REPOSITORY / "envs" / scripts_of_rules()[script]
    needed = {MODULES.get(module, module) for module in third_party(SCRIPTS / script)}
    assert needed <= set(pins(env)), f"missing in {env.name}: {needed - set(pins(env))}"


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.name)
def test_the_env_holds_nothing_that_its_scripts_do_not_import(path: Path) -> None:
    scripts = [script for script, env in scripts_of_rules().items() if env == path.name]
    needed = set().union(*(third_party(SCRIPTS / script) for script in scripts if (SCRIPTS / script).is_file()))
    assert set(pins(path)) - {"python"} <= {MODULES.get(module, module) for module in needed}


def test_imports_are_followed_through_the_library() -> None:
    assert {"pythia8", "fastjet", "yaml"} <= third_party(SCRIPTS / "resimulate.py")
    assert "torch" not in third_party(SCRIPTS / "merge.py")
    assert "snakemake" not in set().union(*(third_party(path) for path in SCRIPTS.glob("*.py")))
