"""The batches of pre-training, from a data set in memory or from a stream of its row groups.

Both give every rank its part of the same global batches, and go on exactly where they were. From memory, batches
and random numbers do not depend on the ranks. From a stream, each rank reads row groups of its own, which belong
to (seed, epoch, number of ranks).

Shapes: B events of the global batch, b of one rank, K slots for their views (-1 in rows is an empty slot).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from torch import Generator

from rs3l.config.blocks import PretrainBlock
from rs3l.config.losses import uses_processes
from rs3l.config.pretrain import IN_MEMORY
from rs3l.dataset.manifest import read_manifest
from rs3l.dataset.store import JetStore, load_views
from rs3l.dataset.stream import Order, ViewStream
from rs3l.errors import ConfigError, DataError
from rs3l.networks.base import STATISTICS_JETS
from rs3l.pretrain.view_source import ViewSource, codes, least_views
from rs3l.pretrain.views import buckets, epoch_batches, torch_generator
from rs3l.training.distributed import Ranks
from rs3l.types import Ints

NewSource = Callable[..., ViewSource]
"""Takes a store and, if only some events are to be used, how many."""


class Batch(NamedTuple):
    """One rank's part of a global batch, which is the events ``part`` of ``rows`` [K, b or B], rows of ``source``.

    ``codes`` [K, B] has the process of each view of the global batch, with -1 in an empty slot. ``place`` is that
    of the feed after this batch.
    """

    source: ViewSource
    rows: Ints
    part: slice
    codes: Ints
    place: dict[str, Any]


class Feed(Protocol):
    """The source of a training's batches, with ``steps`` of ``batch`` events each epoch, of ``total`` events."""

    total: int
    batch: int
    steps: int

    def generator(self, epoch: int) -> Generator:
        """Return the generator of an epoch's random numbers."""

    def batches(self, generator: Generator, done: int) -> Iterator[Batch]:
        """Return the batches of an epoch after the first ``done``; everything is drawn before it returns."""

    def state_dict(self) -> dict[str, Any]:
        """Return this rank's place, which is after the batch that was given out last."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to a place; raises :class:`DataError` if the place belongs to other data or ranks."""


