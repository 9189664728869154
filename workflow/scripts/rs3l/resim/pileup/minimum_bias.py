"""Minimum-bias events of the pool, each from a seed of its own, as Arrow files that jobs map into memory.

An event is the same in every shard of the pool. Momenta, masses and vertices are kept with single precision.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rs3l import seeds
from rs3l.config.blocks import PoolBlock, PoolShardBlock
from rs3l.errors import GeneratorError
from rs3l.files import atomic
from rs3l.pythia import Charges, apply_settings, installed_version, new_pythia
from rs3l.pythia_reason import reason
from rs3l.resim.pileup.particles import ETA_MAX, KINDS, Columns
from rs3l.resim.shower import flatten

PROCESS = "minimum bias"
"""Name in the place of a process in the pool's seeds; no process can have it, because of its space."""
ATTEMPTS = 3
"""Seeds that an event of the pool is tried with, because Pythia fails on one now and then."""
BATCH = 500
"""Events in memory while a shard is written."""

SCHEMA = pa.schema(
    [
        pa.field("digest", pa.uint64(), nullable=False),
        *(pa.field(name, pa.list_(pa.from_numpy_dtype(kind)), nullable=False) for name, kind in KINDS.items()),
    ]
)
"""A row per event: the digest of its particles, and their columns (GeV, mm)."""


class MinimumBias:
    """Pythia for the events of the pool."""

    def __init__(self, block: PoolBlock) -> None:
        """Initialise Pythia; raises :class:`GeneratorError` if it refuses the settings."""
        self._block = block
        self._pythia = new_pythia()
        apply_settings(self._pythia, {**block.pythia, "Beams:eCM": block.ecm, **self._seed()})
        if not self._pythia.init():
            raise GeneratorError(
                "Pythia cannot initialise the minimum-bias events of the pile-up: "
                f"{reason(lambda: MinimumBias(block))}; check pileup.pythia and generator"
            )
        self._charge = Charges(self._pythia)

    def _seed(self) -> dict[str, Any]:
        first = seeds.seed(self._block.seed, PROCESS, 0, "init", "nominal")
        return {"Random:setSeed": True, "Random:seed": first}

    def events(self, indices: Sequence[int]) -> tuple[npt.NDArray[np.int64], Columns]:
        """Return offsets [E + 1] and particles [T] of the events with these indices.

        Visible stable particles with abs(eta) below ``ETA_MAX`` are kept.
        """
        found = flatten(ak.concatenate([self._one(index) for index in indices]), self._charge)
        with np.errstate(divide="ignore"):
            eta = np.arcsinh(found.pz / np.hypot(found.px, found.py))
        kept = np.abs(eta) < ETA_MAX
        event = np.repeat(np.arange(len(indices)), np.diff(found.offsets))[kept]
        m2 = found.energy**2 - found.px**2 - found.py**2 - found.pz**2
        values = {**vars(found), "mass": np.sqrt(np.maximum(m2, 0.0))}
        columns = {name: values[name][kept].astype(kind) for name, kind in KINDS.items()}
        return np.concatenate([[0], np.cumsum(np.bincount(event, minlength=len(indices)))]), columns

    def _one(self, index: int) -> ak.Array:
        """Return Pythia's record of one event; a later attempt has a stream of its own."""
        for attempt in range(ATTEMPTS):
            stream = "nominal" if attempt == 0 else f"attempt {attempt}"
            self._pythia.rndm.init(seeds.seed(self._block.seed, PROCESS, index, "hard", stream))
            batch = ak.drop_none(self._pythia.nextBatch(1, "none"), axis=0)
            if len(batch):
                return batch
        raise GeneratorError(
            f"Pythia failed on the minimum-bias event {index} {ATTEMPTS} times; check pileup.pythia and generator"
        )


def event_digest(columns: Columns, start: int, stop: int) -> int:
    """Return a 64-bit digest of the particles of one event, ``start:stop`` in ``columns``."""
    digest = hashlib.blake2b(digest_size=8)
    for name in KINDS:
        digest.update(np.ascontiguousarray(columns[name][start:stop]).tobytes())
    return int.from_bytes(digest.digest(), "little")


def write_pool(block: PoolShardBlock, path: str | Path) -> None:
    """Write one shard of the pool, ``BATCH`` events at a time; raises :class:`GeneratorError`."""
    metadata = {
        "rs3l.pool": block.pool.model_dump_json(),
        "rs3l.first": str(block.first),
        "rs3l.events": str(block.events),
        "rs3l.pythia": installed_version(),
    }
    with atomic(path) as temporary, pa.ipc.new_file(str(temporary), SCHEMA.with_metadata(metadata)) as file:
        for batch in _batches(block):
            file.write_batch(batch)
    logging.info("%s: %d minimum-bias events", path, block.events)


def _batches(block: PoolShardBlock) -> Iterator[pa.RecordBatch]:
    generator = MinimumBias(block.pool)
    end = block.first + block.events
    for first in range(block.first, end, BATCH):
        offsets, columns = generator.events(range(first, min(first + BATCH, end)))
        bounds = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
        lists = [
            pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(columns[name])) for name in KINDS
        ]
        digests = pa.array([event_digest(columns, *bound) for bound in bounds], pa.uint64())
        yield pa.RecordBatch.from_arrays([digests, *lists], schema=SCHEMA)
