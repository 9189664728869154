"""Write the data set in RS3L's HDF5 layout (``rs3l.hdf5.layout``), which readers of the public files read.

A file holds one split. Row groups of the processes alternate, in proportion to their number, and there is no other
shuffle. Shapes count E events of a block, 5 slots, R rows (views) and C candidates.
"""

from __future__ import annotations

import contextlib
import heapq
import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rs3l.angles import wrapped
from rs3l.config.source import SLOTS
from rs3l.dataset.manifest import Manifest, check_names, read_manifest
from rs3l.dataset.row_groups import RowGroup, row_groups
from rs3l.dataset.schema import CANDIDATE_COLUMNS
from rs3l.errors import ConfigError, DataError
from rs3l.files import atomic_folder, sha256
from rs3l.hdf5.layout import CANDIDATES, COLUMNS, FEATURES, JET_TYPES, JETS, KEY, PROCESS, WEIGHT, Angles
from rs3l.types import Floats32

BLOCK_EVENTS = 256
"""Number of events that are turned into arrays at a time."""

CODES = {name: code for code, name in JET_TYPES.items()}


@dataclass(frozen=True)
class ExportOptions:
    """Options for the contents of the files.

    ``slots`` are the variants of the 5 places, where None or - leaves a place empty (zeros). Without any, the
    variants of the data set take their places by name. With ``complete``, only events with a jet in every named
    variant are exported, as in the public files; otherwise the missing views are zeros.
    """

    slots: Sequence[str | None] = ()
    complete: bool = True
    candidates: int = 100
    events_per_file: int = 100_000
    angles: Angles = "relative"

    def __post_init__(self) -> None:
        if min(self.candidates, self.events_per_file) < 1:
            raise ConfigError("candidates and events per file must be 1 or more")

    def of(self, variants: Sequence[str]) -> ExportOptions:
        """Return the options for a data set with ``variants``."""
        named = tuple(None if name == "-" else name for name in self.slots)
        return replace(self, slots=named or slots_of(variants))


