"""The options of an import, and files in RS3L's HDF5 layout with all that is needed to read them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rs3l.config.blocks import ImportedProcess
from rs3l.config.dataset import Splits
from rs3l.config.source import SLOTS
from rs3l.config.source_files import LARGEST_NUMBER, file_number
from rs3l.errors import ConfigError, DataError
from rs3l.hdf5.layout import (
    CANDIDATES,
    FEATURES,
    JET_TYPES,
    JETS,
    KEY,
    PROCESS,
    Angles,
    Layout,
    open_file,
    read_layout,
)
from rs3l.paths import EVERY_SPLIT

BLOCK_EVENTS = 1024
"""Number of events read at a time."""

GUESS_EVENTS = 256
"""Number of events by which the angles of a file are judged."""

NUMBER_SHIFT = 24
"""Bits of the place of an event in its file, below those of the number of the file, in the event's key."""


@dataclass(frozen=True)
class ImportOptions:
    """Options that say how files become a data set.

    ``columns`` are further columns of ``singletons`` by our names. ``jet_types`` are codes other than the usual
    ones. ``angles`` of None are asked of the file, and then guessed from its values. ``seed`` and ``splits``
    decide the split of an event whose file names none. ``processes`` choose events by jet type or by the names in
    the file, and ``variants`` choose views; without, all are taken.
    """

    name: str = "rs3l"
    seed: int = 20240311
    splits: Splits = field(default_factory=lambda: Splits(train=0.8, val=0.1, test=0.1))
    columns: Mapping[str, int] = field(default_factory=dict)
    jet_types: Mapping[int, str] = field(default_factory=dict)
    angles: Angles | None = None
    leave_out_invalid: bool = False
    events_per_part: int = 20_000
    events_per_row_group: int = 1_000
    processes: Mapping[str, ImportedProcess] | None = None
    variants: Sequence[str] | None = None


@dataclass(frozen=True)
class Source:
    """One file with all that is needed to read it."""

    layout: Layout
    number: int
    angles: Angles
    variants: tuple[str, ...]
    jet_types: Mapping[int, str]
    processes: tuple[str, ...] | None


def find_files(paths: Sequence[str | Path]) -> list[Path]:
    """Return the files, and those ``rs3l_{i}.h5`` of folders, in the order of their numbers."""
    found: list[Path] = []
    for path in map(Path, paths):
        own = list(path.glob("rs3l_*.h5")) if path.is_dir() else [path]
        if not own:
            raise DataError(f"{path}: no files rs3l_{{i}}.h5 in this folder")
        found += own
    return sorted(found, key=lambda path: (file_number(path), str(path)))


def open_source(path: Path, options: ImportOptions) -> Source:
    """Return a file with what the file itself and ``options`` say of it."""
    layout = read_layout(path, options.columns)
    types = layout.attribute("jet_types")
    known = {int(code): str(name) for code, name in (types or JET_TYPES).items()} | dict(options.jet_types)
    names = layout.attribute("variants") or list(SLOTS)
    if len(names) != len(SLOTS):
        raise DataError(f"{path}: its attribute `variants` names {len(names)} variants, not {len(SLOTS)}")
    _check_key_range(path, layout)
    angles = options.angles or layout.attribute("angles") or guess_angles(layout)
    processes = _process_names(layout)
    split = layout.attribute("split")
    if split is not None and split not in EVERY_SPLIT:
        raise DataError(f"{path}: its attribute `split` is {split!r}, not one of {', '.join(EVERY_SPLIT)}")
    chosen = [name if options.variants is None or name in options.variants else "" for name in names]
    return Source(layout, file_number(path), angles, tuple(chosen), known, processes)


def _check_key_range(path: Path, layout: Layout) -> None:
    """Raise :class:`DataError` if the events of a file without keys would have the keys of another file's."""
    if KEY in layout.extra:
        return
    if file_number(path) > LARGEST_NUMBER or layout.events > 1 << NUMBER_SHIFT:
        raise DataError(
            f"{path}: {layout.events} events, and {file_number(path)} in its name: events are named by both, and "
            f"at most {1 << NUMBER_SHIFT} events and the number {LARGEST_NUMBER} can be; rename or cut the file"
        )


def _process_names(layout: Layout) -> tuple[str, ...] | None:
    if PROCESS not in layout.extra:
        return None
    with open_file(layout.path) as file:
        names = tuple(str(name) for name in file[PROCESS].attrs.get("names", ()))
        codes = file[PROCESS][:]
    if len(codes) and not 0 <= codes.min() <= codes.max() < len(names):
        raise DataError(f"{layout.path}: {PROCESS} has codes that its attribute `names` does not name")
    return names


def guess_angles(layout: Layout) -> Angles:
    """Return what the angles of a file's candidates must be, judged by its first events.

    Relative angles are about zero, and absolute ones about the jet axis, so that the smaller pT-weighted distance
    decides.
    """
    with open_file(layout.path) as file:
        jets = file[JETS][:GUESS_EVENTS].astype(np.float64)
        candidates = file[CANDIDATES][:GUESS_EVENTS, :, : len(FEATURES)].astype(np.float64)
    pt, eta = (candidates[:, :, FEATURES.index(name)] for name in ("pt", "eta"))
    axis = jets[:, :, layout.columns["jet_eta"], None]
    distances = pt * np.abs(eta), pt * np.abs(eta - axis)
    usable = np.isfinite(distances[0]) & np.isfinite(distances[1])
    relative, absolute = (float(distance[usable].sum()) for distance in distances)
    result: Angles = "relative" if relative <= absolute else "absolute"
    logging.info("%s: angles of candidates look %s (%.3g, %.3g)", layout.path, result, relative, absolute)
    return result


def check_sources(sources: Sequence[Source]) -> None:
    """Raise :class:`DataError` if files have other variants than the first, or events would share their names."""
    first = sources[0]
    numbers: dict[int, Path] = {}
    for source in sources:
        if source.variants != first.variants:
            raise DataError(f"{source.layout.path}: other variants than {first.layout.path}; import them apart")
        if source.number in numbers and KEY not in source.layout.extra:
            raise DataError(
                f"{source.layout.path}: the same number as {numbers[source.number]}, by which events are named; "
                "rename it to rs3l_{i}.h5 with a number of its own"
            )
        numbers[source.number] = source.layout.path


def parse_columns(pairs: Sequence[str]) -> dict[str, int]:
    """Return NAME=INDEX pairs of the command line as a mapping."""
    matches = [re.fullmatch(r"(\w+)=(\d+)", pair) for pair in pairs]
    if not all(matches):
        raise ConfigError(f"--column takes NAME=INDEX, not {' '.join(pairs)}")
    return {match[1]: int(match[2]) for match in matches if match}


def parse_jet_types(pairs: Sequence[str]) -> dict[int, str]:
    """Return CODE=NAME pairs of the command line as a mapping."""
    matches = [re.fullmatch(r"(\d+)=(\w+)", pair) for pair in pairs]
    if not all(matches):
        raise ConfigError(f"--jet-type takes CODE=NAME, not {' '.join(pairs)}")
    return {int(match[1]): match[2] for match in matches if match}
