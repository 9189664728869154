"""A plan as lines: the cost of each stage on the machines that its jobs get."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from rs3l.config.campaign import Campaign
from rs3l.plan.costs import Cost, CostTable
from rs3l.plan.stages import ALL_STAGES, rules_of, stages_of, work_of
from rs3l.plan.work import Scope, Work, events

RANK_EFFICIENCY = 0.85
"""Speed of N ranks over N times that of one, which is assumed of a pre-training on several."""


@dataclass(frozen=True)
class Machines:
    """What the jobs of the stages get: GPUs by stage, and ranks of the pre-training.

    ``gpu_speed`` is how many times faster than a core a GPU is assumed to be; no GPU was measured. Without it,
    all is planned on cores.
    """

    gpus: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    gpu_speed: float | None = None
    ranks: int = 1

    def processes(self, stage: str) -> int:
        """Return the processes of a job of a stage, each of which has its libraries and its data."""
        return max(self.ranks, self.gpus.get(stage, 1), 1) if stage == "pretrain" else 1

    def has_gpu(self, stage: str) -> bool:
        """Return whether a job of a stage is planned on a GPU."""
        return self.gpu_speed is not None and ALL_STAGES[stage].device and self.gpus.get(stage, 0) > 0

    def speed(self, stage: str) -> float:
        """Return how many times faster than one core, or one process of cores, a job's work is done."""
        number = self.processes(stage)
        ranks = 1.0 if number == 1 else number * RANK_EFFICIENCY
        return ranks * (self.gpu_speed or 1.0) if self.has_gpu(stage) else ranks

    def assumptions(self) -> list[str]:
        """Return in words what is assumed and was not measured."""
        on_gpus = [stage for stage in ALL_STAGES if self.has_gpu(stage)]
        number = self.processes("pretrain")
        return [
            *([f"* a GPU as fast as {self.gpu_speed:g} cores: assumed, not measured"] if on_gpus else []),
            *([f"{number} ranks: {RANK_EFFICIENCY * number:.2g} times one, assumed"] if number > 1 else []),
        ]


ONE_CORE = Machines()
"""No GPU and no ranks."""


@dataclass(frozen=True)
class Line:
    """Cost of one stage, which is one line of a plan; ``gpus`` is 0 where a job is planned on cores."""

    work: Work
    rules: Sequence[str]
    core_hours: float
    job_hours: float
    memory_mb: float
    disk_gb: float
    threads: int
    gpus: int = 0

    @property
    def stage(self) -> str:
        """Name of the stage."""
        return self.work.stage

    def wall_hours(self, cores: int) -> float:
        """Return the time on ``cores`` cores, in full rounds of the largest job, with as many at once as fit."""
        at_once = max(cores // self.threads, 1)
        return math.ceil(self.work.jobs / at_once) * self.job_hours


def scope_of(costs: CostTable, ablations: bool = False) -> Scope:
    """Return the scope of a plan with the measurements of ``costs``."""
    return Scope(ablations, costs.encoders, costs.jets_per_shower)


def plan(config: Campaign, costs: CostTable, ablations: bool = False, machines: Machines = ONE_CORE) -> list[Line]:
    """Return the cost of each stage, in the order of the campaign."""
    scope = scope_of(costs, ablations)
    return [
        _line(work_of(stage, config, scope), rules_of(stage, config, ablations), costs.of(stage), machines)
        for stage in stages_of(config)
    ]


def _line(work: Work, rules: Sequence[str], cost: Cost, machines: Machines) -> Line:
    processes, speed = machines.processes(work.stage), machines.speed(work.stage)
    seconds = work.jobs * cost.start_s * processes + work.units * cost.unit_s * processes / speed
    job_seconds = (cost.start_s + work.largest * cost.unit_s / speed) / cost.threads
    return Line(
        work=work,
        rules=rules,
        core_hours=seconds / 3600,
        job_hours=job_seconds / 3600,
        memory_mb=work.memory_mb(cost) * processes,
        disk_gb=work.written * cost.written_bytes / 1e9,
        threads=cost.threads * processes,
        gpus=machines.gpus.get(work.stage, 0) if machines.has_gpu(work.stage) else 0,
    )


def scaled(config: Campaign, jets: float, costs: CostTable) -> Campaign:
    """Return the configuration with as many hard events as give about ``jets`` jets."""
    showers = events(config) * len(config.variants)
    factor = jets / (showers * costs.jets_per_shower)
    processes = {
        name: process.model_copy(update={"events": math.ceil(process.events * factor)})
        for name, process in config.processes.items()
    }
    return config.model_copy(update={"processes": processes})
