"""The data set as a stream of padded views, with a few row groups in memory, never the whole split.

In an epoch, the row groups are permuted, dealt out to the ranks, and read in pools of a few. The events of a pool
are permuted, and batches are cut from the row of pools. All permutations belong to (seed, epoch, number of ranks),
so that a batch has an address, and a stream goes on exactly where it was.

Shapes count E events and B views (rows) of a batch, and N candidates per padded view. Masks are True for a real
candidate.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Generator, Tensor
from torch.utils.data import IterableDataset, get_worker_info

from rs3l.dataset.manifest import check_names, read_manifest
from rs3l.dataset.row_groups import RowGroup, row_groups
from rs3l.dataset.store import COLUMNS, EventViews, JetBatch, JetStore, join_parts, join_stores, part_arrays
from rs3l.errors import ConfigError, DataError
from rs3l.seeds import keyed_hash
from rs3l.types import Ints


class Views(NamedTuple):
    """All views of some events, adjacent for each event, as padded jets [B, N] and, per view [B], the rest.

    ``process`` and ``variant`` index the names that the stream was made with.
    """

    jets: JetBatch
    event_id: Tensor
    process: Tensor
    variant: Tensor
    weight: Tensor

    def events(self) -> EventViews:
        """Return the rows of each event's views, for example to choose pairs of them (``rs3l.pretrain.views``)."""
        keys, count = torch.unique_consecutive(self.event_id, return_counts=True)
        return EventViews(keys.numpy(), (count.cumsum(0) - count).numpy(), count.numpy())

    def take(self, rows: Ints) -> JetBatch:
        """Return the jets of some rows."""
        index = torch.from_numpy(rows)
        return JetBatch(*(values.index_select(0, index) for values in self.jets))


@dataclass(frozen=True)
class Order:
    """Settings, besides the epoch, on which the order of events depends.

    Events with fewer than ``min_views`` views, or without the variant ``needs``, are left out.
    """

    seed: int = 0
    batch: int = 256
    pool: int = 8
    rank: int = 0
    ranks: int = 1
    min_views: int = 1
    needs: str | None = None


