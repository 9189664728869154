"""The blocks of settings that a job of each stage depends on, and nothing else.

A rule's params hold the block of its job, so that a change re-runs only the jobs whose block changed. Scripts
read the same block, either as JSON from the rule or cut out of a configuration file by hand.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_serializer

from rs3l import versions
from rs3l.config import methods, source_files
from rs3l.config.base import PythiaSettings, SampleKind, Settings, Verdict
from rs3l.config.campaign import Campaign
from rs3l.config.dataset import Splits
from rs3l.config.detector import Detector
from rs3l.config.encoders import Encoder
from rs3l.config.evaluate import Evaluate
from rs3l.config.finetune import Finetune
from rs3l.config.jets import Jets
from rs3l.config.losses import Jepa, Masked, VicReg, weights_of
from rs3l.config.pileup import PileupSettings
from rs3l.config.pretrain import HandMadeViews, Loop, Pretrain
from rs3l.config.processes import PtHat
from rs3l.config.tasks import Task
from rs3l.config.variants import GeneratorCommand, Variant
from rs3l.errors import ConfigError
from rs3l.files import sha256
from rs3l.modes import MODES, Mode
from rs3l.paths import Split
from rs3l.runs import BASELINE, Run, is_baseline
from rs3l.seeds import RESAMPLED, Resampled


class HardBlock(Settings):
    """One shard of hard events."""

    version: int = versions.HARD
    seed: int
    process: str
    first: int = Field(ge=0)
    events: int = Field(gt=0)
    ecm: float
    pt_hat: PtHat
    pythia: PythiaSettings


class LheSource(Settings):
    """The external files of a process, and how many of their events it uses."""

    version: int = versions.LHE
    process: str
    patterns: list[str]
    accept: list[SampleKind]
    undecayed: bool = Field(description="Whether events may have resonances that are not decayed.")
    events: int = Field(gt=0)
    ecm: float
    anchor: Literal["outgoing_parton"] | list[int]
    anchor_choice: Literal["unique", "alternate"]
    declared: list[int] = Field(description="Particles that the settings declare: Pythia may know none of them.")
    weights: list[str] = Field(
        [], exclude_if=operator.not_, description="Additional weights, or patterns of them, that become columns."
    )


class LheBlock(Settings):
    """One shard of hard events from external files."""

    version: int = versions.HARD
    seed: int
    process: str
    first: int = Field(ge=0)
    events: int = Field(gt=0)
    decays: PythiaSettings = Field(description="Of resonances that are not decayed; empty if there are none.")
    source: LheSource


SHOWER_OF_KIND: dict[SampleKind, PythiaSettings] = {
    "powheg": {"TimeShower:pTmaxMatch": 1, "SpaceShower:pTmaxMatch": 1, "Vincia:pTmaxMatch": 1},
    "mcatnlo": {
        "SpaceShower:pTmaxMatch": 1,
        "SpaceShower:pTmaxFudge": 1.0,
        "SpaceShower:MEcorrections": False,
        "TimeShower:pTmaxMatch": 1,
        "TimeShower:pTmaxFudge": 1.0,
        "TimeShower:MEcorrections": False,
        "TimeShower:globalRecoil": True,
        "TimeShower:limitPTmaxGlobal": True,
        "TimeShower:nMaxGlobalRecoil": 1,
        "TimeShower:globalRecoilMode": 2,
        "TimeShower:nMaxGlobalBranch": 1,
        "TimeShower:weightGluonToQuark": 1,
    },
}
"""Pythia's settings for each accepted kind of sample.

They follow the pages POWHEG Matching and aMC@NLO Matching of its manual.
"""


MINIMUM_BIAS: PythiaSettings = {"SoftQCD:inelastic": True, "PartonLevel:MPI": True}
"""Pythia's settings of minimum-bias events, which need multiparton interactions even where the jets have none."""


class Chosen(Settings):
    """The hard events that are re-simulated, for a variant that does not have all: a fraction of some splits."""

    splits: Splits
    only: list[Split]
    fraction: float = Field(1.0, exclude_if=(1.0).__eq__)


