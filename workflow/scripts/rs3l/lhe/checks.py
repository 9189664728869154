"""Checks that an event of an external file must pass before it is showered again and again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from rs3l.config.blocks import LheSource
from rs3l.errors import DataError
from rs3l.lhe.files import particle_lines
from rs3l.lhe.lhe import FINAL, INCOMING, HardEvent, Particle, check_conservation, incoming
from rs3l.pythia import new_pythia

CONSERVATION = 1e-4
"""Largest imbalance of the four-momentum relative to the energy, as in Pythia.

It is generous because other programs write few digits.
"""
ON_SHELL = 1e-4
"""Largest difference of E^2 - p^2 and m^2, relative to E^2, beyond what the written digits leave open."""
NEGATIVE = 1e-3
"""Largest negative energy relative to that of the event.

MadGraph 2.2 writes such an energy, of 0.3 GeV, in one of 10,000 events.
"""
DECAY = 1e-3
"""Largest difference of a decaying particle's four-momentum from that of its products, relative to its energy."""

MAX_PARTICLES = 500
"""Largest number of particles of an event (MAXNUP of hep-ph/0109068)."""

_RESONANCES = (6, 7, 8, 17, 18, 23, 24, 25, 32, 33, 34, 35, 36, 37)
_DECAYED = (2, 3)
_STATUS = {
    -9: "a beam: Pythia adds the beams itself. Leave them out, and count the mothers without them",
    -2: "a space-like intermediate one, which a shower cannot take. Leave it out; write one that decays with "
    "status 2",
}
_BY_COLOUR: dict[int | None, tuple[bool, bool]] = {1: (True, False), -1: (False, True), 2: (True, True)}
"""Whether a particle has a colour and an anticolour.

The keys are its colour types in Pythia, which are triplet, antitriplet and octet.
"""
_LARGEST = 2**31 - 1


def check_event(where: str, event: HardEvent, text: str, source: LheSource) -> None:
    """Raise :class:`DataError` that names ``where`` (file and event) for an event that cannot be re-simulated.

    ``text`` is the event as it is written. An event is refused if Pythia 8.317 fails on it, at once or in the
    middle of a shower, or silently takes it for something else.
    """
    for problem in _problems(event, text, source):
        raise DataError(f"{where}: {problem}")


def is_undecayed(event: HardEvent) -> bool:
    """Return whether a resonance of the event is not decayed."""
    return any(p.status == FINAL and abs(p.pdg_id) in _RESONANCES for p in event.particles)


def _problems(event: HardEvent, text: str, source: LheSource) -> Iterator[str]:
    """Yield what is wrong with an event.

    Only the first problem is used, because later checks may need what earlier ones demand.
    """
    if len(event.particles) > MAX_PARTICLES:
        yield f"{len(event.particles)} particles; the Les Houches accord allows {MAX_PARTICLES}"
    yield from _numbers(event)
    yield from _beams(event, source.ecm)
    yield from _codes(event, source.declared)
    yield from _ancestors(event)
    yield from _statuses(event)
    yield from _mothers(event)
    yield from _conserved(event)
    yield from _masses(event, text)
    yield from _decays(event)
    yield from _colours(event)
    if not source.undecayed and is_undecayed(event):
        yield (
            "a resonance is not decayed: each variant would decay it in another way. Decay it in the generator, "
            "or name its decays in `pythia` of the process"
        )


def _numbers(event: HardEvent) -> Iterator[str]:
    values = [event.weight, *event.weights.values(), event.alpha_qed, event.alpha_qcd]
    values += [x for p in event.particles for x in p[6:]]
    if not all(map(math.isfinite, values)):
        yield "a number is infinite or not a number; get or generate the file again"
    if not (math.isfinite(event.scale) and event.scale > 0):
        yield (
            f"SCALUP is {event.scale:g}: the shower would not know at which scale to begin; write the events with "
            "their factorisation scale"
        )


def _beams(event: HardEvent, ecm: float) -> Iterator[str]:
    energies = [p.energy for p in incoming(event)]
    if len(energies) != 2:
        yield f"{len(energies)} incoming particles (status -1) instead of 2: not a collision"
    elif max(energies) > ecm / 2 * (1 + CONSERVATION):
        yield f"an incoming parton has more energy ({max(energies):g} GeV) than its beam ({ecm / 2:g} GeV)"


