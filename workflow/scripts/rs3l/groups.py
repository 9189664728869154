"""The files that hold something of the test jets, one for each group of parts of the data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rs3l.config import Campaign, blocks
from rs3l.paths import CampaignPaths, shard_name


def group_names(config: Campaign, processes: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each process with the name of each of its groups of parts."""
    for process in processes:
        for group in blocks.groups(config, process):
            yield process, shard_name(group)


def latent_files(config: Campaign, paths: CampaignPaths, run: str) -> list[str]:
    """Return the files of the latents of all test jets under one run, by process and group."""
    return [paths.latents(run, *group) for group in group_names(config, config.processes)]


def prediction_files(config: Campaign, paths: CampaignPaths, task: str, run: str) -> list[str]:
    """Return the files of the scores of a task's test jets by the classifiers of one run, by process and group."""
    groups = group_names(config, blocks.task_processes(config, task))
    return [paths.predictions(task, run, *group) for group in groups]
