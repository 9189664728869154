"""The work of the stages that train networks or apply them: pre-training, latents, classifiers, scores."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

from rs3l.config import blocks, methods
from rs3l.config.campaign import Campaign
from rs3l.config.losses import kinds_of
from rs3l.config.pretrain import IN_MEMORY, Pretrain
from rs3l.modes import Mode
from rs3l.plan.costs import network_time, step_mb
from rs3l.plan.work import (
    Scope,
    Work,
    classifiers,
    group_jobs,
    in_split,
    largest_group,
    modes_of,
    pretrained,
    test_showers,
)

EPOCHS = 60
"""Epochs that a classifier is assumed to need, with a look at validation jets after each; the networks decide."""
LEAST_STEPS = 10
"""Steps of an epoch at least (:mod:`rs3l.finetune.order`, which rules and plans do without as those below)."""
LABEL_POOL = 65_536
"""Labelled jets that are held of a draw that is read from a file."""
FEWEST_JUDGES = 2_000
JUDGES_PER_JET = 2
"""Validation jets of a look: so many per jet of an epoch, or so few (:mod:`rs3l.finetune.training`)."""
FORWARD = 1 / 3
"""Time of a forward pass over that of a training step."""
VALIDATION_ROWS = 3
"""Rows that a validation jet counts for in memory, because its features are held beside it."""
INDEX_BYTES = 28
"""Memory per event of a task in the split of labels: the index that finds the labelled ones, while it is made."""
POOLS = 2
"""Pools of row groups that a stream holds: the one in use, and the next, which is read ahead."""
GROUPS_OF_POOL = 8
"""Row groups of a pool (:class:`rs3l.dataset.stream.Order`, whose module rules and plans do without)."""
SIMILARITY_BYTES = 13.4
"""Memory per pair of jets of a step in a contrastive loss: 0.9 GB for 8,192 (docs/pretrain.md)."""


def streams(config: Campaign, settings: Pretrain, scope: Scope) -> bool:
    """Return whether a pre-training streams its data set, as the training itself will find by its jets."""
    if settings.events is not None or settings.loop.stream != "auto":
        return settings.loop.stream is True
    showers = in_split(config, "train", pretrained(config)) * len(config.variants)
    return showers * scope.jets_per_shower > IN_MEMORY


def pretrain(config: Campaign, scope: Scope) -> Work:
    """Return the work of the pre-training: views seen by the default network."""
    runs = [run for run in scope.runs(config) if blocks.imported_model(config, run) is None]
    settings = [blocks.run_settings(config, run) for run in runs]
    train = in_split(config, "train", pretrained(config))
    passes = [train * _epoch_work(config, block, scope) for block in settings]
    held = max((_held(config, block, scope) for block in settings), default=0.0)
    step = max((_step_mb(config, block, scope) for block in settings), default=0.0)
    return Work("pretrain", len(runs), sum(passes), max(passes, default=0.0), held, written=0, counted_mb=step)


def _step_mb(config: Campaign, settings: Pretrain, scope: Scope) -> float:
    jets = settings.batch * _compared(config, settings)
    seen = round(jets * passes(settings))
    return step_mb(settings, seen, scope.encoders) + SIMILARITY_BYTES * jets**2 / 1e6


def _compared(config: Campaign, settings: Pretrain) -> int:
    """Return the views of an event that are compared in a step."""
    return len(methods.variants(config, settings)) if settings.views == "all" else 2


def _held(config: Campaign, settings: Pretrain, scope: Scope) -> float:
    """Return the showers that a pre-training holds: those of train and validation, or the pools of a stream."""
    own, variants = pretrained(config), len(methods.variants(config, settings))
    everything = (in_split(config, "train", own) + in_split(config, "val", own)) * variants
    pools = POOLS * GROUPS_OF_POOL * config.dataset.events_per_row_group * variants
    return min(everything, pools) if streams(config, settings, scope) else everything


def _epoch_work(config: Campaign, settings: Pretrain, scope: Scope) -> float:
    """Return the views of an event that a run sees in all its epochs, times the size of its network."""
    seen = _compared(config, settings) * settings.epochs * passes(settings)
    return seen * network_time(settings, scope.encoders, "training")


def passes(settings: Pretrain) -> float:
    """Return how often a step sees each of its views: once for all losses that see them whole.

    A loss that hides candidates sees them once more, and a target network only goes forward.
    """
    kinds = kinds_of(settings.loss)
    targets = FORWARD * sum(kind.target for kind in kinds)
    return any(not kind.hides for kind in kinds) + sum(kind.hides for kind in kinds) + targets


def _inference(config: Campaign, run: str, scope: Scope) -> float:
    return network_time(blocks.run_settings(config, run), scope.encoders, "inference")


def embed(config: Campaign, scope: Scope) -> Work:
    """Return the work of the latents, with a job per run and group of parts; none holds more than a row group.

    Figures show those of the first run of each method, and no others are made.
    """
    everything, runs = list(config.processes), [f"{method}_s0" for method in methods.methods(config)]
    times = [_inference(config, run, scope) for run in runs]
    showers = test_showers(config, everything)
    return Work(
        "embed",
        jobs=len(runs) * group_jobs(config, everything),
        units=showers * sum(times),
        largest=largest_group(config, everything) * max(times, default=0.0),
        held=0,
        written=showers * len(runs),
    )


def quality(config: Campaign, scope: Scope) -> Work:
    """Return the work of what the latents know, in jets times replicas."""
    most = config.evaluate.quality_events
    test, val = (min(in_split(config, split, config.processes), most) for split in ("test", "val"))
    held = test * len(config.variants) + val
    units = held * (config.evaluate.bootstrap + 1)
    runs = scope.runs(config)
    return Work("quality", len(runs), units * len(runs), units, held=held, written=0)


def finetune(config: Campaign, scope: Scope) -> Work:
    """Return the work of the classifiers' training: labelled and validation jets seen by the default network."""
    jobs = scope.jobs_of_tasks(config)
    units = [
        _trained_jets(config, task, run)
        * network_time(blocks.run_settings(config, run), scope.encoders, "training")
        for task, run in jobs
    ]
    return Work(
        "finetune",
        len(jobs),
        sum(units),
        max(units),
        held=max(_held_labels(config, task, run) for task, run in jobs),
        written=0,
        counted_mb=max(_finetune_mb(config, task, run, scope) for task, run in jobs),
    )


