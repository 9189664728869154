"""Shower and hadronisation of hard events from memory, with a seed for each stage of each event.

Pythia's event loop runs in C++ (``nextBatch``). Python is called twice per event, first to hand over the hard
event and reseed for the shower, and again to reseed for the hadronisation once the parton level is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import awkward as ak
import numpy as np
import numpy.typing as npt

from rs3l import seeds
from rs3l.config.base import PythiaSettings
from rs3l.config.blocks import ResimBlock
from rs3l.errors import GeneratorError
from rs3l.lhe.lhe import HardEvent
from rs3l.lhe.memory import memory_source
from rs3l.pythia import Charges, apply_settings, new_pythia, pythia_module
from rs3l.pythia_reason import reason
from rs3l.resim.reseed import Reseeder
from rs3l.types import Floats64, Ints

BATCH = 200
"""Number of events simulated at a time, on which memory depends, but not the results."""

NEUTRINOS = (12, 14, 16)

PER_EVENT = ("position", "weight", "bands")
"""Fields of :class:`Particles` with an entry per event; all others but ``offsets`` have one per particle."""


class Recorder(Protocol):
    """A callable for tests and replays that gets the event's position and Pythia's parton-level record."""

    def __call__(self, position: int, event: Any) -> None:
        """Look at the parton level of the event at ``position`` among those being showered."""


@dataclass(frozen=True)
class Particles:
    """Visible stable particles of a batch of events, stored flat.

    Event ``i`` owns ``offsets[i]:offsets[i + 1]``. ``position`` [E] is the position of each event among those that
    were showered. ``weight`` [E] is what its jet counts beside the weight of the hard event; it is not 1 where a
    setting makes Pythia prefer some showers to others. ``bands`` [E, B] are what it counts instead under each
    variation of the shower; they are empty if there are none. Momenta are in GeV, vertices in mm.
    """

    position: Ints
    offsets: Ints
    pdg_id: Ints
    charge: Floats64
    px: Floats64
    py: Floats64
    pz: Floats64
    energy: Floats64
    vx: Floats64
    vy: Floats64
    vz: Floats64
    weight: Floats64
    bands: Floats64 = field(default_factory=lambda: np.zeros((0, 0)))

    def columns(self) -> dict[str, Any]:
        """Return the fields with an entry per particle, by name."""
        return {name: values for name, values in vars(self).items() if name not in ("offsets", *PER_EVENT)}

    def same_as(self, other: Particles) -> bool:
        """Return whether all particles of all events, and their weights, equal those of ``other`` to the bit."""
        return all(
            np.array_equal(mine, theirs)
            for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)
        )


class Showerer:
    """Pythia, set up for one variant of one process."""

    def __init__(self, block: ResimBlock) -> None:
        """Initialise Pythia; raises :class:`GeneratorError` if it refuses the settings."""
        self._pythia = new_pythia()
        # Pythia keeps pointers to these two, so they must live as long as it does.
        self._reseeders = reseeders(self._pythia, block)
        self._source = memory_source(self._reseeders[0], block.ecm)
        self._hook = _hadronisation_hook(self._source, self._reseeders[1])
        self._bands = tuple(block.bands)
        settings = {**block.pythia, **band_settings(block)}
        initialise(self._pythia, block, self._source, self._hook, settings, lambda: Showerer(block))
        self._charge = Charges(self._pythia)

    def shower(self, events: Sequence[HardEvent], recorder: Recorder | None = None) -> Particles:
        """Return the completed events in order, without those that Pythia could not complete.

        ``recorder`` sees their parton level. This takes 0.4 MB of memory per event.
        """
        prepare(self._reseeders, events)
        self._source.load(events)
        self._hook.recorder = recorder
        batch = self._pythia.nextBatch(len(events), "none")
        self._check_names()
        return flatten(batch, self._charge, len(self._bands))

    def _check_names(self) -> None:
        """Raise :class:`GeneratorError` unless Pythia's last weights are those of the variations, in order."""
        names = tuple(self._pythia.infoPython().weightNameVector()) if self._bands else ()
        if names[len(names) - len(self._bands) :] != self._bands:
            raise GeneratorError(
                f"Pythia has the weights {', '.join(names)}, and not those of the bands {', '.join(self._bands)}"
            )

    def list_event(self) -> None:
        """Print the last event as Pythia has it, with hard process, showers and hadrons."""
        self._pythia.event.list()


def band_settings(block: ResimBlock) -> PythiaSettings:
    """Return the settings that make Pythia compute the weights of the variations (arXiv:1605.08352)."""
    if not block.bands:
        return {}
    listed = ", ".join(f"{name} {variation}" for name, variation in block.bands.items())
    return {"UncertaintyBands:doVariations": True, "UncertaintyBands:List": f"{{{listed}}}"}


