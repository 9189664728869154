"""The block `pileup`, with what a variant may change of it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from rs3l.config.base import Fraction, PythiaSettings, Settings

Subtraction = Literal["none", "chs", "softkiller", "chs_softkiller"]
Mean = Annotated[float, Field(ge=0, le=1000)]
Length = Annotated[float, Field(ge=0)]
Cell = Annotated[float, Field(ge=0.1, le=2)]
RapidityMax = Annotated[float, Field(gt=0, le=5)]
_TAIL = 10
"""Standard deviations above the mean that the number of interactions in an event does not reach."""


class PileupSettings(Settings):
    """The pile-up of each event and view, which is overlaid before the detector."""

    mean: Mean = Field(
        0.0,
        description="Mean number of pile-up interactions per event (Poisson). 0: none.",
    )
    vertex_sigma: Length = Field(
        45.0, description="Spread of the vertices along the beam [mm], of the hard one and of the others."
    )
    subtraction: Subtraction = Field(
        "chs",
        description="chs: charged candidates from pile-up vertices are removed. softkiller: candidates below an "
        "event's own pT cut are removed (arXiv:1407.0408). chs_softkiller: the first, then the second for neutral "
        "ones. No effect on events of a variant without pile-up.",
    )
    vertex_efficiency: Fraction = Field(
        1.0, description="chs: probability that a pile-up vertex is found, so that its tracks can be told."
    )
    vertex_separation: Length = Field(
        0.0, description="chs: pile-up vertices nearer to the hard one are taken for it [mm]; their tracks stay."
    )
    cell: Cell = Field(0.4, description="softkiller: size of the cells in rapidity and in azimuth.")
    cell_rapidity_max: RapidityMax = Field(2.5, description="softkiller: the cells end at this |rapidity|.")


class PileupChange(Settings):
    """What a variant changes of the pile-up; keys that are left out are those of the block `pileup`."""

    mean: Mean | None = Field(None, description="Mean number of pile-up interactions.")
    vertex_sigma: Length | None = Field(None, description="Spread of the vertices along the beam [mm].")
    subtraction: Subtraction | None = Field(None, description="What is removed.")
    vertex_efficiency: Fraction | None = Field(None, description="chs: probability that a vertex is found.")
    vertex_separation: Length | None = Field(None, description="chs: vertices nearer than this stay [mm].")
    cell: Cell | None = Field(None, description="softkiller: size of the cells.")
    cell_rapidity_max: RapidityMax | None = Field(None, description="softkiller: end of the cells.")

    def changes(self) -> dict[str, Any]:
        """Return the keys that are given."""
        return {key: value for key, value in vars(self).items() if value is not None}


class Pileup(PileupSettings):
    """Pile-up: minimum-bias events of a pool that the campaign makes once (docs/pileup.md)."""

    events: int = Field(
        20_000,
        gt=0,
        description="Minimum-bias events in the pool; they are used many times, turned about the beam.",
    )
    events_per_shard: int = Field(
        10_000, gt=0, description="Minimum-bias events per job; no effect on the data set."
    )
    pythia: PythiaSettings = Field({}, description="Pythia settings of the pool on top of the nominal ones.")

    def with_changes(self, change: PileupChange) -> PileupSettings:
        """Return what a variant has that changes something."""
        own = {key: getattr(self, key) for key in PileupSettings.model_fields}
        return PileupSettings(**{**own, **change.changes()})


def most(mean: float) -> int:
    """Return the number of interactions that no event reaches, to 10 standard deviations; 0 for no pile-up."""
    return math.ceil(mean + _TAIL * math.sqrt(mean) + _TAIL) if mean else 0
