"""Stage 1 generates hard processes with the decays of their resonances, as LHE shards."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from rs3l import seeds
from rs3l.config.base import PythiaSettings
from rs3l.config.blocks import HardBlock
from rs3l.config.processes import PtHat
from rs3l.errors import GeneratorError
from rs3l.lhe.cross_section import Sums
from rs3l.lhe.lhe import HardEvent, Particle, ShardInfo, check_conservation, write_shard
from rs3l.pythia import apply_settings, new_pythia, pythia_version
from rs3l.pythia_reason import reason

MB_TO_PB = 1e9
_COUNTED = 2
WARM_UP = 2000
"""Largest number of events of the warm-up, because a subprocess that is rarer than this does not matter."""
_LHE_STATUS = {-21: -1, -22: 2, 23: 1}


def generate_shard(block: HardBlock, path: str | Path) -> ShardInfo:
    """Generate the hard events ``block.first ... first + events - 1`` and write them to ``path``.

    Pythia starts each event from a seed of its own, so that the events do not depend on the shard that they are
    in. Raises :class:`GeneratorError` if Pythia refuses the settings or an event.
    """
    pythia = _initialised(block)
    before = _warm_up(pythia, block)
    events = [_generate(pythia, block, index) for index in range(block.first, block.first + block.events)]
    shard = ShardInfo(
        process=block.process,
        seed=block.seed,
        first=block.first,
        events=block.events,
        pythia=pythia_version(pythia),
        subprocesses=_difference(_trial_sums(pythia), before),
    )
    write_shard(path, shard, events, block.ecm)
    logging.info("%s: %d hard events, %.4g pb", path, shard.events, shard.cross_section[0])
    return shard


def pt_hat_settings(cut: PtHat) -> PythiaSettings:
    """Return the Pythia settings of the generator cut and of the biased sampling."""
    settings: PythiaSettings = {"PhaseSpace:pTHatMin": cut.min}
    if cut.max is not None:
        settings["PhaseSpace:pTHatMax"] = cut.max
    if cut.bias_power > 0:
        settings["PhaseSpace:bias2Selection"] = True
        settings["PhaseSpace:bias2SelectionPow"] = cut.bias_power
        settings["PhaseSpace:bias2SelectionRef"] = cut.min
    return settings


def _initialised(block: HardBlock) -> Any:
    pythia = new_pythia()
    apply_settings(pythia, block.pythia)
    apply_settings(
        pythia,
        {
            **pt_hat_settings(block.pt_hat),
            "Beams:eCM": block.ecm,
            "PartonLevel:all": False,
            "PhaseSpace:increaseMaximum": False,  # no event may change how a later one is sampled
            "Random:setSeed": True,
            "Random:seed": seeds.seed(block.seed, block.process, 0, "init", "nominal"),
        },
    )
    if not pythia.init():
        raise GeneratorError(
            f"Pythia cannot initialise the hard process {block.process}: {reason(lambda: _initialised(block))}; "
            f"check processes.{block.process}.pythia and generator"
        )
    return pythia


def _generate(pythia: Any, block: HardBlock, index: int) -> HardEvent:
    pythia.rndm.init(seeds.seed(block.seed, block.process, index, "hard", "nominal"))
    if not pythia.next():
        why = reason(lambda: _generate(_initialised(block), block, index))
        raise GeneratorError(f"Pythia failed on the hard event {index} of {block.process}: {why}")
    info = pythia.infoPython()
    event = HardEvent(
        index=index,
        weight=info.weight(),
        scale=pythia.process.scale(),
        alpha_qed=info.alphaEM(),
        alpha_qcd=info.alphaS(),
        particles=hard_particles(pythia.process),
    )
    check_conservation(event)
    return event


def _warm_up(pythia: Any, block: HardBlock) -> Sums:
    """Generate events that are not used until every subprocess has two, and return the sums so far.

    Pythia reports a subprocess's cross-section once it has one event, and its error once it has two. After this,
    what the events of the shard add to the sums is exact, however few they are. A subprocess that has fewer than
    two events at the end of the warm-up, which is the same in all shards, is left out of the cross-section.
    """
    for index in range(WARM_UP):
        pythia.rndm.init(seeds.seed(block.seed, block.process, index, "hard", "warm-up"))
        pythia.next()
        info = pythia.infoPython()
        if all(info.nAccepted(code) >= _COUNTED for code in info.codesHard()):
            break
    return _trial_sums(pythia)


def _trial_sums(pythia: Any) -> Sums:
    """Return the sums over the points tried of each subprocess with two events or more.

    They are recovered from the mean and its standard error, because Pythia reports only these.
    """
    info = pythia.infoPython()
    sums = {}
    for code in info.codesHard():
        if info.nAccepted(code) >= _COUNTED:
            n, mean = info.nTried(code), info.sigmaGen(code) * MB_TO_PB
            error = info.sigmaErr(code) * MB_TO_PB
            sums[str(code)] = (n, n * mean, n * (n * error**2 + mean**2))
    return sums


def _difference(after: Sums, before: Sums) -> Sums:
    """Return what was added between two readings of the sums."""
    return {
        code: (n - before[code][0], first - before[code][1], second - before[code][2])
        for code, (n, first, second) in after.items()
        if code in before
    }


def hard_particles(process: Any) -> list[Particle]:
    """Return incoming partons, resonances and their decays, which are Pythia's record without system and beams."""
    return [_particle(process[i], i) for i in range(3, process.size())]


def _particle(p: Any, position: int) -> Particle:
    if p.status() not in _LHE_STATUS:
        raise GeneratorError(f"entry {position} of the hard process has the unexpected status {p.status()}")
    mothers = (0, 0) if p.status() == -21 else (p.mother1() - 2, max(p.mother2() - 2, 0))
    return Particle(
        p.id(), _LHE_STATUS[p.status()], mothers[0], mothers[1], p.col(), p.acol(),
        p.px(), p.py(), p.pz(), p.e(), p.m(), p.tau(), p.pol(),
    )  # fmt: skip
