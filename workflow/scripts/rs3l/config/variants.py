"""The block `variants`, which says what is simulated again, and how."""

from __future__ import annotations

import shlex
import string
from collections.abc import Iterable
from typing import Literal, Self

from pydantic import (
    Field,
    model_validator,
)

from rs3l.config.base import Band, Fraction, Name, PythiaSettings, Settings
from rs3l.config.pileup import PileupChange
from rs3l.paths import EVERY_SPLIT, SPLITS, Split
from rs3l.seeds import Resampled

PLACEHOLDERS = ("lhe", "out", "seed", "seeds", "init_seed", "events", "process", "folder")
"""These are what the command of an external generator may name besides its settings."""
_SHOWER_GROUPS = (
    "Tune:", "PDF:", "Beams:", "PartonShowers:", "TimeShower:", "SpaceShower:", "SigmaProcess:",
    "MultipartonInteractions:", "BeamRemnants:", "Vincia:", "PartonLevel:", "PhaseSpace:", "ColourReconnection:",
)  # fmt: skip
SHAREABLE_GROUPS = (
    "StringFlav:", "StringZ:", "StringPT:", "StringFragmentation:", "FragmentationSystems:",
    "MiniStringFragmentation:", "HadronLevel:", "ParticleDecays:", "BoseEinstein:",
)  # fmt: skip
"""Settings of these groups need only the parton level's final record, which another Pythia can make.

The thermal model and close packing are not among them, because they remember the events before (Pythia 8.317).
"""


class GeneratorCommand(Settings):
    """A program that showers Les Houches events and writes HepMC3: the whole simulation but detector and jets."""

    command: str = Field(
        min_length=1,
        description="Command line, run without a shell. Placeholders: {lhe} (events to read), {out} (HepMC3 to "
        "write), {seed} (of the shard), {seeds} (table of seeds per event), {init_seed} (the same in all shards), "
        "{events}, {process}, {folder} (scratch), and the keys of `settings`.",
    )
    settings: dict[Name, bool | int | float | str] = Field(
        {}, description="Values for further placeholders of the command."
    )
    files: list[str] = Field(
        [], description="Files that the command reads; an edit of one runs the variant again."
    )
    version: str = Field(
        "", description="Version of the program, as you like to write it; a change runs it again."
    )
    timeout: float = Field(60.0, gt=0, description="Longest run time of a shard [min]; the command is then ended.")
    match: Literal["number", "partons"] = Field(
        "number",
        description="How its events are assigned to the hard events: by their number, or by the momenta of the "
        "hard partons, which its records must then hold.",
    )
    first_number: int = Field(0, description="Number that the program gives to the first event of a file.")
    max_failed: Fraction = Field(0.05, description="A larger fraction of missing events stops the job.")

    @model_validator(mode="after")
    def _placeholders(self) -> Self:
        try:
            words = shlex.split(self.command)
            used = {name for word in words for _, name, _, _ in string.Formatter().parse(word) if name is not None}
        except ValueError as error:
            raise ValueError(f"the command cannot be read: {error}") from None
        known = {*PLACEHOLDERS, *self.settings}
        if taken := set(PLACEHOLDERS) & set(self.settings):
            raise ValueError(f"settings may not be called {', '.join(sorted(taken))}")
        if unknown := used - known:
            raise ValueError(
                f"unknown placeholder {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))} (a brace is "
                "written twice)"
            )
        if missing := {"lhe", "out", "seed"} - used - ({"lhe", "seed"} if "seeds" in used else set()):
            raise ValueError(f"the command needs the placeholder {', '.join(sorted(missing))}")
        if unused := set(self.settings) - used:
            raise ValueError(f"settings without a placeholder: {', '.join(sorted(unused))}; they have no effect")
        return self