class PoolBlock(Settings):
    """The pool of minimum-bias events, which does not depend on its shards."""

    version: int = versions.PILEUP
    seed: int
    ecm: float
    pythia: PythiaSettings
    events: int = Field(gt=0)


class PoolShardBlock(Settings):
    """One shard of the pool."""

    pool: PoolBlock
    first: int = Field(ge=0)
    events: int = Field(gt=0)


class PileupBlock(Settings):
    """The pile-up of a variant."""

    pool: PoolBlock
    settings: PileupSettings


class ResimBlock(Settings):
    """One variant of one process; ``baseline`` has the nominal's settings if the variant's differ from them."""

    version: int = versions.RESIM
    seed: int
    process: str
    variant: str
    resample: Resampled | None
    ecm: float
    pythia: PythiaSettings
    baseline: PythiaSettings | None = None
    bands: dict[str, str] = Field(
        {}, exclude_if=operator.not_, description="Variations of the shower, as weights."
    )
    anchor: Literal["outgoing_parton"] | list[int]
    anchor_choice: Literal["unique", "alternate"] = "unique"
    detector: Detector
    jets: Jets
    generator: GeneratorCommand | None = None
    generator_files: dict[str, str] = Field({}, description="SHA-256 of the files that the generator reads.")
    chosen: Chosen | None = None
    pileup: PileupBlock | None = Field(None, exclude_if=operator.not_, description="None: no pile-up.")

    def stream(self, stage: Resampled) -> str:
        """Return whose random numbers ``stage`` takes, the nominal's or, from ``resample`` on, its own."""
        if self.resample is None or RESAMPLED.index(stage) < RESAMPLED.index(self.resample):
            return "nominal"
        return self.variant


class TogetherBlock(Settings):
    """The variants of one process that share a shower in one job, beginning with the nominal."""

    views: list[ResimBlock]


class ProcessInfo(Settings):
    """What the data set records about a process."""

    label: str
    events: int
    use: Literal["pretrain", "downstream"]
    accepted: list[SampleKind] = Field(
        [], exclude_if=operator.not_, description="Kinds of external files that need care."
    )


class MergeBlock(Settings):
    """The data set."""

    version: int = versions.MERGE
    campaign: str
    seed: int
    shards: dict[str, int]
    events_per_part: int
    events_per_row_group: int
    min_views: int
    splits: Splits
    processes: dict[str, ProcessInfo]
    variants: dict[str, Literal["train", "held_out"]]
    limited: dict[str, list[Split]] = Field({}, description="Splits of the variants that do not have all.")
    weights: list[str] = Field(
        [], exclude_if=operator.not_, description="Columns of further weights, which the merge finds in the jets."
    )


class ImportedProcess(Settings):
    """A process of imported files: its class, and its jet types (none: what the files name so)."""

    label: str
    jet_types: list[str]


class ImportBlock(Settings):
    """The import of one file of jets."""

    version: int = versions.IMPORT
    seed: int
    splits: Splits
    processes: dict[str, ImportedProcess]
    variants: list[str]
    jet_types: dict[int, str]
    columns: dict[str, int]
    angles: Literal["relative", "absolute"] | None
    leave_out_invalid: bool
    events_per_row_group: int


class ImportedInfo(Settings):
    """What the data set of imported files records about a process."""

    label: str
    use: Literal["pretrain", "downstream"]


class ImportedBlock(Settings):
    """The data set of all imported files."""

    version: int = versions.IMPORT
    campaign: str
    seed: int
    processes: dict[str, ImportedInfo]
    variants: dict[str, Literal["train", "held_out"]]


