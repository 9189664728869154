"""The stream of views: the jets of the store in memory, every event once, and the same batches after a restart."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import DataLoader

from rs3l.dataset.row_groups import RowGroup, row_groups
from rs3l.dataset.store import JetStore, load_views
from rs3l.dataset.stream import Order, Pool, Views, ViewStream, padded_views
from rs3l.errors import ConfigError, DataError
from rs3l.pretrain.views import choose_pairs, torch_generator
from support import toy
from support.places import REPOSITORY, SCRIPTS
from support.workflow import HANGS

PROCESSES = ["signal", "background"]
VARIANTS = ["nominal", "fsr_hi", "vincia"]
ORDER = Order(seed=3, batch=7, pool=3)
Key = tuple[int, int]


@pytest.fixture(scope="module")
def store(manifest: Path) -> JetStore:
    return load_views(manifest, "train", PROCESSES, VARIANTS, 10)


def new(manifest: Path, order: Order = ORDER, threads: int = 1) -> ViewStream:
    return ViewStream(manifest, "train", PROCESSES, VARIANTS, 10, order, threads)


def keys(batch: Views) -> list[Key]:
    return list(zip(batch.event_id.tolist(), batch.variant.tolist(), strict=True))


class Reads:
    """The row groups that are read from now on, in their order, and the threads that read them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.groups: list[RowGroup] = []
        self.threads: set[threading.Thread] = set()
        self._done = threading.Semaphore(0)
        original = RowGroup.read

        def read(group: RowGroup, columns: tuple[str, ...]) -> object:
            self.groups.append(group)
            self.threads.add(threading.current_thread())
            self._done.release()
            return original(group, columns)

        monkeypatch.setattr(RowGroup, "read", read)

    def wait_for(self, number: int) -> None:
        """Wait until as many reads have begun."""
        for _ in range(number):
            assert self._done.acquire(timeout=HANGS)

    def no_thread_is_left(self) -> None:
        """Wait for the end of the threads that read, but for this one."""
        for thread in self.threads - {threading.current_thread()}:
            thread.join(HANGS)
            assert not thread.is_alive()


