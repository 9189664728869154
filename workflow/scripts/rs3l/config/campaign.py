"""The campaign's configuration, which has types and bounds and rejects unknown keys.

The JSON schema for editors (``config/schema.json``) is generated from these classes. Units are GeV, mm and
radians; ``docs/config`` shows the description of every field.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import Self

from pydantic import (
    Field,
    model_validator,
)

from rs3l.config.base import FOLDER_PATH, Name, Overrides, PythiaSettings, Settings
from rs3l.config.dataset import Dataset
from rs3l.config.detector import Detector
from rs3l.config.evaluate import Evaluate
from rs3l.config.finetune import Finetune
from rs3l.config.generator import Generator
from rs3l.config.jets import Jets
from rs3l.config.pileup import Pileup, PileupSettings, most
from rs3l.config.pretrain import Pretrain
from rs3l.config.processes import Process
from rs3l.config.source import Source
from rs3l.config.tasks import Task
from rs3l.config.variants import SHAREABLE_GROUPS, Variant
from rs3l.modes import MODES

GENERATOR_CUT_REACH = 0.8
"""The largest pt_hat.min / jets.pt_min; above it, the generator cut shapes the spectrum of the accepted jets."""

LARGEST_ECM = 1e6
"""The largest energy of a collision [GeV]; a larger one was meant in MeV."""

MASSES = {6: 173.0, 23: 91.0, 24: 80.0, 25: 125.0}
"""Masses of anchors [GeV], which give the energy that a process needs at least."""


class Campaign(Settings):
    """A campaign: processes x variants, and what is learned from them."""

    campaign: Name = Field(description="Name; results go to <results>/<campaign>.")
    results: str = Field("results", pattern=FOLDER_PATH, description="Folder of all campaigns.")
    seed: int = Field(20240311, ge=0, lt=2**63, description="Root of every random number.")
    source: Source | None = Field(
        None,
        exclude_if=operator.not_,
        description="Jets from files, in place of a simulation (docs/rs3l_public.md). Processes and variants are "
        "then those of the files, and may be left out.",
    )
    events_per_shard: int = Field(
        0,
        gt=0,
        validate_default=False,
        exclude_if=operator.not_,
        description="Hard events per job; no effect on the data set. Needed, unless `source` is given.",
    )
    share_shower: bool = Field(
        False,
        description="One job per shard for the nominal and all variants that resample the hadronisation, the "
        "pile-up or the detector: its shower is made once for all. No effect on the data set; fewer and cheaper "
        "jobs, but a new variant of this kind runs all of them again.",
    )
    generator: Generator = Generator()
    processes: dict[Name, Process] = Field(min_length=1)
    variants: dict[Name, Variant] = Field(min_length=1)
    pileup: Pileup = Field(Pileup(), exclude_if=lambda value: value == Pileup())
    detector: Detector = Detector()
    jets: Jets = Jets()
    dataset: Dataset = Dataset()
    pretrain: Pretrain = Pretrain()
    tasks: dict[Name, Task] = Field(min_length=1)
    finetune: Finetune = Finetune()
    evaluate: Evaluate = Evaluate()
    ablations: dict[Name, Overrides] = Field(
        {},
        description="Further pre-trainings by name, as the keys of `pretrain` that each changes. The target "
        "`ablations` alone makes them.",
    )

    @model_validator(mode="after")
    def _check_across_blocks(self) -> Self:
        problems = [
            *(_source_problems(self) if self.source else _simulation_problems(self)),
            *_use_problems(self.variants),
            *_reference_problems(self),
            *_mode_problems(self.finetune),
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def root(self) -> str:
        """Folder of this campaign's files."""
        return f"{self.results}/{self.campaign}"

    def is_complete(self, variant: str) -> bool:
        """Return whether a variant re-simulates all hard events of all splits of the data set."""
        own = self.variants[variant]
        return own.has(self.dataset.splits.names) and own.fraction == 1

    def pileup_of(self, variant: str) -> PileupSettings:
        """Return the pile-up of a variant, with what it changes of the campaign's."""
        return self.pileup.with_changes(self.variants[variant].pileup)


