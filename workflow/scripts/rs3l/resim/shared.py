"""Several hadronisations and detectors of one shower, for which the parton level of an event is made once.

The nominal is simulated as always, and a copy of each event is kept when its parton level is complete. For each
other hadronisation, a Pythia reads the same hard events with its own parton level switched off. Where the nominal
draws the hadronisation, that Pythia puts the kept event in place and goes on with its own settings and seeds.
Everything that follows, failures and checks included, is therefore what it would be in a job of its own, and the
particles are the same to the bit. A second attempt at an event would not begin from the nominal's partons, so such
an event is simulated from its hard process, as in a job of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rs3l.config.base import PythiaSettings
from rs3l.config.blocks import ResimBlock
from rs3l.errors import GeneratorError
from rs3l.lhe.lhe import HardEvent
from rs3l.lhe.memory import memory_source
from rs3l.pythia import Charges, new_pythia, pythia_module
from rs3l.resim.reseed import Reseeder
from rs3l.resim.shower import (
    PER_EVENT,
    Particles,
    Recorder,
    Showerer,
    flatten,
    initialise,
    no_particles,
    prepare,
    reseeders,
)
from rs3l.types import Floats64, Ints

CHECKED_EVENTS = 20
"""Number of events of the first shard that are simulated in both ways."""

_NO_PARTON_LEVEL: PythiaSettings = {f"PartonLevel:{part}": False for part in ("MPI", "ISR", "FSR", "Remnants")}


class SharedShower:
    """The nominal, and variants that share its shower and resample the hadronisation or a later stage."""

    def __init__(self, views: Sequence[ResimBlock]) -> None:
        """Initialise the nominal, which is the first view, and each other hadronisation."""
        self._nominal, self._bands = Showerer(views[0]), len(views[0].bands)
        self._others = [_Rehadroniser(v) if v.resample == "hadronisation" else None for v in views]

    def shower(self, events: Sequence[HardEvent], recorder: Recorder | None = None) -> list[list[Particles]]:
        """Return the completed events of each view, in batches; ``recorder`` sees the nominal's parton level.

        This takes about 0.8 MB of memory per event.
        """
        partons = _PartonLevels(recorder)
        nominal = self._nominal.shower(events, partons)
        weights = _weights(nominal, partons, self._bands)
        return [
            [nominal] if other is None else other.hadronise(events, partons.first, weights)
            for other in self._others
        ]


def _weights(nominal: Particles, partons: _PartonLevels, bands: int) -> dict[int, Floats64]:
    """Return the weights [1 + B] of the parton levels that can be used, by position; the bands follow the weight.

    Where Pythia prefers some showers to others, the weight of the nominal is that of its last attempt.
    """
    if not bands and (nominal.weight == 1).all():
        return dict.fromkeys(partons.first, np.ones(1))
    weights = np.column_stack([nominal.weight, nominal.bands])
    known = zip(nominal.position.tolist(), weights, strict=True)
    return {position: own for position, own in known if partons.attempts[position] == 1}


def check_shared(views: Sequence[ResimBlock], events: Sequence[HardEvent]) -> None:
    """Raise :class:`GeneratorError` unless the first events are those of separate jobs, to the bit."""
    some = events[:CHECKED_EVENTS]
    if len(views) == 1 or not some:
        return
    for view, (shared, *_) in zip(views, SharedShower(views).shower(some), strict=True):
        if view.resample == "hadronisation" and not shared.same_as(Showerer(view).shower(some)):
            raise GeneratorError(
                f"variants.{view.variant}: with `share_shower` its first {len(some)} events of {view.process} are "
                "not those of a job of its own; use `resample: shower`, or remove `share_shower`"
            )


class _PartonLevels:
    """Recorder that keeps the parton level of the first attempt at each event, and passes all attempts on."""

    def __init__(self, recorder: Recorder | None) -> None:
        self._recorder = recorder
        self._copy = pythia_module().Event
        self.first: dict[int, Any] = {}
        self.attempts: Counter[int] = Counter()

    def __call__(self, position: int, event: Any) -> None:
        self.attempts[position] += 1
        if position not in self.first:
            self.first[position] = self._copy(event)
        if self._recorder is not None:
            self._recorder(position, event)


class _Rehadroniser:
    """Pythia for a variant that resamples the hadronisation, on parton levels of the nominal."""

    def __init__(self, block: ResimBlock) -> None:
        self._block = block
        self._pythia = new_pythia()
        # Pythia keeps pointers to these two, so they must live as long as it does.
        self._reseeders = reseeders(self._pythia, block)
        self._source = memory_source(self._reseeders[0], block.ecm)
        self._hook = _replacing_hook(self._pythia, self._source, self._reseeders[1])
        settings = {**block.pythia, **_NO_PARTON_LEVEL}
        initialise(self._pythia, block, self._source, self._hook, settings, lambda: _Rehadroniser(block))
        self._charge = Charges(self._pythia)
        self._whole: Showerer | None = None

    def hadronise(
        self, events: Sequence[HardEvent], partons: Mapping[int, Any], weights: Mapping[int, Floats64]
    ) -> list[Particles]:
        """Return the completed events, by their positions in ``events``, in one or two batches.

        ``partons`` is the nominal's parton level by position. Without one, the nominal's shower failed, and so
        would the variant's, which is the same. ``weights`` are those of the parton levels that can be used.
        """
        there = np.array(sorted(weights), np.int64)
        found = self._from_parton_levels(events, partons, there) if len(there) else no_particles()
        found = _weighted(found, [weights[i] for i in found.position.tolist()])
        again = sorted(set(partons) - set(found.position.tolist()))
        return [found, self._from_the_hard_process(events, again)] if again else [found]

    def _from_parton_levels(
        self, events: Sequence[HardEvent], partons: Mapping[int, Any], there: Ints
    ) -> Particles:
        """Return the events at the positions ``there`` [E] that were complete after the first attempt."""
        chosen = [events[i] for i in there.tolist()]
        prepare(self._reseeders, chosen)
        self._source.load(chosen)
        self._hook.load([partons[i] for i in there.tolist()])
        found = flatten(self._pythia.nextBatch(len(there), "none"), self._charge)
        first_attempt = np.array([self._hook.attempts[i] == 1 for i in found.position.tolist()], bool)
        found = _selected(found, first_attempt)
        return replace(found, position=there[found.position])

    def _from_the_hard_process(self, events: Sequence[HardEvent], positions: Sequence[int]) -> Particles:
        self._whole = self._whole or Showerer(self._block)
        found = self._whole.shower([events[i] for i in positions])
        return replace(found, position=np.array(positions, np.int64)[found.position])


def _replacing_hook(pythia: Any, source: Any, reseed: Reseeder) -> Any:
    """Return a hook that puts another event in place once the parton level is complete, and reseeds.

    The copy must get its particle data from this Pythia, because the data know the random numbers of their owner.
    """

    class ReplacingHook(pythia_module().UserHooks):  # type: ignore[misc]
        def load(self, partons: Sequence[Any]) -> None:
            self.partons = partons
            self.attempts: Counter[int] = Counter()
            self.first_tag = pythia.settings.mode("Event:startColTag")

        def canVetoPartonLevel(self) -> bool:  # noqa: N802
            return True

        def doVetoPartonLevel(self, event: Any) -> bool:  # noqa: N802
            self.attempts[source.position] += 1
            pythia.event = self.partons[source.position]
            pythia.event.init("(complete event)", pythia.particleData, self.first_tag)
            pythia.event.restorePtrs()
            reseed(source.event.index)
            return False

    return ReplacingHook()


def _weighted(particles: Particles, weights: Sequence[Floats64]) -> Particles:
    """Return the events with their weights [1 + B]."""
    if not weights:
        return particles
    own = np.stack(weights)
    return replace(particles, weight=own[:, 0], bands=own[:, 1:])


def _selected(particles: Particles, kept: npt.NDArray[np.bool_]) -> Particles:
    """Return the events [E] that are ``kept``."""
    if kept.all():
        return particles
    sizes = np.diff(particles.offsets)
    inside = np.repeat(kept, sizes)
    columns = {name: values[inside] for name, values in particles.columns().items()}
    offsets = np.concatenate([[0], np.cumsum(sizes[kept])]).astype(np.int64)
    per_event = {name: getattr(particles, name)[kept] for name in PER_EVENT}
    return Particles(offsets=offsets, **per_event, **columns)