class ViewStream(IterableDataset[Views]):
    """Batches of the views of ``order.batch`` events; the last batch of an epoch may be smaller.

    Iterating gives the rest of the current epoch, and then the next one is current. ``threads`` read ahead, a pool
    each, and change nothing else; memory is that of ``threads + 1`` pools of ``order.pool`` row groups. Each event
    is in one batch of one rank per epoch; ranks may differ by some events. Worker processes of a torch
    ``DataLoader`` count as ranks, each of which reads a share of its own. With them, call :meth:`set_epoch` before
    each epoch; the state is that of a stream without such workers.
    """

    def __init__(
        self,
        manifest: str | Path,
        split: str,
        processes: Sequence[str],
        variants: Sequence[str],
        constituents: int = 100,
        order: Order | None = None,
        threads: int = 1,
        verify: bool = True,
    ) -> None:
        """Look at the files, without their values; ``verify`` compares them with the manifest's checksums.

        Raises :class:`DataError` if they are missing, foreign or changed, or if there are too few row groups.
        """
        self.order = order or Order()
        self.processes, self.variants = tuple(processes), tuple(variants)
        self.constituents, self.threads = constituents, threads
        _check_order(self.order, self.variants)
        known = read_manifest(manifest)
        check_names(manifest, "variant", self.variants, known.variants)
        self.groups = row_groups(manifest, split, self.processes, verify)
        self._source = {"files_sha256": known.files_sha256([split], self.processes), "split": split}
        self.epoch, self._pool, self._offset = 0, 0, 0
        self._counts: Ints | None = None
        self._check_groups(self.order.ranks)

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch."""
        self.epoch, self._pool, self._offset = epoch, 0, 0

    def steps(self) -> int:
        """Return how many full batches every rank has in the current epoch, so that all can stop together.

        The first call reads the keys of all events.
        """
        self.events()
        assert self._counts is not None
        ranks = self.order.ranks
        order = permutation(len(self.groups), self._generator(self.epoch, "groups", ranks))
        return min(int(self._counts[order[rank::ranks]].sum()) // self.order.batch for rank in range(ranks))

    def events(self) -> int:
        """Return the number of events of an epoch, over all ranks.

        The first call reads the keys of all events.
        """
        if self._counts is None:
            self._counts = np.array([self._count(group) for group in self.groups])
        return int(self._counts.sum())

    def _count(self, group: RowGroup) -> int:
        """Return the number of events of a row group that have the views that are asked for."""
        table = self._chosen(group.read(("event_id", "variant")))
        keys = table["event_id"].to_numpy()
        events, views = np.unique(keys, return_counts=True)
        keep = views >= self.order.min_views
        if self.order.needs is not None:
            keep &= np.isin(events, keys[pc.equal(table["variant"], self.order.needs).to_numpy()])
        return int(keep.sum())

    def state_dict(self) -> dict[str, Any]:
        """Return the place of the stream, which is the next batch, and the settings on which the order depends."""
        return {"epoch": self.epoch, "pool": self._pool, "offset": self._offset, "made_of": self._made_of()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with exactly the batches that would have followed the one after which ``state`` was taken.

        Raises :class:`DataError` if it is the state of another stream.
        """
        own = self._made_of()
        other = [key for key, value in own.items() if state.get("made_of", {}).get(key) != value]
        if other:
            raise DataError(f"the state of the stream was made with another {', '.join(other)}; begin anew")
        self.epoch, self._pool, self._offset = state["epoch"], state["pool"], state["offset"]

    def __iter__(self) -> Iterator[Views]:
        """Yield the rest of the epoch, padded."""
        yield from map(padded_views, self.stores())

    def stores(self) -> Iterator[JetStore]:
        """Yield the rest of the epoch, with the jets of each batch's events adjacent and unpadded."""
        for stores in self.epochs(self.epoch + 1):
            yield from stores

    def epochs(self, end: int = sys.maxsize) -> Iterator[Iterator[JetStore]]:
        """Yield :meth:`stores` of the current epoch and of those after it, before the epoch ``end``.

        The first pool of an epoch is read ahead while the last one of the epoch before is used. Each epoch must be
        used up before the next is asked for, and the stream must be left where it is.
        """
        rank, ranks = _share(self.order.rank, self.order.ranks)
        self._check_groups(ranks)
        if ranks != self.order.ranks and (self._pool, self._offset) != (0, 0):
            raise ConfigError("worker processes begin with an epoch: a state is continued without them")
        epochs = range(self.epoch, end)
        pools = self._pools(self._places(rank, ranks, epochs, self._pool))
        for _ in epochs:
            yield self._epoch(pools, self._n_pools(rank, ranks))

    def _epoch(self, pools: Iterator[Pool], n_pools: int) -> Iterator[JetStore]:
        """Yield the rest of the epoch, which has ``n_pools`` in all and goes on with the next of ``pools``."""
        pieces: list[JetStore] = []
        missing = self.order.batch
        offset = self._offset
        for number in range(self._pool, n_pools):
            pool = next(pools)
            while offset < len(pool):
                piece = pool.take(offset, missing)
                offset, missing = offset + piece.events, missing - piece.events
                pieces.append(piece.store)
                if not missing:
                    self._pool, self._offset = number, offset
                    yield join_stores(pieces)
                    pieces, missing = [], self.order.batch
            offset = 0
        if pieces:
            self._pool, self._offset = n_pools, 0
            yield join_stores(pieces)
        self.set_epoch(self.epoch + 1)

    def _pools(self, places: Iterator[Place]) -> Iterator[Pool]:
        """Yield the pools of some places, which threads read ahead."""
        if not self.threads:
            yield from (self._read(*place) for place in places)
            return
        reader = ThreadPoolExecutor(self.threads)
        try:
            ahead = deque(reader.submit(self._read, *place) for place in islice(places, self.threads))
            while ahead:
                pool = ahead.popleft().result()
                ahead.extend(reader.submit(self._read, *place) for place in islice(places, 1))
                yield pool
        finally:
            # The collector may close an abandoned stream amidst threading, so waiting here might never end.
            reader.shutdown(wait=False, cancel_futures=True)

    def _places(self, rank: int, ranks: int, epochs: range, first: int) -> Iterator[Place]:
        """Yield the places of the pools of some epochs, from the pool ``first`` of the first epoch on."""
        size = self.order.pool
        for epoch in epochs:
            order = permutation(len(self.groups), self._generator(epoch, "groups", ranks))[rank::ranks]
            for n in range(first, self._n_pools(rank, ranks)):
                groups = [self.groups[i] for i in order[n * size : (n + 1) * size]]
                yield Place(groups, self._generator(epoch, "events", rank, ranks, n))
            first = 0

    def _n_pools(self, rank: int, ranks: int) -> int:
        return -(-len(range(rank, len(self.groups), ranks)) // self.order.pool)

    def _read(self, groups: Sequence[RowGroup], generator: Generator) -> Pool:
        """Return the events of some row groups, permuted."""
        parts = (self._arrays(group) for group in groups)
        room = sum(group.values for group in groups)
        store = join_parts(parts, self.processes, self.variants, self.constituents, room)
        events = store.events().at_least(self.order.min_views)
        if self.order.needs is not None:
            having = store.event_id[store.rows(variant=self.order.needs)]
            events = events.where(np.isin(events.event_id, having))
        order = permutation(len(events.count), generator)
        return Pool(store, EventViews(events.event_id[order], events.start[order], events.count[order]))

    def _arrays(self, group: RowGroup) -> dict[str, Any]:
        chosen = self._chosen(group.read(COLUMNS))
        return part_arrays(group.path, chosen, self.processes.index(group.process), self.variants)

    def _chosen(self, table: pa.Table) -> pa.Table:
        chosen = pc.is_in(table["variant"], value_set=pa.array(self.variants))
        return table if pc.all(chosen).as_py() else table.filter(chosen)

    def _generator(self, epoch: int, *words: str | int) -> Generator:
        return Generator().manual_seed(keyed_hash(self.order.seed, "stream", epoch, *words) >> 1)

    def _made_of(self) -> dict[str, Any]:
        names = {"processes": list(self.processes), "variants": list(self.variants)}
        return {**asdict(self.order), **self._source, **names, "constituents": self.constituents}

    def _check_groups(self, ranks: int) -> None:
        if len(self.groups) < ranks:
            raise DataError(
                f"the split {self._source['split']!r} has {len(self.groups)} row groups for {ranks} readers: use "
                "fewer, or merge with a smaller dataset.events_per_row_group"
            )


class Place(NamedTuple):
    """The row groups of a pool, and the generator that permutes its events."""

    groups: list[RowGroup]
    generator: Generator


class Piece(NamedTuple):
    """Jets, and the number of events that they belong to."""

    store: JetStore
    events: int


@dataclass(frozen=True)
class Pool:
    """Some events in memory, in the order in which they are given out."""

    store: JetStore
    order: EventViews

    def __len__(self) -> int:
        return len(self.order.count)

    def take(self, first: int, events: int) -> Piece:
        """Return the views of the events from ``first`` on, at most ``events`` of them."""
        start, count = (values[first : first + events] for values in (self.order.start, self.order.count))
        rows = np.arange(count.sum()) + np.repeat(start - (np.cumsum(count) - count), count)
        return Piece(self.store.select(rows), len(count))


def padded_views(store: JetStore) -> Views:
    """Return all jets of a store, padded to the longest."""
    rest = (store.event_id, store.process, store.variant, store.weight)
    return Views(store.batch(np.arange(len(store))), *map(torch.from_numpy, rest))


def permutation(n: int, generator: Generator) -> Ints:
    """Return a permutation of the numbers below ``n``."""
    return torch.randperm(n, generator=generator).numpy()


def _share(rank: int, ranks: int) -> tuple[int, int]:
    """Return rank and ranks, where the worker processes of a DataLoader count as ranks."""
    info = get_worker_info()
    return (rank, ranks) if info is None else (rank * info.num_workers + info.id, ranks * info.num_workers)


def _check_order(order: Order, variants: Sequence[str]) -> None:
    if order.needs is not None and order.needs not in variants:
        raise ConfigError(f"events that need the variant {order.needs}: it is not among {', '.join(variants)}")
    if min(order.batch, order.pool, order.ranks, order.min_views) < 1 or not 0 <= order.rank < order.ranks:
        raise ConfigError(f"batch, pool, ranks and min_views must be 1 or more, and rank below ranks: {order}")
