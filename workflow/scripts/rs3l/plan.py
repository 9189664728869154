"""The cost of a campaign before it starts, as jobs, core hours, memory and disk of each stage.

A stage's work is counted from the configuration; its cost per job and per unit of work was measured. Both the
counting and the scaling are linear, so that a plan is as good as the measurement. Costs of other settings (VINCIA,
a tune, another cut) differ, and a training's number of epochs before it stops is not known in advance.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import Field, ValidationError

from rs3l.config import blocks, methods
from rs3l.config.base import Settings
from rs3l.config.campaign import Campaign
from rs3l.config.encoders import DeepSets, Encoder, Transformer
from rs3l.config.pretrain import Pretrain
from rs3l.dataset.manifest import read_manifest
from rs3l.errors import ConfigError, DataError
from rs3l.figures.registry import FIGURES, figure_names

CLASSIFIERS = 3
"""Number of classifiers that one fine-tuning job trains per draw of labels."""
LABEL_PASSES = 100
"""Passes over the labels that a classifier is assumed to need, next to one pass over the test jets."""
FEATURES = 15
"""Number of inputs of the network per candidate, repeated here because the features' own module needs torch."""


class Cost(Settings):
    """Measured cost of one stage on one core, where rows are jets, or hard events without one."""

    unit: str = Field(description="Unit of work.")
    start_s: float = Field(ge=0, description="CPU seconds of a job before its first unit.")
    unit_s: float = Field(ge=0, description="CPU seconds per unit.")
    unit_s_range: tuple[float, float] = Field(description="Smallest and largest of the measured jobs.")
    memory_mb: float = Field(ge=0, description="Memory of a job that holds nothing.")
    held_kb: float = Field(ge=0, description="Memory per row that a job holds.")
    written_bytes: float = Field(ge=0, description="Disk per row written.")
    threads: int = Field(1, ge=1, description="Cores of a job.")
    jobs: int = Field(ge=1, description="Jobs that were measured.")


class EncoderCost(Settings):
    """Time per multiplication of a network, relative to the default DeepSets."""

    training: float = Field(gt=0, description="Forward and backward.")
    inference: float = Field(gt=0, description="Forward alone.")


Encoders = Mapping[str, EncoderCost]
"""Costs by encoder, as :func:`encoder_name` names it; an encoder that is missing is taken for a DeepSets."""


class CostTable(Settings):
    """Measured costs of all stages."""

    machine: str
    date: str
    how: str
    jets_per_shower: float = Field(gt=0, le=1, description="Showers that give a jet.")
    stages: dict[str, Cost]
    encoders: dict[str, EncoderCost] = Field({}, description="Of the kinds of networks.")
    encoders_how: str = ""


@dataclass(frozen=True)
class Work:
    """Work of one stage, with all its jobs and the largest of them."""

    stage: str
    jobs: int
    units: float
    largest: float
    held: float
    written: float


