"""Shower and hadronisation by another generator, whose command reads Les Houches events and writes HepMC3.

Its events become the same particles as those of Pythia (``shower.py``). They are keyed to the hard events that
they belong to by their number in the file, or by the momenta of the hard partons in their records.
"""

from __future__ import annotations

import csv
import itertools
import logging
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from rs3l import seeds
from rs3l.angles import wrapped
from rs3l.config.blocks import ResimBlock
from rs3l.config.variants import GeneratorCommand
from rs3l.errors import GeneratorError
from rs3l.files import full
from rs3l.hard.anchor import find_anchor
from rs3l.lhe.lhe import HardEvent, outgoing, write_plain
from rs3l.pythia import Charges
from rs3l.resim.external.command import arguments, run_command
from rs3l.resim.external.hepmc import Record, read_records
from rs3l.resim.shower import BATCH, Particles

MATCHED = 1e-4
"""Largest difference of a hard parton's momentum in the record, relative to its energy."""
ALIGNED = 0.5
"""Smallest fraction of events with energy where their hard event says; below it, the events are not its own."""
SAME_WEIGHT = 1e-6
"""Largest relative difference between the weights of the events."""

Assign = Callable[[Record], int | None]


class Alternative:
    """An external generator, set up for one variant of one process."""

    def __init__(self, block: ResimBlock, events: Sequence[HardEvent]) -> None:
        """Take the events; the command runs when the batches are asked for."""
        assert block.generator is not None
        self._block, self._events, self._generator = block, events, block.generator
        self._charges = Charges()

    def batches(self) -> Iterator[Particles]:
        """Run the command and yield its events, without those that it left out.

        Raises :class:`GeneratorError` if the command fails, takes too long, or writes something else than some of
        the hard events.
        """
        try:
            with tempfile.TemporaryDirectory(prefix="rs3l-") as folder:
                yield from self._run(Path(folder))
        except GeneratorError as error:
            where = f"{self._block.process}, variant {self._block.variant}"
            raise GeneratorError(
                f"{where}: the external generator failed: {error}; check variants.{self._block.variant}.generator"
            ) from None
        except OSError as error:
            named = full(f"{tempfile.gettempdir()} (scratch of the external generator)", error)
            if named is None:
                raise
            raise named from error

    def _run(self, folder: Path) -> Iterator[Particles]:
        out = folder / "out.hepmc"
        block = self._block
        write_plain(folder / "in.lhe", self._events, block.ecm)
        write_seeds(folder / "seeds.csv", block, self._events, self._generator.first_number)
        values = {
            **self._generator.settings,
            "lhe": folder / "in.lhe",
            "out": out,
            "seed": self._seed(),
            "seeds": folder / "seeds.csv",
            "init_seed": seeds.seed(block.seed, block.process, 0, "init", "nominal"),
            "events": len(self._events),
            "process": block.process,
            "folder": folder,
        }
        run_command(arguments(self._generator.command, values), 60 * self._generator.timeout)
        zipped = folder / "out.hepmc.gz"
        found = self._assigned(read_records(out if out.exists() or not zipped.exists() else zipped))
        aligned = total = 0
        weights: list[float] = []
        while batch := list(itertools.islice(found, BATCH)):
            particles = self._particles(batch)
            aligned, total = aligned + self._aligned(particles), total + len(batch)
            weights = _range([*weights, *(record.weight for _, record in batch)])
            yield particles
        self._check(aligned, total)

    def _seed(self) -> int:
        """Return the seed of the shard, which follows from its first event."""
        block, first = self._block, self._events[0].index
        return seeds.seed(block.seed, block.process, first, "external", block.variant)

    def _assigned(self, records: Iterable[Record]) -> Iterator[tuple[int, Record]]:
        """Yield the position of the hard event with each record; records without one are left out and logged."""
        assign = by_number(self._generator, len(self._events))
        if self._generator.match == "partons":
            assign = by_partons(self._events)
        seen: set[int] = set()
        for record in records:
            position = assign(record)
            if position is None:
                logging.warning("event %d of the external generator matches no hard event", record.number)
                continue
            if position in seen:
                raise GeneratorError(f"two of its events belong to the hard event {self._events[position].index}")
            seen.add(position)
            yield position, record

    def _particles(self, batch: Sequence[tuple[int, Record]]) -> Particles:
        records = [record for _, record in batch]
        pdg_id = np.concatenate([r.pdg_id for r in records])
        momentum = np.concatenate([r.momentum for r in records]).T
        vertex = np.concatenate([r.vertex for r in records]).T
        px, py, pz, energy = momentum
        vx, vy, vz = vertex
        return Particles(
            position=np.array([position for position, _ in batch], np.int64),
            offsets=np.concatenate([[0], np.cumsum([len(r.pdg_id) for r in records])]).astype(np.int64),
            pdg_id=pdg_id,
            charge=self._charges(pdg_id),
            px=px, py=py, pz=pz, energy=energy, vx=vx, vy=vy, vz=vz,
            weight=np.ones(len(batch)),
        )  # fmt: skip

    def _aligned(self, particles: Particles) -> int:
        """Count the events with half the anchor's pT within a jet radius of it, or without a direction."""
        block, events = self._block, (self._events[i] for i in particles.position.tolist())
        anchors = [find_anchor(event, block.anchor, block.anchor_choice) for event in events]
        sizes = np.diff(particles.offsets)
        event = np.repeat(np.arange(len(anchors)), sizes)
        pt, eta, phi = (np.array([getattr(a, name) for a in anchors])[event] for name in ("pt", "eta", "phi"))
        transverse = np.hypot(particles.px, particles.py)
        with np.errstate(divide="ignore", invalid="ignore"):
            d_eta = np.arcsinh(particles.pz / transverse) - eta
            fraction = transverse / pt
        near = np.hypot(d_eta, wrapped(np.arctan2(particles.py, particles.px) - phi)) < self._block.jets.radius
        share = np.bincount(event[near], fraction[near], len(anchors))
        unknown = [not anchor.has_direction for anchor in anchors]
        return int((unknown | (share > 0.5)).sum())

    def _check(self, aligned: int, total: int) -> None:
        if not total:
            raise GeneratorError("its HepMC3 output holds no event")
        if aligned < ALIGNED * total:
            raise GeneratorError(
                f"only {aligned} of {total} events have a jet where their hard event says: their numbers are not "
                f"its numbers (first_number: {self._generator.first_number}), or it did not read {{lhe}}"
            )


