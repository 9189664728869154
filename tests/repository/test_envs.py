"""The conda environments: complete, pinned, and at the versions that are tested."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import make_post_deploy
from rs3l.config.encoders import DeepSets, EdgeConv, Transformer
from rs3l.evaluate.registry import TABLES
from rs3l.figures.registry import FIGURES
from support.places import REPOSITORY
from support.rules import jobs

SCRIPTS = REPOSITORY / "workflow" / "scripts"
ENVS = sorted((REPOSITORY / "envs").glob("*.yaml"))

PIP_NAMES = {
    "pytorch": "torch", "dask-core": "dask", "matplotlib-base": "matplotlib", "python-graphviz": "graphviz",
}  # fmt: skip
"""Packages that conda-forge and PyPI call by different names."""
EXTERNAL = ["herwig.yaml", "sherpa.yaml"]
"""Generators that are no part of the tested versions, and that no rule uses yet."""
STEPS = ["generation.yaml", "merge.yaml", "report.yaml", "training.yaml"]
MODULES = {"yaml": "pyyaml", "sklearn": "scikit-learn", "matplotlib": "matplotlib-base", "torch": "pytorch",
           "dask": "dask-core", "dask_jobqueue": "dask-jobqueue", "pythia8": "pythia8mc", "graphviz": "python-graphviz"}  # fmt: skip
"""Modules that are not called like their conda package."""
INDIRECT = {"cryptography"}
"""Packages that a library imports only when it is asked to: distributed, for temporary keys."""
BY_HAND = {
    "export_hdf5.py": "merge.yaml",
    "export_onnx.py": "training.yaml",
    "growth.py": "report.yaml",
    "import_hdf5.py": "merge.yaml",
    "import_model.py": "training.yaml",
    "write_dataset.py": "merge.yaml",
}
"""Scripts that no rule runs, and the env to run them in."""
OPTIONAL = {"mlflow", "tensorboardX", "onnxscript", "h5py", "uproot"}
"""Packages that are asked for by an option, with an error that names them where they are missing."""
CHOSEN_AT_RUN_TIME = {
    "pythia.py": {"pythia8"},
    "dataset/own/tables.py": {"uproot"},  # an option: `package`
    "evaluate/evaluate.py": {f"rs3l.evaluate.{table.function.split('.')[0]}" for table in TABLES.values()},
    "figures/draw.py": {f"rs3l.figures.{figure.function.split('.')[0]}" for figure in FIGURES.values()},
    "networks/build.py": {kind.network.partition(":")[0] for kind in (DeepSets, EdgeConv, Transformer)},
    "report/source.py": {"h5py"},  # by way of the configuration, where a campaign has HDF5 files as its source
    "report/seen.py": {f"rs3l.report.{figure.seen.split('.')[0]}" for figure in FIGURES.values() if figure.seen},
}
"""Modules that a file of the library imports by name (`importlib.import_module`)."""


def load(path: Path) -> dict[str, Any]:
    value = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


def from_pypi(path: Path) -> dict[str, str]:
    """Return the versions by package that an env's post-deploy script installs."""
    script = path.with_suffix(".post-deploy.sh")
    text = script.read_text(encoding="utf-8") if script.exists() else ""
    return dict(re.findall(r"^([a-z0-9\-]+)==([^\s;\\]+)", text, re.MULTILINE))


def pins(path: Path) -> dict[str, str]:
    """Return the versions by package; every line must pin one, but for pip, which only installs hashed files."""
    result = {}
    for line in load(path)["dependencies"]:
        if line == "pip" and from_pypi(path):
            continue
        match = re.fullmatch(r"([a-z0-9][a-z0-9\-]*)=([0-9][0-9A-Za-z.]*)", line)
        assert match, f"{path.name}: {line!r} is not name=version"
        result[match[1]] = match[2]
    return result


