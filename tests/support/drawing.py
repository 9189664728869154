"""Inputs of figures, by name."""

from __future__ import annotations

from rs3l.figures.draw import Inputs


def given(task: str = "", process: str = "", **files: object) -> Inputs:
    """Return the inputs of a figure: a file, or a list of them, by the names of the registry."""
    lists = {name: value if isinstance(value, list) else [value] for name, value in files.items()}
    return Inputs(lists, task, process)
