"""Loads batches ahead of a device, in threads that change nothing but the time.

A batch's jets are gathered beside the training, which then finds them ready. Which batches there are, and every
random number, is decided by the training itself, in order, so that neither depends on the threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from rs3l.pretrain.feed import Batch
from rs3l.pretrain.view_source import Jets
from rs3l.training.device import Placement


def load(batch: Batch, placement: Placement) -> Jets:
    """Return the jets of a batch, ready to be copied to the device."""
    return batch.source.load(batch.rows, batch.part, placement)


def loaded(batches: Iterator[Batch], placement: Placement) -> Iterator[tuple[Batch, Jets]]:
    """Yield all batches in order, each with its jets; ``placement.threads`` threads load ahead."""
    if not placement.threads:
        yield from ((batch, load(batch, placement)) for batch in batches)
        return
    pool = ThreadPoolExecutor(placement.threads)

    def start(batch: Batch) -> tuple[Batch, Future[Jets]]:
        return batch, pool.submit(load, batch, placement)

    try:
        ahead = deque(map(start, islice(batches, placement.threads + 1)))
        while ahead:
            batch, jets = ahead.popleft()
            yield batch, jets.result()
            ahead.extend(map(start, islice(batches, 1)))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
