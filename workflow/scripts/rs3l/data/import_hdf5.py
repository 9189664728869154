"""A data set of this project from files in RS3L's HDF5 layout (``rs3l.data.hdf5``).

The five variants of an event become its views. What the files do not hold gets a substitute that readers accept:
see :data:`SUBSTITUTES`. Files are read a few hundred events at a time. Shapes: E events of a block, R views.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import ValidationError

from rs3l import seeds
from rs3l.config.models import Splits
from rs3l.data.card import card_text
from rs3l.data.dataset_writer import DatasetWriter
from rs3l.data.export_hdf5 import wrapped
from rs3l.data.hdf5 import (
    CANDIDATES,
    FEATURES,
    JET_TYPES,
    JETS,
    KEY,
    PROCESS,
    SLOTS,
    WEIGHT,
    Angles,
    Layout,
    open_file,
    read_layout,
)
from rs3l.data.manifest import FORMAT
from rs3l.data.schema import CANDIDATE_COLUMNS, HARD_COLUMNS, JET_COLUMNS, dataset_schema
from rs3l.errors import ConfigError, DataError
from rs3l.files import atomic_folder, refuse_existing, sha256, write_json, write_text
from rs3l.paths import SPLITS
from rs3l.provenance import provenance

Bools = np.ndarray[Any, np.dtype[np.bool_]]

BLOCK_EVENTS = 256
"""Events read at a time."""

PROCESSES = {
    "H": "higgs_bb", "W": "w_qq", "Z": "z_qq", "Z_qq": "z_qq", "Z_cc": "z_qq", "Z_bb": "z_bb", "top": "top",
    "other": "other",
}  # fmt: skip
"""Process of a jet type, under the names of config/; all other types are `qcd`."""

LABELS = {"higgs_bb": "H", "w_qq": "W", "z_qq": "Z", "z_bb": "Zbb", "top": "top", "qcd": "QCD", "other": "other"}
PRETRAINED = ("higgs_bb", "qcd")
"""Processes of the paper's pre-training; the others are `downstream`."""

ANCHORS = {"q": 0, "c": 4, "b": 5, "H": 25, "W": 24, "top": 6}
"""PDG code of the anchor by jet type; 23 for Z bosons and 21 for gluons, 0 where it is not known."""

SUBSTITUTES = {
    "weight": "1",
    "parton_pdg_id": "from the jet type, without sign; 0 for light quarks",
    "parton_pt, parton_eta, parton_phi, parton_energy": "NaN",
    "jet_mass": "from the jet's pT, eta and energy",
    "jet_msd, jet_n2, jet_tau21, jet_tau32": "NaN",
    "jet_n_constituents": "number of stored candidates",
}
"""What stands for columns that a file does not name."""


