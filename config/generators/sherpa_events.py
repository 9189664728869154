"""Sherpa 3 makes whole events: its hard processes as Les Houches events, its own final states as HepMC3.

Sherpa cannot shower the events of others, but others can shower its own. A process of the campaign reads the Les
Houches file (key `lhe`); the final states are one view of it (recorded.py). It uses nothing of this workflow, and
needs the Python packages sherpa-mc and pyhepmc.

Sherpa's Python interface gives no colours. They are set where there is one way only: a boson with or without
another one, or with one parton, and decays of bosons into quarks. Anything else is refused.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyhepmc

GLUON = 21
QUARKS = range(1, 7)
RESONANCES = (6, 23, 24, 25)


@dataclass
class Parton:
    """A line of a Les Houches event; ``mothers`` count from 1, ``momentum`` is px, py, pz, E, m in GeV."""

    pdg_id: int
    status: int
    mothers: tuple[int, int]
    momentum: tuple[float, ...]
    colours: tuple[int, int] = (0, 0)


def main() -> None:
    """Parse the arguments and make the events."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("card", help="Sherpa's run card (YAML)")
    parser.add_argument("--events", type=int, required=True, help="number of events")
    parser.add_argument("--seed", type=int, required=True, help="another one for each file")
    parser.add_argument("--lhe", required=True, help="Les Houches file to write (gzipped)")
    parser.add_argument("--hepmc", required=True, help="HepMC3 file to write (gzipped)")
    args = parser.parse_args()
    run(args.card, args.events, args.seed, Path(args.lhe), Path(args.hepmc))


def run(card: str, events: int, seed: int, lhe: Path, hepmc: Path) -> None:
    """Make both files; each gets its name when it is complete."""
    import Sherpa  # of the package sherpa-mc

    words = ["Sherpa", card, f"RANDOM_SEED: {seed}", "EVENTS: 1"]
    generator = Sherpa.Sherpa(len(words), words)
    generator.InitializeTheRun()
    generator.InitializeTheEventHandler()
    hard: list[str] = []
    temporary = hepmc.with_name(f"{hepmc.name}.tmp")
    with gzip.open(temporary, "wb") as stream, pyhepmc.open(stream, "w", format="HepMC3") as records:
        while len(hard) < events:
            if generator.GenerateOneEvent():
                blobs = list(generator.GetBlobList())
                records.write(final_state(blobs, len(hard)))
                hard.append(lhe_event(hard_process(blobs)))
    write_lhe(lhe, hard, generator.TotalXS(), generator.TotalErr())
    temporary.rename(hepmc)


def pdg_id(particle: Any) -> int:
    """Return the code of a particle, negative for an antiparticle."""
    flavour = particle.Flav()
    return int(-flavour.Kfcode() if flavour.IsAnti() else flavour.Kfcode())


def momentum(particle: Any) -> tuple[float, ...]:
    """Return px, py, pz, E in GeV."""
    p = particle.Momentum()
    return float(p[1]), float(p[2]), float(p[3]), float(p[0])


def hard_process(blobs: Sequence[Any]) -> list[Parton]:
    """Return the hard process before its shower: incoming partons, resonances, and what they decay to."""
    signal = next(blob for blob in blobs if "__" in blob.TypeSpec())
    partons = [_parton(signal.InPart(i), -1, (0, 0)) for i in range(signal.NInP())]
    out = [signal.OutPart(i) for i in range(signal.NOutP())]
    _append(partons, out, (1, 2))
    coloured = [p for p in partons if p.mothers == (1, 2) and is_coloured(p.pdg_id)]
    for parton, colours in zip([*partons[:2], *coloured], production(partons[:2], coloured), strict=True):
        parton.colours = colours
    return partons


def _parton(particle: Any, status: int, mothers: tuple[int, int]) -> Parton:
    return Parton(pdg_id(particle), status, mothers, (*momentum(particle), float(particle.Flav().Mass())))


def _append(partons: list[Parton], particles: Sequence[Any], mothers: tuple[int, int]) -> None:
    """Append particles with one mother or two, and after each resonance the particles of its decay."""
    for particle in particles:
        is_resonance = abs(pdg_id(particle)) in RESONANCES
        partons.append(_parton(particle, 2 if is_resonance else 1, mothers))
        if is_resonance:
            place, decay = len(partons), particle.DecBlob()
            _append(partons, [decay.OutPart(i) for i in range(decay.NOutP())], (place, place))
            daughters = [p for p in partons[place:] if p.mothers == (place, place)]
            for daughter, colours in zip(daughters, decay_colours(daughters, 500 + place), strict=True):
                daughter.colours = colours


def is_coloured(code: int) -> bool:
    """Return whether a particle of the Standard Model has colour."""
    return abs(code) in QUARKS or code == GLUON