def _simulation_problems(config: Campaign) -> list[str]:
    """Return the problems of a campaign that simulates its jets."""
    needed = {
        "events_per_shard": config.events_per_shard,
        **{f"processes.{name}.anchor": process.anchor for name, process in config.processes.items()},
    }
    return [
        *(f"{path}: required, and missing" for path, value in needed.items() if not value),
        *(
            f"processes.{name}.jet_types: belongs to `source`, which is missing; a task takes jet types"
            for name, process in config.processes.items()
            if process.jet_types is not None
        ),
        *_variant_problems(config.variants),
        *_energy_problems(config.generator.ecm, config.processes, config.jets),
        *_cut_problems(config.processes, config.jets),
        *_detector_problems(config.variants, config.detector),
        *_pileup_problems(config),
        *(_share_problems(config.variants) if config.share_shower else []),
        *_band_problems(config.generator.pythia, config.variants),
    ]


def _source_problems(config: Campaign) -> list[str]:
    """Return the problems of a campaign whose jets exist already."""
    seen: dict[str, str] = {}
    problems = []
    for name, process in config.processes.items():
        for kind in process.jet_types or []:
            if (other := seen.setdefault(kind, name)) != name:
                problems.append(f"processes.{name}.jet_types: {kind} is of {other}, too; take it out of one")
    return problems


def _variant_problems(variants: Mapping[str, Variant]) -> list[str]:
    return [
        f"variants.{name}.resample: every variant but `nominal` says from which stage it is "
        "resampled (shower, hadronisation, pileup or detector), and nominal says none"
        for name, variant in variants.items()
        if (name == "nominal") != (variant.resample is None)
    ]


def _use_problems(variants: Mapping[str, Variant]) -> list[str]:
    problems = []
    if "nominal" not in variants:
        problems.append("variants.nominal: missing; add `nominal: {}`")
    if variants.get("nominal", Variant()).use != "train":
        problems.append("variants.nominal.use: the nominal cannot be held out")
    return problems


def _energy_problems(ecm: float, processes: Mapping[str, Process], jets: Jets) -> list[str]:
    """Return which processes cannot reach their jets.

    A process needs the energy of an anchor of the jets' pT and of something that recoils from it.
    """
    if ecm > LARGEST_ECM:
        return [f"generator.ecm: {ecm:g} GeV is beyond any collider; the key is in GeV: 13 TeV is 13000"]
    problems = []
    for name, process in processes.items():
        pt = max(jets.pt_min, process.pt_hat.min if process.pt_hat else 0.0)
        codes = [] if process.anchor == "outgoing_parton" else process.anchor
        threshold = pt + math.hypot(pt, min((MASSES.get(abs(int(code)), 0.0) for code in codes), default=0.0))
        if ecm <= threshold:
            problems.append(
                f"generator.ecm: {ecm:g} GeV is not enough for the jets of processes.{name}, which need more than "
                f"{threshold:.0f} GeV (twice a pT of {pt:g} GeV, and the mass of the anchor); the key is in GeV: "
                "13 TeV is 13000"
            )
    return problems


def _cut_problems(processes: Mapping[str, Process], jets: Jets) -> list[str]:
    limit = GENERATOR_CUT_REACH * jets.pt_min
    cuts = {name: process.pt_hat for name, process in processes.items() if process.pt_hat is not None}
    problems = [
        f"processes.{name}.pt_hat.min: {cut.min:g} GeV is above {GENERATOR_CUT_REACH:g} x "
        f"jets.pt_min ({jets.pt_min:g} GeV), so that the generator cut would shape the jets; lower it to "
        f"{limit:g} GeV or less (two thirds of the jet cut is usual), or raise jets.pt_min"
        for name, cut in cuts.items()
        if cut.min > limit
    ]
    problems += [
        f"processes.{name}.pt_hat.max: {cut.max:g} GeV is not above jets.pt_min "
        f"({jets.pt_min:g} GeV): hardly any jet would pass; raise it or remove it"
        for name, cut in cuts.items()
        if cut.max is not None and cut.max <= jets.pt_min
    ]
    return problems


def _detector_problems(variants: Mapping[str, Variant], detector: Detector) -> list[str]:
    smeared = any(width.constant > 0 or width.slope > 0 for width in (detector.d0, detector.dz))
    if detector.response != "none" or smeared:
        return []
    return [
        f"variants.{name}.resample: the detector draws no random number (response: none, no smearing of d0 and "
        "dz), so that this variant is the nominal; set detector.response: cms, or remove the variant"
        for name, variant in variants.items()
        if variant.resample == "detector"
    ]