class Variant(Settings):
    """One re-simulation of every hard event."""

    like: str | None = Field(
        None, description="A ready variant of config/variants: its keys are the defaults of those below."
    )
    about: str = Field("", description="What it probes, in words; no effect.")
    reference: str = Field("", description="Where it is described; no effect.")
    cost: float = Field(
        1.0, gt=0, description="Core time per event relative to the nominal; for `make plan` alone."
    )
    resample: Resampled | None = Field(
        None,
        description="First stage with random numbers of its own; earlier stages are those of the nominal, "
        "to the bit. Only the nominal leaves it out.",
    )
    pythia: PythiaSettings = Field({}, description="Pythia settings on top of the nominal ones.")
    bands: dict[Name, Band] = Field(
        {},
        description="Variations of this variant's shower as weights of the same events, by name: each becomes a "
        "column `weight_...` of the data set (docs/weights.md). Variants that share the nominal's shower have the "
        "nominal's. Computing them makes Pythia draw other random numbers, and so other showers.",
    )
    pileup: PileupChange = Field(
        PileupChange(),
        exclude_if=lambda value: not value.changes(),
        description="What is other than in the block `pileup`.",
    )
    generator: GeneratorCommand | None = Field(
        None, description="Another generator in place of Pythia, for everything after the hard process."
    )
    use: Literal["train", "held_out"] = Field(
        "train", description="held_out: in the data set, but never a view in pre-training or a label."
    )
    splits: list[Split] = Field(
        list(EVERY_SPLIT), min_length=1,
        description="Splits whose hard events are re-simulated; the others are rows with status 4. A variant with "
        "`use: held_out` needs the test split alone, which saves the cost of the others.",
    )  # fmt: skip
    fraction: float = Field(
        1.0,
        gt=0,
        le=1,
        exclude_if=(1.0).__eq__,
        description="Fraction of the hard events of these splits that are re-simulated, for an expensive variant "
        "with `use: held_out`; the others are rows with status 4. Variants with the same fraction have the same "
        "events, and those with a smaller one some of them.",
    )

    @model_validator(mode="after")
    def _generator_replaces_pythia(self) -> Self:
        if self.generator is not None and self.resample != "shower":
            raise ValueError("a `generator` makes everything after the hard process: it needs `resample: shower`")
        if self.generator is not None and self.pythia:
            raise ValueError("`pythia` has no effect on another `generator`: use its `settings`")
        return self

    @model_validator(mode="after")
    def _bands_belong_to_a_shower(self) -> Self:
        if self.bands and self.generator is not None:
            raise ValueError("`bands` are weights of Pythia's shower: another `generator` has none")
        if self.bands and self.resample in ("hadronisation", "detector"):
            raise ValueError(
                f"`resample: {self.resample}` shares the nominal's shower, and with it the `bands` of "
                "variants.nominal: name them there"
            )
        return self

    def has(self, splits: Iterable[Split]) -> bool:
        """Return whether the hard events of all of some splits are re-simulated."""
        return set(splits) <= set(self.splits)

    @property
    def shares_shower(self) -> bool:
        """Whether its shower is the nominal's, because a later stage is resampled."""
        return self.resample in ("hadronisation", "pileup", "detector")

    @model_validator(mode="after")
    def _pileup_belongs_to_a_resampled_stage(self) -> Self:
        drawn = [key for key in ("mean", "vertex_sigma") if key in self.pileup.changes()]
        if self.resample == "detector" and drawn:
            raise ValueError(
                f"pileup.{drawn[0]} changes the pile-up, which `resample: detector` shares with the nominal: use "
                "`resample: pileup`"
            )
        if self.resample is None and self.pileup.changes():
            raise ValueError("the nominal's pile-up is the block `pileup` of the campaign")
        return self

    @model_validator(mode="after")
    def _only_held_out_variants_leave_splits_out(self) -> Self:
        if self.use == "held_out":
            return self
        if not self.has(SPLITS) or self.fraction < 1:
            key = "`splits`" if self.fraction == 1 else "events (`fraction`)"
            raise ValueError(f"only a variant with `use: held_out` may leave out {key}: it is not trained on")
        return self

    @model_validator(mode="after")
    def _settings_belong_to_a_resampled_stage(self) -> Self:
        if self.pythia and self.resample in (None, "pileup", "detector"):
            raise ValueError(
                f"pythia settings need `resample: shower` or `resample: hadronisation`, not {self.resample}"
            )
        if self.resample == "hadronisation":
            for key in self.pythia:
                if key.lower().startswith(tuple(map(str.lower, _SHOWER_GROUPS))):  # as Pythia reads it
                    raise ValueError(
                        f"pythia.{key} changes the shower, which `resample: hadronisation` shares with the "
                        "nominal: use `resample: shower`"
                    )
        return self
