"""Example of an external generator: Pythia 8 in a process of its own, Les Houches events in, HepMC3 out.

It uses nothing of this workflow: replace it by any program with the same contract (docs/resim.md). With --seeds,
each event begins from seeds of its own, so that it does not depend on the shard that it is in.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import pyhepmc
import pythia8mc

Seeds = dict[int, tuple[int, int]]
"""Seeds of shower and hadronisation, by the position of the event in the file."""


def main() -> None:
    """Parse the arguments and shower the events."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lhe", help="Les Houches events to read")
    parser.add_argument("out", help="HepMC3 file to write (ASCII; .gz compresses)")
    parser.add_argument("--seed", type=int, required=True, help="seed of the whole run")
    parser.add_argument("--seeds", help="table of seeds per event (CSV: number, key, shower, hadronisation)")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of Pythia")
    args = parser.parse_args()
    run(args.lhe, args.out, args.seed, read_seeds(args.seeds), args.set)


def read_seeds(path: str | None) -> Seeds:
    """Return the table of seeds; without one, the events follow from the seed of the run."""
    if path is None:
        return {}
    with Path(path).open(encoding="utf-8") as stream:
        return {
            int(row["number"]): (int(row["shower"]), int(row["hadronisation"])) for row in csv.DictReader(stream)
        }


def run(lhe: str, out: str, seed: int, seeds: Seeds, settings: list[str]) -> None:
    """Shower all events of a file; an event that Pythia cannot complete is left out."""
    pythia = pythia8mc.Pythia("", False)
    source = reseeding_source(pythia, lhe, seeds)  # Pythia keeps pointers to these two
    hook = reseeding_hook(pythia, source, seeds)
    for line in [
        "Print:quiet = on",
        *settings,
        "Beams:frameType = 5",
        "Random:setSeed = on",
        f"Random:seed = {seed}",
    ]:
        if not pythia.readString(line):
            raise SystemExit(f"Pythia does not accept `{line}`")
    pythia.setUserHooksPtr(hook)
    if not pythia.setLHAupPtr(source) or not pythia.init():
        raise SystemExit(f"Pythia cannot begin with {lhe}")
    with pyhepmc.open(out, "w") as stream:
        while not pythia.infoPython().atEndOfFile():
            if pythia.next():
                stream.write(hepmc_event(pythia, source.number))


def reseeding_source(pythia: Any, lhe: str, seeds: Seeds) -> Any:
    """Return Pythia's reader of Les Houches files; it counts the events and reseeds for the shower of each."""
    info = pythia.infoPython()

    class Source(pythia8mc.LHAupLHEF):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(info, lhe)
            self.number = -1

        def setEvent(self, idProcess: int = 0) -> bool:  # noqa: N802
            found = bool(super().setEvent(idProcess))
            self.number += found
            if found and seeds:
                pythia.rndm.init(seeds[self.number][0])
            return found

    return Source()


def reseeding_hook(pythia: Any, source: Any, seeds: Seeds) -> Any:
    """Return a hook that reseeds between shower and hadronisation, and vetoes nothing."""

    class Hook(pythia8mc.UserHooks):  # type: ignore[misc]
        def canVetoPartonLevel(self) -> bool:  # noqa: N802
            return bool(seeds)

        def doVetoPartonLevel(self, event: Any) -> bool:  # noqa: N802
            pythia.rndm.init(seeds[source.number][1])
            return False

    return Hook()


def hepmc_event(pythia: Any, number: int) -> pyhepmc.GenEvent:
    """Return Pythia's record as a HepMC event: a vertex for each set of mothers."""
    record = pythia.event
    event = pyhepmc.GenEvent(pyhepmc.Units.GEV, pyhepmc.Units.MM)
    event.event_number = number
    particles = [_particle(record[i]) for i in range(record.size())]
    ends: dict[int, pyhepmc.GenVertex] = {}
    for i in range(1, record.size()):
        mothers = [m for m in record[i].motherList() if m > 0]
        if not mothers:
            continue
        vertex = ends.get(mothers[0])
        if vertex is None:
            vertex = pyhepmc.GenVertex(
                (record[i].xProd(), record[i].yProd(), record[i].zProd(), record[i].tProd())
            )
        for m in mothers:
            if m not in ends:
                ends[m] = vertex
                vertex.add_particle_in(particles[m])
        vertex.add_particle_out(particles[i])
    event.add_tree(particles[1:3])
    return event


def _particle(p: Any) -> pyhepmc.GenParticle:
    return pyhepmc.GenParticle((p.px(), p.py(), p.pz(), p.e()), p.id(), p.statusHepMC())


if __name__ == "__main__":
    main()
