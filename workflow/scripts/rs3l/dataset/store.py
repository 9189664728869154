"""The data set in memory, with flat candidates and offsets, gathered into padded batches.

Shapes count J jets (one per view), T candidates in all, B jets of a batch, N candidates per padded jet and C = 8
raw columns. Masks are True for a real candidate. Units are GeV, mm and radians.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from rs3l.dataset.manifest import check_names, read_manifest, verified
from rs3l.dataset.schema import CANDIDATE_COLUMNS
from rs3l.errors import DataError
from rs3l.types import Floats32, Ints

RAW = ("pt", "deta", "dphi", "energy", "charge", "class", "d0", "dz")
"""Raw columns of a candidate; deta and dphi are relative to the jet axis."""

CLASSES = ("photon", "muon", "electron", "charged hadron", "neutral hadron")
"""Values of the raw column ``class``, by index."""

_JET_INPUTS = ("jet_pt", "jet_eta", "jet_phi", "jet_energy", "jet_mass")
_POSITIVE = ("cand_pt", "cand_energy", "jet_pt", "jet_energy")
COLUMNS = ("event_id", "variant", "weight", *_JET_INPUTS, *CANDIDATE_COLUMNS)
"""Columns of the data set that a store is made from."""

PER_JET = ("jet_pt", "jet_energy", "jet_mass", "weight", "event_id", "process", "variant")
"""Arrays of a store with one entry per jet."""

CACHED = 16_384
"""Number of candidates that are worked on at a time."""


class JetBatch(NamedTuple):
    """Padded jets: candidates [B, N, 8] (columns :data:`RAW`), mask [B, N], jet pT and energy [B]."""

    candidates: Tensor
    mask: Tensor
    jet_pt: Tensor
    jet_energy: Tensor


class FlatJets(NamedTuple):
    """Jets one after the other, as they are sent to a device: candidates [T, 8], and per jet [B] the rest.

    The candidates of jet b are ``candidates[start[b]:start[b] + length[b]]``, and ``slots`` is the largest length
    (at least one), which the host knows.
    """

    candidates: Tensor
    start: Tensor
    length: Tensor
    jet_pt: Tensor
    jet_energy: Tensor
    slots: int


@dataclass(frozen=True)
class EventViews:
    """Rows of each event, where the views of event e are rows ``start[e] ... start[e] + count[e] - 1``."""

    event_id: Ints
    start: Ints
    count: Ints

    def at_least(self, views: int) -> EventViews:
        """Return the events with ``views`` views or more."""
        return self.where(self.count >= views)

    def where(self, keep: NDArray[np.bool_]) -> EventViews:
        """Return the events with ``keep`` [E]."""
        return EventViews(self.event_id[keep], self.start[keep], self.count[keep])


@dataclass(frozen=True)
class JetStore:
    """Jets of one split, with candidates [T, 8], and one entry per jet of everything else.

    ``process`` and ``variant`` index ``process_names`` and ``variant_names``. The candidates of jet j are
    ``candidates[start[j]:start[j] + count[j]]``, by descending pT. Batches show the first ``constituents``.
    """

    candidates: Floats32
    start: Ints
    count: Ints
    jet_pt: Floats32
    jet_energy: Floats32
    jet_mass: Floats32
    weight: NDArray[np.float64]
    event_id: Ints
    process: Ints
    variant: Ints
    process_names: tuple[str, ...]
    variant_names: tuple[str, ...]
    constituents: int

    def __len__(self) -> int:
        return len(self.event_id)

    @property
    def lengths(self) -> Ints:
        """Number of candidates [J] that a batch shows of each jet."""
        return np.minimum(self.count, self.constituents)

    def batch(self, rows: Ints) -> JetBatch:
        """Return the jets ``rows`` [B], padded with zeros to the longest of them (at least one slot)."""
        start = self.start[rows]
        length = np.minimum(self.count[rows], self.constituents)
        slot = np.arange(max(int(length.max(initial=1)), 1))
        mask = torch.from_numpy(slot < length[:, None])
        index = torch.from_numpy(np.minimum(start[:, None] + slot, len(self.candidates) - 1))
        flat = torch.from_numpy(self.candidates).index_select(0, index.flatten())
        candidates = flat.index_fill_(0, (~mask).flatten().nonzero().squeeze(1), 0.0).view(*mask.shape, len(RAW))
        return JetBatch(
            candidates, mask, torch.from_numpy(self.jet_pt[rows]), torch.from_numpy(self.jet_energy[rows])
        )

    def flat(self, rows: Ints) -> FlatJets:
        """Return the jets ``rows`` [B] without padding; :func:`pad` makes of them what :meth:`batch` returns."""
        own = self.take(rows)
        if not len(own.candidates):  # a slot of padding, for there is nothing that it could be gathered from
            own = replace(own, candidates=np.zeros((1, len(RAW)), dtype=np.float32))
        candidates, start, length, jet_pt, jet_energy = map(
            torch.from_numpy, (own.candidates, own.start, own.count, own.jet_pt, own.jet_energy)
        )
        slots = max(int(own.count.max(initial=1)), 1)
        return FlatJets(candidates, start, length, jet_pt, jet_energy, slots)

    def select(self, rows: Ints) -> JetStore:
        """Return a store of the jets ``rows`` [B] alone, which shares all candidates with this one."""
        per_jet: dict[str, Any] = {name: getattr(self, name)[rows] for name in ("start", "count", *PER_JET)}
        return replace(self, **per_jet)

    def take(self, rows: Ints) -> JetStore:
        """Return a store of the jets ``rows`` [B] alone, with a copy of the candidates that a batch shows."""
        count = self.lengths[rows]
        start = np.cumsum(count) - count
        index = np.arange(count.sum()) + np.repeat(self.start[rows] - start, count)
        candidates = np.take(self.candidates, index, axis=0)  # several times faster than an index in brackets
        return replace(self.select(rows), candidates=candidates, start=start, count=count)

    def rows(self, process: str | None = None, variant: str | None = None) -> Ints:
        """Return the rows, in order, of one process and one variant, where None means all."""
        keep = np.ones(len(self), dtype=bool)
        if process is not None:
            keep &= self.process == self.process_names.index(process)
        if variant is not None:
            keep &= self.variant == self.variant_names.index(variant)
        return np.flatnonzero(keep)

    def events(self) -> EventViews:
        """Return the rows of each event's views; raises :class:`DataError` if they are not adjacent."""
        first = np.ones(len(self), dtype=bool)
        first[1:] = self.event_id[1:] != self.event_id[:-1]
        start = np.flatnonzero(first)
        if len(np.unique(self.event_id)) != len(start):
            raise DataError("the views of an event are not adjacent rows: merge the data set again")
        return EventViews(self.event_id[start], start, np.diff(start, append=len(self)))