@dataclass(frozen=True)
class EventBlock:
    """Events as arrays: jets [E, 5, V], candidates [E, 5, 11, C], and per event key, weight and process."""

    jets: Floats32
    candidates: Floats32
    key: NDArray[np.int64]
    weight: NDArray[np.float64]
    process: NDArray[np.int32]

    def named(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by the names of their data sets in the file."""
        return {
            JETS: self.jets,
            CANDIDATES: self.candidates,
            KEY: self.key,
            WEIGHT: self.weight,
            PROCESS: self.process,
        }


def export_hdf5(manifest_path: str | Path, out: str | Path, options: ExportOptions) -> list[str]:
    """Write all splits to ``out/rs3l_{i}.h5``, all files or none, and return their names.

    Raises :class:`DataError` if the data set is damaged, lacks a variant, or no event can be exported.
    """
    manifest = read_manifest(manifest_path)
    options = options.of(list(manifest.variants))
    check_names(manifest_path, "variant", [name for name in options.slots if name], manifest.variants)
    common = _attributes(manifest_path, manifest, options)
    processes = list(manifest.processes)
    with atomic_folder(out) as folder:
        names: list[str] = []
        for split in manifest.splits:
            with Files(folder, len(names), {**common, "split": split}, options) as files:
                for group in alternate(row_groups(manifest_path, split, processes)):
                    for block in blocks(group, processes.index(group.process), options):
                        files.append(block)
            names += files.names
        if not names:
            raise DataError(
                f"{manifest_path}: no event has a jet in all of {', '.join(n for n in options.slots if n)}; "
                "name fewer variants, or export incomplete events too"
            )
    logging.info("%s: %d files", out, len(names))
    return names


def slots_of(variants: Sequence[str]) -> tuple[str | None, ...]:
    """Return the slots that the variants of a data set fill by their names."""
    return tuple(name if name in variants else None for name in SLOTS)


def alternate(groups: Sequence[RowGroup]) -> Iterator[RowGroup]:
    """Yield the row groups so that the processes alternate, in proportion to their number of groups."""
    by_process: dict[str, list[RowGroup]] = {}
    for group in groups:
        by_process.setdefault(group.process, []).append(group)
    placed = [
        [((i + 0.5) / len(own), code, i, group) for i, group in enumerate(own)]
        for code, own in enumerate(by_process.values())
    ]
    return (entry[-1] for entry in heapq.merge(*placed, key=lambda entry: entry[:3]))


def blocks(group: RowGroup, process: int, options: ExportOptions) -> Iterator[EventBlock]:
    """Yield the events of a row group as arrays, at most :data:`BLOCK_EVENTS` at a time."""
    table = group.read()
    slot = _slots(table, options.slots)
    table, slot = table.filter(pa.array(slot >= 0)), slot[slot >= 0]
    key, event, views = np.unique(table["event_id"].to_numpy(), return_inverse=True, return_counts=True)
    wanted = sum(name is not None for name in options.slots) if options.complete else 1
    chosen = np.flatnonzero(views >= wanted)
    for start in range(0, len(chosen), BLOCK_EVENTS):
        place = np.full(len(key), -1)
        part = chosen[start : start + BLOCK_EVENTS]
        place[part] = np.arange(len(part))
        rows = np.flatnonzero(place[event] >= 0)
        yield _block(table.take(pa.array(rows)), place[event[rows]], slot[rows], process, options)


def _slots(table: pa.Table, slots: Sequence[str | None]) -> NDArray[np.int64]:
    """Return the slot of each row [R], or -1 if its variant has none."""
    place = {name: i for i, name in enumerate(slots) if name}
    return np.array([place.get(name, -1) for name in table["variant"].to_pylist()], dtype=np.int64)


def _block(
    table: pa.Table, event: NDArray[np.int64], slot: NDArray[np.int64], process: int, options: ExportOptions
) -> EventBlock:
    events = int(event.max()) + 1
    jets = np.zeros((events, len(SLOTS), len(COLUMNS)), np.float32)
    for i, name in enumerate(COLUMNS):
        jets[event, slot, i] = _codes(table[name]) if name == "jet_type" else table[name].to_numpy()
    candidates = np.zeros((events, len(SLOTS), len(FEATURES), options.candidates), np.float32)
    fill_candidates(candidates, table, event, slot, options)
    key, weight = np.zeros(events, np.int64), np.zeros(events)
    key[event], weight[event] = table["event_id"].to_numpy(), table["weight"].to_numpy()
    _check_one_weight(table["weight"].to_numpy() == weight[event], table["event_id"].to_numpy())
    return EventBlock(jets, candidates, key, weight, np.full(events, process, np.int32))


def _check_one_weight(same: NDArray[np.bool_], key: NDArray[np.int64]) -> None:
    """Raise :class:`DataError` unless the views of an event have one weight [R]."""
    if not same.all():
        raise DataError(
            f"the views of the hard event {key[~same][0]} have different weights, since showers are weighted "
            "(Enhancements:doEnhance), and this layout has one weight per event; export variants without them"
        )


def _codes(types: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.array([CODES.get(name, CODES["other"]) for name in types.to_pylist()], dtype=np.int64)


def fill_candidates(
    out: Floats32, table: pa.Table, event: NDArray[np.int64], slot: NDArray[np.int64], options: ExportOptions
) -> None:
    """Write the first C candidates of each row to ``out`` [E, 5, 11, C]."""
    length = table["cand_pt"].combine_chunks().value_lengths().to_numpy()
    place = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    keep = place < options.candidates
    row = np.repeat(np.arange(len(length)), length)[keep]
    raw = {name: table[name].combine_chunks().flatten().to_numpy()[keep] for name in CANDIDATE_COLUMNS}
    jet = {name: table[name].to_numpy()[row] for name in ("jet_pt", "jet_eta", "jet_phi", "jet_energy")}
    for i, values in enumerate(_features(raw, jet, options.angles)):
        out[event[row], slot[row], i, place[keep]] = values


def _features(raw: Mapping[str, Any], jet: Mapping[str, Any], angles: Angles) -> Iterator[NDArray[Any]]:
    """Yield :data:`FEATURES` of flat candidates with their jet's columns, in order."""
    deta = raw["cand_eta"] - jet["jet_eta"]
    dphi = wrapped(raw["cand_phi"].astype(np.float64) - jet["jet_phi"])
    relative = angles == "relative"
    yield raw["cand_pt"]
    yield raw["cand_pt"] / jet["jet_pt"]
    yield deta if relative else raw["cand_eta"]
    yield dphi if relative else raw["cand_phi"]
    yield np.hypot(deta, dphi)
    yield raw["cand_energy"]
    yield raw["cand_energy"] / jet["jet_energy"]
    yield from (raw[name] for name in ("cand_charge", "cand_pdg_id", "cand_d0", "cand_dz"))


def _attributes(path: str | Path, manifest: Manifest, options: ExportOptions) -> dict[str, Any]:
    processes = {name: {"label": entry.label, "use": entry.use} for name, entry in manifest.processes.items()}
    return {
        "layout": "RS3L, Zenodo 10.5281/zenodo.10633815; written by rs3l-campaign",
        "campaign": manifest.campaign,
        "manifest_sha256": sha256(path),
        "variants": [name or "" for name in options.slots],
        "variant_use": json.dumps({name: manifest.variants[name] for name in options.slots if name}),
        "complete": options.complete,
        "angles": options.angles,
        "units": "GeV, mm, radians; d0 and dz as they are, not their tanh",
        "jet_types": json.dumps({str(code): name for code, name in JET_TYPES.items()}),
        "processes": json.dumps(processes),
    }


class Stream(io.FileIO):
    """A file that HDF5 writes to, which keeps the first error for the caller and looks as if all went well.

    The HDF5 library crashes the process when it closes a file that a full disk kept from being written.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write all of ``data``, in as many pieces as the system takes."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            while done < len(view) and self.failure is None:
                done += super().write(view[done:]) or 0
        except OSError as error:
            self.failure = error
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        """Set the size of the file."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0


@dataclass
class Files:
    """Writer of ``rs3l_{i}.h5``, from number ``first``, each with at most ``events_per_file`` events."""

    folder: Path
    first: int
    attributes: Mapping[str, Any]
    options: ExportOptions
    names: list[str] = field(default_factory=list)
    current: h5py.File | None = None
    stream: Stream | None = None

    def __enter__(self) -> Files:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def append(self, block: EventBlock) -> None:
        """Write events, in as many files as they need."""
        done = 0
        while done < len(block.key):
            file = self._file()
            size = file[JETS].shape[0]
            part = slice(done, done + self.options.events_per_file - size)
            for name, values in block.named().items():
                chosen = values[part]
                file[name].resize(size + len(chosen), axis=0)
                file[name][size:] = chosen
            done += len(block.key[part])
            self._check()

    def _file(self) -> h5py.File:
        """Return the file that has room for another event."""
        if self.current is not None and self.current[JETS].shape[0] < self.options.events_per_file:
            return self.current
        self._close()
        self.names.append(f"rs3l_{self.first + len(self.names)}.h5")
        self.stream = Stream(self.folder / self.names[-1])
        self.current = h5py.File(self.stream, "w")
        self._prepare(self.current)
        return self.current

    def _close(self) -> None:
        """Close the current file, if any, and raise the error that kept it from being written."""
        if self.current is not None and self.stream is not None:
            with contextlib.suppress(*((OSError, RuntimeError) if self.stream.failure else ())):
                self.current.close()
            self.stream.close()
            self.current = None
            self._check()

    def _check(self) -> None:
        if self.stream is not None and self.stream.failure is not None:
            raise self.stream.failure

    def _prepare(self, file: h5py.File) -> None:
        """Create the empty data sets, and describe them in attributes."""
        file.attrs.update(self.attributes)
        width, depth = len(COLUMNS), self.options.candidates
        shapes: dict[str, tuple[tuple[int, ...], type]] = {
            JETS: ((len(SLOTS), width), np.float32),
            CANDIDATES: ((len(SLOTS), len(FEATURES), depth), np.float32),
            KEY: ((), np.int64),
            WEIGHT: ((), np.float64),
            PROCESS: ((), np.int32),
        }
        for name, (shape, kind) in shapes.items():
            chunks = (64 if shape else 4096, *shape)
            options: dict[str, Any] = {"maxshape": (None, *shape), "chunks": chunks}
            file.create_dataset(name, (0, *shape), kind, compression="gzip", shuffle=True, **options)
        file[JETS].attrs["columns"] = list(COLUMNS)
        file[CANDIDATES].attrs["features"] = list(FEATURES)
        file[PROCESS].attrs["names"] = list(json.loads(self.attributes["processes"]))
