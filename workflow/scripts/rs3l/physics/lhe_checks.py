"""What an event of an external file must fulfil before it is showered again and again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator

from rs3l.errors import DataError
from rs3l.physics.lhe import FINAL, INCOMING, HardEvent, Particle, check_conservation, incoming

CONSERVATION = 1e-4
"""Largest imbalance of the four-momentum relative to the energy, as in Pythia: other programs write few digits."""

_RESONANCES = (6, 7, 8, 17, 18, 23, 24, 25, 32, 33, 34, 35, 36, 37)
_QUARKS = range(1, 9)
_GLUON = 21


def check_event(where: str, event: HardEvent, ecm: float, undecayed: bool) -> None:
    """Raise :class:`DataError` that names ``where`` (file and event) for an event that cannot be re-simulated.

    ``undecayed``: whether it may have resonances that are not decayed.
    """
    for problem in _problems(event, ecm, undecayed):
        raise DataError(f"{where}: {problem}")
    try:
        check_conservation(event, CONSERVATION)
    except DataError as error:
        raise DataError(f"{where}: {error}; its generator wrote too few digits, or the file is damaged") from None


def is_undecayed(event: HardEvent) -> bool:
    """Return whether a resonance of the event is not decayed."""
    return any(p[1] == FINAL and abs(p[0]) in _RESONANCES for p in event.particles)


def _problems(event: HardEvent, ecm: float, undecayed: bool) -> Iterator[str]:
    for check in (_numbers, _beams(ecm), _mothers, _colours):
        yield from check(event)
    if not undecayed and is_undecayed(event):
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


def _beams(ecm: float) -> Callable[[HardEvent], Iterator[str]]:
    def check(event: HardEvent) -> Iterator[str]:
        energies = [p[9] for p in incoming(event)]
        if len(energies) != 2:
            yield f"{len(energies)} incoming particles (status -1) instead of 2: not a collision"
        elif max(energies) > ecm / 2 * (1 + CONSERVATION):
            yield f"an incoming parton has more energy ({max(energies):g} GeV) than its beam ({ecm / 2:g} GeV)"

    return check


def _mothers(event: HardEvent) -> Iterator[str]:
    if any(not 0 <= m <= len(event.particles) for p in event.particles for m in p[2:4]):
        yield "the mother of a particle is not in the event; get or generate the file again"


def _colours(event: HardEvent) -> Iterator[str]:
    """Every colour line must begin and end at an outer leg: quarks and gluons without one cannot be showered."""
    outer = [p for p in event.particles if p[1] in (INCOMING, FINAL)]
    if any((bool(p[4]), bool(p[5])) != tags for p in outer for tags in _expected(p)):
        yield "no complete colour flow: a shower cannot begin from it. Write the events with their colours"
    elif not _is_balanced(outer):
        yield "a colour line has one end only: the colour flow is broken; get or generate the file again"


def _expected(p: Particle) -> Iterator[tuple[bool, bool]]:
    """Yield whether a quark or gluon has a colour and an anticolour; nothing for other particles."""
    if abs(p[0]) in _QUARKS:
        yield p[0] > 0, p[0] < 0
    elif p[0] == _GLUON:
        yield True, True


def _is_balanced(outer: list[Particle]) -> bool:
    """Colour flows in with incoming colours and outgoing anticolours, and out with the others."""
    flow: Counter[int] = Counter()
    for p in outer:
        sign = 1 if p[1] == INCOMING else -1
        flow[p[4]] += sign
        flow[p[5]] -= sign
    return not any(count for line, count in flow.items() if line)