def _finetune_mb(config: Campaign, task: str, run: str, scope: Scope) -> float:
    """Return the memory of a step on labelled jets, and of the index of the events that have them."""
    step = step_mb(blocks.run_settings(config, run), config.finetune.batch, scope.encoders)
    return step + INDEX_BYTES / 1e6 * in_split(config, config.dataset.splits.labelled, _of(config, task))


def _trained_jets(config: Campaign, task: str, run: str) -> float:
    """Return the jets that the networks of one job see while they learn, and in part while they are judged."""
    labels = blocks.task_labels(config, task)
    views = [_views(config, [mode]) for mode in modes_of(config, task, run) if _is_trained(mode)]
    seen = sum(_training(config, task, number * n) for number in labels for n in views)
    frozen = FORWARD * (sum(labels) + _validation(config, task))
    return config.finetune.repeats * (seen + frozen)


def _training(config: Campaign, task: str, jets: int) -> float:
    """Return the jets that one network sees, which learns from ``jets`` and is judged after each epoch."""
    settings = config.finetune
    batch = min(settings.batch, jets)
    steps = min(max(LEAST_STEPS, math.ceil(jets / batch)), settings.validate_every)
    judges = min(max(FEWEST_JUDGES, JUDGES_PER_JET * steps * batch), _validation(config, task))
    epochs = min(max(EPOCHS, math.ceil(settings.min_steps / steps)), settings.max_epochs)
    return epochs * (steps * batch + FORWARD * judges)


def _validation(config: Campaign, task: str) -> float:
    """Return the nominal validation jets of a task, at most."""
    return min(config.finetune.validation, in_split(config, "val", _of(config, task)))


def _held_labels(config: Campaign, task: str, run: str) -> float:
    """Return the rows that one job holds: draws as long as they fit, a pool of any other, and validation jets."""
    views = _views(config, modes_of(config, task, run))
    draws = [n * views for n in sorted(blocks.task_labels(config, task)) for _ in range(config.finetune.repeats)]
    sums = list(itertools.accumulate(draws))
    fits = [total for total in sums if total <= config.finetune.held_jets]
    others = [min(jets, LABEL_POOL) for jets in draws[len(fits) :]]
    return max(fits, default=0) + max(others, default=0) + VALIDATION_ROWS * _validation(config, task)


def _views(config: Campaign, modes: Iterable[Mode]) -> int:
    """Return the views of a labelled event that some classifiers learn from."""
    return len(blocks.train_variants(config)) if any(mode.views == "all" for mode in modes) else 1


def _is_trained(mode: Mode) -> bool:
    """Return whether the weights of a classifier's whole network are trained."""
    return mode.start in ("tuned", "scratch")


def score(config: Campaign, scope: Scope) -> Work:
    """Return the work of the scores: test jets, times the networks that see them."""
    jobs = scope.jobs_of_tasks(config)
    passes = [_networks(config, task, run) * _inference(config, run, scope) for task, run in jobs]
    showers = [test_showers(config, _of(config, task)) for task, _ in jobs]
    largest = [largest_group(config, _of(config, task)) for task, _ in jobs]
    return Work(
        "score",
        jobs=sum(group_jobs(config, _of(config, task)) for task, _ in jobs),
        units=sum(n * jets for n, jets in zip(passes, showers, strict=True)),
        largest=max(n * jets for n, jets in zip(passes, largest, strict=True)),
        held=0,
        written=sum(jets * classifiers(config, *job) for job, jets in zip(jobs, showers, strict=True)),
    )


def _of(config: Campaign, task: str) -> Sequence[str]:
    return blocks.task_processes(config, task)


def _networks(config: Campaign, task: str, run: str) -> int:
    """Return the networks that a test jet passes through in one job: the frozen one, and each that was trained."""
    modes, repeats = modes_of(config, task, run), config.finetune.repeats
    trained = sum(map(_is_trained, modes)) * len(blocks.task_labels(config, task)) * repeats
    frozen = any(mode.start == "frozen" for mode in modes)
    random = repeats * any(mode.start == "random" for mode in modes)
    return max(trained + frozen + random, 1)