def _pileup_problems(config: Campaign) -> list[str]:
    """Return which variants have no pile-up to resample, and for which the pool is too small."""
    problems, size, nominal = [], config.pileup.events, config.pileup.mean
    for name in config.variants:
        variant, mean = config.variants[name], config.pileup_of(name).mean
        if variant.resample == "pileup" and mean == nominal == 0:
            problems.append(
                f"variants.{name}.resample: there is no pile-up (pileup.mean: 0), so that this variant would be a "
                "redetected nominal; set pileup.mean, or use `resample: detector`"
            )
        if variant.pileup.changes() and mean == 0 and nominal == 0:
            problems.append(
                f"variants.{name}.pileup: has no effect without pile-up (pileup.mean: 0); set its `mean`"
            )
        if most(mean) > size:
            where = f"variants.{name}.pileup" if variant.pileup.mean is not None else "pileup"
            problems.append(
                f"{where}.mean: {mean:g} interactions can be up to {most(mean)} in one event, and the pool has "
                f"{size}; raise pileup.events"
            )
    return list(dict.fromkeys(problems))


def _share_problems(variants: Mapping[str, Variant]) -> list[str]:
    if not any(variant.shares_shower for variant in variants.values()):
        return ["share_shower: no variant has `resample: hadronisation`, `pileup` or `detector`; remove it"]
    return [
        f"variants.{name}.pythia.{key}: with `share_shower`, only these groups may differ from the nominal's: "
        f"{', '.join(group.rstrip(':') for group in SHAREABLE_GROUPS)}; use `resample: shower`, or remove "
        "`share_shower`"
        for name, variant in variants.items()
        if variant.resample == "hadronisation"
        for key in variant.pythia
        if not key.startswith(SHAREABLE_GROUPS)
    ]


def _band_problems(common: PythiaSettings, variants: Mapping[str, Variant]) -> list[str]:
    """Return which variants have bands that Pythia does not compute, or whose weights were not tested."""
    nominal = variants["nominal"].pythia if "nominal" in variants else {}
    problems = []
    for name, variant in variants.items():
        settings = {key.lower(): value for key, value in {**common, **nominal, **variant.pythia}.items()}
        if variant.bands and settings.get("partonshowers:model", 1) != 1:
            problems.append(
                f"variants.{name}.bands: Pythia's weights of variations are those of its default shower "
                "(PartonShowers:model = 1); make a variant of each variation instead"
            )
        if variant.bands and settings.get("enhancements:doenhance", False) not in (False, "off"):
            problems.append(
                f"variants.{name}.bands: not together with Enhancements:doEnhance, whose weights would be mixed "
                "with these; use one of both"
            )
    return problems


def _mode_problems(finetune: Finetune) -> list[str]:
    known = [name for name, mode in MODES.items() if mode.pretrained]
    problems = [
        f"finetune.{key}: none with pre-training; add one of {', '.join(known)}"
        for key, modes in (("modes", finetune.modes), ("ablation_modes", finetune.ablation_modes))
        if modes is not None and not set(modes) & set(known)
    ]
    further = [name for name in finetune.ablation_modes or [] if name not in finetune.modes]
    return problems + [
        f"finetune.ablation_modes: {name} is not among finetune.modes; add it there too, or the first method has "
        "no such classifier to compare with"
        for name in further
    ]


def _reference_problems(config: Campaign) -> list[str]:
    processes, variants = set(config.processes), set(config.variants)
    problems = [
        f"tasks.{name}.{role}: no process {process!r}; known: {', '.join(sorted(processes))}"
        for name, task in config.tasks.items()
        for role, process in (("signal", task.signal), ("background", task.background))
        if process not in processes
    ]
    problems += [
        f"evaluate.{key}: no variant {variant!r}; known: {', '.join(sorted(variants))}"
        for key, names in (("variants", config.evaluate.variants), ("pair", config.evaluate.pair or ()))
        for variant in names
        if variant not in variants
    ]
    problems += [
        f"dataset.splits.test_only_after: no process {name!r}; known: {', '.join(sorted(processes))}"
        for name in config.dataset.splits.test_only_after
        if name not in processes
    ]
    if not any(process.use == "pretrain" for process in config.processes.values()):
        problems.append("processes: none has `use: pretrain`")
    return problems