@dataclass(frozen=True)
class Line:
    """Cost of one stage, which is one line of a plan."""

    work: Work
    core_hours: float
    job_hours: float
    memory_mb: float
    disk_gb: float
    threads: int

    def wall_hours(self, cores: int) -> float:
        """Return the time on ``cores`` cores, in full rounds of the largest job, with as many at once as fit."""
        at_once = max(cores // self.threads, 1)
        return math.ceil(self.work.jobs / at_once) * self.job_hours


def load_costs(path: str | Path) -> CostTable:
    """Return the table in ``path``; raises :class:`ConfigError` if it is not a table of costs."""
    try:
        return CostTable.model_validate_json(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise ConfigError(f"{path}: no table of costs: {error}") from None


def network_work(encoder: Encoder, constituents: int) -> float:
    """Return the multiplications for one jet, by weights and by pairs of candidates in distances or attention."""
    return encoder.multiplications(constituents)


def encoder_name(encoder: Encoder) -> str:
    """Return the name of an encoder in the table of costs."""
    return "transformer, pairwise" if isinstance(encoder, Transformer) and encoder.pairwise else encoder.kind


def _network(settings: Pretrain, encoders: Encoders, use: Literal["training", "inference"]) -> float:
    """Return the time for a jet relative to the default network, where a finished model counts as the base's."""
    usual = network_work(DeepSets(), Pretrain().constituents)
    cost = encoders.get(encoder_name(settings.encoder))
    relative = network_work(settings.encoder, settings.constituents) / usual
    return relative * (1.0 if cost is None else float(getattr(cost, use)))


def _events(config: Campaign, use: str | None = None) -> int:
    return sum(p.events for p in config.processes.values() if use in (None, p.use))


def _shard_work(stage: str, config: Campaign, costs: Sequence[float]) -> Work:
    """Return the work of the stages that run per shard, once for each of ``costs`` (relative, per event)."""
    events = _events(config)
    jobs = len(costs) * sum(len(blocks.shards(config, process)) for process in config.processes)
    largest = min(config.events_per_shard, max(p.events for p in config.processes.values()))
    return Work(stage, jobs, events * sum(costs), largest * max(costs), held=0, written=events * len(costs))


def _hard(config: Campaign) -> Work:
    return _shard_work("hard_process", config, [1.0])


_SHARED_COST = {None: 1.0, "hadronisation": 0.4, "detector": 0.2}
"""Cost of a variant that shares its shower with others in one job, relative to a job of its own."""


def _resimulate(config: Campaign) -> Work:
    costs = [
        config.variants[name].cost * blocks.chosen_fraction(config, name) for name in blocks.own_variants(config)
    ]
    if shared := blocks.shared_variants(config):
        costs.append(sum(_SHARED_COST[config.variants[v].resample] * config.variants[v].cost for v in shared))
    return replace(_shard_work("resimulate", config, costs), written=_events(config) * len(config.variants))


def _merge(config: Campaign) -> Work:
    showers = _events(config) * len(config.variants)
    part = min(config.dataset.events_per_part, max(p.events for p in config.processes.values()))
    return Work("merge", 1, showers, showers, held=part * len(config.variants), written=showers)


_NONE: Encoders = MappingProxyType({})


def _pretrain(config: Campaign, encoders: Encoders = _NONE) -> Work:
    runs = [run for run in blocks.runs(config) if blocks.imported_model(config, run) is None]
    train = config.dataset.splits.train * _events(config, "pretrain")
    passes = [train * _epoch_work(config, blocks.run_settings(config, run), encoders) for run in runs]
    held = train * len(blocks.train_variants(config))
    return Work("pretrain", len(runs), sum(passes), max(passes, default=0.0), held=held, written=0)


def _epoch_work(config: Campaign, settings: Pretrain, encoders: Encoders) -> float:
    """Return the views of an event that a run sees in all its epochs, times the size of its network."""
    compared = len(methods.variants(config, settings)) if settings.views == "all" else 2
    return compared * settings.epochs * _network(settings, encoders, "training")


def _embed(config: Campaign, encoders: Encoders = _NONE) -> Work:
    showers = config.dataset.splits.test * _events(config) * len(config.variants)
    runs = [blocks.run_settings(config, run) for run in blocks.runs(config)]
    units = [showers * _network(settings, encoders, "inference") for settings in runs]
    return Work("embed", len(runs), sum(units), max(units), held=showers, written=showers * len(runs))


def _test_showers(config: Campaign, task: str) -> float:
    names = (config.tasks[task].signal, config.tasks[task].background)
    events = sum(config.processes[name].events for name in names)
    return config.dataset.splits.test * events * len(config.variants)


def _finetune(config: Campaign, encoders: Encoders = _NONE) -> Work:
    runs = [blocks.run_settings(config, run) for run in (*blocks.runs(config), *blocks.baselines(config))]
    repeats = CLASSIFIERS * config.finetune.repeats
    counts = {task: blocks.task_labels(config, task) for task in config.tasks}
    rows = {task: repeats * len(counts[task]) * _test_showers(config, task) for task in config.tasks}
    labels = {task: repeats * LABEL_PASSES * sum(counts[task]) for task in config.tasks}
    units = [
        _network(settings, encoders, "training") * labels[task]
        + _network(settings, encoders, "inference") * rows[task]
        for task in config.tasks
        for settings in runs
    ]
    held = max(_test_showers(config, task) for task in config.tasks) / config.dataset.splits.test
    return Work("finetune", len(units), sum(units), max(units), held, written=len(runs) * sum(rows.values()))


def _evaluate(config: Campaign) -> Work:
    rows = _finetune(config).written
    units = rows * (config.evaluate.bootstrap + 1)
    return Work("evaluate", 1, units, units, held=rows, written=0)


def _figures(config: Campaign) -> Work:
    showers = _events(config) * len(config.variants)
    jobs = len(figure_names(config.processes, config.tasks))
    read = (
        sum("manifest" in figure.inputs for figure in FIGURES.values() if figure.of == "campaign") * showers
    )  # the other figures read a table
    return Work("figures", jobs, read, showers, held=showers, written=0)


STAGES: Mapping[str, Callable[[Campaign], Work]] = {
    "hard_process": _hard,
    "resimulate": _resimulate,
    "merge": _merge,
    "pretrain": _pretrain,
    "embed": _embed,
    "finetune": _finetune,
    "evaluate": _evaluate,
    "figures": _figures,
}
"""Work of each stage, in the order of the campaign, as if all networks took the same time per multiplication."""

_OF_NETWORKS: Mapping[str, Callable[[Campaign, Encoders], Work]] = {
    "pretrain": _pretrain,
    "embed": _embed,
    "finetune": _finetune,
}


def work_of(stage: str, config: Campaign, encoders: Encoders) -> Work:
    """Return the work of a stage, with the measured times of the networks."""
    return _OF_NETWORKS[stage](config, encoders) if stage in _OF_NETWORKS else STAGES[stage](config)


def plan(config: Campaign, costs: CostTable) -> list[Line]:
    """Return the cost of each stage, in the order of the campaign."""
    return [_line(work_of(stage, config, costs.encoders), costs.stages[stage]) for stage in STAGES]


def _line(work: Work, cost: Cost) -> Line:
    seconds = work.jobs * cost.start_s + work.units * cost.unit_s
    job_seconds = (cost.start_s + work.largest * cost.unit_s) / cost.threads
    return Line(
        work=work,
        core_hours=seconds / 3600,
        job_hours=job_seconds / 3600,
        memory_mb=cost.memory_mb + work.held * cost.held_kb / 1000,
        disk_gb=work.written * cost.written_bytes / 1e9,
        threads=cost.threads,
    )


def scaled(config: Campaign, jets: float, costs: CostTable) -> Campaign:
    """Return the configuration with as many hard events as give about ``jets`` jets."""
    showers = _events(config) * len(config.variants)
    factor = jets / (showers * costs.jets_per_shower)
    processes = {
        name: process.model_copy(update={"events": math.ceil(process.events * factor)})
        for name, process in config.processes.items()
    }
    return config.model_copy(update={"processes": processes})


def measured(config: Campaign, root: str | Path, costs: CostTable) -> CostTable:
    """Return ``costs`` with what the finished campaign ``root`` of ``config`` took.

    The start of a job and the memory per row stay those of ``costs``, because one campaign cannot tell them.
    Raises :class:`DataError` if a stage has no benchmark file.
    """
    stages = {
        stage: _measured_stage(Path(root), work_of(stage, config, costs.encoders), costs.stages[stage])
        for stage in STAGES
    }
    return costs.model_copy(
        update={
            "machine": "this machine",
            "how": f"benchmark files of {root}",
            "jets_per_shower": _digits(_jets_per_shower(config, Path(root))),
            "stages": stages,
        }
    )


def _benchmark_files(root: Path, stage: str) -> list[Path]:
    """Return the benchmark files of a stage, whose rules have other names in some cases."""
    names = {"figures": ["plot"], "resimulate": ["resimulate", "resimulate_together"]}.get(stage, [stage])
    folder = root / "benchmarks"
    found = [path for n in names for path in (*folder.glob(f"{n}.jsonl"), *(folder / n).rglob("*.jsonl"))]
    if not found:
        raise DataError(f"{folder}: no benchmark of {names[0]}; only a finished campaign can be used")
    return sorted(found)


def _benchmarks(root: Path, stage: str, key: str) -> list[float]:
    """Return one column of the benchmark files of a stage."""
    return [
        float(json.loads(path.read_text(encoding="utf-8").splitlines()[-1])[key])
        for path in _benchmark_files(root, stage)
    ]


def peak_memory(root: Path, stage: str) -> float:
    """Return the largest memory of a job of a stage [MB]."""
    return max(_benchmarks(root, stage, "max_rss")) * 1.048576


def _measured_stage(root: Path, work: Work, cost: Cost) -> Cost:
    seconds = _benchmarks(root, work.stage, "cpu_time")
    rest = max(sum(seconds) - len(seconds) * cost.start_s, 0.0)
    each = [max(value - cost.start_s, 0.0) * len(seconds) / work.units for value in seconds]
    written = _size(root, work.stage) / work.written if work.written else 0.0
    return cost.model_copy(
        update={
            "unit_s": _digits(rest / work.units),
            "unit_s_range": (_digits(min(each)), _digits(max(each))),
            "memory_mb": round(max(peak_memory(root, work.stage) - work.held * cost.held_kb / 1000, 0.0)),
            "written_bytes": _digits(written),
            "jobs": len(seconds),
        }
    )


def _digits(value: float) -> float:
    """Return three digits, because no more were measured."""
    return float(f"{value:.3g}")


FILES = {
    "hard_process": "hard/*/*.lhe.gz",
    "resimulate": "jets/*/*/*.parquet",
    "merge": "dataset/*/*.parquet",
    "embed": "models/*/latents.parquet",
    "finetune": "downstream/*/*/predictions.parquet",
}
"""Large files of each stage."""


def _size(root: Path, stage: str) -> int:
    return sum(path.stat().st_size for path in root.glob(FILES[stage]))


def _jets_per_shower(config: Campaign, root: Path) -> float:
    jets = read_manifest(root / "dataset" / "manifest.json").jets()
    return jets / (_events(config) * len(config.variants))


def text(lines: Sequence[Line], cores: int) -> str:
    """Return the plan as a table for people."""
    head = _columns("stage", "jobs", "core time", "one job", "memory", "disk", f"on {cores} cores")
    total = _columns(
        "total",
        f"{sum(line.work.jobs for line in lines):,}",
        _hours(sum(line.core_hours for line in lines)),
        "",
        "",
        _bytes(sum(line.disk_gb for line in lines)),
        _hours(sum(line.wall_hours(cores) for line in lines)),
    )
    return "\n".join([head, *(_row(line, cores) for line in lines), total])


def _row(line: Line, cores: int) -> str:
    return _columns(
        line.work.stage,
        f"{line.work.jobs:,}",
        _hours(line.core_hours),
        _hours(line.job_hours),
        _bytes(line.memory_mb / 1000),
        _bytes(line.disk_gb),
        _hours(line.wall_hours(cores)),
    )


def _columns(stage: str, *values: str) -> str:
    return f"{stage:<12}" + "".join(f"{value:>{12 if i < 5 else 15}}" for i, value in enumerate(values))


def _hours(hours: float) -> str:
    """Return a time in the unit that suits it."""
    if hours < 1 / 60:
        return f"{3600 * hours:.0f} s"
    return f"{60 * hours:.0f} min" if hours < 1.5 else f"{hours:,.1f} h"


def _bytes(gigabytes: float) -> str:
    """Return a size in the unit that suits it."""
    if gigabytes < 1e-3:
        return "-"
    return f"{1000 * gigabytes:.0f} MB" if gigabytes < 1 else f"{gigabytes:,.1f} GB"
