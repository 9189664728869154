"""Decay the resonances that external hard events leave undecayed, once, before any variant sees them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator

from rs3l import seeds
from rs3l.config.blocks import LheBlock
from rs3l.errors import GeneratorError
from rs3l.hard.hard import hard_particles
from rs3l.lhe.checks import is_undecayed
from rs3l.lhe.lhe import HardEvent
from rs3l.lhe.memory import USER_PROCESS, memory_source
from rs3l.pythia import apply_settings, new_pythia
from rs3l.pythia_reason import reason


def decayed(block: LheBlock, events: Iterable[HardEvent]) -> Iterator[HardEvent]:
    """Yield the events with all their resonances decayed by Pythia, and events without such resonances unchanged.

    Each event has the seed of its hard process, so that its decays do not depend on the shard.
    """
    whole = list(events)
    waiting = [event for event in whole if is_undecayed(event)]
    logging.info("%d of %d events have resonances that Pythia decays", len(waiting), len(whole))
    done = {event.index: event for event in _decay(block, waiting)}
    for event in whole:
        yield done.get(event.index, event)


def _decay(block: LheBlock, events: list[HardEvent]) -> Iterator[HardEvent]:
    pythia = new_pythia()

    def reseed(index: int) -> None:
        pythia.rndm.init(seeds.seed(block.seed, block.process, index, "hard", "nominal"))

    source = memory_source(reseed, block.source.ecm)  # Pythia keeps a pointer to it
    source.load(events)
    apply_settings(pythia, block.decays)
    fixed = seeds.seed(block.seed, block.process, 0, "init", "nominal")
    apply_settings(
        pythia,
        {"Beams:frameType": 5, "PartonLevel:all": False, "Random:setSeed": True, "Random:seed": fixed},
    )
    if not pythia.setLHAupPtr(source) or not pythia.init():
        raise GeneratorError(
            f"Pythia cannot initialise the decays of {block.process}: "
            f"{reason(lambda: list(_decay(block, events[:1])))}; check processes.{block.process}.pythia"
        )
    for position, event in enumerate(events):
        done = pythia.next()
        if pythia.infoPython().code() not in (0, USER_PROCESS):
            raise GeneratorError(
                f"processes.{block.process}.pythia selects hard processes, but the hard events are those of "
                "`lhe`: leave only settings of decays"
            )
        if not done or source.position != position:
            raise GeneratorError(
                f"Pythia cannot decay the hard event {event.index} of {block.process}: "
                f"{_why(block, event)}; check processes.{block.process}.pythia. The order of its settings "
                "matters: first close all channels (`onMode: false`), then open those that are wanted (`onIfAny`)"
            )
        result = dataclasses.replace(event, particles=hard_particles(pythia.process))
        if is_undecayed(result):
            raise GeneratorError(
                f"the hard event {event.index} of {block.process} has a resonance that the settings in "
                f"processes.{block.process}.pythia leave undecayed; switch on one of its channels"
            )
        yield result


def _why(block: LheBlock, event: HardEvent) -> str:
    return reason(lambda: list(_decay(block, [event])))
