"""The files that hold something of the test jets, one for each group of parts of the data set."""

from __future__ import annotations

from rs3l.config import Campaign, blocks
from rs3l.paths import CampaignPaths, shard_name


def latent_files(config: Campaign, paths: CampaignPaths, run: str) -> list[str]:
    """Return the files of the latents of all test jets under one run, by process and group."""
    return [
        paths.latents(run, process, shard_name(group))
        for process in config.processes
        for group in blocks.groups(config, process)
    ]


def prediction_files(config: Campaign, paths: CampaignPaths, task: str, run: str) -> list[str]:
    """Return the files of the scores of a task's test jets by the classifiers of one run, by process and group."""
    return [
        paths.predictions(task, run, process, shard_name(group))
        for process in blocks.task_processes(config, task)
        for group in blocks.groups(config, process)
    ]