class PretrainBlock(Settings):
    """One pre-training run."""

    version: int = versions.PRETRAIN
    method: Literal["rs3l", "jetclr"]
    seed: int
    processes: list[str]
    variants: list[str]
    encoder: Encoder
    views: Literal["any_two", "nominal_and_one", "all"]
    loss: str | dict[str, float]
    loss_options: dict[str, Any] = Field({}, exclude_if=operator.not_)
    temperature: float
    vicreg: VicReg | None
    masked: Masked | None = Field(None, exclude_if=operator.not_)
    jepa: Jepa | None = Field(None, exclude_if=operator.not_)
    batch: int
    epochs: int
    learning_rate: float
    weight_decay: float
    constituents: int
    hand_made: HandMadeViews | None
    augment: bool = Field(
        False, exclude_if=operator.not_, description="hand_made's steps are made on re-simulated views."
    )
    detector: Detector | None
    events: int | float | None = None
    displacement: bool = True
    loop: Loop = Loop()
    on_collapse: Verdict = Field("stop", exclude=True, description="No result depends on it: it is not dumped.")
    check_every: int = Field(50, exclude=True, description="Nor on this.")

    @property
    def augmented(self) -> Literal["nominal", "any"] | None:
        """The jet of an event that two augmentations are made of, or None if its re-simulations are compared."""
        return None if self.hand_made is None or self.augment else self.hand_made.of

    @property
    def needs_nominal(self) -> bool:
        """Whether an event without a nominal jet is of no use."""
        return self.augmented == "nominal" or self.views == "nominal_and_one"


class FinetuneBlock(Settings):
    """All classifiers of one task on one pre-training run, or without one."""

    version: int = versions.FINETUNE
    seed: int
    name: str = Field(description="Name of the task.")
    task: Task
    run: str
    variants: list[str]
    encoder: Encoder | None = Field(description="None: that of the model file.")
    constituents: int | None
    displacement: bool = True
    labels_from: Literal["train", "label"] = Field(
        "train",
        exclude_if=lambda split: split == "train",
        description="The split that labelled events are drawn from.",
    )
    finetune: Finetune

    @field_serializer("finetune", mode="wrap")
    def _what_results_depend_on(self, value: Finetune, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: entry for key, entry in handler(value).items() if key not in ("on_undertrained", "held_jets")}

    @property
    def baseline(self) -> bool:
        """Whether the classifiers are those without pre-training."""
        return is_baseline(self.run)


class MeasureBlock(Settings):
    """The measures of all classifiers of one task on one pre-training run, or without one."""

    version: int = versions.MEASURE
    seed: int
    name: str
    task: Task
    run: str
    variants: list[str]
    evaluate: Evaluate


class EvaluateBlock(Settings):
    """The tables and the summary."""

    version: int = versions.EVALUATE
    campaign: str
    seed: int
    tasks: dict[str, Task]
    runs: list[str]
    subject: str = Field(description="Method that is compared with all others.")
    variants: dict[str, Literal["train", "held_out"]]
    views: dict[str, list[str]] = Field(description="Variants that the pre-training of each method has seen.")
    evaluate: Evaluate


class Intervention(Settings):
    """The changes that a variant makes to the chain of simulation, for the schematic."""

    resample: Resampled | None
    held_out: bool
    changes: list[str] = Field(description="Settings that differ from the nominal's, in words.")


class FiguresBlock(Settings):
    """The figures of the report."""

    version: int = versions.FIGURES
    campaign: str
    seed: int
    labels: dict[str, str]
    runs: list[str] = Field(description="Of the methods (the subject's first) and baselines; none for data alone.")
    variants: list[str]
    interventions: dict[str, Intervention]
    tasks: dict[str, Task]
    evaluate: Evaluate
    jets: Jets
    pileup: bool = Field(False, exclude_if=operator.not_, description="Whether some variant has pile-up.")


