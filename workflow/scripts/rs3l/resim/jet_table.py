"""Make the rows of a table of jets, one per hard event, from the particles of some events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rs3l import seeds
from rs3l.config.blocks import ResimBlock
from rs3l.dataset.schema import (
    CANDIDATE_COLUMNS,
    FINGERPRINT,
    HARD_COLUMNS,
    SHOWER_WEIGHT,
    Status,
    band_column,
    jets_schema,
)
from rs3l.errors import DataError, GeneratorError
from rs3l.hard.anchor import Anchor
from rs3l.lhe.lhe import HardEvent, fingerprint
from rs3l.resim.detector.detector import impact_parameters, smear_displacement
from rs3l.resim.detector.response import respond_traced
from rs3l.resim.jets.jets import AnchoredJets, anchored_jets, jet_shapes
from rs3l.resim.pileup.overlay import draw, overlay, pieces
from rs3l.resim.pileup.pool import Pool
from rs3l.resim.pileup.subtraction import subtract
from rs3l.resim.shower import Particles
from rs3l.types import Ints


def jet_table(
    block: ResimBlock,
    events: Sequence[HardEvent],
    anchors: Sequence[Anchor],
    batches: Iterable[Particles],
    chosen: Ints | None = None,
    pool: Pool | None = None,
) -> pa.Table:
    """Return one row per hard event (schema ``jets_schema``), in order, from the particles of those completed.

    ``chosen`` are the positions in ``events`` of those that were simulated (None means all), and the positions of
    the particles refer to ``chosen``. The pile-up is drawn from ``pool``. An event that is in no batch gets the
    status FAILED, or SKIPPED if it was not chosen.
    """
    chosen = np.arange(len(events)) if chosen is None else chosen
    placed = (replace(particles, position=chosen[particles.position]) for particles in batches)
    if block.pileup:
        mean = block.pileup.settings.mean
        placed = (some for particles in placed for some in pieces(particles, mean))
    rows = pa.concat_tables([_jet_rows(block, events, anchors, particles, pool) for particles in placed])
    missing = np.full(len(events), int(Status.SKIPPED), np.int8)
    missing[chosen] = int(Status.FAILED)
    return _one_row_per_event(block, events, anchors, rows, missing)


def _jet_rows(
    block: ResimBlock,
    events: Sequence[HardEvent],
    anchors: Sequence[Anchor],
    particles: Particles,
    pool: Pool | None,
) -> pa.Table:
    """Return a row per completed event of a batch, with position, status, and jet columns or nulls."""
    eta = np.array([anchors[i].eta for i in particles.position.tolist()])
    phi = np.array([anchors[i].phi for i in particles.position.tolist()])
    particles = _measured(block, events, particles, pool)
    jets = anchored_jets(particles, eta, phi, block.jets)
    status = np.full(len(particles.position), int(Status.NO_JET), np.int8)
    accepted = (np.abs(jets.eta) < block.jets.eta_max) & (jets.mass > block.jets.mass_min)
    status[jets.event] = np.where(accepted, Status.OK, Status.REJECTED)
    columns = {**_jet_columns(block, particles, jets), **_candidates(block, events, particles, jets)}
    row_of_event = np.full(len(status), -1)
    row_of_event[jets.event[accepted]] = np.flatnonzero(accepted)
    row = pa.array(row_of_event, mask=row_of_event < 0)
    jet_table = pa.table(columns).take(row)
    of_event = {"position": particles.position, "status": status, SHOWER_WEIGHT: particles.weight}
    bands = particles.bands.reshape(len(status), len(block.bands)).T
    of_event |= dict(zip(map(band_column, block.bands), bands, strict=True))
    for name, values in of_event.items():
        jet_table = jet_table.append_column(name, pa.array(values))
    return jet_table


def _measured(
    block: ResimBlock, events: Sequence[HardEvent], particles: Particles, pool: Pool | None
) -> Particles:
    """Return what the detector sees of a batch of events with their pile-up, after its subtraction."""
    if block.pileup is None:
        return _candidates_of(block, events, particles)[0]
    if pool is None:
        raise DataError(f"variants.{block.variant}: has pile-up, and no files of its pool are given (--pileup)")
    pileup = block.pileup
    drawn = [draw(pileup, seed) for seed in _seeds(block, events, particles.position, "pileup")]
    whole = overlay(particles, drawn, pool)
    candidates, source = _candidates_of(block, events, whole.particles)
    apart = (source >= 0) & whole.apart[np.maximum(source, 0)]
    return subtract(candidates, apart, pileup.settings)


def _candidates_of(block: ResimBlock, events: Sequence[HardEvent], particles: Particles) -> tuple[Particles, Ints]:
    """Return the candidates, and the particle [T] that each is of, or -1 for a calorimeter's."""
    if block.detector.response == "cms":
        event_seeds = _seeds(block, events, particles.position, "detector")
        return respond_traced(particles, event_seeds, block.detector)
    return particles, np.arange(len(particles.charge))


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
    event_seeds = _seeds(block, events, particles.position[jets.event], "detector")
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


def _seeds(
    block: ResimBlock, events: Sequence[HardEvent], positions: Ints, stage: Literal["pileup", "detector"]
) -> list[int]:
    """Return the seed of a stage for each of the events at ``positions``."""
    stream = block.stream(stage)
    indices = (events[i].index for i in positions.tolist())
    return [seeds.seed(block.seed, block.process, i, stage, stream) for i in indices]


def _leading(jets: AnchoredJets, count: int) -> tuple[Any, Any]:
    """Return offsets and positions of the ``count`` leading candidates of each jet."""
    sizes = np.diff(jets.offsets)
    rank = np.arange(len(jets.constituents)) - np.repeat(jets.offsets[:-1], sizes)
    kept = np.minimum(sizes, count)
    return np.concatenate([[0], np.cumsum(kept)]).astype(np.int64), jets.constituents[rank < count]


def _one_row_per_event(
    block: ResimBlock,
    events: Sequence[HardEvent],
    anchors: Sequence[Anchor],
    rows: pa.Table,
    missing: npt.NDArray[np.int8],
) -> pa.Table:
    """Return the rows in the order of the hard events; one without a row gets its status of ``missing`` [E]."""
    position = rows["position"].to_numpy()
    if len(np.unique(position)) != len(position):
        raise GeneratorError(f"{block.process}, {block.variant}: an event was returned twice")
    lookup = np.full(len(events), -1)
    lookup[position] = np.arange(len(position))
    jets = rows.take(pa.array(lookup, mask=lookup < 0))
    status = pc.coalesce(jets["status"].combine_chunks(), pa.array(missing))
    prints = [fingerprint(event) for event in events]
    further, shower_weights = list(events[0].columns), [SHOWER_WEIGHT, *map(band_column, block.bands)]
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
        FINGERPRINT: pa.array(prints, pa.uint64()),
        **{name: pc.coalesce(jets[name].combine_chunks(), pa.scalar(1.0)) for name in shower_weights},
        **{name: pa.array(values, HARD_COLUMNS[name]) for name, values in hard.items()},
        **{name: pa.array([event.columns[name] for event in events], pa.float64()) for name in further},
    }
    schema = jets_schema(further, list(block.bands))
    return pa.table([columns.get(name) or jets[name] for name in schema.names], schema=schema)
