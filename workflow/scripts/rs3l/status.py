"""The progress of a campaign, from its configuration and its files alone, without a lock or an engine.

It is not known here which finished jobs would run again because a setting was changed; `snakemake -n` says that.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rs3l.config import Campaign, blocks, methods, source_files
from rs3l.figures.registry import figures_of, lacking
from rs3l.groups import group_names
from rs3l.paths import CampaignPaths, shard_name

SAMPLE = 200
"""Largest number of benchmark files read per stage, enough for a mean and few for a shared file system."""
_TAIL = 64 * 1024
"""Bytes at the end of a log in which the cause of a failure is looked for."""
_NAMED = re.compile(r"^(error: |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ERROR )")
"""The way the scripts name a failure; libraries that log in their own format may use the word for less."""
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit)\b")


@dataclass(frozen=True)
class PlannedJob:
    """One job with its outputs, its log and benchmark, and the hard events that it works on."""

    outputs: tuple[str, ...]
    log: str
    benchmark: str
    events: int = 0


@dataclass(frozen=True)
class Failure:
    """A job whose log tells of an error and whose output is missing."""

    log: str
    cause: str


@dataclass(frozen=True)
class StageStatus:
    """Counts and means of one stage; ``seconds`` per job and ``rate`` (events/s) are None until measured.

    ``begun`` counts jobs with a log, but neither an output nor an error, which run or were killed.
    """

    name: str
    planned: int
    done: int
    begun: int
    failures: list[Failure] = field(default_factory=list)
    seconds: float | None = None
    rate: float | None = None

    @property
    def left(self) -> int:
        """Number of jobs that are not done."""
        return self.planned - self.done

    def seconds_left(self, cores: int) -> float | None:
        """Return the seconds that the rest takes with ``cores`` jobs at a time, or None if not measured."""
        if not self.left:
            return 0.0
        return None if self.seconds is None else math.ceil(self.left / cores) * self.seconds


def campaign_status(config: Campaign, folder: str | Path = ".") -> list[StageStatus]:
    """Return the status of every stage of the campaign whose results are below ``folder``."""
    paths = CampaignPaths(str(Path(folder) / config.root))
    return [_stage(name, jobs) for name, jobs in planned_jobs(config, paths).items()]


def planned_jobs(config: Campaign, paths: CampaignPaths) -> dict[str, list[PlannedJob]]:
    """Return all jobs of the campaign by stage."""
    return {
        **(_import(config, paths) if config.source else _simulation(config, paths)),
        "pre-training": [
            _job(paths, (paths.model(run), paths.model_provenance(run)), "pretrain", run)
            for run in blocks.runs(config)
            if blocks.imported_model(config, run) is None
        ],
        "latents": _latents(config, paths),
        "quality": [_job(paths, (paths.latent_quality(run),), "quality", run) for run in blocks.runs(config)],
        "fine-tuning": [
            _job(paths, (paths.classifiers(task, run), paths.histories(task, run)), "finetune", task, run)
            for task in config.tasks
            for run in [*blocks.runs(config), *blocks.baselines(config)]
        ],
        "scores": _scores(config, paths),
        "measures": [
            _job(paths, (paths.measures(task, run),), "measure", task, run)
            for task in config.tasks
            for run in [*blocks.runs(config), *blocks.baselines(config)]
        ],
        "evaluation": [_job(paths, (paths.summary,), "evaluate")],
        "figures": _figures(config, paths),
        "report": [_job(paths, (paths.report,), "report")],
    }


def _job(paths: CampaignPaths, outputs: tuple[str, ...], rule: str, *names: str, events: int = 0) -> PlannedJob:
    return PlannedJob(outputs, paths.log(rule, *names), paths.benchmark(rule, *names), events)


def _simulation(config: Campaign, paths: CampaignPaths) -> dict[str, list[PlannedJob]]:
    """Return the jobs that simulate the data set."""
    return {
        "hard process": _hard(config, paths),
        **({"pile-up pool": pool} if (pool := _pool(config, paths)) else {}),
        "re-simulation": _resim(config, paths),
        "merge": [_job(paths, (paths.manifest,), "merge")],
    }


def _import(config: Campaign, paths: CampaignPaths) -> dict[str, list[PlannedJob]]:
    """Return the jobs that import the data set from files."""
    assert config.source is not None
    files = zip(source_files.hdf5_files(config.source), source_files.headers(config.source), strict=True)
    parts = [(shard_name(source_files.file_number(path)), header.events) for path, header in files]
    imports = [_job(paths, (paths.imported(n),), "import_file", n, events=events) for n, events in parts]
    made = {"data set": [_job(paths, (paths.manifest,), "import_dataset")]}
    return {"import": imports, **made} if imports else made


def _hard(config: Campaign, paths: CampaignPaths) -> list[PlannedJob]:
    return [
        _job(
            paths,
            (paths.hard(process, name),),
            "hard_process",
            process,
            name,
            events=blocks.shard_events(config, process, i),
        )
        for process in config.processes
        for i in blocks.shards(config, process)
        for name in [shard_name(i)]
    ]


def _pool(config: Campaign, paths: CampaignPaths) -> list[PlannedJob]:
    return [
        _job(paths, (paths.pool(name),), "pileup", name, events=blocks.pool_shard(config, i).events)
        for i in blocks.pool_shards(config)
        for name in [shard_name(i)]
    ]


def _resim(config: Campaign, paths: CampaignPaths) -> list[PlannedJob]:
    return [
        _job(
            paths, (paths.jets(process, variant, name),), "resimulate", process, variant, name,
            events=blocks.shard_events(config, process, i),
        )
        for process in config.processes
        for variant in blocks.own_variants(config)
        for i in blocks.shards(config, process)
        for name in [shard_name(i)]
    ] + _together(config, paths)  # fmt: skip


def _together(config: Campaign, paths: CampaignPaths) -> list[PlannedJob]:
    """Return the jobs that make the jets of several variants at once, with `share_shower`."""
    shared = blocks.shared_variants(config)
    return [
        _job(
            paths, tuple(paths.jets(process, variant, name) for variant in shared), "resimulate_together",
            process, name, events=len(shared) * blocks.shard_events(config, process, i),
        )
        for process in config.processes if shared
        for i in blocks.shards(config, process)
        for name in [shard_name(i)]
    ]  # fmt: skip


def _latents(config: Campaign, paths: CampaignPaths) -> list[PlannedJob]:
    """Return the jobs whose latents a figure shows."""
    return [
        _job(paths, (paths.latents(run, process, name),), "embed", run, process, name)
        for run in [f"{method}_s0" for method in methods.methods(config)]
        for process, name in group_names(config, config.processes)
    ]


def _scores(config: Campaign, paths: CampaignPaths) -> list[PlannedJob]:
    return [
        _job(paths, (paths.predictions(task, run, process, name),), "score", task, run, process, name)
        for task in config.tasks
        for run in [*blocks.runs(config), *blocks.baselines(config)]
        for process, name in group_names(config, blocks.task_processes(config, task))
    ]


def _figures(config: Campaign, paths: CampaignPaths) -> list[PlannedJob]:
    return [
        _job(paths, (paths.figure("_".join(names)),), "plot", *names)
        for figure, item in figures_of(config.processes, config.tasks, missing=lacking(config))
        for names in [tuple(filter(None, (figure.name, item)))]
    ]


def _stage(name: str, jobs: Sequence[PlannedJob]) -> StageStatus:
    done = [job for job in jobs if all(os.path.exists(path) for path in job.outputs)]  # noqa: PTH110 - many calls
    finished = set(done)
    begun = [job for job in jobs if job not in finished and os.path.exists(job.log)]  # noqa: PTH110
    causes = {job.log: cause_of_failure(job.log) for job in begun}
    failures = [Failure(log, cause) for log, cause in causes.items() if cause is not None]
    seconds, rate = _measured(done)
    return StageStatus(name, len(jobs), len(done), len(begun) - len(failures), failures, seconds, rate)


def cause_of_failure(log: str | Path) -> str | None:
    """Return the line of a log that names the cause of a failure, or None if it tells of none."""
    try:
        with open(log, "rb") as stream:
            stream.seek(max(0, Path(log).stat().st_size - _TAIL))
            lines = stream.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return None
    named = [line for line in lines if _NAMED.match(line)]
    raised = (
        [line for line in lines if _EXCEPTION.match(line)] if any("Traceback" in line for line in lines) else []
    )
    return next(iter([*named, *raised[-1:]]), None)


def _measured(done: Sequence[PlannedJob]) -> tuple[float | None, float | None]:
    """Return mean seconds per job, and events per second of one job, from a sample of the benchmarks."""
    step = -(-len(done) // SAMPLE) or 1
    measured = [(job.events, seconds) for job in done[::step] if (seconds := _seconds(job.benchmark)) is not None]
    total = sum(seconds for _, seconds in measured)
    if not total:
        return None, None
    events = sum(events for events, _ in measured)
    return total / len(measured), events / total if events else None


def _seconds(benchmark: str) -> float | None:
    """Return the run time [s] in a benchmark file, or None if it is missing or being written."""
    try:
        return float(json.loads(Path(benchmark).read_text(encoding="utf-8").splitlines()[-1])["s"])
    except (OSError, ValueError, IndexError, KeyError, TypeError):
        return None


def status_text(config: Campaign, stages: Sequence[StageStatus], cores: int) -> str:
    """Return the table of the stages, the time left with ``cores`` jobs at a time, and the failures."""
    header = ["stage", "jobs", "begun", "failed", "s/job", "events/s/core", "left"]
    rows = [header, *(_row(stage, cores) for stage in stages)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    failures = [failure for stage in stages for failure in stage.failures]
    causes = ["failed:", *(f"  {f.log}: {f.cause}" for f in failures)] if failures else []
    return "\n".join([f"{config.campaign} in {config.root}", *table, _total(stages, cores), *causes])


def _row(stage: StageStatus, cores: int) -> list[str]:
    left = stage.seconds_left(cores)
    return [
        stage.name,
        f"{stage.done}/{stage.planned}",
        str(stage.begun or ""),
        str(len(stage.failures) or ""),
        "" if stage.seconds is None else f"{stage.seconds:.3g}",
        "" if stage.rate is None else f"{stage.rate:.3g}",
        "" if not stage.left else "not measured yet" if left is None else clock(left),
    ]


def _total(stages: Sequence[StageStatus], cores: int) -> str:
    done, planned = sum(stage.done for stage in stages), sum(stage.planned for stage in stages)
    if done == planned:
        return f"campaign {done}/{planned}: complete"
    times = [stage.seconds_left(cores) for stage in stages]
    known = sum(time for time in times if time is not None)
    least = "at least " if None in times else ""
    return f"campaign {done}/{planned}, {least}{clock(known)} left with {cores} jobs at a time"


def clock(seconds: float) -> str:
    """Return a time as ``h:mm:ss`` or ``m:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