@dataclass(frozen=True)
class ImportOptions:
    """How files become a data set.

    ``columns``: further columns of ``singletons`` by our names. ``jet_types``: other codes than the usual.
    ``angles``: None asks the file, then its values. ``seed`` and ``splits`` decide the split of an event whose
    file names none.
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


@dataclass(frozen=True)
class Source:
    """One file with all that is needed to read it."""

    layout: Layout
    number: int
    angles: Angles
    variants: tuple[str, ...]
    jet_types: Mapping[int, str]
    processes: tuple[str, ...] | None


def import_hdf5(files: Sequence[str | Path], out: str | Path, options: ImportOptions) -> dict[str, Any]:
    """Write the data set of ``files`` (or of a folder of them) to the new folder ``out``; return its manifest.

    Everything appears at once or not at all. Raises :class:`DataError` for files of another layout, unknown
    jet types, and values that cannot be used.
    """
    refuse_existing(out)
    sources = [_source(path, options) for path in find_files(files)]
    _check_sources(sources)
    with atomic_folder(out) as folder:
        writer = DatasetWriter(folder, options.events_per_part, options.events_per_row_group)
        left_out = Counter(events_without_jets=0, invalid_jets=0)
        for source in sources:
            for start in range(0, source.layout.events, BLOCK_EVENTS):
                left_out += _import_block(source, start, writer, options)
        manifest = _manifest(sources, writer, options, left_out)
        if not manifest["files"]:
            names = ", ".join(str(source.layout.path) for source in sources)
            raise DataError(f"no event with a jet in {names}: no jet pT, or no candidate pT, is above zero")
        write_text(folder / "card.md", card_text(manifest))
        write_json(folder / "provenance.json", _provenance(sources, options))
        write_json(folder / "manifest.json", manifest)
    logging.info("%s: %d files; left out: %s", out, len(manifest["files"]), dict(left_out))
    return manifest


def find_files(paths: Sequence[str | Path]) -> list[Path]:
    """Return the files, and those ``rs3l_{i}.h5`` of folders, in the order of their numbers."""
    found: list[Path] = []
    for path in map(Path, paths):
        own = list(path.glob("rs3l_*.h5")) if path.is_dir() else [path]
        if not own:
            raise DataError(f"{path}: no files rs3l_{{i}}.h5 in this folder")
        found += own
    return sorted(found, key=lambda path: (_number(path), str(path)))


def _number(path: Path) -> int:
    match = re.search(r"(\d+)\.(h5|hdf5)$", path.name)
    return int(match[1]) if match else 0


def _source(path: Path, options: ImportOptions) -> Source:
    layout = read_layout(path, options.columns)
    types = layout.attribute("jet_types")
    known = {int(code): str(name) for code, name in (types or JET_TYPES).items()} | dict(options.jet_types)
    names = layout.attribute("variants") or list(SLOTS)
    if len(names) != len(SLOTS):
        raise DataError(f"{path}: its attribute `variants` names {len(names)} variants, not {len(SLOTS)}")
    angles = options.angles or layout.attribute("angles") or guess_angles(layout)
    processes = _process_names(layout)
    split = layout.attribute("split")
    if split is not None and split not in SPLITS:
        raise DataError(f"{path}: its attribute `split` is {split!r}, not one of {', '.join(SPLITS)}")
    return Source(layout, _number(path), angles, tuple(names), known, processes)


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
    """Return what the angles of a file's candidates must be, from its first events.

    Relative ones are about zero, absolute ones about the jet axis: the smaller pT-weighted distance counts.
    """
    with open_file(layout.path) as file:
        jets = file[JETS][:BLOCK_EVENTS].astype(np.float64)
        candidates = file[CANDIDATES][:BLOCK_EVENTS, :, : len(FEATURES)].astype(np.float64)
    pt, eta = (candidates[:, :, FEATURES.index(name)] for name in ("pt", "eta"))
    axis = jets[:, :, layout.columns["jet_eta"], None]
    distances = pt * np.abs(eta), pt * np.abs(eta - axis)
    usable = np.isfinite(distances[0]) & np.isfinite(distances[1])
    relative, absolute = (float(distance[usable].sum()) for distance in distances)
    result: Angles = "relative" if relative <= absolute else "absolute"
    logging.info("%s: angles of candidates look %s (%.3g, %.3g)", layout.path, result, relative, absolute)
    return result


def _check_sources(sources: Sequence[Source]) -> None:
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


def _import_block(source: Source, start: int, writer: DatasetWriter, options: ImportOptions) -> Counter[str]:
    """Add the events from ``start`` on to the data set; return what was left out."""
    block = _read(source, start)
    named = np.array([bool(name) for name in source.variants])
    present = named & (block.jet["jet_pt"] > 0) & (block.candidates[:, :, 0] > 0).any(axis=-1)
    invalid = _invalid(source, start, block, present, options)
    present &= ~invalid
    events = np.flatnonzero(present.any(axis=1))
    types = _types(source, start, block, present)
    processes = _processes(source, block, types)
    keys = _keys(source, start, block, processes)
    table = _views(source, start, block, present, types, processes, keys)
    split = source.layout.attribute("split")
    for process in dict.fromkeys(processes[events]):
        own = events[processes[events] == process]
        chosen = np.array([split or split_of(options, process, int(keys[e])) for e in own])
        for name in SPLITS:
            ids = pa.array(keys[own[chosen == name]])
            if len(ids):
                writer.append(name, process, table.filter(pa.compute.is_in(table["event_id"], value_set=ids)))
    return Counter(events_without_jets=len(present) - len(events), invalid_jets=int(invalid.sum()))


@dataclass(frozen=True)
class _Block:
    """Arrays of a block: jet columns [E, 5], candidates [E, 5, 11, C], extra data sets [E]."""

    jet: Mapping[str, NDArray[np.float32]]
    candidates: NDArray[np.float32]
    extra: Mapping[str, NDArray[Any]]


def _read(source: Source, start: int) -> _Block:
    part = slice(start, start + BLOCK_EVENTS)
    try:
        with open_file(source.layout.path) as file:
            jets = _floats(file[JETS], part)
            candidates = _floats(file[CANDIDATES], part)[:, :, : len(FEATURES)]
            extra = {name: file[name][part] for name in source.layout.extra}
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{source.layout.path}: events {start} ... cannot be read ({error}); get the file again"
        ) from None
    return _Block({name: jets[..., i] for name, i in source.layout.columns.items()}, candidates, extra)


def _floats(dataset: h5py.Dataset, part: slice) -> NDArray[np.float32]:
    values: NDArray[np.float32] = dataset[part].astype(np.float32)
    return values


_REQUIRED = ("jet_type", "jet_pt", "jet_eta", "jet_phi", "jet_energy")
"""Columns that must be finite; ratios of substructure may be NaN."""


def _invalid(source: Source, start: int, block: _Block, present: Bools, options: ImportOptions) -> Bools:
    """Return the jets [E, 5] with values that cannot be used; unless they are to be left out, refuse them."""
    result = np.zeros(present.shape, bool)
    for what, bad in _problems(block, present):
        if not options.leave_out_invalid:
            _refuse(source, start, what, bad)
        result |= bad
    return result


def _problems(block: _Block, present: Bools) -> Iterator[tuple[str, Bools]]:
    """Yield each column that is used, and the jets [E, 5] where it is NaN, infinite or impossible."""
    for name in _REQUIRED:
        values = block.jet[name]
        bad: Bools = ~np.isfinite(values)
        if name in ("jet_pt", "jet_energy"):
            bad = bad | (values < 0)
        if name == "jet_energy":
            bad = bad | (present & (values <= 0))
        yield f"{JETS}, {name}", bad
    real = block.candidates[:, :, 0] > 0
    for name in _FEATURE_OF:
        bad = _unusable(name, block.candidates[:, :, FEATURES.index(name)], real)
        yield f"{CANDIDATES}, {name}", np.asarray(bad.any(axis=-1))


def _unusable(name: str, values: NDArray[np.float32], real: Bools) -> Bools:
    """Return which values of a feature cannot be used, padding included."""
    bad: Bools = ~np.isfinite(values)
    if name == "pt":
        bad = bad | (values < 0)
    elif name == "e":
        bad = bad | (real & (values <= 0))
    elif name in ("charge", "pdgid"):
        limit = 128 if name == "charge" else 2**31
        bad = bad | (np.abs(values) >= limit) | (values != np.rint(values))
    return bad


def _refuse(source: Source, start: int, what: str, bad: Bools) -> None:
    if bad.any():
        event, slot = (int(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"{source.layout.path}: {what}: values that are NaN, infinite, or impossible, first in event "
            f"{start + event}, variant {slot} ({int(bad.sum())} jets from event {start} on); the file is "
            "damaged, or its columns are others than those of the layout; --leave-out-invalid leaves such jets out"
        )


def _types(source: Source, start: int, block: _Block, present: Bools) -> NDArray[np.object_]:
    """Return the jet type of each event: that of its first view."""
    first = present.argmax(axis=1)
    codes = block.jet["jet_type"][np.arange(len(first)), first]
    unknown = present.any(axis=1) & ~np.isin(codes, list(source.jet_types))
    if unknown.any():
        event = int(unknown.argmax())
        raise DataError(
            f"{source.layout.path}: event {start + event} has the jet type {codes[event]:g}; known are "
            f"{', '.join(f'{code}={name}' for code, name in source.jet_types.items())}; "
            "name it with --jet-type CODE=NAME"
        )
    return np.array([source.jet_types.get(int(code), "other") for code in np.nan_to_num(codes)], dtype=object)


def _processes(source: Source, block: _Block, types: NDArray[np.object_]) -> NDArray[np.object_]:
    if source.processes is not None:
        return np.array([source.processes[int(code)] for code in block.extra[PROCESS]], dtype=object)
    return np.array([PROCESSES.get(name, "qcd") for name in types], dtype=object)


def _keys(source: Source, start: int, block: _Block, processes: NDArray[np.object_]) -> NDArray[np.int64]:
    """Return the key of each event: the file's, or one made of process, number of the file and event."""
    if KEY in block.extra:
        return block.extra[KEY].astype(np.int64)
    index = (source.number << 24) + start
    return np.array([seeds.event_id(name, index + i) for i, name in enumerate(processes)], dtype=np.int64)


