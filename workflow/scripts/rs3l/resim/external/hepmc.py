"""Read visible stable particles and hard partons from HepMC3 files (ASCII, plain or gzipped) of generators."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyhepmc

from rs3l.errors import GeneratorError
from rs3l.resim.shower import NEUTRINOS
from rs3l.types import Floats64, Ints

_STABLE = 1
_DAMAGE = (OSError, EOFError, zlib.error, RuntimeError, UnicodeDecodeError)


@dataclass(frozen=True)
class Record:
    """One event, with its number, its visible stable particles, and all others.

    ``pdg_id`` [N], ``momentum`` [N, 4] (px, py, pz, E in GeV) and ``vertex`` [N, 3] (production vertex in mm) are
    those of the visible stable particles. ``inner_id`` [M] and ``inner_momentum`` [M, 4] are those of particles
    that are not stable, the hard partons among them. ``weight`` is the first that is written, or 1.
    """

    number: int
    pdg_id: Ints
    momentum: Floats64
    vertex: Floats64
    inner_id: Ints
    inner_momentum: Floats64
    weight: float = 1.0


def read_records(path: str | Path) -> Iterator[Record]:
    """Yield the events of a file, with only one of them in memory at a time.

    Raises :class:`GeneratorError` where the file turns out to be missing, empty, damaged, truncated or foreign.
    """
    announced, complete = _announced(path)
    count = 0
    with _open(path) as stream, pyhepmc.open(stream) as events:
        for event in events:
            yield _record(event)
            count += 1
    if count != announced or not complete:
        end = "" if complete else ", and the line that ends a HepMC file is missing"
        raise GeneratorError(
            f"its HepMC3 output is truncated or damaged: {count} of {announced} events are whole{end}"
        )


def _open(path: str | Path) -> Any:
    with open(path, "rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if zipped else open(path, "rb")


def _announced(path: str | Path) -> tuple[int, bool]:
    """Return the number of events that begin in a file, and whether it ends as a HepMC file does.

    This is needed because the library's reader stops without an error at the first thing that it cannot read.
    """
    count, last, foreign = 0, b"", True
    try:
        with _open(path) as stream:
            for line in stream:
                count += line.startswith(b"E ")
                last = line if line.strip() else last
                foreign = foreign and not line.startswith(b"HepMC::")
    except FileNotFoundError:
        raise GeneratorError("it wrote no output: the placeholder {out} says where to") from None
    except _DAMAGE as error:
        raise GeneratorError(f"its HepMC3 output is truncated or damaged ({error})") from None
    if foreign:
        raise GeneratorError("its output is not a HepMC3 file (ASCII, plain or gzipped)")
    return count, b"END_EVENT_LISTING" in last


def _record(event: pyhepmc.GenEvent) -> Record:
    event.set_units(pyhepmc.Units.GEV, pyhepmc.Units.MM)
    table = event.numpy.particles
    pdg_id, momentum = table.pid.astype(np.int64), np.stack([table.px, table.py, table.pz, table.e], axis=1)
    stable = table.status == _STABLE
    visible = np.flatnonzero(stable & ~np.isin(np.abs(pdg_id), NEUTRINOS))
    particles = event.particles
    vertices = [particles[i].production_vertex for i in visible.tolist()]
    vertex = [(v.position.x, v.position.y, v.position.z) if v else (0.0, 0.0, 0.0) for v in vertices]
    return Record(
        number=event.event_number,
        pdg_id=pdg_id[visible],
        momentum=momentum[visible],
        vertex=np.array(vertex, dtype=float).reshape(-1, 3),
        inner_id=pdg_id[~stable],
        inner_momentum=momentum[~stable],
        weight=float(event.weights[0]) if len(event.weights) else 1.0,
    )
