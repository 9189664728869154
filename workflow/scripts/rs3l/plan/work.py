"""The work of a stage, and the counts that the stages share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rs3l.config import blocks
from rs3l.config.campaign import Campaign
from rs3l.modes import MODES, Mode
from rs3l.paths import Split
from rs3l.plan.costs import NO_ENCODERS, Cost, Encoders


@dataclass(frozen=True)
class Work:
    """Work of one stage, with all its jobs and the largest of them.

    ``units`` are those of all jobs and ``largest`` those of one; ``held`` counts the rows in the memory of the
    largest job, and ``written`` those of all files. ``counted_mb`` is memory that is
    counted from the configuration rather than measured: of a step of a training, of an index.
    """

    stage: str
    jobs: int
    units: float
    largest: float
    held: float
    written: float
    counted_mb: float = 0.0

    def memory_mb(self, cost: Cost) -> float:
        """Return the memory of the largest job [MB]."""
        return cost.memory_mb + self.rows_mb(cost)

    def rows_mb(self, cost: Cost) -> float:
        """Return the part of it that a job takes for what it holds."""
        return self.held * cost.held_kb / 1000 + self.counted_mb


@dataclass(frozen=True)
class Scope:
    """What is planned: with or without the target ``ablations``, and by whose measurements.

    ``encoders`` has the measured times of the networks; without, all take the same per multiplication.
    """

    ablations: bool = False
    encoders: Encoders = field(default_factory=lambda: NO_ENCODERS)
    jets_per_shower: float = 1.0

    def runs(self, config: Campaign) -> list[str]:
        """Return the pre-training runs, those of finished models among them."""
        return [*blocks.runs(config), *(blocks.ablation_runs(config) if self.ablations else [])]

    def baselines(self, config: Campaign) -> list[str]:
        """Return the runs without pre-training."""
        return [*blocks.baselines(config), *(blocks.ablation_baselines(config) if self.ablations else [])]

    def jobs_of_tasks(self, config: Campaign) -> list[tuple[str, str]]:
        """Return every task with every run that has classifiers."""
        runs = [*self.runs(config), *self.baselines(config)]
        return [(task, run) for task in config.tasks for run in runs]


def events(config: Campaign) -> int:
    """Return the number of hard events."""
    return sum(p.events for p in config.processes.values())


def in_split(config: Campaign, split: Split, processes: Iterable[str]) -> float:
    """Return the hard events of some processes in a split, those that `test_only_after` adds among them."""
    splits, result = config.dataset.splits, 0.0
    for name in processes:
        number = config.processes[name].events
        divided = splits.divided(name, number)
        result += getattr(splits, split) * divided + (number - divided if split == "test" else 0)
    return result


def pretrained(config: Campaign) -> list[str]:
    """Return the processes of the pre-training."""
    return [name for name, process in config.processes.items() if process.use == "pretrain"]


def test_showers(config: Campaign, processes: Sequence[str]) -> float:
    """Return the showers of the test split of some processes, under all variants."""
    return in_split(config, "test", processes) * len(config.variants)


def largest_group(config: Campaign, processes: Sequence[str]) -> float:
    """Return the showers of the test split in the largest group of parts of some processes."""
    full = config.dataset.events_per_part * config.dataset.parts_per_job
    return max(_fullest(config, name, full) for name in processes) * len(config.variants)


def _fullest(config: Campaign, process: str, full: int) -> float:
    """Return the test events among ``full`` consecutive hard events of a process, where they are most."""
    number = config.processes[process].events
    behind = number - config.dataset.splits.divided(process, number)
    apart = min(full, behind)
    return apart + config.dataset.splits.test * min(full - apart, number - behind)


def group_jobs(config: Campaign, processes: Sequence[str]) -> int:
    """Return the number of groups of parts of some processes."""
    return sum(len(blocks.groups(config, name)) for name in processes)


def modes_of(config: Campaign, task: str, run: str) -> list[Mode]:
    """Return the modes of the classifiers of one task on one run."""
    return [MODES[name] for name in blocks.finetune(config, task, run).finetune.modes]


def classifiers(config: Campaign, task: str, run: str) -> int:
    """Return the number of classifiers of one task on one run; those that take no labels have one per number."""
    per_mode = [config.finetune.repeats if mode.takes_labels else 1 for mode in modes_of(config, task, run)]
    return len(blocks.task_labels(config, task)) * sum(per_mode)
