"""Jet types as RS3L labels them (arXiv:2403.07066), from the hard event and a gluon's first splitting.

| type | the anchor is |
| --- | --- |
| q, c, b | a quark: u, d or s; c; b |
| g_qq, g_cc, g_bb, g_gg | a gluon, by its first splitting in the nominal shower |
| g | a gluon that does not split there, or whose splitting is not known |
| H, W, top | a Higgs boson, a W boson, a top quark |
| Z_qq, Z_cc, Z_bb | a Z boson, by its decay; Z for any other decay |
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

GLUON = 21
_OUTGOING, _HARD_ENTRIES = 23, 30
_QUARKS = {1: "q", 2: "q", 3: "q", 4: "c", 5: "b"}
_OTHERS = {6: "top", GLUON: "g", 23: "Z", 24: "W", 25: "H"}


def hard_type(pdg_id: int, daughters: Sequence[int]) -> str:
    """Return the type that the hard event alone gives, from the anchor's PDG code and those of its daughters."""
    code = abs(pdg_id)
    flavours = {abs(daughter) for daughter in daughters}
    if code == 23 and len(flavours) == 1 and flavours <= set(_QUARKS):
        quark = _QUARKS[flavours.pop()]
        return f"Z_{2 * quark}"
    return _QUARKS.get(code) or _OTHERS.get(code, str(pdg_id))


class GluonSplittings:
    """A recorder of the parton level (``rs3l.resim.shower``) that notes the first splittings of gluons.

    ``directions`` gives eta and phi of the hard gluon, for the positions of the events that have one as anchor.
    """

    def __init__(self, directions: Mapping[int, tuple[float, float]]) -> None:
        """Look at the events in ``directions`` only."""
        self._directions = directions
        self.types: dict[int, str] = {}

    def __call__(self, position: int, event: Any) -> None:
        """Note the type of one event, where a second attempt at the same event replaces the first."""
        direction = self._directions.get(position)
        if direction is not None:
            start = _hard_gluon(event, *direction)
            self.types[position] = "g" if start is None else first_splitting(event, start)


def first_splitting(event: Any, start: int) -> str:
    """Return g_qq, g_cc, g_bb or g_gg by the first splitting of the gluon at ``start``, or g if there is none.

    ``event`` is Pythia's record, in which copies of a particle, made by recoils, have one daughter and a splitting
    has two.
    """
    particle = event[start]
    while particle.daughter1() > 0 and particle.daughter2() in (0, particle.daughter1()):
        particle = event[particle.daughter1()]
    first, second = particle.daughter1(), particle.daughter2()
    if first == 0 or second != first + 1:
        return "g"
    codes = event[first].id(), event[second].id()
    if codes == (GLUON, GLUON):
        return "g_gg"
    quark = _QUARKS.get(abs(codes[0]))
    return f"g_{2 * quark}" if quark and codes[0] == -codes[1] else "g"


def _hard_gluon(event: Any, eta: float, phi: float) -> int | None:
    """Return the outgoing gluon of the hard process nearest to a direction."""
    found = [
        (math.hypot(p.eta() - eta, math.remainder(p.phi() - phi, 2 * math.pi)), i)
        for i in range(min(event.size(), _HARD_ENTRIES))
        if (p := event[i]).id() == GLUON and abs(p.status()) == _OUTGOING
    ]
    return min(found)[1] if found else None
