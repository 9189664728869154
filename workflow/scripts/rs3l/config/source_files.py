"""The files of a campaign's block `source`, looked at before the rules are made: which there are, what they hold.

Only headers are read. A file is read again when its size or time has changed.
"""

from __future__ import annotations

import glob
import importlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from rs3l.config.source import SLOTS, Source
from rs3l.errors import ConfigError

JETS = "singletons"
MANIFEST = "manifest.json"
LARGEST_NUMBER = 2**16 - 1
"""Largest number in a file's name: events are named by it (16 bits) and by their place in the file (24 bits)."""


@dataclass(frozen=True)
class Header:
    """What the header of an HDF5 file tells; public files tell their number of events alone.

    ``columns`` are those of ``singletons`` by name, ``processes`` the label and use of each, ``variants`` the use
    of each.
    """

    events: int
    columns: tuple[str, ...] = ()
    processes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    variants: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(SLOTS, "train"))


def hdf5_files(source: Source) -> list[Path]:
    """Return the HDF5 files in the order of their numbers.

    Raises :class:`ConfigError` if a pattern matches nothing, two files have one number, or Snakemake would take
    part of a path for a wildcard.
    """
    found = {path for pattern in source.patterns for path in _matches(pattern)}
    files = sorted(found, key=lambda path: (file_number(path), str(path)))
    for one, other in itertools.pairwise(files):
        if file_number(one) == file_number(other):
            raise ConfigError(
                f"source.hdf5: {one} and {other} have the same number, by which events are named; rename one of "
                "them to rs3l_{i}.h5 with a number of its own"
            )
    for path in files:
        _check_name(path)
    return files


def _matches(pattern: str) -> list[Path]:
    """Return the files of a path or pattern; a path that exists is taken as it is."""
    found = [pattern] if Path(pattern).is_file() else glob.glob(pattern, recursive=True)  # noqa: PTH207
    files = [Path(path) for path in found if Path(path).is_file()]
    if not files:
        what = f"no file matches {pattern!r}" if glob.has_magic(pattern) else f"there is no file {pattern!r}"
        raise ConfigError(
            f"source.hdf5: {what} (from {Path.cwd()}); download the files first, or correct the path "
            "(docs/rs3l_public.md)"
        )
    return files


def file_number(path: str | Path) -> int:
    """Return the number in a file's name, ``rs3l_{i}.h5``, or 0 if there is none."""
    match = re.search(r"(\d+)\.(h5|hdf5)$", Path(path).name)
    return int(match[1]) if match else 0


def _check_name(path: Path) -> None:
    if "{" in str(path) or "}" in str(path):
        raise ConfigError(f"source.hdf5: {path}: braces in a path are wildcards to Snakemake; rename it")
    if file_number(path) > LARGEST_NUMBER:
        raise ConfigError(f"source.hdf5: {path}: the number in its name is above {LARGEST_NUMBER}; rename it")


def headers(source: Source) -> list[Header]:
    """Return the headers of the HDF5 files; raises :class:`ConfigError` for one that cannot be read."""
    return [_header(str(path), *_stamp(path)) for path in hdf5_files(source)]


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=4096)
def _header(path: str, time: int, size: int) -> Header:
    try:
        h5py = importlib.import_module("h5py")  # only the environments of the import and the report have it
    except ModuleNotFoundError:
        raise ConfigError("source.hdf5: h5py, which reads the files, is not installed here") from None
    try:
        with h5py.File(path, "r") as file:
            jets = file[JETS]
            columns = tuple(str(name) for name in jets.attrs.get("columns", ()))
            return Header(int(jets.shape[0]), columns, **_stated(dict(file.attrs)))
    except KeyError:
        raise ConfigError(f"source.hdf5: {path}: no data set {JETS!r}; is this a file rs3l_{{i}}.h5?") from None
    except (OSError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise ConfigError(f"source.hdf5: {path}: not an HDF5 file, or damaged ({error}); get it again") from None


def _stated(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the attributes of a file that this project wrote say of processes and variants."""
    found: dict[str, Any] = {}
    if "processes" in attributes:
        found["processes"] = json.loads(attributes["processes"])
    if "variants" in attributes:
        use = json.loads(attributes.get("variant_use", "{}"))
        names = [str(name) for name in attributes["variants"]]
        found["variants"] = {name: use.get(name, "train") for name in names if name}
    return found


def stated_processes(source: Source) -> dict[str, Mapping[str, str]]:
    """Return the processes that all HDF5 files name, with label and use, or none if one names none."""
    found = [header.processes for header in headers(source)]
    return {name: entry for processes in found for name, entry in processes.items()} if all(found) else {}


def total_events(source: Source) -> int:
    """Return the number of events of all HDF5 files."""
    return sum(header.events for header in headers(source))


def known_columns(source: Source) -> set[str]:
    """Return the columns of ``singletons`` whose places are known in every HDF5 file."""
    named = [set(header.columns) for header in headers(source)]
    return set.intersection(*named) | set(source.columns)


def manifest_path(source: Source) -> Path:
    """Return the manifest of a data set of Parquet files; raises :class:`ConfigError` if there is none."""
    folder = Path(str(source.parquet))
    for path in (folder / MANIFEST, folder / "dataset" / MANIFEST):
        if path.is_file():
            return path
    raise ConfigError(
        f"source.parquet: {folder} has no {MANIFEST} (from {Path.cwd()}): a data set of this project is "
        "needed, as the merge or an import makes it"
    )


def manifest_entries(source: Source) -> Mapping[str, Any]:
    """Return the manifest of a data set of Parquet files, unchecked but for what campaigns need of it."""
    path = manifest_path(source)
    return _entries(str(path), *_stamp(path))


@lru_cache(maxsize=16)
def _entries(path: str, time: int, size: int) -> Mapping[str, Any]:
    try:
        values: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        names = [(name, entry["label"], entry["use"]) for name, entry in values["processes"].items()]
        files = [(file["split"], file["process"], file["events"]) for file in values["files"]]
        if not names or not files or not values["variants"]:
            raise ValueError("it names no process, variant or file")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"source.parquet: {path}: no manifest of a data set ({error!r}); make it again"
        ) from None
    return values


def parquet_events(source: Source, process: str, splits: Sequence[str]) -> int:
    """Return the events of a process in some splits of a data set of Parquet files."""
    files = manifest_entries(source)["files"]
    return sum(file["events"] for file in files if file["process"] == process and file["split"] in splits)


def n_test_parts(source: Source, process: str) -> int:
    """Return the number of files of the test jets of a process, as they are imported."""
    if source.patterns:
        return len(hdf5_files(source))
    return sum(
        file["process"] == process and file["split"] == "test" for file in manifest_entries(source)["files"]
    )


def file_stamps(source: Source) -> list[tuple[int, int]]:
    """Return number and size of each HDF5 file, so that one that is added or replaced is noticed."""
    return [(file_number(path), path.stat().st_size) for path in hdf5_files(source)]
