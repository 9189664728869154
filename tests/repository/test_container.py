"""The container's recipe: what can be said of it without building it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
RECIPE = REPOSITORY / "envs" / "container.def"
SECTIONS = {"arguments", "files", "post", "environment", "test", "labels"}


@pytest.fixture
def sections() -> dict[str, list[str]]:
    """Return the lines of each section without comments; the header is the section ``header``."""
    found: dict[str, list[str]] = {"header": []}
    name = "header"
    for line in RECIPE.read_text(encoding="utf-8").splitlines():
        if line.startswith("%"):
            name = line[1:].strip()
            assert name not in found, f"two sections %{name}"
            found[name] = []
        elif line.strip() and not line.lstrip().startswith("#"):
            found[name].append(line.strip())
    return found


def test_sections_are_known_and_not_empty(sections: dict[str, list[str]]) -> None:
    assert set(sections) == SECTIONS | {"header"}
    assert all(sections.values())
    header = dict(line.split(": ") for line in sections["header"])
    assert header["Bootstrap"] == "docker"
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", header["From"])


def test_files_exist_and_are_used(sections: dict[str, list[str]]) -> None:
    for line in sections["files"]:
        source, target = line.split()
        assert (REPOSITORY / source).is_file()
        assert any(target in command for command in sections["post"]), f"{target} is not used"


def test_it_installs_the_lock_file_as_make_does(sections: dict[str, list[str]]) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    (binaries,) = re.findall(r"pip .*install .*--only-binary (\S+) -r requirements.lock", makefile)
    post = " ".join(sections["post"])
    assert "--require-hashes" in post and f"--only-binary {binaries} " in post


def test_arguments_are_declared_and_handled(sections: dict[str, list[str]]) -> None:
    used = set(re.findall(r"\{\{ (\w+) \}\}", RECIPE.read_text(encoding="utf-8")))
    declared = dict(line.split("=") for line in sections["arguments"])
    assert used == set(declared)
    choices = re.findall(
        r"^(\w+)\) python /opt/rs3l/tools/install_torch.py", "\n".join(sections["post"]), re.MULTILINE
    )
    assert declared["torch"] in choices and choices == ["cpu", "cuda"]


def test_options_of_the_torch_installer_exist(sections: dict[str, list[str]]) -> None:
    installer = (REPOSITORY / "tools" / "install_torch.py").read_text(encoding="utf-8")
    for option in re.findall(r"install_torch\.py (--\w+)", " ".join(sections["post"])):
        assert f'"{option}"' in installer


def test_it_imports_what_the_lock_file_has(sections: dict[str, list[str]]) -> None:
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    names = {"sklearn": "scikit-learn", "torch": None}
    (modules,) = re.findall(r"import ([\w, ]+)", " ".join(sections["test"]))
    for module in modules.split(", "):
        package = names.get(module, module)
        assert package is None or re.search(rf"^{package}==", lock, re.MULTILINE), module


def test_the_workflow_names_the_image_that_the_recipe_builds() -> None:
    (image,) = re.findall(
        r'^container: "(\S+)"', (REPOSITORY / "Snakefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    commands = re.findall(r"apptainer build .*?(\S+\.sif) (\S+\.def)", RECIPE.read_text(encoding="utf-8"))
    assert commands and set(commands) == {(image, "envs/container.def")}
