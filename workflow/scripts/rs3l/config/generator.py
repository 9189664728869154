"""The block `generator`, which all processes and variants share."""

from __future__ import annotations

from pydantic import (
    Field,
)

from rs3l.config.base import PythiaSettings, Settings


class Generator(Settings):
    """What all processes and variants share."""

    ecm: float = Field(
        13000.0, gt=0, description="Centre-of-mass energy of the pp collision [GeV]; 13 TeV is 13000."
    )
    tune: str | None = Field(
        None,
        description="A tune of config/tunes, whose settings come before those of `pythia`; without it, Monash.",
    )
    pythia: PythiaSettings = Field(
        {"ParticleDecays:limitTau0": True, "ParticleDecays:tau0Max": 10.0},
        description="Pythia settings of every hard process and variant.",
    )
