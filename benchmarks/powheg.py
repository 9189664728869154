"""What a shower of POWHEG-like events without POWHEG's veto does to the jets, against one with it.

No file of POWHEG is needed: events with one more parton are made here. For `z_jet` and `z_qq` the parton is that
of the matrix element of Z + parton. For `hz_bb` and `dijets` it is the first emission of Pythia's shower, with its
Sudakov factor, as in POWHEG. SCALUP is the hardness of this emission as POWHEG defines it (arXiv:0709.2092):
the pT with respect to the beam of an initial-state one, and sqrt(2 k_i.k_j E_i E_j) / (E_i + E_j) in the partonic
rest frame of a final-state one. The same events are then showered in three ways:

- start: from SCALUP on (pTmaxMatch = 1), as this workflow does;
- all: over all of phase space (pTmaxMatch = 2), which counts emissions twice;
- veto: over all of phase space, where emissions harder than SCALUP are vetoed until three in a row were accepted,
  as Pythia's manual recommends (POWHEG:veto = 1, vetoCount = 3, pTdef = 1, emitted = 0, pTemt = 0, pThard = 0).

Prints one JSON line per process and way, with the matching efficiency and the jet's mean pT and mass [GeV], and
the differences to `veto`. Errors are those of a bootstrap over the hard events, which all ways share. Hard
events have pT above 240 GeV and weight 1; there are no multi-parton interactions.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rs3l.config import Campaign, blocks, load_campaign
from rs3l.config.library import library
from rs3l.config.processes import Process
from rs3l.hard.anchor import Anchor, find_anchor
from rs3l.hard.hard import generate_shard
from rs3l.lhe.lhe import FINAL, INCOMING, HardEvent, Particle, check_conservation, read_shard
from rs3l.lhe.memory import memory_source
from rs3l.pythia import Charges, new_pythia, pythia_module
from rs3l.resim.jet_table import jet_table
from rs3l.resim.shower import BATCH, Showerer, initialise, reseeders

REPOSITORY = Path(__file__).resolve().parent.parent
PROCESSES = ("z_qq", "z_jet", "hz_bb", "dijets")
MATRIX_ELEMENT = ("z_qq", "z_jet")
"""Processes whose hard events have the emission already."""
WAYS = {"start": (1, False), "all": (2, False), "veto": (2, True)}
"""pTmaxMatch, and whether emissions are vetoed."""
VETO_COUNT = 3
PT_MIN = 240.0
"""Of the hard process [GeV]; a jet needs 300."""
REPLICAS = 400
Floats = npt.NDArray[np.float64]


def hardness_of_pair(one: Any, other: Any, frame: Any) -> float:
    """Return POWHEG's hardness [GeV] of a final-state emission, in the rest frame of the momentum ``frame``."""
    first, second = one.p(), other.p()
    mass = (first + second).m2Calc() - first.m2Calc() - second.m2Calc()
    first.bstback(frame)
    second.bstback(frame)
    energy, emitted = first.e(), second.e()
    return math.sqrt(max(mass * energy * emitted, 0.0)) / (energy + emitted)


def hardness(event: Any, old: int, frame: Any) -> float:
    """Return the hardness [GeV] of the last emission, whose entries begin at ``old``; 0 for a photon."""
    new = range(old, event.size())
    emitted = [i for i in new if event[i].status() == 43]
    if emitted:
        return float(event[emitted[0]].pT()) if event[emitted[0]].isParton() else 0.0
    radiator, emission = (event[i] for i in [i for i in new if event[i].status() == 51][:2])
    return hardness_of_pair(radiator, emission, frame) if emission.isParton() else 0.0