def _codes(event: HardEvent, declared: Collection[int]) -> Iterator[str]:
    for code in {p.pdg_id for p in event.particles}:
        if abs(code) not in declared and not (abs(code) <= _LARGEST and _particle_data().isParticle(code)):
            yield (
                f"Pythia knows no particle {code}; declare it in generator.pythia (`{abs(code)}:new`), or correct "
                "the file"
            )


def _ancestors(event: HardEvent) -> Iterator[str]:
    """Yield a problem unless the mothers of each particle are in the event and lead to its beginning.

    Pythia would never find the beginning otherwise.
    """
    left = {position: {m for m in p.mothers if m} for position, p in enumerate(event.particles, 1)}
    if any(not 1 <= m <= len(event.particles) for mothers in left.values() for m in mothers):
        yield "the mother of a particle is not in the event; get or generate the file again"
    while done := [position for position, mothers in left.items() if not mothers & left.keys()]:
        for position in done:
            del left[position]
    if left:
        first = min(left)
        yield (
            f"particle {first} ({event.particles[first - 1].pdg_id}) is its own ancestor, or comes from one that "
            "is: correct the mothers"
        )


def _statuses(event: HardEvent) -> Iterator[str]:
    mothers = {m for p in event.particles for m in p.mothers}
    for position, p in enumerate(event.particles, 1):
        if p.status not in (INCOMING, FINAL, *_DECAYED):
            why = _STATUS.get(p.status, "which means nothing here")
            yield f"particle {position} ({p.pdg_id}) has the status {p.status}: {why}"
        elif p.status in _DECAYED and position not in mothers:
            yield (
                f"particle {position} ({p.pdg_id}) has the status {p.status}, of one that decays, and nothing "
                "comes from it: leave such copies out, or write its decay"
            )
        elif p.status == FINAL and position in mothers:
            yield f"particle {position} ({p.pdg_id}) has the status 1, of a final one, and others come from it"
    if any(p.status != INCOMING for p in event.particles[:2]):
        yield "the two incoming particles are not the first two: write them first"


def _mothers(event: HardEvent) -> Iterator[str]:
    """Yield a problem unless every particle comes from the collision or from one that decays.

    Pythia sorts the particles by their mothers.
    """
    particles = event.particles
    for position, p in enumerate(particles, 1):
        allowed = {(0, 0)} if p.status == INCOMING else {(1, 2), (2, 1)}
        if p.mothers in allowed:
            continue
        if p.status == INCOMING:
            yield (
                f"the incoming particle {position} ({p.pdg_id}) has the mothers {p.mother1} and {p.mother2}: "
                "write 0 and 0"
            )
        elif p.mother1 < 3 or p.mother2 not in (0, p.mother1):
            yield (
                f"particle {position} ({p.pdg_id}) has the mothers {p.mother1} and {p.mother2}: write 1 and 2, "
                "the incoming ones, or the one particle whose decay it is from"
            )
    yield from _only_daughters(particles)


def _only_daughters(particles: Sequence[Particle]) -> Iterator[str]:
    daughters: dict[int, list[int]] = {}
    for position, p in enumerate(particles, 1):
        daughters.setdefault(p.mother1, []).append(position)
    for mother, (first, *others) in daughters.items():
        if not others and particles[first - 1][2:4] == (mother, mother):
            yield (
                f"particle {first} ({particles[first - 1][0]}) is all that particle {mother} decays into, and "
                f"names it twice: write the mothers {mother} and 0"
            )


def _conserved(event: HardEvent) -> Iterator[str]:
    try:
        check_conservation(event, CONSERVATION)
    except DataError as error:
        yield f"{error}; its generator wrote too few digits, or the file is damaged"


def _masses(event: HardEvent, text: str) -> Iterator[str]:
    """Yield a problem if an energy is too negative, or E^2 - p^2 is not m^2.

    The mass of a space-like particle is written as a negative number.
    """
    lines: list[str] = []
    lowest = min(event.particles, key=lambda p: p.energy)
    if lowest.energy < -NEGATIVE * sum(p.energy for p in incoming(event)):
        yield f"a particle ({lowest[0]}) has an energy of {lowest[9]:g} GeV; get or generate the file again"
    for position, p in enumerate(event.particles):
        squared = p.energy**2 - p.px**2 - p.py**2 - p.pz**2
        difference, allowed = abs(squared - p.mass * abs(p.mass)), ON_SHELL * p.energy**2
        if difference > allowed:
            lines = lines or particle_lines(text)
            if difference > allowed + _left_open(lines[position]):
                yield (
                    f"particle {position + 1} ({p.pdg_id}) has E^2 - p^2 = {squared:.4g} GeV^2 and a mass of "
                    f"{p.mass:.4g} GeV: they do not agree; write the momenta of particles with these masses"
                )