def assert_same(one: list[Views], other: list[Views]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        for x, y in zip([*a.jets, *a[1:]], [*b.jets, *b[1:]], strict=True):
            assert torch.equal(x, y)


@pytest.mark.parametrize("threads", [0, 3])
def test_the_jets_are_those_in_memory(manifest: Path, store: JetStore, threads: int) -> None:
    row_of = {
        key: row for row, key in enumerate(zip(store.event_id.tolist(), store.variant.tolist(), strict=True))
    }
    seen: Counter[Key] = Counter()
    for batch in new(manifest, threads=threads):
        seen.update(keys(batch))
        rows = np.array([row_of[key] for key in keys(batch)])
        for streamed, stored in zip(batch.jets, store.batch(rows), strict=True):
            assert torch.equal(streamed, stored)
        for name in ("process", "weight"):
            np.testing.assert_array_equal(getattr(batch, name), getattr(store, name)[rows])
    assert seen == Counter(row_of.keys())


def test_batches_hold_whole_events_and_pairs_can_be_drawn(manifest: Path, store: JetStore) -> None:
    batches = list(new(manifest, Order(seed=3, batch=7, pool=3, min_views=2)))
    sizes = [len(batch.events().count) for batch in batches]
    assert set(sizes[:-1]) == {7} and sum(sizes) == len(store.events().at_least(2).count)
    whole = dict(zip(store.events().event_id.tolist(), store.events().count.tolist(), strict=True))
    for batch in batches:
        events = batch.events()
        assert [whole[e] for e in events.event_id.tolist()] == events.count.tolist()
        first, second = (batch.take(rows) for rows in choose_pairs(events, torch_generator(0, "test")))
        assert first.mask.any(dim=1).all() and first.candidates.shape == second.candidates.shape
        assert not first.candidates[~first.mask].any()


@pytest.mark.parametrize("ranks", [2, 5])
def test_each_event_once_over_all_ranks(manifest: Path, store: JetStore, ranks: int) -> None:
    shares = [
        {key for batch in new(manifest, Order(seed=3, batch=7, rank=rank, ranks=ranks)) for key in keys(batch)}
        for rank in range(ranks)
    ]
    assert sum(map(len, shares)) == len(set().union(*shares)) == len(store)


@pytest.mark.parametrize("min_views", [1, 3])
def test_all_ranks_have_as_many_full_batches(manifest: Path, min_views: int) -> None:
    streams = [new(manifest, Order(seed=3, batch=4, rank=rank, ranks=5, min_views=min_views)) for rank in range(5)]
    for _ in range(2):
        steps = [stream.steps() for stream in streams]
        sizes = [[len(batch.events().count) for batch in stream] for stream in streams]
        assert set(steps) == {min(size.count(4) for size in sizes)}


def test_each_event_once_over_all_ranks_and_worker_processes(manifest: Path, store: JetStore) -> None:
    seen: Counter[Key] = Counter()
    for rank in range(2):
        stream = new(manifest, Order(seed=3, batch=7, rank=rank, ranks=2))
        for batch in DataLoader(stream, batch_size=None, num_workers=2):
            seen.update(keys(batch))
    assert len(seen) == len(store) and set(seen.values()) == {1}


def test_the_order_belongs_to_seed_epoch_and_ranks(manifest: Path) -> None:
    stream = new(manifest)
    first, second = list(stream), list(stream)
    assert_same(first, list(new(manifest, threads=0)))
    stream.set_epoch(1)
    assert_same(second, list(stream))
    orders = [[key for batch in batches for key in keys(batch)] for batches in (first, second)]
    orders.append([key for batch in new(manifest, Order(seed=4, batch=7, pool=3)) for key in keys(batch)])
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])
    assert orders[0] != orders[1] and orders[0] != orders[2]
    half = [[key for batch in batches[: len(batches) // 2] for key in keys(batch)] for batches in (first, second)]
    assert set(half[0]) != set(half[1])  # row groups too are in another order
    processes = [int(batch.process.float().mean() * 10) for batch in first]
    assert len(set(processes)) > 2  # the classes are mixed within and between batches


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_stream_goes_on_after_any_batch(manifest: Path, ranks: int) -> None:
    order = Order(seed=3, batch=7, pool=3, rank=ranks - 1, ranks=ranks)
    whole = new(manifest, order)
    expected = [*whole, *whole]  # two epochs
    n = len(expected) // 2
    for after in range(1, n + 3):
        interrupted = new(manifest, order)
        taken = 0
        while taken < after:
            for _ in interrupted:
                taken += 1
                if taken == after:
                    state = json.loads(json.dumps(interrupted.state_dict()))
                    break
        resumed = new(manifest, order, threads=2)
        resumed.load_state_dict(state)
        rest = list(resumed)
        rest += [batch for _ in range(2 - resumed.epoch) for batch in resumed]
        assert_same(expected[after:], rest)
        resumed.load_state_dict(state)
        assert_same(expected[after:], [padded_views(store) for stores in resumed.epochs(2) for store in stores])


@pytest.mark.parametrize("threads", [1, 2])
def test_the_next_epoch_is_read_ahead(manifest: Path, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    """While the last batch of an epoch is held, a pool of the next is read for each thread, and no more."""
    batches = len(list(new(manifest)))
    reads = Reads(monkeypatch)
    stream = new(manifest, threads=threads)
    expected = len(stream.groups) + threads * ORDER.pool
    epochs = stream.epochs()
    epoch = next(epochs)
    assert len(list(islice(epoch, batches))) == batches and stream.epoch == 0
    reads.wait_for(expected)
    assert 1 <= len(reads.threads) <= threads and threading.current_thread() not in reads.threads
    del epochs, epoch
    reads.no_thread_is_left()
    assert len(reads.groups) == expected


def test_an_abandoned_stream_does_not_wait_for_its_threads(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be collected while a thread is being started, under locks that the end of a thread needs."""
    go, ahead = threading.Event(), threading.Event()
    readers: list[threading.Thread] = []
    original = ViewStream._read

    def read(self: ViewStream, *place: Any) -> Pool:
        readers.append(threading.current_thread())
        if len(readers) > 1:
            ahead.set()
            assert go.wait(HANGS)
        return original(self, *place)

    monkeypatch.setattr(ViewStream, "_read", read)
    stores = new(manifest).stores()
    next(stores)
    assert ahead.wait(HANGS)
    del stores
    assert readers[-1].is_alive()
    go.set()
    readers[-1].join(HANGS)
    assert not readers[-1].is_alive()


def test_few_row_groups_are_in_memory(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a batch is held, the groups read so far are those of its pool and of what the thread reads ahead."""
    reads = Reads(monkeypatch).groups
    stream = new(manifest, threads=0)
    groups = len(stream.groups)
    assert groups > 9 and not reads
    for _ in stream:
        assert len(reads) <= stream.order.pool * (stream._pool + 1)
    assert len(reads) == groups


def test_the_lines_of_the_documents_run(manifest: Path) -> None:
    blocks = re.findall(
        r"^```python\n(.*?)^```",
        (REPOSITORY / "docs" / "merge.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    (lines,) = (block for block in blocks if "ViewStream" in block)
    for ours, toys in (
        ("results/demo/dataset/manifest.json", str(manifest)),
        ("higgs_bb", "signal"),
        ("qcd", "background"),
    ):
        assert ours in lines
        lines = lines.replace(ours, toys)
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    shapes = re.findall(r"torch.Size\(\[(\d+), \d+, 15\]\)", done.stdout)
    counts = [
        len(batch.events().count)
        for batch in ViewStream(
            manifest, "train", PROCESSES, ["nominal", "seed", "fsr_hi"], order=Order(seed=1, batch=64, min_views=2)
        )
    ]
    assert [int(n) for n in shapes] == counts and len(counts) == 2


def test_states_of_other_streams_are_refused(manifest: Path) -> None:
    stream = new(manifest)
    for order in (Order(seed=4, batch=7, pool=3), Order(seed=3, batch=8, pool=3)):
        with pytest.raises(DataError, match="another (seed|batch)"):
            stream.load_state_dict(new(manifest, order).state_dict())
    with pytest.raises(DataError, match="another seed, batch"):
        stream.load_state_dict({})


def test_wrong_settings_are_refused(manifest: Path) -> None:
    with pytest.raises(ConfigError, match="rank below ranks"):
        new(manifest, Order(rank=2, ranks=2))
    with pytest.raises(DataError, match="row groups for 500 readers"):
        new(manifest, Order(ranks=500))
    with pytest.raises(DataError, match="no variant herwig"):
        ViewStream(manifest, "train", PROCESSES, ["herwig"])


def test_changed_files_and_cut_events_are_refused(tmp_path: Path) -> None:
    manifest = toy.write_dataset(tmp_path, parts=1)
    path = tmp_path / "train" / "signal-0000.parquet"
    table = pq.read_table(path)
    pq.write_table(table, path, row_group_size=10)
    with pytest.raises(DataError, match="its SHA-256 is not the manifest's"):
        row_groups(manifest, "train", PROCESSES)
    with pytest.raises(DataError, match="row group 1 cuts an event"):
        row_groups(manifest, "train", PROCESSES, verify=False)
    pq.write_table(table.drop_columns(["jet_tau21"]), path)
    with pytest.raises(
        DataError, match=r"signal-0000\.parquet: no column jet_tau21: it was made by another version"
    ):
        row_groups(manifest, "train", PROCESSES, verify=False)[0].read()