def locked() -> dict[str, str]:
    """Return the tested versions: of the lock file, and of torch, which is installed by a script."""
    text = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    versions = dict(re.findall(r"^([a-z0-9][a-z0-9\-._]*)==([^\s;\\]+)", text, re.MULTILINE))
    torch = re.search(
        r'^VERSION = "([^"]+)"',
        (REPOSITORY / "tools" / "install_torch.py").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert torch
    return {**versions, "torch": torch[1]}


def imports(path: Path) -> set[str]:
    """Return the full names of all modules that a file imports, at any depth of its code, but not for types alone."""
    found = set(
        CHOSEN_AT_RUN_TIME.get(
            path.relative_to(SCRIPTS / "rs3l").as_posix() if path.is_relative_to(SCRIPTS / "rs3l") else "", set()
        )
    )
    tree = ast.parse(path.read_text(encoding="utf-8"))
    branches = [
        node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    tree.body = [node for node in tree.body if node not in branches]
    for node in ast.walk(tree):
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


def needs(package: str) -> list[Requirement]:
    """Return the requirements of an installed package, without extras."""
    found = [Requirement(line) for line in distribution(package).requires or []]
    return [need for need in found if need.marker is None or need.marker.evaluate({"extra": ""})]


def scripts_of_rules() -> dict[str, str]:
    """Return the env of each script, from the rules that run it, or from the list of those that none runs."""
    result = dict(BY_HAND)
    for name, rule in jobs().items():
        script, env = Path(str(rule.input.script)).name, Path(rule.conda_env).name
        assert result.get(script, env) == env, f"{script} runs in two envs; the second by {name}"
        result[script] = env
    return result


def test_one_env_per_step() -> None:
    assert sorted(path.name for path in ENVS) == sorted([*STEPS, *EXTERNAL])
    assert set(scripts_of_rules().values()) == set(STEPS)


def test_every_script_belongs_to_a_rule() -> None:
    assert {path.name for path in SCRIPTS.glob("*.py")} <= set(scripts_of_rules())


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.name)
def test_channels(path: Path) -> None:
    assert load(path)["channels"] == ["conda-forge", "nodefaults"]


@pytest.mark.parametrize("name", STEPS)
def test_versions_are_the_tested_ones(name: str) -> None:
    versions = locked()
    found = pins(REPOSITORY / "envs" / name)
    assert found.pop("python") == "3.11" and found
    tested = {package: versions[PIP_NAMES.get(package, package)] for package in found}
    assert found == tested


def test_the_post_deploy_script_is_that_of_the_lock_file() -> None:
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    assert make_post_deploy.SCRIPT.read_text(encoding="utf-8") == make_post_deploy.script(lock), "run `make lock`"
    assert set(from_pypi(REPOSITORY / "envs" / "generation.yaml")) == set(make_post_deploy.PACKAGES)


def test_what_comes_from_pypi_finds_its_requirements() -> None:
    """They are installed without their requirements: the env itself must have these, in the right versions."""
    env = REPOSITORY / "envs" / "generation.yaml"
    versions = {**pins(env), **from_pypi(env)}
    for package in from_pypi(env):
        for need in needs(package):
            name = MODULES.get(need.name, canonicalize_name(need.name))
            assert need.specifier.contains(versions[name]), f"{package} needs {need}"


def wrong_pins(name: str, text: str) -> list[str]:
    """Return what is wrong with a pin file: its name, its form, or lines that are no package with checksum."""
    env, platform = name.split(".")[:2]
    head, _, packages = text.partition("@EXPLICIT\n")
    address = r"https://conda\.anaconda\.org/conda-forge/(linux-64|noarch)/[^/#]+\.(conda|tar\.bz2)#[0-9a-f]{32}"
    problems = [line for line in packages.splitlines() if not re.fullmatch(address, line)]
    if f"{env}.yaml" not in STEPS or platform != "linux-64" or not packages or "://" in head:
        problems.append(name)
    return problems


def test_pin_files_have_the_form_that_snakemake_reads() -> None:
    """None is shipped: they are made where conda-forge can be reached (`make pins`)."""
    url = "https://conda.anaconda.org/conda-forge/noarch/tzdata-2025b-h78e105d_0.conda"
    good = f"# platform: linux-64\n@EXPLICIT\n{url}#4222072737ccff51314b5ece9c7d6f5a\n"
    assert wrong_pins("merge.linux-64.pin.txt", good) == []
    assert wrong_pins("other.linux-64.pin.txt", good) == ["other.linux-64.pin.txt"]
    assert wrong_pins("merge.linux-64.pin.txt", good.replace("#4222", "#")) != []
    for path in (REPOSITORY / "envs").glob("*.pin.txt"):
        assert wrong_pins(path.name, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.glob("*.py")))
def test_the_env_holds_what_the_script_imports(script: str) -> None:
    env = REPOSITORY / "envs" / scripts_of_rules()[script]
    needed = {MODULES.get(module, module) for module in third_party(SCRIPTS / script) - OPTIONAL}
    held = set(pins(env)) | set(from_pypi(env))
    assert needed <= held, f"missing in {env.name}: {needed - held}"


@pytest.mark.parametrize("name", STEPS)
def test_the_env_holds_nothing_that_its_scripts_do_not_import(name: str) -> None:
    path = REPOSITORY / "envs" / name
    scripts = [script for script, env in scripts_of_rules().items() if env == name]
    needed = set().union(*(third_party(SCRIPTS / script) for script in scripts if (SCRIPTS / script).is_file()))
    needed |= {need.name for package in from_pypi(path) for need in needs(package)}
    assert set(pins(path)) - {"python"} - INDIRECT <= {MODULES.get(module, module) for module in needed}


def test_imports_are_followed_through_the_library() -> None:
    assert {"pythia8", "fastjet", "yaml"} <= third_party(SCRIPTS / "resim.py")
    assert "torch" not in third_party(SCRIPTS / "merge.py")
    assert "snakemake" not in set().union(*(third_party(path) for path in SCRIPTS.glob("*.py")))