def split_of(options: ImportOptions, process: str, key: int) -> str:
    """Return the split of an event: a function of its key alone."""
    position = seeds.uniform(options.seed, process, seeds.event_index(key), "split")
    if position < options.splits.train:
        return "train"
    return "val" if position < options.splits.train + options.splits.val else "test"


def _views(
    source: Source,
    start: int,
    block: _Block,
    present: Bools,
    types: NDArray[np.object_],
    processes: NDArray[np.object_],
    keys: NDArray[np.int64],
) -> pa.Table:
    """Return the views of all events of a block, those of an event adjacent."""
    event, slot = np.nonzero(present)
    candidates, length = _candidates(source, block, event, slot)
    jet = {name: values[event, slot] for name, values in block.jet.items() if name != "jet_type"}
    columns: dict[str, Any] = {
        **_substitutes(jet, types[event], length),
        **{name: _typed(name, values) for name, values in jet.items()},
        **candidates,
        "event_id": keys[event],
        "process": processes[event],
        "label": np.array([LABELS.get(name, name) for name in processes[event]], dtype=object),
        "variant": np.array(source.variants, dtype=object)[slot],
        "jet_type": types[event],
    }
    if WEIGHT in block.extra:
        columns["weight"] = block.extra[WEIGHT][event]
    labels = source.layout.attribute("processes") or {}
    if labels:
        columns["label"] = np.array([labels[name]["label"] for name in processes[event]], dtype=object)
    return pa.table([_array(columns[f.name], f.type) for f in dataset_schema()], schema=dataset_schema())