def pad(jets: FlatJets) -> JetBatch:
    """Return the jets padded with zeros, on the device where they are."""
    slot = torch.arange(jets.slots, device=jets.length.device)
    mask = slot < jets.length[:, None]
    index = (jets.start[:, None] + slot).clamp(max=len(jets.candidates) - 1)
    padded = jets.candidates.index_select(0, index.flatten()).view(*mask.shape, len(RAW))
    return JetBatch(padded.masked_fill(~mask[..., None], 0.0), mask, jets.jet_pt, jets.jet_energy)


def load_views(
    manifest_path: str | Path,
    split: str,
    processes: Sequence[str],
    variants: Sequence[str],
    constituents: int,
) -> JetStore:
    """Read the jets of ``processes`` under ``variants`` from one split of the data set.

    Raises :class:`DataError` if the manifest or a file of it is missing, foreign or changed, if an input is not
    finite, or if nothing is selected.
    """
    manifest = read_manifest(manifest_path)
    check_names(manifest_path, "process", processes, manifest.processes)
    check_names(manifest_path, "variant", variants, manifest.variants)
    parts = [
        _read_part(verified(manifest.path(part), part.sha256), code, variants)
        for code, process in enumerate(processes)
        for part in manifest.files(split, process)
    ]
    if not sum(len(part["event_id"]) for part in parts):
        raise DataError(
            f"{manifest_path}: no jet of {', '.join(processes)} under {', '.join(variants)} in the split "
            f"{split!r}; raise processes.<name>.events or dataset.splits.{split}"
        )
    room = sum(len(part["cand_pt"]) for part in parts)
    return join_parts(parts, tuple(processes), tuple(variants), constituents, room)


