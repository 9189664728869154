"""Overlay of pile-up: each event draws a Poisson number of events of the pool from a stream of its own.

Shapes count E events, N interactions drawn for all of them, and T particles of all events, flat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from rs3l.config.blocks import PileupBlock
from rs3l.resim.pileup.particles import Columns
from rs3l.resim.pileup.pool import Pool
from rs3l.resim.shower import PER_EVENT, Particles
from rs3l.types import Bools, Floats64, Ints

INTERACTIONS = 1500
"""Interactions that are overlaid at a time, about 200,000 particles; memory depends on it, but not the results."""


@dataclass(frozen=True)
class Drawn:
    """Interactions [N] that are overlaid on an event, or on several, one after another.

    ``event`` is the index in the pool. Its particles are turned by ``phi`` about the beam, mirrored where
    ``side`` is -1, and moved by ``z`` [mm] from the hard vertex. ``found`` says whether its vertex is told from
    the hard one.
    """

    event: Ints
    phi: Floats64
    side: Floats64
    z: Floats64
    found: Bools


@dataclass(frozen=True)
class Overlaid:
    """Particles of events with their pile-up; ``apart`` [T] says which come from vertices that are told apart."""

    particles: Particles
    apart: Bools


def draw(block: PileupBlock, seed: int) -> Drawn:
    """Return the interactions of one event; no event of the pool is drawn twice.

    All random numbers are drawn whatever they are used for, so that views with other settings of the subtraction
    have the same pile-up.
    """
    settings = block.settings
    generator = np.random.Generator(np.random.Philox(seed))
    number = int(generator.poisson(settings.mean))
    event = generator.choice(block.pool.events, number, replace=False, shuffle=False)
    hard_z = generator.standard_normal()
    z = settings.vertex_sigma * (generator.standard_normal(number) - hard_z)
    phi = generator.uniform(0.0, 2 * np.pi, number)
    side = np.where(generator.random(number) < 0.5, -1.0, 1.0)
    found = generator.random(number) < settings.vertex_efficiency
    return Drawn(event.astype(np.int64), phi, side, z, found & (np.abs(z) >= settings.vertex_separation))


def overlay(particles: Particles, drawn: Sequence[Drawn], pool: Pool) -> Overlaid:
    """Return the particles of each event [E], then those of the interactions ``drawn`` for it [E]."""
    if not drawn:
        return Overlaid(particles, np.zeros(0, bool))
    numbers = np.array([len(one.event) for one in drawn], np.int64)
    joined = Drawn(*(np.concatenate([getattr(one, field.name) for one in drawn]) for field in fields(Drawn)))
    sizes, found = pool.take(joined.event)
    extra = _placed(joined, sizes, found)
    hard = np.repeat(np.arange(len(numbers)), np.diff(particles.offsets))
    owner = np.concatenate([hard, np.repeat(np.repeat(np.arange(len(numbers)), numbers), sizes)])
    order = np.argsort(owner, kind="stable")
    columns = {name: np.concatenate([getattr(particles, name), extra[name]])[order] for name in extra}
    apart = np.concatenate([np.zeros(len(hard), bool), np.repeat(joined.found, sizes)])[order]
    return Overlaid(replace(particles, offsets=_offsets(owner, len(numbers)), **columns), apart)


def _placed(drawn: Drawn, sizes: Ints, found: Columns) -> dict[str, Ints | Floats64]:
    """Return the columns [T] of the interactions, turned, mirrored and moved."""
    cosine, sine, side, z = (
        np.repeat(values, sizes) for values in (np.cos(drawn.phi), np.sin(drawn.phi), drawn.side, drawn.z)
    )
    px, py, pz, mass, vx, vy, vz = (
        found[name].astype(np.float64) for name in ("px", "py", "pz", "mass", "vx", "vy", "vz")
    )
    return {
        "pdg_id": found["pdg_id"].astype(np.int64),
        "charge": found["charge"].astype(np.float64),
        "px": cosine * px - sine * py,
        "py": sine * px + cosine * py,
        "pz": side * pz,
        "energy": np.sqrt(px**2 + py**2 + pz**2 + mass**2),
        "vx": cosine * vx - sine * vy,
        "vy": sine * vx + cosine * vy,
        "vz": side * vz + z,
    }


def _offsets(owner: Ints, events: int) -> Ints:
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=events))]).astype(np.int64)


def pieces(particles: Particles, mean: float) -> Iterator[Particles]:
    """Yield a few events at a time, so many that their pile-up of ``mean`` interactions fits into memory."""
    step = max(1, int(INTERACTIONS / (1 + mean)))
    for first in range(0, max(1, len(particles.position)), step):
        yield _between(particles, first, min(first + step, len(particles.position)))


def _between(particles: Particles, first: int, end: int) -> Particles:
    start, stop = particles.offsets[first], particles.offsets[end]
    columns = {name: values[start:stop] for name, values in particles.columns().items()}
    per_event = {name: getattr(particles, name)[first:end] for name in PER_EVENT}
    return Particles(offsets=particles.offsets[first : end + 1] - start, **per_event, **columns)


def only(particles: Particles, kept: Bools) -> Particles:
    """Return the same events with the particles that are ``kept`` [T]."""
    owner = np.repeat(np.arange(len(particles.position)), np.diff(particles.offsets))[kept]
    columns = {name: values[kept] for name, values in particles.columns().items()}
    return replace(particles, offsets=_offsets(owner, len(particles.position)), **columns)