def hook(pythia: Any, source: Any, reseed: Any, vetoes: bool) -> Any:
    """Return a hook that reseeds the hadronisation, vetoes emissions, and keeps the event after the first."""

    class Hook(pythia_module().UserHooks):  # type: ignore[misc]
        accepted, vetoed, looked_at = 0, 0, 0

        def begin(self) -> None:
            self.first: dict[int, tuple[list[Any], float]] = {}

        def frame(self, event: Any) -> Any:
            systems = pythia.partonSystems
            return event[systems.getInA(0)].p() + event[systems.getInB(0)].p()

        def canVetoMPIStep(self) -> bool:  # noqa: N802
            return vetoes

        def numberVetoMPIStep(self) -> int:  # noqa: N802
            return 1

        def doVetoMPIStep(self, number: int, event: Any) -> bool:  # noqa: N802
            self.accepted = 0
            return False

        def canVetoISREmission(self) -> bool:  # noqa: N802
            return vetoes

        def canVetoFSREmission(self) -> bool:  # noqa: N802
            return vetoes

        def doVetoISREmission(self, old: int, event: Any, system: int) -> bool:  # noqa: N802
            return system == 0 and self._is_vetoed(old, event)

        def doVetoFSREmission(self, old: int, event: Any, system: int, decay: bool = False) -> bool:  # noqa: N802
            return system == 0 and not decay and self._is_vetoed(old, event)

        def _is_vetoed(self, old: int, event: Any) -> bool:
            if self.accepted >= VETO_COUNT:
                return False
            self.looked_at += 1
            if hardness(event, old, self.frame(event)) > source.event.scale:
                self.accepted, self.vetoed = 0, self.vetoed + 1
                return True
            self.accepted += 1
            return False

        def canVetoStep(self) -> bool:  # noqa: N802
            return not vetoes

        def numberVetoStep(self) -> int:  # noqa: N802
            return 1

        def doVetoStep(self, place: int, initial: int, final: int, event: Any) -> bool:  # noqa: N802
            if initial + final == 1 and source.position not in self.first:
                self.first[source.position] = one_emission(pythia.partonSystems, event, self.frame(event))
            return False

        def canVetoPartonLevel(self) -> bool:  # noqa: N802
            return True

        def doVetoPartonLevel(self, event: Any) -> bool:  # noqa: N802
            reseed(source.event.index)
            return False

    result = Hook()
    result.begin()
    return result


def one_emission(systems: Any, event: Any, frame: Any) -> tuple[list[Particle], float]:
    """Return incoming and outgoing particles after the first emission, and its hardness [GeV]."""
    incoming = [plain(event[i], INCOMING, 0, 0) for i in (systems.getInA(0), systems.getInB(0))]
    chosen = [event[systems.getOut(0, i)] for i in range(systems.sizeOut(0))]
    leaving = sorted((plain(p, FINAL, 1, 2) for p in chosen), key=lambda p: -math.hypot(p.px, p.py))
    old = min(i for i in range(event.size()) if event[i].status() in (43, 51))
    return [*incoming, *leaving], hardness(event, old, frame)


def plain(p: Any, status: int, first: int, second: int) -> Particle:
    """Return an entry of Pythia's record as a particle of a Les Houches event."""
    momentum = p.px(), p.py(), p.pz(), p.e()
    return Particle(p.id(), status, first, second, p.col(), p.acol(), *momentum, p.m(), 0.0, 9.0)


def decayed(particles: list[Particle], born: HardEvent) -> list[Particle]:
    """Return the particles with the decays that they have in ``born``, boosted to where the mothers are now."""
    result = list(particles)
    for position, mother in enumerate(particles):
        old = [i for i, p in enumerate(born.particles) if p.pdg_id == mother.pdg_id and p.status == 2]
        if not old:
            continue
        result[position] = mother._replace(status=2)
        for p in born.particles:
            if p.mother1 == old[0] + 1:
                momentum = moved(p, born.particles[old[0]], mother)
                values = dict(zip(("px", "py", "pz", "energy"), momentum, strict=True))
                new = {"mother1": position + 1, "mother2": 0, **values}
                colours = {
                    "colour": p.colour and p.colour + 2000,
                    "anticolour": p.anticolour and p.anticolour + 2000,
                }
                result.append(p._replace(**new, **colours))
    return result


def moved(p: Particle, old: Particle, new: Particle) -> tuple[float, ...]:
    """Return the momentum of a product of a decay, boosted from the old mother to the new one."""
    vector = pythia_module().Vec4
    momentum, before, after = (vector(x.px, x.py, x.pz, x.energy) for x in (p, old, new))
    momentum.bstback(before)
    momentum.bst(after)
    return momentum.px(), momentum.py(), momentum.pz(), momentum.e()


class OneWay(Showerer):
    """Pythia, set up for one way to shower POWHEG's events."""

    def __init__(self, block: blocks.ResimBlock, way: str) -> None:
        """Initialise Pythia."""
        start, vetoes = WAYS[way]
        self._pythia = new_pythia()
        self._reseeders = reseeders(self._pythia, block)
        self._source = memory_source(self._reseeders[0], block.ecm)
        self._hook = hook(self._pythia, self._source, self._reseeders[1], vetoes)
        settings = {**block.pythia, "TimeShower:pTmaxMatch": start, "SpaceShower:pTmaxMatch": start}
        initialise(self._pythia, block, self._source, self._hook, settings, lambda: None)
        self._charge, self._bands = Charges(self._pythia), ()

    @property
    def hook(self) -> Any:
        """The hook, with what it has counted."""
        return self._hook


