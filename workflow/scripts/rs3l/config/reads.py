"""What a job reads of the data set, and the settings that this part of it is made with.

A rule after the merge holds both in its params, so that it runs again when something changes that it reads, and
only then: a held-out variant or a downstream process re-trains nothing. :mod:`rs3l.dataset.digests` adds what the
data set says of its contents.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from pydantic import Field

from rs3l import versions
from rs3l.config import blocks, source_files
from rs3l.config.base import Settings
from rs3l.config.campaign import Campaign
from rs3l.paths import Split

TRAINING: list[Split] = ["train", "val"]
"""The splits that pre-trainings read."""

SHORT = 16
"""Digits of the checksums in params: 64 bits."""


class Reads(Settings):
    """The rows of the data set that a job reads."""

    splits: list[Split]
    processes: list[str]
    variants: list[str]
    parts: tuple[int, int] | None = Field(None, description="The first part, and that after the last; None: all.")


def of_pretraining(config: Campaign, run: str) -> Reads:
    """Return what a pre-training run reads."""
    block = blocks.pretrain(config, run)
    return Reads(splits=TRAINING, processes=block.processes, variants=block.variants)


def of_task(config: Campaign, task: str) -> Reads:
    """Return what the training of the classifiers of a task reads."""
    sides = [config.tasks[task].signal, config.tasks[task].background]
    return Reads(
        splits=[config.dataset.splits.labelled, "val"],
        processes=list(dict.fromkeys(sides)),
        variants=blocks.train_variants(config),
    )


def of_test(config: Campaign, process: str | None = None, parts: range | None = None) -> Reads:
    """Return what a job reads that takes the test jets: of a process or all, of some consecutive parts or all."""
    return Reads(
        splits=["test"],
        processes=list(config.processes) if process is None else [process],
        variants=list(config.variants),
        parts=None if parts is None else (parts.start, parts.stop),
    )


def of_quality(config: Campaign) -> Reads:
    """Return what the quality of latents is measured on: the validation and the test jets of all processes."""
    return Reads(splits=["val", "test"], processes=list(config.processes), variants=list(config.variants))


def made_with(config: Campaign, reads: Reads) -> dict[str, Any]:
    """Return the settings that the rows of ``reads`` depend on, settings of one simulation as a checksum."""
    if config.source:
        return _imported_with(config, reads)
    variants = [name for name in config.variants if name in _variants(config, reads)]
    return {
        "version": versions.MERGE,
        "seed": config.seed,
        "dataset": config.dataset.model_dump(exclude={"parts_per_job": True, "splits": {"test_only_after"}}),
        "processes": {
            process: {
                "events": _events(config, process, reads),
                "divided": config.dataset.splits.divided(process, _end(config, process, reads)),
                "hard": _hard(config, process),
                **{variant: _short(blocks.resim(config, process, variant)) for variant in variants},
            }
            for process in reads.processes
        },
    }


def _imported_with(config: Campaign, reads: Reads) -> dict[str, Any]:
    """Return the settings that the rows of ``reads`` depend on where they come from files.

    Those of a data set that is used as it lies are none; the checksums of its contents tell all.
    """
    assert config.source is not None
    if config.source.parquet:
        return {}
    block = blocks.import_file(config)
    return {
        "version": block.version,
        "seed": block.seed,
        "splits": block.splits.model_dump(),
        "source": block.model_dump(include={"jet_types", "columns", "angles", "leave_out_invalid"}),
        "row_group": block.events_per_row_group,
        "processes": {name: block.processes[name].jet_types for name in reads.processes},
        "files": source_files.file_stamps(config.source),
    }


def _variants(config: Campaign, reads: Reads) -> set[str]:
    """Return the variants that the rows of ``reads`` depend on.

    The nominal gives all views their jet types. With ``min_views`` above one, all complete variants decide which
    events are kept; with one, an event that has a view is kept whatever the others are.
    """
    complete = {name for name in config.variants if config.is_complete(name)}
    return {"nominal", *reads.variants, *(complete if config.dataset.min_views > 1 else ())}


def _events(config: Campaign, process: str, reads: Reads) -> int | None:
    """Return the number of hard events that rows of the test split come from, or None for the other splits.

    Their rows come from those events alone that are divided among the splits.
    """
    if "test" not in reads.splits:
        return None
    first = 0 if reads.parts is None else reads.parts[0] * config.dataset.events_per_part
    return _end(config, process, reads) - first


def _end(config: Campaign, process: str, reads: Reads) -> int:
    """Return the end of the hard events that are read, as an index within the process."""
    events = config.processes[process].events
    return events if reads.parts is None else min(events, reads.parts[1] * config.dataset.events_per_part)


def _hard(config: Campaign, process: str) -> str:
    """Return a checksum of the settings of the hard events of a process but their number."""
    block = blocks.hard(config, process, 0)
    number = {"first": 0, "events": 1}
    if isinstance(block, blocks.LheBlock):
        number["source"] = block.source.model_copy(update={"events": 1})  # type: ignore[assignment]
    return _short(block.model_copy(update=number))


def _short(block: Settings) -> str:
    return short(block.as_json())


@cache
def short(text: str) -> str:
    """Return the first digits of a SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:SHORT]
