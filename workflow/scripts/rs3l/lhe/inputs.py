"""The external Les Houches files that a process names, found without the physics, so that the rules may ask."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rs3l.config import methods
from rs3l.config.campaign import Campaign
from rs3l.config.capacity import refuse
from rs3l.errors import ConfigError
from rs3l.files import sha256

_WILDCARD = re.compile(r"\{\s*[.\w]+\s*(,[^{}]*(\{\d+(,\d+)?\}[^{}]*)*)?\}")
"""The text that Snakemake takes for a wildcard in the path of an input."""


def find_files(process: str, patterns: Sequence[str]) -> list[str]:
    """Return the sorted files of a process; raises :class:`ConfigError` for a path or pattern without a file.

    A path that exists is taken literally, whatever characters its name has, and so is the part of a pattern that
    exists.
    """
    found: set[str] = set()
    for pattern in patterns:
        matches = _matches(pattern)
        if not matches:
            raise ConfigError(
                f"processes.{process}.{_nothing(pattern)} (from {Path.cwd()}); correct the path, or put the file "
                "there"
            )
        found.update(matches)
    return sorted(found)


def split_inputs(files: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the files that can be inputs of a rule, and those whose names Snakemake takes for wildcards."""
    braces = [file for file in files if _WILDCARD.search(file)]
    return [file for file in files if file not in braces], braces


def stamps(files: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return path, size [bytes] and time [ns] of files that cannot be inputs, so that a change is noticed."""
    return [(file, stat.st_size, stat.st_mtime_ns) for file in files for stat in [Path(file).stat()]]


def refuse_replaced(process: str, index: str | Path, files: Sequence[str]) -> None:
    """Raise :class:`ConfigError` for a file that was replaced after it was indexed and does not look newer.

    Snakemake would run nothing for such a file. A file of another size is refused at once; one of the same size is
    read only if it came to its place after the index.
    """
    try:
        known = {file["path"]: file for file in json.loads(Path(index).read_text(encoding="utf-8"))["files"]}
        made = Path(index).stat()
    except (OSError, ValueError, KeyError, TypeError):
        return  # the rule index_lhe, or the job that reads the index, will say what is wrong
    for path in files:
        stat = Path(path).stat()
        if path not in known or stat.st_mtime_ns > made.st_mtime_ns:
            continue
        same_size = stat.st_size == known[path]["bytes"]
        if not same_size or (stat.st_ctime_ns > made.st_ctime_ns and sha256(path) != known[path]["sha256"]):
            raise ConfigError(
                f"processes.{process}.lhe: {path} was replaced after {index} was made, by a file that is not "
                "newer: put the old file back, or `touch` this one, and its events are made anew"
            )


def _nothing(pattern: str) -> str:
    return f"lhe: no file matches {pattern!r}" if glob.has_magic(pattern) else f"lhe: there is no file {pattern!r}"


def _matches(pattern: str) -> list[str]:
    """Return the files of a pattern."""
    if Path(pattern).is_file():
        return [pattern]
    found = glob.glob(_with_literal_folders(pattern), recursive=True)  # noqa: PTH207 - Path.glob takes no absolute one
    return [path for path in found if Path(path).is_file()]


def _with_literal_folders(pattern: str) -> str:
    """Return a pattern in which the longest folder that exists stands for itself."""
    folder, slash, rest = pattern.rpartition("/")
    while folder and not Path(folder).is_dir():
        folder, slash, more = folder.rpartition("/")
        rest = f"{more}/{rest}"
    return glob.escape(folder) + slash + rest


def check_inputs(config: Campaign) -> None:
    """Raise :class:`ConfigError` if a finished model or an external file is missing, or a file is used twice."""
    refuse(
        [
            *_files_in_two_processes(config),
            *(
                f"pretrain.methods.{name}.model: there is no file {block.model}; make it (import_model.py), or "
                "correct the path"
                for name, block in methods.methods(config).items()
                if block.model is not None and not Path(block.model).is_file()
            ),
        ]
    )


def _files_in_two_processes(config: Campaign) -> Iterator[str]:
    """Yield an error for each external file that would give two processes the same jets.

    Such jets could be in training as one process and in test as the other. Another anchor, or other decays of
    undecayed events, makes different jets of the same file.
    """
    seen: dict[object, tuple[str, str]] = {}
    for name, process in config.processes.items():
        jets = repr((process.anchor, process.anchor_choice, sorted(process.pythia.items())))
        for path in find_files(name, process.lhe_patterns):
            other, first = seen.setdefault((Path(path).resolve(), jets), (name, path))
            if other != name:
                yield (
                    f"processes.{name}.lhe: {path} is {first} of {other}, with the same anchor: each jet would "
                    "be of both processes, and could be in training as one and in test as the other; take it "
                    "out of one"
                )
