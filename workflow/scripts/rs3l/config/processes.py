"""The block `processes` with the hard processes, which come from Pythia or from external files."""

from __future__ import annotations

import operator
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    field_validator,
    model_validator,
)

from rs3l.config.base import PythiaSettings, SampleKind, Settings, printable
from rs3l.seeds import PYTHIA_MAX_SEED


class PtHat(Settings):
    """Range and sampling of the transverse momentum of the hard 2->2 process."""

    min: float = Field(gt=0, description="Lower generator cut [GeV]; at most 0.8 of jets.pt_min.")
    max: float | None = Field(None, gt=0, description="Upper generator cut [GeV]; none by default.")
    bias_power: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Hard events are drawn with probability x (pT/min)^power; the weight that undoes this "
        "is carried to the data set. 0: no bias.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max is not None and self.max <= self.min:
            raise ValueError(f"max ({self.max:g} GeV) must exceed min ({self.min:g} GeV)")
        return self


class Process(Settings):
    """One hard process: simulated once, then re-simulated under every variant."""

    like: str | None = Field(
        None, description="A ready process of config/processes: its keys are the defaults of those below."
    )
    about: str = Field("", description="What it is, in words; no effect.")
    label: Annotated[str, AfterValidator(printable)] = Field(
        min_length=1, description="Class name in tables and figures, e.g. H, QCD, W."
    )
    events: int = Field(
        gt=0,
        le=PYTHIA_MAX_SEED,
        description="Number of hard events. Each has a seed of its own, and Pythia knows 900,000,000. With "
        "`source`, the files say it.",
    )
    use: Literal["pretrain", "downstream"] = Field(
        "pretrain",
        description="pretrain: used everywhere. downstream: never seen in pre-training, only in tasks.",
    )
    pt_hat: PtHat | None = Field(
        None, description="Range and sampling of the hard 2->2 process; needed, unless `lhe` is given."
    )
    pythia: PythiaSettings = Field(
        {},
        description="Pythia settings that select the process and its decays; needed, unless `lhe` is given. "
        "With `lhe`: of the decays of resonances that the files leave undecayed.",
    )
    lhe: str | list[str] = Field(
        [],
        description="Hard events from Les Houches files instead of Pythia: a path, a pattern, or a list of them, "
        "relative to the working directory; an existing path is taken as it is. The first `events` events of the "
        "sorted files are used.",
    )
    lhe_accept: list[SampleKind] = Field(
        [],
        description="Kinds of files in `lhe` that are refused unless they are named here; docs/hard.md says what "
        "each means for the shower.",
    )
    lhe_weights: list[str] = Field(
        [],
        description="Additional weights of the files in `lhe` that the data set gets a column `weight_...` of: "
        "their identifiers, or patterns of them (`10*`); docs/weights.md.",
    )
    anchor: Literal["outgoing_parton"] | list[int] = Field(
        [],
        exclude_if=operator.not_,
        description="The hard particle that the jet is matched to: PDG codes (either sign) of a resonance, "
        "or outgoing_parton: the coloured parton of a boson + jet process. Needed, unless `source` is given.",
    )
    anchor_choice: Literal["unique", "alternate"] = Field(
        "unique",
        description="Where a hard event has several such particles: unique refuses it; alternate takes the first, "
        "the second ... in turn, from event to event (dijets, top pairs).",
    )

    jet_types: list[str] | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="With `source` alone: the jet types of this process (docs/hdf5.md); by default those of the "
        "ready process of this name. Events of other types are left out, and counted.",
    )

    @field_validator("events", mode="before")
    @classmethod
    def _one_seed_each(cls, value: Any) -> Any:
        if isinstance(value, int) and value > PYTHIA_MAX_SEED:
            raise ValueError(
                f"{value} hard events, but Pythia knows {PYTHIA_MAX_SEED:,} seeds, and more would be copies "
                "of others; lower it, or make two processes of it (of different ranges of pt_hat, say)"
            )
        return value

    @property
    def lhe_patterns(self) -> list[str]:
        """Return the paths and patterns of the external files, which are none for a process of Pythia."""
        return [self.lhe] if isinstance(self.lhe, str) else self.lhe

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.jet_types is not None:
            return self
        if self.lhe_patterns and self.pt_hat:
            raise ValueError("`lhe` replaces `pt_hat`: the cuts are those of the files; leave either out")
        if not self.lhe_patterns and not (self.pythia and self.pt_hat):
            raise ValueError("needs `pt_hat` and `pythia` (hard events by Pythia), or `lhe` (from files)")
        if self.lhe_accept and not self.lhe_patterns:
            raise ValueError("`lhe_accept` belongs to `lhe`, which is missing")
        if self.lhe_weights and not self.lhe_patterns:
            raise ValueError(
                "`lhe_weights` belongs to `lhe`, which is missing: Pythia's own hard events have none"
            )
        return self
