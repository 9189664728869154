"""The views of some events of a file in RS3L's HDF5 layout, as rows of a data set.

What the files do not hold gets a substitute that readers accept (:data:`SUBSTITUTES`). Shapes count E events of a
block and R views.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rs3l import seeds
from rs3l.angles import wrapped
from rs3l.config.source import READY_PROCESSES
from rs3l.dataset.schema import CANDIDATE_COLUMNS, HARD_COLUMNS, JET_COLUMNS, dataset_schema
from rs3l.errors import DataError
from rs3l.hdf5.layout import CANDIDATES, FEATURES, JETS, KEY, PROCESS, WEIGHT, open_file
from rs3l.hdf5.source import NUMBER_SHIFT, ImportOptions, Source
from rs3l.types import Bools

PROCESSES = {kind: name for name, ready in READY_PROCESSES.items() for kind in ready.jet_types if name != "qcd"}
"""Process of a jet type, under the names of config/; all other types are `qcd`."""

LABELS = {name: ready.label for name, ready in READY_PROCESSES.items()}
PRETRAINED = tuple(name for name, ready in READY_PROCESSES.items() if ready.use == "pretrain")
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
"""Substitutes for columns that a file does not name."""


@dataclass(frozen=True)
class EventBlock:
    """Arrays of a block: jet columns [E, 5], candidates [E, 5, 11, C], extra data sets [E]."""

    jet: Mapping[str, NDArray[np.float32]]
    candidates: NDArray[np.float32]
    extra: Mapping[str, NDArray[Any]]


def read_block(source: Source, start: int, events: int) -> EventBlock:
    """Return ``events`` events of a file, or those that are left of it, from ``start`` on."""
    part = slice(start, start + events)
    try:
        with open_file(source.layout.path) as file:
            jets = _floats(file[JETS], part)
            candidates = _floats(file[CANDIDATES], part)[:, :, : len(FEATURES)]
            extra = {name: file[name][part] for name in source.layout.extra}
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{source.layout.path}: events {start} ... cannot be read ({error}); get the file again"
        ) from None
    return EventBlock({name: jets[..., i] for name, i in source.layout.columns.items()}, candidates, extra)


def _floats(dataset: h5py.Dataset, part: slice) -> NDArray[np.float32]:
    values: NDArray[np.float32] = dataset[part].astype(np.float32)
    return values


_REQUIRED = ("jet_type", "jet_pt", "jet_eta", "jet_phi", "jet_energy")
"""Columns that must be finite; ratios of substructure may be NaN."""


def invalid_jets(source: Source, start: int, block: EventBlock, present: Bools, options: ImportOptions) -> Bools:
    """Return the jets [E, 5] with values that cannot be used, or refuse them unless they are to be left out."""
    result = np.zeros(present.shape, bool)
    for what, bad in _problems(block, present):
        if not options.leave_out_invalid:
            _refuse(source, start, what, bad)
        result |= bad
    return result


def _problems(block: EventBlock, present: Bools) -> Iterator[tuple[str, Bools]]:
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
            "damaged, or its columns are others than those of the layout; --leave-out-invalid (in a "
            "configuration, source.invalid: leave_out) leaves such jets out"
        )


def jet_types(source: Source, start: int, block: EventBlock, present: Bools) -> NDArray[np.object_]:
    """Return the jet type of each event, which is that of its first view."""
    first = present.argmax(axis=1)
    codes = block.jet["jet_type"][np.arange(len(first)), first]
    unknown = present.any(axis=1) & ~np.isin(codes, list(source.jet_types))
    if unknown.any():
        event = int(unknown.argmax())
        raise DataError(
            f"{source.layout.path}: event {start + event} has the jet type {codes[event]:g}; known are "
            f"{', '.join(f'{code}={name}' for code, name in source.jet_types.items())}; "
            "name it with --jet-type CODE=NAME (source.jet_types in a configuration)"
        )
    return np.array([source.jet_types.get(int(code), "other") for code in np.nan_to_num(codes)], dtype=object)


def event_processes(
    source: Source, block: EventBlock, types: NDArray[np.object_], options: ImportOptions
) -> NDArray[np.object_]:
    """Return the process of each event: that which takes its jet type, or which the file names.

    Without a choice of processes, the jet type implies one that the file does not name. With a choice, other
    events have none (an empty text).
    """
    of_type = {kind: name for name, own in (options.processes or {}).items() for kind in own.jet_types}
    if of_type:
        return np.array([of_type.get(name, "") for name in types], dtype=object)
    if source.processes is not None:
        names = [source.processes[int(code)] for code in block.extra[PROCESS]]
        chosen = names if options.processes is None else [n if n in options.processes else "" for n in names]
        return np.array(chosen, dtype=object)
    return np.array([PROCESSES.get(name, "qcd") for name in types], dtype=object)


def event_keys(source: Source, start: int, block: EventBlock, processes: NDArray[np.object_]) -> NDArray[np.int64]:
    """Return the key of each event, from the file or made of process, number of the file and event."""
    if KEY in block.extra:
        return block.extra[KEY].astype(np.int64)
    index = (source.number << NUMBER_SHIFT) + start
    return np.array([seeds.event_id(name, index + i) for i, name in enumerate(processes)], dtype=np.int64)


def event_views(
    source: Source,
    start: int,
    block: EventBlock,
    present: Bools,
    types: NDArray[np.object_],
    processes: NDArray[np.object_],
    keys: NDArray[np.int64],
    options: ImportOptions,
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
        "variant": np.array(source.variants, dtype=object)[slot],
        "jet_type": types[event],
    }
    if WEIGHT in block.extra:
        columns["weight"] = block.extra[WEIGHT][event]
    labels = _labels(source, options)
    columns["label"] = np.array([labels.get(name, name) for name in processes[event]], dtype=object)
    return pa.table([_array(columns[f.name], f.type) for f in dataset_schema()], schema=dataset_schema())


def _labels(source: Source, options: ImportOptions) -> dict[str, str]:
    """Return the labels of processes, of the options, or of the file, or of the ready ones."""
    if options.processes is not None:
        return {name: own.label for name, own in options.processes.items()}
    stated = source.layout.attribute("processes") or {}
    return {name: entry["label"] for name, entry in stated.items()} or LABELS


def _typed(name: str, values: NDArray[np.float32]) -> NDArray[Any]:
    """Return a column of ``singletons`` in the type of the data set."""
    kind = {**HARD_COLUMNS, **JET_COLUMNS}[name]
    return np.rint(values).astype(np.int32) if pa.types.is_integer(kind) else values


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


def _substitutes(
    jet: Mapping[str, NDArray[np.float32]], types: NDArray[np.object_], length: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Return the substitutes for columns that a file may lack (:data:`SUBSTITUTES`)."""
    nan = np.full(len(length), np.nan, np.float32)
    numbers = [name for name, kind in {**HARD_COLUMNS, **JET_COLUMNS}.items() if pa.types.is_floating(kind)]
    pt, eta, energy = (jet[name].astype(np.float64) for name in ("jet_pt", "jet_eta", "jet_energy"))
    return {
        **dict.fromkeys(numbers, nan),
        "weight": np.ones(len(length)),
        "parton_pdg_id": np.array([_anchor(name) for name in types], dtype=np.int32),
        "jet_mass": np.sqrt(np.maximum(energy**2 - (pt * np.cosh(eta)) ** 2, 0.0)).astype(np.float32),
        "jet_n_constituents": length.astype(np.int32),
    }


def _anchor(jet_type: str) -> int:
    return ANCHORS.get(jet_type, {"Z": 23, "g": 21}.get(jet_type[0], 0))


def _candidates(
    source: Source, block: EventBlock, event: NDArray[np.int64], slot: NDArray[np.int64]
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
