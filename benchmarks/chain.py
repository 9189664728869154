"""The re-simulation job against the usual chain of programs, in one run.

In the chain, Pythia writes a HepMC3 file (gzipped), a Python loop reads it, FastJet runs event by event, and
padded arrays go to HDF5 (gzip). Both have the same hard events and settings, the nearest jet to the hard
particle, soft-drop mass, and the leading candidates. The chain's Pythia writes HepMC through Python, which a C++
program does faster, so the ratios are given with and without the time of that conversion. Prints one JSON line
with the CPU time per event of each step, the ratio of the events per second, and the disk of both [kB per event].
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fastjet
import h5py
import numpy as np
import pyhepmc

from rs3l.config import blocks, load_campaign
from rs3l.hard.anchor import find_anchor
from rs3l.hard.hard import generate_shard
from rs3l.lhe.lhe import read_shard
from rs3l.pythia import apply_settings, new_pythia
from rs3l.resim.resim import resimulate_shard

REPOSITORY = Path(__file__).resolve().parent.parent

NEUTRINOS = {12, 14, 16}
FEATURES = 8
Times = dict[str, float]


def example_generator() -> Any:
    """Return the module of the example generator, for its conversion of events to HepMC3."""
    path = REPOSITORY / "config" / "generators" / "pythia_hepmc.py"
    spec = importlib.util.spec_from_file_location("pythia_hepmc", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def timed(times: Times, step: str) -> Iterator[None]:
    """Add the CPU time of a block to a step."""
    start = time.process_time()
    yield
    times[step] += time.process_time() - start


def simulate(block: blocks.ResimBlock, hard: Path, out: Path, times: Times) -> None:
    """Shower the events of a file and write all particles of each."""
    convert = example_generator().hepmc_event
    with timed(times, "generate"):
        pythia = new_pythia()
        apply_settings(pythia, block.pythia)
        apply_settings(pythia, {"Beams:frameType": 4, "Beams:LHEF": str(hard)})
        pythia.init()
    with pyhepmc.open(str(out), "w") as stream:
        number = 0
        while True:
            with timed(times, "generate"):
                done = pythia.next()
            if not done:
                if pythia.infoPython().atEndOfFile():
                    break
                continue
            with timed(times, "convert"):
                event = convert(pythia, number)
            with timed(times, "write_hepmc"):
                stream.write(event)
            number += 1


def nearest_jet(event: Any, eta: float, phi: float, radius: float, pt_min: float) -> Any:
    """Return the jet of one event nearest to a direction, or None, with its candidates and soft-drop mass."""
    particles = []
    for p in event.particles:
        if p.status == 1 and abs(p.pid) not in NEUTRINOS:
            jet = fastjet.PseudoJet(p.momentum.px, p.momentum.py, p.momentum.pz, p.momentum.e)
            jet.set_user_index(p.pid)
            particles.append(jet)
    sequence = fastjet.ClusterSequence(particles, fastjet.JetDefinition(fastjet.antikt_algorithm, radius))
    axis = fastjet.PtYPhiM(1.0, eta, phi)
    jets = sequence.inclusive_jets(pt_min)
    near = sorted((jet.delta_R(axis), i) for i, jet in enumerate(jets))
    if not near or near[0][0] > radius:
        return None
    jet = jets[near[0][1]]
    candidates = sorted(jet.constituents(), key=lambda c: -c.pt())
    return jet, candidates, soft_drop_mass(candidates, radius)


def soft_drop_mass(candidates: list[Any], radius: float, zcut: float = 0.1) -> float:
    """Return the mass after soft drop with beta = 0."""
    sequence = fastjet.ClusterSequence(
        candidates, fastjet.JetDefinition(fastjet.cambridge_algorithm, 10.0 * radius)
    )
    jet, one, two = sequence.inclusive_jets()[0], fastjet.PseudoJet(), fastjet.PseudoJet()
    while jet.has_parents(one, two):
        if min(one.pt(), two.pt()) > zcut * (one.pt() + two.pt()):
            return float(jet.m())
        jet = fastjet.PseudoJet(one if one.pt() > two.pt() else two)
    return 0.0


def chain(block: blocks.ResimBlock, hard: Path, folder: Path) -> tuple[Times, float]:
    """Run the chain and return CPU seconds by step and the kilobytes that it leaves."""
    times: Times = defaultdict(float)
    simulate(block, hard, folder / "events.hepmc.gz", times)
    anchors = [find_anchor(event, block.anchor, block.anchor_choice) for event in read_shard(hard)[1]]
    rows, cuts = [], block.jets
    start = time.process_time()
    with pyhepmc.open(str(folder / "events.hepmc.gz")) as stream:
        for event in stream:
            anchor = anchors[event.event_number]
            with timed(times, "jets"):
                found = nearest_jet(event, anchor.eta, anchor.phi, cuts.radius, cuts.pt_min)
            if found:
                rows.append(padded(*found, cuts.constituents))
    times["read_hepmc"] = time.process_time() - start - times["jets"]
    with timed(times, "write_hdf5"), h5py.File(folder / "jets.h5", "w") as file:
        file.create_dataset("candidates", data=np.stack([row[0] for row in rows]), compression="gzip")
        file.create_dataset("jets", data=np.stack([row[1] for row in rows]), compression="gzip")
    return times, sum(path.stat().st_size for path in folder.iterdir()) / 1000


def padded(jet: Any, candidates: list[Any], mass: float, count: int) -> tuple[Any, Any]:
    """Return the padded candidates [count, F] and the variables of a jet."""
    table = np.zeros((count, FEATURES), np.float32)
    for i, c in enumerate(candidates[:count]):
        table[i, :5] = c.pt(), c.eta(), c.phi(), c.e(), c.user_index()
    return table, np.array([jet.pt(), jet.eta(), jet.phi(), jet.e(), jet.m(), mass], np.float32)


def main() -> None:
    """Measure both on the same hard events."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default=str(REPOSITORY / "config" / "config.yaml"))
    parser.add_argument("--process", default="higgs_bb")
    parser.add_argument("--events", type=int, default=500)
    args = parser.parse_args()
    config = load_campaign(args.config)
    with tempfile.TemporaryDirectory() as name:
        folder, hard, out = Path(name) / "chain", Path(name) / "hard.lhe.gz", Path(name) / "jets.parquet"
        folder.mkdir()
        generate_shard(blocks.hard(config, args.process, 0).model_copy(update={"events": args.events}), hard)
        block = blocks.resim(config, args.process, "nominal")
        resimulate_shard(block, hard, out)  # imports, caches
        times, kilobytes = chain(block, hard, folder)
        start = time.process_time()
        resimulate_shard(block, hard, out)
        job = time.process_time() - start
        disk = out.stat().st_size / 1000
    total = sum(times.values())
    line = {
        "benchmark": "chain through HepMC3 and HDF5 / resimulate",
        "process": args.process,
        "events": args.events,
        "chain_ms": {step: round(1000 * value / args.events, 2) for step, value in times.items()},
        "job_ms": round(1000 * job / args.events, 2),
        "ratio": round(total / job, 2),
        "ratio_without_conversion": round((total - times["convert"]) / job, 2),
        "chain_kb": round(kilobytes / args.events, 2),
        "job_kb": round(disk / args.events, 2),
        "disk_ratio": round(kilobytes / disk, 1),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