def _read_part(path: Path, process: int, variants: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the columns of one file (:func:`part_arrays`)."""
    table = pq.read_table(path, columns=list(COLUMNS), filters=[("variant", "in", list(variants))])
    return part_arrays(path, table, process, variants)


def part_arrays(path: Path, table: pa.Table, process: int, variants: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the columns of rows of one file, all under ``variants``; ``path`` is named in errors.

    There is one entry per jet [j], with ``lengths`` [j], and flat columns ``cand_...`` [t].
    """
    lengths = _lengths(path, table)
    values = {name: _values(path, table, name) for name in (*_JET_INPUTS, *CANDIDATE_COLUMNS)}
    variant = pa.compute.index_in(table["variant"], value_set=pa.array(list(variants)))
    return {
        **values,
        "lengths": lengths,
        "event_id": table["event_id"].to_numpy(),
        "variant": variant.to_numpy().astype(np.int64),
        "process": np.full(len(lengths), process, dtype=np.int64),
        "weight": table["weight"].to_numpy(),
    }


def _lengths(path: Path, table: pa.Table) -> Ints:
    """Return the number of candidates of each jet, in which all list columns must agree."""
    counts = {name: pa.compute.list_value_length(table[name]).to_numpy() for name in CANDIDATE_COLUMNS}
    lengths: Ints = counts["cand_pt"].astype(np.int64)
    for name, count in counts.items():
        if not np.array_equal(count, lengths):
            raise DataError(f"{path}: {name} and cand_pt differ in length; merge the data set again")
    return lengths


def _values(path: Path, table: pa.Table, name: str) -> NDArray[Any]:
    """Return a column, lists flattened, after checking that every number of it can be used."""
    column = table[name].combine_chunks()
    values: NDArray[Any] = (column.flatten() if pa.types.is_list(column.type) else column).to_numpy(
        zero_copy_only=False
    )
    bad = ~np.isfinite(values)
    if name in _POSITIVE:
        bad |= values <= 0
    if bad.any():
        raise DataError(
            f"{path}: {name} has {int(bad.sum())} values that are NaN, infinite, or not positive where "
            f"they must be (first: {values[bad][0]}); simulate and merge these events again"
        )
    return values


def _write_candidates(part: dict[str, NDArray[Any]], result: Floats32) -> None:
    """Write the raw columns to ``result`` [t, 8] a block at a time, so that intermediate values stay cached."""
    jet = np.repeat(np.arange(len(part["lengths"])), part["lengths"])
    for start in range(0, len(jet), CACHED):
        block = slice(start, start + CACHED)
        for index, column in enumerate(_raw(part, jet[block], block)):
            result[block, index] = column


def _raw(values: dict[str, NDArray[Any]], jet: Ints, part: slice) -> tuple[NDArray[Any], ...]:
    """Return the raw columns of the candidates ``part``, which belong to the jets ``jet``."""
    own = {name: values[name][part] for name in CANDIDATE_COLUMNS}
    return (
        own["cand_pt"],
        own["cand_eta"] - values["jet_eta"][jet],
        wrapped(own["cand_phi"].astype(np.float64) - values["jet_phi"][jet]),
        own["cand_energy"],
        own["cand_charge"],
        candidate_class(own["cand_pdg_id"], own["cand_charge"]),
        own["cand_d0"],
        own["cand_dz"],
    )


def wrapped(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``remainder(angle + pi, 2 pi) - pi``; the remainder is slow, and few angles need it."""
    result = angle + np.pi
    outside = np.flatnonzero((result < 0) | (result >= 2 * np.pi))
    result[outside] = np.remainder(result[outside], 2 * np.pi)
    return result - np.pi


def name_column(codes: Ints, names: Sequence[str]) -> pa.Array:
    """Return the names that ``codes`` index, as an Arrow string column."""
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), list(names)).cast(pa.string())


def candidate_class(pdg_id: NDArray[Any], charge: NDArray[Any]) -> NDArray[np.int8]:
    """Return the index into :data:`CLASSES` of each candidate, from its PDG code and charge."""
    code = np.abs(pdg_id)
    result: NDArray[np.int8] = np.int8(4) - (charge != 0).view(np.int8)
    for index, own in enumerate((22, 13, 11)):
        result -= (code == own).view(np.int8) * (result - np.int8(index))  # ten times faster than np.copyto
    return result


def join_parts(
    parts: Iterable[dict[str, NDArray[Any]]],
    processes: tuple[str, ...],
    variants: tuple[str, ...],
    constituents: int,
    room: int,
) -> JetStore:
    """Return the store of the parts that :func:`part_arrays` returned, one after the other.

    They have ``room`` candidates or fewer. The columns of a part are let go of before the next is asked for.
    """
    candidates, end = np.empty((room, len(RAW)), dtype=np.float32), 0
    per_jet = []
    for part in parts:
        start, end = end, end + len(part["cand_pt"])
        _write_candidates(part, candidates[start:end])
        per_jet.append({name: part[name] for name in ("lengths", *PER_JET)})
        del part
    joined = {name: np.concatenate([part[name] for part in per_jet]) for name in per_jet[0]}
    count = joined.pop("lengths")
    return JetStore(
        candidates=candidates[:end],
        start=np.cumsum(count) - count,
        count=count,
        process_names=processes,
        variant_names=variants,
        constituents=constituents,
        **joined,
    )


def join_stores(stores: Sequence[JetStore]) -> JetStore:
    """Return one store of the jets of several stores, which have the same processes and variants."""
    if len(stores) == 1:
        return stores[0]
    own = [store.take(np.arange(len(store))) for store in stores]
    names = ("candidates", "count", *PER_JET)
    joined: dict[str, Any] = {name: np.concatenate([getattr(store, name) for store in own]) for name in names}
    return replace(stores[0], start=np.cumsum(joined["count"]) - joined["count"], **joined)