def _typed(name: str, values: NDArray[np.float32]) -> NDArray[Any]:
    """Return a column of ``singletons`` in the type of the data set."""
    kind = {**HARD_COLUMNS, **JET_COLUMNS}[name]
    return np.rint(values).astype(np.int32) if pa.types.is_integer(kind) else values


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


def _substitutes(
    jet: Mapping[str, NDArray[np.float32]], types: NDArray[np.object_], length: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Return what stands for the columns that a file may lack (:data:`SUBSTITUTES`)."""
    nan = np.full(len(length), np.nan, np.float32)
    absent = ("parton_pt", "parton_eta", "parton_phi", "parton_energy", "jet_msd", "jet_n2", "jet_tau21")
    pt, eta, energy = (jet[name].astype(np.float64) for name in ("jet_pt", "jet_eta", "jet_energy"))
    return {
        **dict.fromkeys((*absent, "jet_tau32"), nan),
        "weight": np.ones(len(length)),
        "parton_pdg_id": np.array([_anchor(name) for name in types], dtype=np.int32),
        "jet_mass": np.sqrt(np.maximum(energy**2 - (pt * np.cosh(eta)) ** 2, 0.0)).astype(np.float32),
        "jet_n_constituents": length.astype(np.int32),
    }


def _anchor(jet_type: str) -> int:
    return ANCHORS.get(jet_type, {"Z": 23, "g": 21}.get(jet_type[0], 0))


def _candidates(
    source: Source, block: _Block, event: NDArray[np.int64], slot: NDArray[np.int64]
) -> tuple[dict[str, pa.Array], NDArray[np.int64]]:
    """Return the list columns of the views [R], by descending pT, and the lengths of the lists."""
    raw = block.candidates[event, slot]
    order = np.argsort(-raw[:, 0], axis=-1, kind="stable")
    raw = np.take_along_axis(raw, order[:, None], axis=-1)
    real = raw[:, 0] > 0
    length = real.sum(axis=-1)
    flat = {name: raw[:, i][real] for i, name in enumerate(FEATURES)}
    if source.angles == "relative":
        axis = [np.repeat(block.jet[name][event, slot], length) for name in ("jet_eta", "jet_phi")]
        flat["eta"] = flat["eta"] + axis[0]
        flat["phi"] = wrapped(flat["phi"].astype(np.float64) + axis[1]).astype(np.float32)
    offsets = pa.array(np.concatenate([[0], np.cumsum(length)]).astype(np.int32))
    return {
        name: pa.ListArray.from_arrays(offsets, pa.array(_as_integers(flat[feature], kind), kind))
        for (name, kind), feature in zip(CANDIDATE_COLUMNS.items(), _FEATURE_OF, strict=True)
    }, length


_FEATURE_OF = ("pt", "eta", "phi", "e", "charge", "pdgid", "d0", "dz")
"""Features in the order of the list columns."""


def _as_integers(values: NDArray[np.float32], kind: pa.DataType) -> NDArray[Any]:
    return np.rint(values).astype(kind.to_pandas_dtype()) if pa.types.is_integer(kind) else values


def _manifest(
    sources: Sequence[Source], writer: DatasetWriter, options: ImportOptions, left_out: Counter[str]
) -> dict[str, Any]:
    use = sources[0].layout.attribute("variant_use") or {}
    stated = sources[0].layout.attribute("processes") or {}
    files = writer.close()
    variants = [name for name in sources[0].variants if name]
    return {
        "format": FORMAT,
        "campaign": options.name,
        "seed": options.seed,
        "pythia": None,
        "detector": None,
        "source": "files in RS3L's HDF5 layout: " + ", ".join(source.layout.path.name for source in sources),
        "min_views": 1,
        "variants": {name: use.get(name, "train") for name in variants},
        "processes": {name: _process_entry(name, files, stated, variants) for name in writer.processes},
        "events_without_jets": left_out["events_without_jets"],
        "invalid_jets": left_out["invalid_jets"],
        "substitutes": SUBSTITUTES,
        "files": files,
        "schema": {column.name: str(column.type) for column in dataset_schema()},
    }


def _process_entry(
    name: str, files: Sequence[Mapping[str, Any]], stated: Mapping[str, Any], variants: Sequence[str]
) -> dict[str, Any]:
    """Return what is known of a process: how many hard events had no jet, the files do not say."""
    use = "pretrain" if name in PRETRAINED else "downstream"
    return {
        "label": LABELS.get(name, name),
        "use": use,
        **stated.get(name, {}),
        "hard_events": sum(file["events"] for file in files if file["process"] == name),
        "matching_efficiency": dict.fromkeys(variants),
    }


def _provenance(sources: Sequence[Source], options: ImportOptions) -> dict[str, Any]:
    return provenance(
        options={"seed": options.seed, "splits": options.splits.model_dump(), "columns": dict(options.columns)},
        files=[
            {
                "name": source.layout.path.name,
                "sha256": sha256(source.layout.path),
                "events": source.layout.events,
                "angles": source.angles,
                "columns": dict(source.layout.columns),
            }
            for source in sources
        ],
    )


def parse_splits(values: Sequence[float]) -> Splits:
    """Return three fractions of the command line as splits."""
    try:
        return Splits(**dict(zip(SPLITS, values, strict=True)))
    except ValidationError as error:
        raise ConfigError(f"--splits: {error.errors()[0]['msg']}") from None


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
