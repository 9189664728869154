"""The anchor is the hard boson or parton that a jet belongs to, the same in all views of a hard event."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from rs3l.errors import DataError
from rs3l.hard.jet_types import hard_type
from rs3l.lhe.lhe import FINAL, INCOMING, HardEvent, Particle

_QUARKS_AND_GLUON = (1, 2, 3, 4, 5, 21)
_ALONG_THE_BEAM = 1e-6
"""Largest pT of a particle along the beam, relative to its energy, which the rounding of written digits leaves."""


@dataclass(frozen=True)
class Anchor:
    """The hard particle, with its PDG code, kinematics [GeV], and the type of its jet (``rs3l.hard.jet_types``).

    An anchor along the beam, as in every leading-order gg -> H, has an infinite ``eta``, so no jet is near it.
    """

    pdg_id: int
    pt: float
    eta: float
    phi: float
    energy: float
    jet_type: str

    @property
    def has_direction(self) -> bool:
        """Whether it moves across the beam, so that a jet can be near it."""
        return self.pt > _ALONG_THE_BEAM * self.energy


def find_anchor(
    event: HardEvent,
    anchor: Literal["outgoing_parton"] | list[int],
    choice: Literal["unique", "alternate"],
) -> Anchor:
    """Return the hard particle that ``anchor`` names.

    ``outgoing_parton`` is the quark or gluon that leaves the hard process, not one from a resonance's decay. If
    there are several, ``alternate`` takes one by the event's index, which is independent of their kinematics.
    Raises :class:`DataError` if there is none, or, with ``unique``, more than one.
    """
    if anchor == "outgoing_parton":
        found = [i for i, p in enumerate(event.particles) if _is_outgoing_parton(event, p)]
    else:
        codes = set(map(abs, anchor))
        found = [i for i, p in enumerate(event.particles) if p.status != INCOMING and abs(p.pdg_id) in codes]
    if found and choice == "alternate":
        return _anchor(event, found[event.index % len(found)])
    if len(found) != 1:
        raise DataError(
            f"hard event {event.index} has {len(found)} particles that match the anchor {anchor}, not one; "
            "change `anchor` of its process, or set `anchor_choice: alternate`"
        )
    return _anchor(event, found[0])


def _is_outgoing_parton(event: HardEvent, particle: Particle) -> bool:
    if particle.status != FINAL or abs(particle.pdg_id) not in _QUARKS_AND_GLUON:
        return False
    mothers = [event.particles[m - 1] for m in particle.mothers if m > 0]
    return all(mother.status == INCOMING for mother in mothers)


def _anchor(event: HardEvent, position: int) -> Anchor:
    code, (px, py, pz, energy) = event.particles[position].pdg_id, event.particles[position].momentum
    daughters = [p.pdg_id for p in event.particles if p.mother1 == position + 1]
    pt = math.hypot(px, py)
    eta = math.asinh(pz / pt) if pt else math.copysign(math.inf, pz)
    return Anchor(code, pt, eta, math.atan2(py, px), energy, hard_type(code, daughters))