def flatten(batch: ak.Array, charge: Charges, bands: int = 0) -> Particles:
    """Return the visible stable particles of what ``nextBatch`` gives, with the weights of some variations."""
    if "prt" not in batch.fields:  # every event failed
        return no_particles()
    batch = ak.drop_none(batch, axis=0)
    entries = ak.flatten(batch.prt)  # flat over all events, as NumPy is faster on these than awkward on lists
    event = np.repeat(np.arange(len(batch)), ak.to_numpy(ak.num(batch.prt.id)))
    chosen = np.flatnonzero(_is_visible(ak.to_numpy(entries.id), ak.to_numpy(entries.status)))
    counts = np.bincount(event[chosen], minlength=len(batch))
    pdg_id = ak.to_numpy(entries.id)[chosen].astype(np.int64)
    px, py, pz, energy = (ak.to_numpy(entries.p[axis])[chosen] for axis in ("px", "py", "pz", "e"))
    weight, varied = _weights(batch, bands)
    return Particles(
        position=ak.to_numpy(batch.info.pdf1).astype(np.int64),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        pdg_id=pdg_id,
        charge=charge(pdg_id),
        px=px,
        py=py,
        pz=pz,
        energy=energy,
        **_vertices(entries.vProd, chosen),
        weight=weight,
        bands=varied,
    )


def _weights(batch: ak.Array, bands: int) -> tuple[Floats64, Floats64]:
    """Return Pythia's weight of each event [E], a product of all that it knows, such as enhanced branchings.

    The second result are the last ``bands`` weights [E, B], which are those of the variations. Raises
    :class:`GeneratorError` if there are weights of variations that were not asked for: they would be lost.
    """
    if not bands and (ak.to_numpy(ak.num(batch.info.weights)) != 1).any():
        raise GeneratorError(
            "Pythia gives several weights per event, of variations that this workflow does not keep: remove the "
            "settings that ask for them, and make a variant of each variation"
        )
    weights: Floats64 = ak.to_numpy(ak.to_regular(batch.info.weights)).astype(float)
    if not np.isfinite(weights).all():
        raise GeneratorError("Pythia gives a weight that is not a number: enhance or vary less")
    return weights[:, 0].copy(), weights[:, weights.shape[1] - bands :].copy()


def seeder(block: ResimBlock, stage: Any) -> Callable[[int], int]:
    """Return the seed of ``stage`` as a function of the hard event's index."""
    stream = block.stream(stage)
    return lambda index: seeds.seed(block.seed, block.process, index, stage, stream)


def initialise(
    pythia: Any,
    block: ResimBlock,
    source: Any,
    hook: Any,
    settings: PythiaSettings,
    again: Callable[[], object],
) -> None:
    """Initialise Pythia on a source of hard events.

    Raises :class:`GeneratorError` if Pythia refuses the settings; ``again`` does the same with another Pythia, to
    find out why.
    """
    apply_settings(pythia, settings)
    apply_settings(
        pythia,
        {
            "Beams:frameType": 5,
            "Random:setSeed": True,
            "Random:seed": seeds.seed(block.seed, block.process, 0, "init", "nominal"),
        },
    )
    pythia.setUserHooksPtr(hook)
    if not pythia.setLHAupPtr(source) or not pythia.init():
        raise GeneratorError(
            f"Pythia cannot initialise the variant {block.variant} of {block.process}: {reason(again)}; check "
            f"variants.{block.variant}.pythia and generator"
        )


def reseeders(pythia: Any, block: ResimBlock) -> tuple[Reseeder, Reseeder]:
    """Return what sets Pythia's random numbers for the shower and for the hadronisation of an event."""
    return Reseeder(pythia, seeder(block, "shower")), Reseeder(pythia, seeder(block, "hadronisation"))


def prepare(reseeders: Sequence[Reseeder], events: Sequence[HardEvent]) -> None:
    """Make the random numbers of the events that come next."""
    for reseeder in reseeders:
        reseeder.prepare([event.index for event in events])


def _hadronisation_hook(source: Any, reseed: Reseeder) -> Any:
    """Return a hook that reseeds once the parton level is complete, and vetoes nothing."""

    class HadronisationHook(pythia_module().UserHooks):  # type: ignore[misc]
        recorder: Recorder | None = None

        def canVetoPartonLevel(self) -> bool:  # noqa: N802
            return True

        def doVetoPartonLevel(self, event: Any) -> bool:  # noqa: N802
            if self.recorder is not None:
                self.recorder(source.position, event)
            reseed(source.event.index)
            return False

    return HadronisationHook()


def _is_visible(pdg_id: Ints, status: Ints) -> npt.NDArray[np.bool_]:
    return (status > 0) & ~np.isin(np.abs(pdg_id), NEUTRINOS)


def _vertices(vertex: ak.Array, chosen: Ints) -> dict[str, Floats64]:
    """Return the production vertices [mm] of ``chosen`` entries; Pythia gives none for one made at the origin."""
    layout = vertex.layout.to_IndexedOptionArray64()
    index = np.asarray(layout.index)[chosen]
    there = np.flatnonzero(index >= 0)
    result = {name: np.zeros(len(chosen)) for name in ("vx", "vy", "vz")}
    for values, axis in zip(result.values(), ("px", "py", "pz"), strict=True):
        values[there] = ak.to_numpy(layout.content[axis])[index[there]]
    return result


def no_particles() -> Particles:
    """Return a batch without an event."""
    ints, floats = np.zeros(0, np.int64), np.zeros(0)
    return Particles(ints, np.zeros(1, np.int64), ints, *([floats] * 9))
