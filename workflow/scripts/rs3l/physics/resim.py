"""Stage 2: re-simulate the hard events of a shard under one variant."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rs3l import seeds
from rs3l.config.blocks import ResimBlock
from rs3l.data.checksum import VALUES, sealed, values_sha256
from rs3l.data.parquet import parquet_options
from rs3l.data.schema import CANDIDATE_COLUMNS, HARD_COLUMNS, Status, jets_schema
from rs3l.errors import DataError, GeneratorError
from rs3l.files import atomic
from rs3l.physics.alternative import Alternative
from rs3l.physics.detector import impact_parameters, smear_displacement
from rs3l.physics.generator import installed_version
from rs3l.physics.jet_types import GLUON, GluonSplittings
from rs3l.physics.jets import AnchoredJets, anchored_jets, jet_shapes
from rs3l.physics.lhe import HardEvent, ShardInfo, read_shard
from rs3l.physics.matching import Anchor, find_anchor
from rs3l.physics.response import respond
from rs3l.physics.shower import Particles, Showerer

EFFECT_EVENTS = 100
"""Settings that change none of so many events of the first shard are an error; mostly one event tells."""

MAX_FAILED_FRACTION = 0.05
"""A larger fraction of events that Pythia cannot complete stops the job."""


def resimulate_shard(block: ResimBlock, hard: str | Path, out: str | Path, first: int | None = None) -> pa.Table:
    """Re-simulate the LHE shard ``hard`` and write one row per hard event, in its order, to ``out``.

    ``first`` is the hard event that the shard must begin with, if known. Raises :class:`DataError` for a
    damaged or foreign shard, :class:`GeneratorError` if Pythia refuses the variant or fails on more than
    ``MAX_FAILED_FRACTION`` of the events.
    """
    info, events = read_shard(hard)
    _check_shard(block, hard, info, first)
    if info.first == 0:
        check_effect(block, events[:EFFECT_EVENTS])
    start = perf_counter()
    table = resimulate(block, events)
    _check_failures(table, block, hard)
    with atomic(out) as temporary:
        pq.write_table(
            table.replace_schema_metadata(_metadata(block, info, table)),
            temporary,
            **parquet_options(table.schema),
        )
    seconds = perf_counter() - start
    logging.info("%s: %d events in %.1f s, %.0f events/s", out, len(events), seconds, len(events) / seconds)
    return table


def _check_shard(block: ResimBlock, hard: str | Path, info: ShardInfo, first: int | None) -> None:
    """Raise :class:`DataError` unless the shard is the one that this job is about."""
    if info.process != block.process:
        raise DataError(f"{hard}: holds events of {info.process}, not of {block.process}; delete it and run again")
    if info.seed != block.seed:
        raise DataError(f"{hard}: made with another campaign seed; delete it and run again")
    if first is not None and info.first != first:
        raise DataError(f"{hard}: begins with hard event {info.first}, not {first}; delete it and run again")
    installed = installed_version()
    if info.pythia not in (installed, ""):  # empty: not made by Pythia, but read from external files
        raise DataError(
            f"{hard}: made with Pythia {info.pythia}, but {installed} is installed, and the same seed gives other "
            f"events there; install Pythia {info.pythia} again, or start another campaign (key `campaign`)"
        )


def check_effect(block: ResimBlock, events: Sequence[HardEvent]) -> None:
    """Raise :class:`GeneratorError` if the variant's settings change none of ``events``.

    Both are simulated with the nominal's random numbers, so that only the settings can tell them apart. Pythia
    does not say when one part of it ignores the settings of another: VINCIA those of the default shower.
    """
    if block.baseline is None or not events:
        return
    own = block.model_copy(update={"resample": None})
    nominal = own.model_copy(update={"pythia": block.baseline})
    pairs = zip(Showerer(own, events).batches(1, 10), Showerer(nominal, events).batches(1, 10), strict=True)
    if all(ours.same_as(theirs) for ours, theirs in pairs):
        raise GeneratorError(
            f"variants.{block.variant}.pythia: these settings change none of the first {len(events)} events of "
            f"{block.process}; remove the variant, or name the keys that the chosen shower and models know"
        )


def resimulate(block: ResimBlock, events: Sequence[HardEvent]) -> pa.Table:
    """Return the jets of ``events`` under the variant, one row per event (schema ``jets_schema``).

    Gluons are typed by their splitting in the nominal only; the merge gives all views the nominal's type.
    """
    anchors = [find_anchor(event, block.anchor, block.anchor_choice) for event in events]
    splittings = GluonSplittings(_gluons(anchors) if block.variant == "nominal" else {})
    generator = Alternative(block, events) if block.generator else Showerer(block, events, splittings)
    rows = pa.concat_tables([_jet_rows(block, events, anchors, batch) for batch in generator.batches()])
    anchors = [replace(a, jet_type=splittings.types.get(i, a.jet_type)) for i, a in enumerate(anchors)]
    return _one_row_per_event(block, events, anchors, rows)


def _gluons(anchors: Sequence[Anchor]) -> dict[int, tuple[float, float]]:
    """Return the directions of the anchors that are gluons, by position."""
    return {i: (anchor.eta, anchor.phi) for i, anchor in enumerate(anchors) if anchor.pdg_id == GLUON}


def _jet_rows(
    block: ResimBlock, events: Sequence[HardEvent], anchors: Sequence[Anchor], particles: Particles
) -> pa.Table:
    """Return a row per completed event of a batch: position, status, and jet columns or nulls."""
    eta = np.array([anchors[i].eta for i in particles.position.tolist()])
    phi = np.array([anchors[i].phi for i in particles.position.tolist()])
    if block.detector.response == "cms":
        particles = respond(particles, _detector_seeds(block, events, particles.position), block.detector)
    jets = anchored_jets(particles, eta, phi, block.jets)
    status = np.full(len(particles.position), int(Status.NO_JET), np.int8)
    accepted = (np.abs(jets.eta) < block.jets.eta_max) & (jets.mass > block.jets.mass_min)
    status[jets.event] = np.where(accepted, Status.OK, Status.REJECTED)
    columns = {**_jet_columns(block, particles, jets), **_candidates(block, events, particles, jets)}
    row_of_event = np.full(len(status), -1)
    row_of_event[jets.event[accepted]] = np.flatnonzero(accepted)
    row = pa.array(row_of_event, mask=row_of_event < 0)
    jet_table = pa.table(columns).take(row)
    return jet_table.append_column("position", pa.array(particles.position)).append_column(
        "status", pa.array(status)
    )


def _jet_columns(block: ResimBlock, particles: Particles, jets: AnchoredJets) -> dict[str, pa.Array]:
    values = {
        "jet_pt": jets.pt,
        "jet_eta": jets.eta,
        "jet_phi": jets.phi,
        "jet_energy": jets.energy,
        "jet_mass": jets.mass,
        **{f"jet_{name}": value for name, value in jet_shapes(particles, jets, block.jets).items()},
    }
    columns = {name: pa.array(value.astype(np.float32)) for name, value in values.items()}
    columns["jet_n_constituents"] = pa.array(np.diff(jets.offsets).astype(np.int32))
    return columns


def _candidates(
    block: ResimBlock, events: Sequence[HardEvent], particles: Particles, jets: AnchoredJets
) -> dict[str, pa.Array]:
    """Return the list columns of the leading candidates of each jet."""
    offsets, chosen = _leading(jets, block.jets.constituents)
    px, py, pz = (getattr(particles, axis)[chosen] for axis in ("px", "py", "pz"))
    pt, charge = np.hypot(px, py), particles.charge[chosen]
    eta = np.arcsinh(pz / pt)
    vertex = (particles.vx[chosen], particles.vy[chosen], particles.vz[chosen])
    event_seeds = _detector_seeds(block, events, particles.position[jets.event])
    d0, dz = smear_displacement(
        *impact_parameters(*vertex, px, py, pz), pt, eta, charge, offsets, event_seeds, block.detector
    )
    values = {
        "cand_pt": pt,
        "cand_eta": eta,
        "cand_phi": np.arctan2(py, px),
        "cand_energy": particles.energy[chosen],
        "cand_charge": charge,
        "cand_pdg_id": particles.pdg_id[chosen],
        "cand_d0": d0,
        "cand_dz": dz,
    }
    return {
        name: pa.ListArray.from_arrays(
            pa.array(offsets.astype(np.int32)), pa.array(values[name].astype(kind.to_pandas_dtype()))
        )
        for name, kind in CANDIDATE_COLUMNS.items()
    }


def _detector_seeds(block: ResimBlock, events: Sequence[HardEvent], positions: npt.NDArray[np.int64]) -> list[int]:
    """Return the seed of the detector for each of the events at ``positions``."""
    stream = block.stream("detector")
    indices = (events[i].index for i in positions.tolist())
    return [seeds.seed(block.seed, block.process, i, "detector", stream) for i in indices]


def _leading(jets: AnchoredJets, count: int) -> tuple[Any, Any]:
    """Return offsets and positions of the ``count`` leading candidates of each jet."""
    sizes = np.diff(jets.offsets)
    rank = np.arange(len(jets.constituents)) - np.repeat(jets.offsets[:-1], sizes)
    kept = np.minimum(sizes, count)
    return np.concatenate([[0], np.cumsum(kept)]).astype(np.int64), jets.constituents[rank < count]


def _one_row_per_event(
    block: ResimBlock, events: Sequence[HardEvent], anchors: Sequence[Anchor], rows: pa.Table
) -> pa.Table:
    """Return the rows in the order of the hard events; an event that is missing gets status FAILED."""
    position = rows["position"].to_numpy()
    if len(np.unique(position)) != len(position):
        raise GeneratorError(f"{block.process}, {block.variant}: an event was returned twice")
    lookup = np.full(len(events), -1)
    lookup[position] = np.arange(len(position))
    jets = rows.take(pa.array(lookup, mask=lookup < 0))
    status = jets["status"].fill_null(pa.scalar(int(Status.FAILED), pa.int8()))
    hard = {
        "weight": [event.weight for event in events],
        "jet_type": [anchor.jet_type for anchor in anchors],
        "parton_pdg_id": [anchor.pdg_id for anchor in anchors],
        "parton_pt": [anchor.pt for anchor in anchors],
        "parton_eta": [anchor.eta for anchor in anchors],
        "parton_phi": [anchor.phi for anchor in anchors],
        "parton_energy": [anchor.energy for anchor in anchors],
    }
    columns: dict[str, Any] = {
        "event_id": pa.array([seeds.event_id(block.process, event.index) for event in events], pa.int64()),
        "status": status,
        **{name: pa.array(values, HARD_COLUMNS[name]) for name, values in hard.items()},
    }
    schema = jets_schema()
    return pa.table([columns.get(name) or jets[name] for name in schema.names], schema=schema)


def _check_failures(table: pa.Table, block: ResimBlock, hard: str | Path) -> None:
    failed = int(np.sum(table["status"].to_numpy() == Status.FAILED))
    name, key, limit = ("Pythia", "pythia", MAX_FAILED_FRACTION)
    if block.generator:
        name, key, limit = "the external generator", "generator", block.generator.max_failed
    if failed > limit * table.num_rows:
        raise GeneratorError(
            f"{hard}: {name} failed on {failed} of {table.num_rows} events under the variant {block.variant}; "
            f"check variants.{block.variant}.{key}"
        )
    if failed:
        logging.warning("%s: %s failed on %d of %d events", hard, name, failed, table.num_rows)


def _metadata(block: ResimBlock, info: ShardInfo, table: pa.Table) -> dict[str, str]:
    """Return what the merge needs to know of a shard, as the file's metadata."""
    return sealed(
        {
            "rs3l.block": block.model_dump_json(),
            "rs3l.first": str(info.first),
            "rs3l.events": str(info.events),
            "rs3l.pythia": installed_version(),
            "rs3l.subprocesses": json.dumps(info.subprocesses),
            VALUES: values_sha256(table),
        }
    )