def decay_colours(daughters: Sequence[Parton], line: int) -> list[tuple[int, int]]:
    """Return the colours in the decay of a boson: none, or one line from quark to antiquark."""
    codes = [p.pdg_id for p in daughters]
    quarks = sorted(code > 0 for code in codes if is_coloured(code))
    if quarks not in ([], [False, True]) or GLUON in codes:
        raise SystemExit(f"the colour flow in a decay to {codes} is not unique: not supported")
    return [((line, 0) if code > 0 else (0, line)) if is_coloured(code) else (0, 0) for code in codes]


def production(incoming: Sequence[Parton], coloured: Sequence[Parton]) -> list[tuple[int, int]]:
    """Return the colours of the incoming partons and of what they make, if there is one way only."""
    codes = [p.pdg_id for p in incoming]
    out = [p.pdg_id for p in coloured]
    is_quark = [code != GLUON for code in codes]
    if out == [] and is_quark == [False, False]:
        return [(501, 502), (502, 501)]
    if out == [] and sum(codes) == 0:
        return [_line(code, 501) for code in codes]
    if out == [GLUON] and all(is_quark) and codes[0] * codes[1] < 0:
        lines = [501 if code > 0 else 502 for code in codes]
        return [*(_line(*pair) for pair in zip(codes, lines, strict=True)), (501, 502)]
    if len(out) == 1 and sum(is_quark) == 1 and out[0] != GLUON:
        gluon = (502, 501) if out[0] > 0 else (501, 502)
        return [*(_line(code, 501) if code != GLUON else gluon for code in codes), _line(out[0], 502)]
    raise SystemExit(f"the colour flow of {codes} -> {out} is not unique: not supported")


def _line(code: int, line: int) -> tuple[int, int]:
    return (line, 0) if code > 0 else (0, line)


def scale(partons: Sequence[Parton]) -> float:
    """Return the scale at which a shower starts: the smallest transverse mass of what is made [GeV]."""
    made = [p.momentum for p in partons if p.mothers == (1, 2)]
    return float(min((px**2 + py**2 + m**2) ** 0.5 for px, py, _, _, m in made))


def lhe_event(partons: Sequence[Parton]) -> str:
    """Return an event of weight 1 with all digits."""
    lines = [f"{len(partons)} 1 1.0 {scale(partons):.16e} -1 -1"]
    for p in partons:
        numbers = " ".join(f"{x:.16e}" for x in p.momentum)
        lines.append(
            f"{p.pdg_id} {p.status} {p.mothers[0]} {p.mothers[1]} {p.colours[0]} {p.colours[1]} {numbers} 0 9"
        )
    return "<event>\n" + "\n".join(lines) + "\n</event>\n"


def write_lhe(path: Path, events: Sequence[str], cross_section: float, error: float) -> None:
    """Write the Les Houches file; cross-section and error in pb."""
    temporary = path.with_name(f"{path.name}.tmp")
    with gzip.open(temporary, "wt", encoding="utf-8") as stream:
        stream.write(f'<LesHouchesEvents version="3.0">\n<!-- Sherpa; {len(events)} events -->\n<init>\n')
        stream.write("2212 2212 6500 6500 0 0 0 0 3 1\n")
        stream.write(f"{cross_section:.10e} {error:.10e} 1.0 1\n</init>\n")
        stream.writelines(events)
        stream.write("</LesHouchesEvents>\n")
    temporary.rename(path)


def final_state(blobs: Sequence[Any], number: int) -> pyhepmc.GenEvent:
    """Return beams and stable particles as a HepMC event; the displaced ones begin where their parent decayed."""
    event = pyhepmc.GenEvent(pyhepmc.Units.GEV, pyhepmc.Units.MM)
    event.event_number = number
    beams = [_hepmc(p, 4) for p in _beams(blobs)]
    primary = pyhepmc.GenVertex((0, 0, 0, 0))
    vertices = [primary]  # nothing else holds them until they belong to the event
    for beam in beams:
        primary.add_particle_in(beam)
    for blob in blobs:
        stable = [p for p in (blob.OutPart(i) for i in range(blob.NOutP())) if not p.HasDecBlob()]
        vertex = primary
        if stable and blob.NInP() == 1 and any(blob.Position()[i] for i in range(1, 4)):
            parent = _hepmc(blob.InPart(0), 2)
            primary.add_particle_out(parent)
            vertex = pyhepmc.GenVertex(tuple(blob.Position()[i] for i in (1, 2, 3, 0)))
            vertex.add_particle_in(parent)
            vertices.append(vertex)
        for particle in stable:
            vertex.add_particle_out(_hepmc(particle, 1))
    event.add_tree(beams)
    return event


def _beams(blobs: Sequence[Any]) -> Iterator[Any]:
    for blob in blobs:
        if blob.NInP() == 1 and not blob.InPart(0).HasProdBlob():
            yield blob.InPart(0)


def _hepmc(particle: Any, status: int) -> pyhepmc.GenParticle:
    return pyhepmc.GenParticle(momentum(particle), pdg_id(particle), status)


if __name__ == "__main__":
    main()
