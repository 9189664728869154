"""The Les Houches interface that hands hard events in memory to Pythia and reseeds it for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rs3l.lhe.lhe import HardEvent, incoming
from rs3l.pythia import pythia_module

USER_PROCESS = 9999
"""Code of the process that the hard events are announced as."""


def memory_source(reseed: Callable[[int], None], ecm: float) -> Any:
    """Return a Les Houches interface that hands the events of ``load`` to Pythia.

    ``reseed`` is called with the index of each.

    The position of an event comes back as ``info.pdf1``, because Pythia silently skips events that fail at the
    process level, so that counting would not do. The factorisation scale of the PDF fields must be SCALUP, because
    VINCIA silently loses final-state radiation with 0.
    """

    class MemorySource(pythia_module().LHAup):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(3)
            self.load([])

        def load(self, events: Sequence[HardEvent]) -> None:
            self.events, self.position = events, -1

        @property
        def event(self) -> HardEvent:
            return self.events[self.position]

        def setInit(self) -> bool:  # noqa: N802
            self.setBeamA(2212, ecm / 2, 0, 0)
            self.setBeamB(2212, ecm / 2, 0, 0)
            self.addProcess(USER_PROCESS, 1.0, 0.0, 1.0)
            return True

        def setEvent(self, idProcess: int = 0) -> bool:  # noqa: N802
            self.position += 1
            if self.position >= len(self.events):
                return False
            event = self.event
            self.setProcess(USER_PROCESS, 1.0, event.scale, event.alpha_qed, event.alpha_qcd)
            for particle in event.particles:
                self.addParticle(*particle, -1.0)
            (id1, x1), (id2, x2) = ((p.pdg_id, p.energy / (ecm / 2)) for p in incoming(event))
            self.setIdX(id1, id2, x1, x2)
            self.setPdf(id1, id2, x1, x2, event.scale, float(self.position), 0.0, True)
            reseed(event.index)
            return True

    return MemorySource()