def _left_open(line: str) -> float:
    """Return how far E^2 - p^2 - m^2 may be off by the rounding of the digits in a particle's line."""
    return sum(unit * (2 * abs(x) + unit) for x, unit in map(_rounded, line.split()[6:11]) if x)


def _rounded(token: str) -> tuple[float, float]:
    """Return a number and half a unit of its last digit."""
    mantissa, _, exponent = token.lower().partition("e")
    return float(token), 0.5 * float(f"1e{int(exponent or 0) - len(mantissa.partition('.')[2])}")


def _decays(event: HardEvent) -> Iterator[str]:
    """Yield a problem unless a decaying particle has the momentum and the colours of its products."""
    for position, mother in enumerate(event.particles, 1):
        if mother.status not in _DECAYED:
            continue
        products = [p for p in event.particles if p.mother1 == position]
        difference = max(abs(sum(p[k] for p in products) - mother[k]) for k in range(6, 10))
        if difference > DECAY * mother.energy:
            yield (
                f"particle {position} ({mother.pdg_id}) has not the momentum of what it decays into: they differ "
                f"by {difference:.4g} GeV; correct the mothers, or get the file again"
            )
        if _type(mother.pdg_id) in _BY_COLOUR and not _is_balanced([(mother, 1), *((p, -1) for p in products)]):
            yield (
                f"particle {position} ({mother.pdg_id}) has not the colours of what it decays into: the colour "
                "flow is broken; get or generate the file again"
            )


def _colours(event: HardEvent) -> Iterator[str]:
    """Yield a problem unless every colour line begins and ends at an outer leg.

    Quarks and gluons that have no colours cannot be showered.
    """
    for p in event.particles:
        if max(p.colour, p.anticolour) > _LARGEST or (
            min(p.colour, p.anticolour) < 0 and _type(p.pdg_id) not in (3, -3)
        ):
            colours = f"{p.colour} and {p.anticolour}"
            yield f"a particle ({p.pdg_id}) has the colours {colours}; write numbers from 501 on"
    outer = [p for p in event.particles if p.status in (INCOMING, FINAL)]
    if any(
        _type(p.pdg_id) in _BY_COLOUR and (bool(p.colour), bool(p.anticolour)) != _BY_COLOUR[_type(p.pdg_id)]
        for p in outer
    ):
        yield "no complete colour flow: a shower cannot begin from it. Write the events with their colours"
    elif not _is_balanced([(p, 1 if p.status == INCOMING else -1) for p in outer]):
        yield "a colour line has one end only: the colour flow is broken; get or generate the file again"
    elif any(p.colour == p.anticolour != 0 for p in outer if _type(p.pdg_id)):
        yield "a gluon is connected to itself: the colour flow is broken; get or generate the file again"


def _is_balanced(legs: Iterable[tuple[Particle, int]]) -> bool:
    """Return whether each line that begins at one leg ends at one other.

    Colour flows in with incoming colours (sign 1) and outgoing anticolours (sign -1), and out with the others.
    """
    begin: Counter[int] = Counter()
    end: Counter[int] = Counter()
    for p, sign in legs:
        if _type(p.pdg_id) != 0:  # Pythia forgets the colours of the others
            begin.update(p[4:5] if sign > 0 else p[5:6])
            end.update(p[5:6] if sign > 0 else p[4:5])
    del begin[0], end[0]
    return begin == end and all(count == 1 for count in begin.values())


@cache
def _type(code: int) -> int | None:
    """Return the colour type of a particle in Pythia, or None for one that Pythia does not know."""
    data = _particle_data()
    return int(data.colType(code)) if data.isParticle(code) else None


@cache
def _pythia() -> Any:
    """Return a Pythia that lives as long as its data are used."""
    return new_pythia()


def _particle_data() -> Any:
    return _pythia().particleData
