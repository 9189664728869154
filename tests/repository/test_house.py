"""The rooms of the library: nothing imports backwards, and nothing below the rules knows Snakemake."""

from __future__ import annotations

import ast
from pathlib import Path

from support.places import SCRIPTS

LIBRARY = SCRIPTS / "rs3l"
FLOORS = [
    ["errors", "versions", "seeds", "paths", "modes", "runs", "markdown", "streams", "repeated", "types"],
    ["files", "imported", "provenance", "angles"],
    ["config"],
    ["pythia_reason", "groups"],
    ["pythia"],
    ["lhe"],
    ["dataset"],
    ["hard"],
    ["resim"],
    ["merge"],
    ["hdf5", "networks", "training"],
    ["pretrain"],
    ["embed", "finetune"],
    ["evaluate"],
    ["models"],
    ["figures"],
    ["report"],
    ["cli", "dry_run", "plan", "status"],
    ["commands"],
    ["__main__"],
]
"""What may import what: each room those on floors below it, and itself."""


def room(module: str) -> str:
    """Return the package or module right below ``rs3l``."""
    return module.split(".")[1] if "." in module else ""


def modules() -> dict[str, Path]:
    """Return all modules of the library by name."""
    found = {}
    for path in LIBRARY.rglob("*.py"):
        parts = path.relative_to(SCRIPTS).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> set[str]:
    """Return the names that a file imports, at any depth of its code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_every_room_has_its_floor() -> None:
    rooms = {room(module) for module in modules()} - {""}
    assert rooms == {name for floor in FLOORS for name in floor}


def test_nothing_imports_backwards() -> None:
    height = {name: floor for floor, names in enumerate(FLOORS) for name in names}
    upwards = [
        f"{module} imports {name}"
        for module, path in modules().items()
        for name in imports(path)
        if name.startswith("rs3l.") and module != "rs3l" and room(name) in height and room(name) != room(module)
        if height[room(name)] >= height[room(module)]
    ]
    assert upwards == []


def test_the_library_knows_no_snakemake() -> None:
    assert [
        f"{module} imports {name}"
        for module, path in modules().items()
        for name in imports(path)
        if name.split(".")[0] == "snakemake"
    ] == []


def test_what_rules_read_imports_neither_torch_nor_what_draws() -> None:
    """Snakemake's own environment has neither: what it imports must do without, through all that it imports."""
    known = modules()
    todo, seen, foreign = (
        [*("evaluate.registry", "figures.registry", "config", "lhe.inputs", "pythia", "runs")],
        set(),
        set(),
    )
    while todo:
        module = f"rs3l.{todo.pop()}"
        if module in seen:
            continue
        seen.add(module)
        for name in imports(known[module]):
            inner = name if name in known else name.rpartition(".")[0]
            if inner in known and inner != "rs3l":
                todo.append(inner.removeprefix("rs3l."))
            elif not name.startswith("rs3l"):
                foreign.add(name.split(".")[0])
    assert not foreign & {"torch", "matplotlib", "pandas", "pyarrow", "sklearn", "fastjet", "awkward"}
