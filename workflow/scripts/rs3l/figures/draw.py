"""Draw one figure from its inputs, with the function that the registry names."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rs3l.config.blocks import FiguresBlock
from rs3l.dataset.manifest import Manifest, read_manifest
from rs3l.errors import ConfigError, DataError
from rs3l.figures import style
from rs3l.figures.registry import FIGURES, Figure
from rs3l.figures.style import Drawing, Header

Draw = Callable[[FiguresBlock, Header, "Inputs"], Drawing]


@dataclass(frozen=True)
class Inputs:
    """The files that a figure is drawn from, by the names of the registry, and its task or process."""

    files: Mapping[str, Sequence[str | Path]]
    task: str = ""
    process: str = ""

    def one(self, name: str) -> Path:
        """Return the file of an input that has a single file."""
        return Path(self.files[name][0])

    def all(self, name: str) -> list[Path]:
        """Return the files of an input."""
        return [Path(path) for path in self.files[name]]

    @property
    def manifest(self) -> Manifest:
        """Return the contents of the data set."""
        return read_manifest(self.one("manifest"))


def draw(name: str, block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Return one figure.

    Raises :class:`ConfigError` if an input is missing or the task or process is unknown, and :class:`DataError` if
    a file does not fit the configuration.
    """
    figure = FIGURES[name]
    _check(figure, block, inputs)
    module, function = figure.function.split(".")
    drawn = cast(Draw, getattr(importlib.import_module(f"rs3l.figures.{module}"), function))
    with style.styled():
        return style.settled(style.footnote(drawn(_shown(block), header, inputs)))


def _check(figure: Figure, block: FiguresBlock, inputs: Inputs) -> None:
    for name in (*figure.inputs, *figure.folders):
        if not inputs.files.get(name):
            raise ConfigError(f"figure {figure.name} needs --input {name}")
    if figure.of != "campaign":
        item, known = (inputs.task, block.tasks) if figure.of == "task" else (inputs.process, block.labels)
        if not item:
            raise ConfigError(f"figure {figure.name} needs --{figure.of}")
        if item not in known:
            raise ConfigError(f"no {figure.of} {item!r} in the configuration; known: {', '.join(known)}")
    if "manifest" in figure.inputs:
        _check_manifest(block, inputs)


def _check_manifest(block: FiguresBlock, inputs: Inputs) -> None:
    """Raise :class:`DataError` if the data set is not that of the configuration."""
    manifest = inputs.manifest
    for what, names, known in (
        ("process", block.labels, set(manifest.processes)),
        ("variant", block.variants, set(manifest.variants)),
    ):
        if missing := [name for name in names if name not in known]:
            raise DataError(
                f"{inputs.one('manifest')}: no {what} {missing[0]!r} in this data set of another configuration; "
                "run the merge again"
            )


def _shown(block: FiguresBlock) -> FiguresBlock:
    """Return the block with its labels as figures show them.

    The names need no change because they are plain already.
    """
    labels = {name: style.text(label) for name, label in block.labels.items()}
    return block.model_copy(update={"labels": labels})