def shards(config: Campaign, process: str) -> range:
    """Return the shard numbers of a process, whose last shard may be shorter than the others."""
    return range(-(-config.processes[process].events // config.events_per_shard))


def shard_events(config: Campaign, process: str, shard: int) -> int:
    """Return the number of hard events in a shard of a process."""
    return min(config.events_per_shard, config.processes[process].events - shard * config.events_per_shard)


def first_event(shard: int | None, shard_events: int | None) -> int | None:
    """Return the first hard event of a shard of a campaign with ``shard_events`` per shard, or None if unknown."""
    return None if shard is None or shard_events is None else shard * shard_events


def n_parts(config: Campaign, process: str) -> int:
    """Return the number of parts of a process in each split of the data set, or of its test split from files."""
    if config.source:
        return source_files.n_test_parts(config.source, process)
    return -(-config.processes[process].events // config.dataset.events_per_part)


def groups(config: Campaign, process: str) -> range:
    """Return the numbers of the groups of parts of a process, each of which one job embeds or scores."""
    return range(-(-n_parts(config, process) // config.dataset.parts_per_job))


def group_parts(config: Campaign, process: str, group: int) -> range:
    """Return the numbers of the parts in a group, whose last one may have fewer parts than the others."""
    size = config.dataset.parts_per_job
    return range(n_parts(config, process))[group * size : (group + 1) * size]


def task_processes(config: Campaign, task: str) -> list[str]:
    """Return the processes of a task, the signal's first; both may be one."""
    return list(dict.fromkeys((config.tasks[task].signal, config.tasks[task].background)))


def train_variants(config: Campaign) -> list[str]:
    """Return the variants that pre-training and labels may use."""
    return [name for name, variant in config.variants.items() if variant.use == "train"]


def runs(config: Campaign) -> list[str]:
    """Return the names of the runs of the campaign's methods, ``<method>_s<seed>``."""
    return _runs(methods.methods(config))


def ablation_runs(config: Campaign) -> list[str]:
    """Return the names of the runs of the ablations."""
    return _runs(methods.ablations(config))


def _runs(settings: Mapping[str, Pretrain]) -> list[str]:
    return [
        str(Run(name, seed))
        for name, block in settings.items()
        for seed in range(1 if block.model else block.seeds)
    ]


def baselines(config: Campaign) -> list[str]:
    """Return the runs without pre-training that the campaign's methods are compared with."""
    return _baselines(config, methods.methods(config), {})


def ablation_baselines(config: Campaign) -> list[str]:
    """Return the further runs without pre-training that ablations need because their networks differ."""
    own, modes = methods.methods(config), config.finetune.ablation_modes
    if modes is not None and not any(_is_network_baseline(name) for name in modes):
        return []
    return _baselines(config, {**own, **methods.ablations(config)}, own)[len(baselines(config)) :]


def _baselines(config: Campaign, settings: Mapping[str, Pretrain], first: Mapping[str, Pretrain]) -> list[str]:
    """Return a baseline for the block ``pretrain``, and one for each further network among the methods."""
    if all(MODES[name].pretrained for name in config.finetune.modes):
        return []
    known, result = [config.pretrain], [BASELINE]
    if not any(map(_is_network_baseline, config.finetune.modes)):
        return result
    for name, block in {**first, **settings}.items():
        if block.model is None and not any(methods.same_baseline(block, other) for other in known):
            known.append(block)
            result.append(str(Run(f"{BASELINE}_{name}")))
    return result


def _is_network_baseline(mode: str) -> bool:
    return MODES[mode].has_network and not MODES[mode].pretrained


def run_settings(config: Campaign, run: str) -> Pretrain:
    """Return the settings of a run: the block ``pretrain`` with the overrides of its method or ablation."""
    known = {"": config.pretrain, **methods.methods(config), **methods.ablations(config)}
    return known[Run.parse(run).settings_of]


def imported_model(config: Campaign, run: str) -> str | None:
    """Return the file of a run that is not pre-trained here, or None."""
    return None if is_baseline(run) else run_settings(config, run).model


def lhe_source(config: Campaign, process: str) -> LheSource:
    """Return the block of the external files of a process."""
    _known("process", process, {name: p for name, p in config.processes.items() if p.lhe_patterns})
    block = config.processes[process]
    return LheSource(
        process=process,
        patterns=block.lhe_patterns,
        accept=block.lhe_accept,
        undecayed=bool(block.pythia),
        events=block.events,
        ecm=config.generator.ecm,
        anchor=block.anchor,
        anchor_choice=block.anchor_choice,
        declared=_declared({**config.generator.pythia, **config.variants["nominal"].pythia}),
        weights=block.lhe_weights,
    )


def _declared(settings: PythiaSettings) -> list[int]:
    """Return the codes of the particles that settings like ``5000001:new`` are about."""
    return sorted({int(code) for code, _, _ in (key.partition(":") for key in settings) if code.isdigit()})


def hard(config: Campaign, process: str, shard: int) -> HardBlock | LheBlock:
    """Return the block of one shard of hard events, which come from Pythia or from external files."""
    _simulated(config)
    _known("process", process, config.processes)
    block = config.processes[process]
    first = shard * config.events_per_shard
    if shard not in shards(config, process):
        raise ConfigError(f"shard {shard} of {process} does not exist: it has {block.events} events")
    if block.pt_hat is None:
        return LheBlock(
            seed=config.seed,
            process=process,
            first=first,
            events=shard_events(config, process, shard),
            decays={**config.generator.pythia, **block.pythia} if block.pythia else {},
            source=lhe_source(config, process),
        )
    return HardBlock(
        seed=config.seed,
        process=process,
        first=first,
        events=shard_events(config, process, shard),
        ecm=config.generator.ecm,
        pt_hat=block.pt_hat,
        pythia={**config.generator.pythia, **block.pythia},
    )


def resim(config: Campaign, process: str, variant: str) -> ResimBlock:
    """Return the block of one variant of one process."""
    _simulated(config)
    _known("process", process, config.processes)
    _known("variant", variant, config.variants)
    nominal = {
        **config.generator.pythia,
        **_shower_of_kinds(config.processes[process].lhe_accept),
        **config.variants["nominal"].pythia,
    }
    own = config.variants[variant].pythia
    return ResimBlock(
        seed=config.seed,
        process=process,
        variant=variant,
        resample=config.variants[variant].resample,
        ecm=config.generator.ecm,
        pythia={**nominal, **own},
        baseline=nominal if own and variant != "nominal" else None,
        bands=_bands(config, variant),
        anchor=config.processes[process].anchor,
        anchor_choice=config.processes[process].anchor_choice,
        detector=config.detector,
        jets=config.jets,
        generator=config.variants[variant].generator,
        generator_files=_checksums(variant, config.variants[variant].generator),
        chosen=_chosen(config, process, variant),
        pileup=_pileup(config, variant),
    )


def _bands(config: Campaign, variant: str) -> dict[str, str]:
    """Return the variations of a variant's shower, which are the nominal's where the shower is."""
    own = config.variants[variant].resample == "shower"
    return dict(config.variants[variant if own else "nominal"].bands)


def _pileup(config: Campaign, variant: str) -> PileupBlock | None:
    """Return the pile-up of a variant, or None if it has none, so that it does not depend on the pool."""
    settings = config.pileup_of(variant)
    return PileupBlock(pool=pool(config), settings=settings) if settings.mean else None


def pool(config: Campaign) -> PoolBlock:
    """Return the block of the pool of minimum-bias events, which are those of the nominal's tune."""
    return PoolBlock(
        seed=config.seed,
        ecm=config.generator.ecm,
        pythia={
            **config.generator.pythia,
            **config.variants["nominal"].pythia,
            **MINIMUM_BIAS,
            **config.pileup.pythia,
        },
        events=config.pileup.events,
    )


def pool_shards(config: Campaign) -> range:
    """Return the shard numbers of the pool, of which there are none if no variant has pile-up."""
    return range(-(-config.pileup.events // config.pileup.events_per_shard) if has_pileup(config) else 0)


def pool_shard(config: Campaign, shard: int) -> PoolShardBlock:
    """Return the block of one shard of the pool."""
    if shard not in pool_shards(config):
        raise ConfigError(f"shard {shard} of the pile-up pool does not exist: it has {len(pool_shards(config))}")
    first = shard * config.pileup.events_per_shard
    events = min(config.pileup.events_per_shard, config.pileup.events - first)
    return PoolShardBlock(pool=pool(config), first=first, events=events)


def has_pileup(config: Campaign) -> bool:
    """Return whether some variant has pile-up."""
    return any(config.pileup_of(name).mean > 0 for name in config.variants)


def pool_uses(config: Campaign) -> float:
    """Return how often each event of the pool is used on average, in all views of all hard events."""
    number = sum(process.events for process in config.processes.values())
    drawn = sum(config.pileup_of(name).mean * chosen_fraction(config, name) for name in config.variants)
    return number * drawn / config.pileup.events


def _chosen(config: Campaign, process: str, variant: str) -> Chosen | None:
    """Return the events of a variant, or None if it has all and so does not depend on the splits."""
    if config.is_complete(variant):
        return None
    splits, fraction = config.dataset.splits.of(process), config.variants[variant].fraction
    return Chosen(splits=splits, only=_splits(config, variant), fraction=fraction)


def _splits(config: Campaign, variant: str) -> list[Split]:
    """Return the splits of the data set that a variant has."""
    return sorted(set(config.variants[variant].splits) & set(config.dataset.splits.names))


def chosen_fraction(config: Campaign, variant: str) -> float:
    """Return the fraction of the hard events that a variant re-simulates, those for tests alone among them."""
    splits, own = config.dataset.splits, set(config.variants[variant].splits)
    fraction = config.variants[variant].fraction
    numbers = {name: process.events for name, process in config.processes.items()}
    divided = sum(splits.divided(name, number) for name, number in numbers.items())
    behind = sum(numbers.values()) - divided if "test" in own else 0
    asked = sum(getattr(splits, split) for split in own) * divided + behind
    return float(fraction * asked) / sum(numbers.values())


def shared_variants(config: Campaign) -> list[str]:
    """Return the variants that are simulated in one job, the nominal first, or none without `share_shower`."""
    if not config.share_shower:
        return []
    return [
        "nominal",
        *(name for name, v in config.variants.items() if v.shares_shower and config.is_complete(name)),
    ]


def own_variants(config: Campaign) -> list[str]:
    """Return the variants with a job of their own."""
    shared = shared_variants(config)
    return [name for name in config.variants if name not in shared]


def together(config: Campaign, process: str) -> TogetherBlock:
    """Return the block of the variants of one process that are simulated in one job."""
    if not config.share_shower:
        raise ConfigError("share_shower is not set: every variant has a job of its own (resim.py)")
    return TogetherBlock(views=[resim(config, process, variant) for variant in shared_variants(config)])


def _checksums(variant: str, generator: GeneratorCommand | None) -> dict[str, str]:
    """Return the checksums of a generator's files, so that a rule re-runs when one of them is edited."""
    try:
        return {path: sha256(path) for path in (generator.files if generator else [])}
    except OSError as error:
        raise ConfigError(f"variants.{variant}.generator.files: {error.filename}: {error.strerror}") from None


def _shower_of_kinds(accepted: Sequence[SampleKind]) -> PythiaSettings:
    return {key: value for kind in accepted for key, value in SHOWER_OF_KIND.get(kind, {}).items()}


def merge(config: Campaign) -> MergeBlock:
    """Return the block of the data set."""
    _simulated(config)
    return MergeBlock(
        campaign=config.campaign,
        seed=config.seed,
        shards={name: len(shards(config, name)) for name in config.processes},
        events_per_part=config.dataset.events_per_part,
        events_per_row_group=config.dataset.events_per_row_group,
        min_views=config.dataset.min_views,
        splits=config.dataset.splits,
        processes={
            name: ProcessInfo(label=p.label, events=p.events, use=p.use, accepted=p.lhe_accept)
            for name, p in config.processes.items()
        },
        variants={name: v.use for name, v in config.variants.items()},
        limited={name: _splits(config, name) for name in config.variants if not config.is_complete(name)},
    )


def import_file(config: Campaign) -> ImportBlock:
    """Return the block of the import of any of the files of jets."""
    source = config.source
    if source is None or not source.patterns:
        raise ConfigError("source.hdf5 is not set: there are no files to import")
    return ImportBlock(
        seed=config.seed,
        splits=config.dataset.splits,
        processes={
            name: ImportedProcess(label=process.label, jet_types=process.jet_types or [])
            for name, process in config.processes.items()
        },
        variants=list(config.variants),
        jet_types=source.jet_types,
        columns=source.columns,
        angles=source.angles,
        leave_out_invalid=source.invalid == "leave_out",
        events_per_row_group=config.dataset.events_per_row_group,
    )


def import_dataset(config: Campaign) -> ImportedBlock:
    """Return the block of the data set of all imported files, whose numbers of events are those of the files."""
    return ImportedBlock(
        campaign=config.campaign,
        seed=config.seed,
        processes={name: ImportedInfo(label=p.label, use=p.use) for name, p in config.processes.items()},
        variants={name: variant.use for name, variant in config.variants.items()},
    )


def pretrain(config: Campaign, run: str) -> PretrainBlock:
    """Return the block of one pre-training run."""
    trained = [name for name in (*runs(config), *ablation_runs(config)) if imported_model(config, name) is None]
    _known("run", run, trained)
    block = run_settings(config, run)
    return pretrain_block(
        block.model_copy(update={"on_collapse": on_collapse(config, run)}),
        seed=config.seed + Run.parse(run).seed,
        processes=[name for name, p in config.processes.items() if p.use == "pretrain"],
        variants=methods.variants(config, block),
        detector=config.detector,
    )


def pretrain_block(
    block: Pretrain, seed: int, processes: list[str], variants: list[str], detector: Detector
) -> PretrainBlock:
    """Return what one run depends on, from its settings, the names that it reads and the detector.

    The ``detector`` is for hand-made views, which smear the displacement once more.
    """
    hand_made, losses = block.views == "hand_made" or block.augment, weights_of(block.loss)
    return PretrainBlock(
        method="jetclr" if block.views == "hand_made" else "rs3l",
        seed=seed,
        processes=processes,
        variants=variants,
        encoder=block.encoder,
        views="any_two" if block.views == "hand_made" else block.views,
        loss=block.loss,
        loss_options=block.loss_options,
        temperature=block.temperature,
        vicreg=block.vicreg if "vicreg" in losses else None,
        masked=block.masked if "masked" in losses else None,
        jepa=block.jepa if "jepa" in losses else None,
        batch=block.batch,
        epochs=block.epochs,
        learning_rate=block.learning_rate,
        weight_decay=block.weight_decay,
        constituents=block.constituents,
        hand_made=block.hand_made if hand_made else None,
        augment=block.augment,
        detector=detector if hand_made else None,
        events=block.events,
        displacement=block.displacement,
        loop=block.loop,
        on_collapse=block.on_collapse,
        check_every=block.check_every,
    )


def check_every(config: Campaign, run: str) -> int:
    """Return after how many steps a run looks at its losses."""
    return run_settings(config, run).check_every


def on_collapse(config: Campaign, run: str) -> Verdict:
    """Return what a collapse of a run does; an ablation only warns, so that it does not end the others' tables."""
    return "warn" if run in ablation_runs(config) else run_settings(config, run).on_collapse


def on_undertrained(config: Campaign, run: str) -> Verdict:
    """Return what an under-trained classifier of a run does, with or without pre-training."""
    apart = run in (*ablation_runs(config), *ablation_baselines(config))
    return "warn" if apart else config.finetune.on_undertrained


def finetune(config: Campaign, task: str, run: str) -> FinetuneBlock:
    """Return the block of one task on one pre-training run, or without one (``none``, ``none_<method>_s0``)."""
    _known("task", task, config.tasks)
    _known("run", run, every_run(config))
    block = run_settings(config, run)
    imported = imported_model(config, run) is not None
    changes = {
        "modes": [name for name in modes_of(config, run) if _has_mode(run, MODES[name])],
        "ablation_modes": None,
        "labels": task_labels(config, task),
        "on_undertrained": on_undertrained(config, run),
    }
    return FinetuneBlock(
        seed=config.seed,
        name=task,
        task=config.tasks[task],
        run=run,
        variants=train_variants(config),
        encoder=None if imported else block.encoder,
        constituents=None if imported else block.constituents,
        displacement=block.displacement,
        labels_from=config.dataset.splits.labelled,
        finetune=config.finetune.model_copy(update=changes),
    )


def task_labels(config: Campaign, task: str) -> list[int]:
    """Return the numbers of labels of a task."""
    return config.tasks[task].labels or config.finetune.labels


def modes_of(config: Campaign, run: str) -> list[str]:
    """Return the modes of a run and of others of its kind, those without pre-training among them."""
    of_ablations = config.finetune.ablation_modes
    apart = of_ablations is not None and run in (*ablation_runs(config), *ablation_baselines(config))
    return of_ablations if apart and of_ablations else config.finetune.modes


def _has_mode(run: str, mode: Mode) -> bool:
    """Return whether a run has classifiers of a mode; those without a network belong to the run ``none`` alone."""
    return mode.pretrained != is_baseline(run) and (mode.has_network or run == BASELINE)


def every_run(config: Campaign) -> list[str]:
    """Return the runs of all methods and ablations, and those without pre-training."""
    return [*runs(config), *ablation_runs(config), *baselines(config), *ablation_baselines(config)]


def measure(config: Campaign, task: str, run: str) -> MeasureBlock:
    """Return the block of the measures of one task on one run (``none``, ``none_<method>_s0`` among them)."""
    _known("task", task, config.tasks)
    _known("run", run, every_run(config))
    return MeasureBlock(
        seed=config.seed,
        name=task,
        task=config.tasks[task],
        run=run,
        variants=list(config.variants),
        evaluate=config.evaluate,
    )


def evaluate(config: Campaign) -> EvaluateBlock:
    """Return the block of the tables and the summary."""
    return _evaluate(config, [*runs(config), *baselines(config)])


def evaluate_ablations(config: Campaign) -> EvaluateBlock:
    """Return the block of the tables of the ablations, with the first method's runs to compare with."""
    first = next(iter(methods.methods(config)))
    subject = [run for run in runs(config) if Run.parse(run).method == first]
    return _evaluate(config, [*subject, *ablation_runs(config), *baselines(config), *ablation_baselines(config)])


def _evaluate(config: Campaign, chosen: list[str]) -> EvaluateBlock:
    trained = [run for run in chosen if not is_baseline(run)]
    return EvaluateBlock(
        campaign=config.campaign,
        seed=config.seed,
        tasks=config.tasks,
        runs=chosen,
        subject=Run.parse(trained[0]).method,
        variants={name: variant.use for name, variant in config.variants.items()},
        views={Run.parse(run).method: _views(config, run_settings(config, run)) for run in trained},
        evaluate=config.evaluate,
    )


def _views(config: Campaign, settings: Pretrain) -> list[str]:
    if settings.model is not None:
        return []
    of_nominal = settings.views == "hand_made" and settings.hand_made.of == "nominal"
    return ["nominal"] if of_nominal else methods.variants(config, settings)


def figures(config: Campaign, of_data: bool = False) -> FiguresBlock:
    """Return the block of the figures, or with ``of_data`` that of figures which do not depend on the methods."""
    return FiguresBlock(
        campaign=config.campaign,
        seed=config.seed,
        labels={name: p.label for name, p in config.processes.items()},
        runs=[] if of_data else [*runs(config), *baselines(config)],
        variants=list(config.variants),
        interventions={name: _intervention(variant) for name, variant in config.variants.items()},
        tasks=config.tasks,
        evaluate=config.evaluate,
        jets=config.jets,
        pileup=has_pileup(config),
    )


def _intervention(variant: Variant) -> Intervention:
    other = [f"generator: {variant.generator.command.split()[0]}"] if variant.generator else []
    other += [f"pileup.{key} = {value}" for key, value in variant.pileup.changes().items()]
    return Intervention(
        resample=variant.resample,
        held_out=variant.use == "held_out",
        changes=[*(f"{key} = {value}" for key, value in variant.pythia.items()), *other],
    )


def _simulated(config: Campaign) -> None:
    """Raise :class:`ConfigError` for a campaign whose jets exist already, which has no job of this kind."""
    if config.source:
        raise ConfigError(
            "the jets of this campaign come from files (source): nothing of it is simulated or merged"
        )


def _known(kind: str, name: str, names: object) -> None:
    assert hasattr(names, "__iter__")
    known = list(names)
    if name not in known:
        raise ConfigError(f"no {kind} {name!r} in the configuration; known: {', '.join(known)}")
