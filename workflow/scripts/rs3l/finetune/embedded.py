"""What a frozen encoder makes of labelled jets: in memory if they are few, else in files of raw numbers.

Shapes: n jets, B jets of a batch, H dimensions of a representation or latent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from rs3l.dataset.store import JetStore
from rs3l.files import atomic
from rs3l.finetune.order import BLOCK, POOL, places
from rs3l.finetune.sources import Labelled, Source
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import embed
from rs3l.training.device import Placement
from rs3l.types import Array, Floats32, Ints

SPACES = "hz"
"""The representation and the latent."""

_ITEM = np.dtype(np.float32).itemsize


class EmbeddedPart(NamedTuple):
    """Some embedded jets ``x`` [n, H] with their labels [n]."""

    x: Tensor
    y: Array

    def inputs(self, index: Ints, generator: Generator, place: Placement) -> tuple[Tensor, ...]:
        """Return the representations [B, H] of jets."""
        return (place.put(self.x[torch.from_numpy(index)]),)


@dataclass(frozen=True)
class Embedded:
    """A source of embedded jets with the labels ``y`` [n], whose values [n, H] are an array or a file of them."""

    values: Floats32 | Path
    y: Array
    width: int

    def __len__(self) -> int:
        return len(self.y)

    def part(self, blocks: Ints | None) -> EmbeddedPart:
        """Return the jets of some blocks, or all."""
        if blocks is None:
            return EmbeddedPart(torch.from_numpy(self.rows(0, len(self))), self.y)
        pieces = [self.rows(int(block) * BLOCK, int(block + 1) * BLOCK) for block in blocks]
        return EmbeddedPart(torch.from_numpy(np.concatenate(pieces)), self.y[places(blocks, len(self))])

    def rows(self, start: int, stop: int) -> Floats32:
        """Return the values of consecutive jets."""
        count = min(stop, len(self)) - start
        if isinstance(self.values, Path):
            flat = np.fromfile(self.values, np.float32, count * self.width, offset=start * self.width * _ITEM)
            return flat.reshape(count, self.width)
        return self.values[start : start + count]

    def pieces(self) -> Iterator[tuple[Floats32, Array]]:
        """Yield the values and labels of all jets in order, some at a time."""
        for start in range(0, len(self), POOL):
            yield self.rows(start, start + POOL), self.y[start : start + POOL]

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation [H] over all jets."""
        if not isinstance(self.values, Path):
            return torch.from_numpy(self.values.mean(axis=0)), torch.from_numpy(self.values.std(axis=0))
        mean = sum(x.sum(axis=0, dtype=np.float64) for x, _ in self.pieces()) / len(self)
        square = sum(np.square(x - mean).sum(axis=0) for x, _ in self.pieces()) / len(self)
        return torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(np.sqrt(square).astype(np.float32))


def embed_at(place: Placement, encoder: JetEncoder, store: JetStore, rows: Ints) -> tuple[Floats32, Floats32]:
    """Return h [B, H] and z [B, D] of the jets ``rows``, computed on a device; the encoder stays on the CPU."""
    try:
        return embed(encoder.to(place.device), store, rows, place.put)
    finally:
        encoder.cpu()


def embedded(encoder: JetEncoder, jets: Source, folder: Path, name: str, place: Placement) -> dict[str, Embedded]:
    """Return h and z of jets, by :data:`SPACES`; those of more than a pool are in files of ``folder``."""
    if len(jets) <= POOL:
        found, y = _embed(place, encoder, jets, None)
        return {space: Embedded(x, y, x.shape[1]) for space, x in zip(SPACES, found, strict=True)}
    paths = [folder / f"{name}-{space}.f32" for space in SPACES]
    with atomic(paths[0]) as first, atomic(paths[1]) as second, open(first, "wb") as h, open(second, "wb") as z:
        labels = []
        blocks_of_all = np.arange(-(-len(jets) // BLOCK))
        for blocks in np.array_split(blocks_of_all, -(-len(jets) // POOL)):
            found, y = _embed(place, encoder, jets, blocks)
            labels.append(y.astype(np.int8))
            for stream, x in zip((h, z), found, strict=True):
                x.tofile(stream)
    widths = (encoder.config.representation, encoder.config.latent)
    y = np.concatenate(labels)
    return {s: Embedded(path, y, width) for s, path, width in zip(SPACES, paths, widths, strict=True)}


def _embed(
    place: Placement, encoder: JetEncoder, jets: Source, blocks: Ints | None
) -> tuple[tuple[Floats32, Floats32], Array]:
    part = jets.part(blocks)
    assert isinstance(part, Labelled)
    return embed_at(place, encoder, part.store, part.rows), part.y