class MemoryFeed:
    """The batches of a split in memory, from one permutation of the events per epoch."""

    def __init__(self, block: PretrainBlock, source: ViewSource, ranks: Ranks) -> None:
        self.block, self.source, self.ranks = block, source, ranks
        self.total = source.total
        self.batch = min(block.batch, len(source.events.count))
        self.steps = -(-self.total // min(block.batch, self.total))

    def generator(self, epoch: int) -> Generator:
        """Return the generator of an epoch's random numbers, the same on all ranks."""
        return torch_generator(self.block.seed, "pretrain", self.block.method, epoch)

    def batches(self, generator: Generator, done: int) -> Iterator[Batch]:
        """Return the batches of an epoch after the first ``done``."""
        views = self.source.draw(generator)
        batches = epoch_batches(views.shape[1], self.batch, self.steps, generator)
        if self.block.loop.bucket_pool:
            lengths = longest(self.source.store, views)
            batches = buckets(batches, lengths, self.block.loop.bucket_pool, generator)
        return (self._batch(views[:, events]) for events in batches[done:])

    def _batch(self, rows: Ints) -> Batch:
        return Batch(self.source, rows, self.ranks.part(rows.shape[1]), codes(self.source.store, rows), {})

    def state_dict(self) -> dict[str, Any]:
        """Return nothing, because an epoch and the number of its steps say where a feed is."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Do nothing."""


class StreamFeed:
    """The batches of a stream, which goes through its own epochs and drops incomplete batches at their ends.

    A pool is what is read for ``bucket_pool`` batches (1 without buckets), and its random numbers have their
    address.
    """

    def __init__(
        self, block: PretrainBlock, stream: ViewStream, total: int, source: NewSource, ranks: Ranks
    ) -> None:
        self.block, self.stream, self.source, self.ranks = block, stream, source, ranks
        self.total = total
        self.batch = min(block.batch, total)
        self.steps = -(-total // self.batch)
        self.own = len(range(self.batch)[ranks.part(self.batch)])
        self._pools, self._taken = 0, 0
        self._start: dict[str, Any] = stream.state_dict()
        self._batches: Iterator[tuple[ViewSource, Ints]] | None = None

    def generator(self, epoch: int) -> Generator:
        """Return the generator of this rank's random numbers of an epoch."""
        return torch_generator(self.block.seed, "pretrain", self.block.method, epoch, "rank", self.ranks.rank)

    def batches(self, generator: Generator, done: int) -> Iterator[Batch]:
        """Return the batches of an epoch after the first ``done``."""
        if self._batches is None:
            self._batches = self._endless()
        return (self._batch(*each) for each in islice(self._batches, self.steps - done))

    def _batch(self, source: ViewSource, rows: Ints) -> Batch:
        return Batch(source, rows, slice(None), self._codes(source, rows), self.state_dict())

    def _codes(self, source: ViewSource, rows: Ints) -> Ints:
        """Return the processes of the views of the global batch; what all ranks know is not sent around."""
        if self.block.views != "all" and not uses_processes(self.block.loss):
            return np.zeros((2, self.batch), dtype=np.int64)
        own = np.full((max(2, len(self.block.variants)), rows.shape[1]), -1)
        own[: len(rows)] = codes(source.store, rows)
        together = self.ranks.together(own, self.batch)
        return together[(together >= 0).any(axis=1)]

    def _endless(self) -> Iterator[tuple[ViewSource, Ints]]:
        """Yield the batches of the stream's epochs one after the other, beginning at the current place."""
        skip, empty = self._taken, 0
        for stores in self.stream.epochs():
            if empty == 2:  # one epoch may be empty, because a stream may go on at the end of its epoch
                break
            empty += 1
            for store in stores:
                for each in islice(self._cut(store), skip, None):
                    self._taken, empty = self._taken + 1, 0
                    yield each
                skip, self._taken = 0, 0
                self._pools += 1
                self._start = self.stream.state_dict()
        raise DataError(
            f"the row groups of a rank hold fewer than the {self.own} events of its part of a batch; use fewer "
            "ranks, or loop.stream: false"
        )

    def _cut(self, store: JetStore) -> Iterator[tuple[ViewSource, Ints]]:
        """Yield the full batches of one pool, each as a source and the rows of its views [K, b]."""
        events = 1 + np.count_nonzero(np.diff(store.event_id))
        if events < max(2, self.own):
            return
        generator = torch_generator(
            self.block.seed, "pretrain", self.block.method, "pool", self.ranks.rank, self._pools
        )
        source = self.source(store)
        views = source.draw(generator)
        batches = np.arange(views.shape[1])[: views.shape[1] // self.own * self.own].reshape(-1, self.own)
        if self.block.loop.bucket_pool:
            batches = buckets(batches, longest(store, views), self.block.loop.bucket_pool, generator)
        yield from ((source, views[:, events]) for events in batches)

    def state_dict(self) -> dict[str, Any]:
        """Return this rank's place, which is the stream before the current pool and the batches taken from it."""
        return {"stream": self._start, "pools": self._pools, "taken": self._taken}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to a place."""
        self.stream.load_state_dict(state["stream"])
        self._start, self._pools, self._taken = dict(state["stream"]), state["pools"], state["taken"]


def longest(store: JetStore, rows: Ints) -> Ints:
    """Return the number of candidates in the longest view of each event [B] of ``rows`` [K, B]."""
    lengths: Ints = np.where(rows >= 0, store.lengths[rows], 0).max(axis=0)
    return lengths


def streams(block: PretrainBlock, manifest: str | Path) -> bool:
    """Return whether to stream the data set, by the configuration and the size of the train split."""
    if block.events is not None:
        if block.loop.stream is True:
            raise ConfigError("pretrain.events: not with loop.stream: true; use loop.stream: false")
        return False
    if block.loop.stream != "auto":
        return block.loop.stream
    contents = read_manifest(manifest)
    return sum(contents.jets("train", process) for process in block.processes) > IN_MEMORY


class Data(NamedTuple):
    """The train split as batches, a source of validation views, and jets that the inputs are standardised by."""

    train: Feed
    val: ViewSource
    statistics: JetStore


def open_data(
    block: PretrainBlock,
    manifest: str | Path,
    source: NewSource,
    ranks: Ranks,
    validation: int,
    threads: int = 1,
) -> Data:
    """Return what a training reads; from a stream, validation is a sample of ``validation`` events.

    ``threads`` read a stream ahead.
    """
    if streams(block, manifest):
        return _open_stream(block, manifest, source, ranks, validation, threads)
    train, val = (
        load_views(manifest, split, block.processes, block.variants, block.constituents)
        for split in ("train", "val")
    )
    return Data(MemoryFeed(block, source(train, block.events), ranks), source(val), train)


def _open_stream(
    block: PretrainBlock, manifest: str | Path, source: NewSource, ranks: Ranks, validation: int, threads: int
) -> Data:
    all_events = Order(seed=block.seed, min_views=least_views(block))
    order = replace(all_events, needs="nominal" if block.needs_nominal else None)

    def stream(split: str, order: Order, verify: bool = False) -> ViewStream:
        names = block.processes, block.variants, block.constituents
        return ViewStream(manifest, split, *names, order, verify=verify)

    total = stream("train", all_events, verify=True).events()
    if total < 2:
        raise DataError("fewer than two events have the views that pre-training needs")
    own = len(range(min(block.batch, total))[ranks.part(min(block.batch, total))])
    pool = max(2, own * max(1, block.loop.bucket_pool))
    train = stream("train", replace(order, batch=pool, rank=ranks.rank, ranks=ranks.size))
    train.threads = max(1, threads)
    logging.info("streaming: %d row groups of the train split", len(train.groups))
    return Data(
        StreamFeed(block, train, total, source, ranks),
        source(_sample(stream("val", replace(order, batch=validation), verify=True))),
        _sample(stream("train", replace(all_events, batch=STATISTICS_JETS, min_views=1))),
    )


def _sample(stream: ViewStream) -> JetStore:
    """Return the first batch of a stream, without the rest of what was read."""
    store = next(stream.stores())
    return store.take(np.arange(len(store)))