def _range(weights: list[float]) -> list[float]:
    """Return the smallest and the largest weight; raises :class:`GeneratorError` if they are not one weight.

    A factor that all events share plays no role, because it is not known what a program's weights are relative to.
    """
    smallest, largest = min(weights), max(weights)
    if not math.isclose(smallest, largest, rel_tol=SAME_WEIGHT):
        raise GeneratorError(
            f"its events have different weights ({smallest:g} ... {largest:g}), which would be lost: switch off "
            "what weighs events, such as enhanced branchings"
        )
    return [smallest, largest]


def write_seeds(path: Path, block: ResimBlock, events: Sequence[HardEvent], first_number: int) -> None:
    """Write the table of seeds per event, for generators that can be reseeded for each."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["number", "key", "shower", "hadronisation"])
        for number, event in enumerate(events, first_number):
            key = (block.seed, block.process, event.index)
            stages = [seeds.seed(*key, s, block.stream(s)) for s in ("shower", "hadronisation")]
            table.writerow([number, event.index, *stages])


def by_number(generator: GeneratorCommand, events: int) -> Assign:
    """Return the function that finds a record's hard event by its number."""

    def assign(record: Record) -> int:
        position = record.number - generator.first_number
        if not 0 <= position < events:
            raise GeneratorError(
                f"it wrote an event with the number {record.number}, and {events} hard events were numbered from "
                f"{generator.first_number} (key first_number)"
            )
        return position

    return assign


def by_partons(events: Sequence[HardEvent]) -> Assign:
    """Return the function that finds a record's hard event by the particles that leave the hard process.

    They must be in the record with their momenta before the shower. The event with most of them is taken, or none
    if two have equally many.
    """
    hard = sorted((p[6:9], p.pdg_id, i) for i, event in enumerate(events) for p in outgoing(event))
    momenta, ids, owner = (np.array([entry[k] for entry in hard]) for k in range(3))

    def assign(record: Record) -> int | None:
        votes: Counter[int] = Counter()
        for pdg_id, momentum in zip(record.inner_id.tolist(), record.inner_momentum, strict=True):
            width = MATCHED * math.sqrt(float(momentum @ momentum))
            low, high = np.searchsorted(momenta[:, 0], (momentum[0] - width, momentum[0] + width))
            close = (np.abs(momenta[low:high] - momentum[:3]) < width).all(axis=1) & (ids[low:high] == pdg_id)
            votes.update(set(owner[low:high][close].tolist()))
        best = votes.most_common(2)
        if not best or (len(best) == 2 and best[0][1] == best[1][1]):
            return None
        return best[0][0]

    return assign
