"""The order in which a training goes through its labelled jets, whether they are in memory or in a file.

Up to :data:`POOL` jets are one random permutation. More are cut into blocks of consecutive jets; a pass permutes
the blocks, shares them out to pools, and permutes the jets of each pool. The order belongs to the seed, the words
of the training, the pass and the number of jets, and to nothing else: not to row groups, files or memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator

from rs3l.pretrain.views import epoch_batches, torch_generator
from rs3l.types import Ints

BLOCK = 1024
"""Consecutive jets that are read together."""

POOL = 64 * BLOCK
"""Jets that are permuted together, at most."""

MIN_STEPS = 10
"""A pass over a small labelled set goes over it several times, so that validation costs little."""


class Pool(NamedTuple):
    """Some blocks of jets (None: all), and batches [steps, B] of places among the jets of these blocks."""

    blocks: Ints | None
    batches: Ints


class Order:
    """The batches of ``n`` jets; the random numbers belong to the ``address``: the seed, then words."""

    def __init__(self, n: int, batch: int, *address: str | int) -> None:
        self.n, self.batch = n, min(batch, n)
        self.address = address
        if n <= POOL:
            self.steps = max(MIN_STEPS, -(-n // self.batch))
        else:
            sizes = [self._size(blocks) for blocks in self._shares(np.arange(-(-n // BLOCK)))]
            self.batch = min(self.batch, *sizes)
            self.steps = sum(size // self.batch for size in sizes)

    def generator(self, number: int, *words: str | int) -> Generator:
        """Return the generator of a pass, for its rotations, and its order if there is one pool."""
        seed, *own = self.address
        return torch_generator(int(seed), *own, number, *words)

    def pools(self, number: int, generator: Generator) -> Iterator[Pool]:
        """Yield the pools of a pass, with full batches alone; only a pass of few jets has one twice."""
        if self.n <= POOL:
            yield Pool(None, epoch_batches(self.n, self.batch, self.steps, generator))
            return
        full = self.n // BLOCK
        blocks = torch.randperm(full, generator=self.generator(number, "blocks")).numpy()
        for pool, own in enumerate(self._shares(np.append(blocks, np.arange(full, -(-self.n // BLOCK))))):
            size = self._size(own)
            generator = self.generator(number, "pool", pool)
            yield Pool(own, epoch_batches(size, self.batch, size // self.batch, generator))

    def _shares(self, blocks: Ints) -> list[Ints]:
        """Return the blocks of each pool; the last one, which may be smaller, is in the last pool."""
        return np.array_split(blocks, -(-len(blocks) * BLOCK // POOL))

    def _size(self, blocks: Ints) -> int:
        return sum(min(BLOCK, self.n - int(block) * BLOCK) for block in blocks)


def places(blocks: Ints, n: int) -> Ints:
    """Return the jets of some blocks, one block after the other, of ``n`` jets in all."""
    every = blocks[:, None] * BLOCK + np.arange(BLOCK)
    return every[every < n]