def with_emission(block: blocks.ResimBlock, born: Sequence[HardEvent]) -> list[HardEvent]:
    """Return the events with the first emission of the shower, without those that have none."""
    showerer = OneWay(block.model_copy(update={"pythia": {**block.pythia, "HadronLevel:all": False}}), "start")
    result = []
    for start in range(0, len(born), BATCH):
        some = born[start : start + BATCH]
        showerer.hook.begin()
        showerer.shower(some)
        for position, (particles, scale) in sorted(showerer.hook.first.items()):
            event = some[position]
            new = HardEvent(**{**vars(event), "particles": decayed(particles, event), "scale": scale})
            if scale > 0:
                check_conservation(new, 1e-4)
                result.append(new)
    return result


def with_scale(event: HardEvent) -> HardEvent:
    """Return an event of Z + parton with the pT of the parton as its SCALUP."""
    parton = next(
        p for p in event.particles if p.status == FINAL and p.mothers == (1, 2) and p.colour + p.anticolour
    )
    return HardEvent(**{**vars(event), "scale": math.hypot(parton.px, parton.py)})


def anchor_of(block: blocks.ResimBlock, event: HardEvent) -> Anchor:
    """Return the anchor; of two jets and an emission, one of the two partons of largest pT."""
    if block.anchor == "outgoing_parton":
        partons = [p for p in event.particles[2:] if p.colour or p.anticolour]
        event = HardEvent(**{**vars(event), "particles": [*event.particles[:2], *partons[:2]]})
    return find_anchor(event, block.anchor, block.anchor_choice)


def jets(block: blocks.ResimBlock, way: str, events: Sequence[HardEvent]) -> tuple[Floats, Any]:
    """Return pT and mass of the jet of each event [E, 2], NaN without one, and the hook."""
    showerer = OneWay(block.model_copy(update={"variant": f"powheg_{way}", "resample": "shower"}), way)
    result = []
    for start in range(0, len(events), BATCH):
        some = events[start : start + BATCH]
        table = jet_table(block, some, [anchor_of(block, e) for e in some], [showerer.shower(some)])
        columns = [table[name].to_numpy().astype(float) for name in ("jet_pt", "jet_mass")]
        result.append(np.stack(columns, axis=1))
    return np.concatenate(result), showerer.hook


def summary(values: Floats) -> Floats:
    """Return matching efficiency, mean pT and mean mass of jets [..., E, 2]."""
    found = np.isfinite(values[:, 0])
    return np.array([found.mean(), *values[found].mean(axis=0)])


def measure(config: Campaign, process: str, number: int) -> list[dict[str, Any]]:
    """Return the JSON lines of one process."""
    entry = {**library("processes")[process], "events": number, "pt_hat": {"min": PT_MIN}}
    ready = Process(**entry)
    short = config.jets.model_copy(update={"substructure": False})
    config = config.model_copy(update={"processes": {process: ready}, "events_per_shard": number, "jets": short})
    block = blocks.resim(config, process, "nominal")
    block = block.model_copy(update={"pythia": {**block.pythia, "PartonLevel:MPI": False}})
    with tempfile.TemporaryDirectory() as folder:
        generate_shard(blocks.hard(config, process, 0), Path(folder) / "hard.lhe.gz")
        born = read_shard(Path(folder) / "hard.lhe.gz")[1]
    events = list(map(with_scale, born)) if process in MATRIX_ELEMENT else with_emission(block, born)
    found = {way: jets(block, way, events) for way in WAYS}
    draws = np.random.default_rng(1).integers(0, len(events), (REPLICAS, len(events)))
    replicas = {way: np.array([summary(values[draw]) for draw in draws]) for way, (values, _) in found.items()}
    scales = np.percentile([event.scale for event in events], (16, 50, 84))
    lines = []
    for way, (values, seen) in found.items():
        change = summary(values) - summary(found["veto"][0])
        spread = (replicas[way] - replicas["veto"]).std(axis=0, ddof=1)
        names = ("efficiency", "pt", "mass")
        lines.append(
            {
                "benchmark": "POWHEG-like events",
                "process": process,
                "way": way,
                "events": len(events),
                "scalup": scales.round(1).tolist(),
                "vetoed_per_event": round(seen.vetoed / len(events), 3),
                **{
                    name: [round(float(x), 4), round(float(e), 4)]
                    for name, x, e in zip(names, summary(values), replicas[way].std(axis=0, ddof=1), strict=True)
                },
                **{
                    f"{name}_minus_veto": [round(float(x), 4), round(float(e), 4)]
                    for name, x, e in zip(names, change, spread, strict=True)
                },
            }
        )
    return lines


def main() -> None:
    """Measure each process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(REPOSITORY / "config" / "config.yaml"))
    parser.add_argument("--processes", nargs="*", default=list(PROCESSES), choices=PROCESSES)
    parser.add_argument("--events", type=int, default=4000)
    args = parser.parse_args()
    config = load_campaign(args.config)
    for process in args.processes:
        for line in measure(config, process, args.events):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
