"""What a training learns from: labelled jets in memory or in a file.

A source hands out parts, each of which is in memory: all of it, or some blocks (:mod:`rs3l.finetune.order`).
Shapes: n jets of a source, B jets of a batch, N padded candidates, F = 15 features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from torch import Generator, Tensor

from rs3l.dataset.features import features
from rs3l.dataset.parquet import parquet_options
from rs3l.dataset.store import COLUMNS, JetStore, join_parts, part_arrays
from rs3l.errors import DataError
from rs3l.files import atomic
from rs3l.finetune.high_level import OBSERVABLES
from rs3l.finetune.order import BLOCK, places
from rs3l.finetune.sample import SIDES, Index, Wanted
from rs3l.pretrain.views import angles, turn
from rs3l.training.device import Placement
from rs3l.types import Array, Ints

SIDE = "side"
"""Column of a file of labelled jets, 0 for signal and 1 for background."""


class Part(Protocol):
    """Some jets in memory, with their labels ``y``, which are 1 for signal."""

    @property
    def y(self) -> Array:
        """Return the labels [n]."""

    def inputs(self, index: Ints, generator: Generator, place: Placement) -> tuple[Tensor, ...]:
        """Return what the classifier is called with for the jets ``index`` [B], on the device of ``place``."""


class Source(Protocol):
    """Labelled jets, in parts."""

    def __len__(self) -> int:
        """Return the number of jets."""

    def part(self, blocks: Ints | None) -> Part:
        """Return the jets of some blocks, one block after the other, or all."""


class Labelled(NamedTuple):
    """Labelled jets, given as the rows [n] of ``store`` and their labels [n], which are 1 for signal."""

    store: JetStore
    rows: Ints
    y: Array

    def inputs(self, index: Ints, generator: Generator, place: Placement) -> tuple[Tensor, ...]:
        """Return features [B, N, F] and mask [B, N] of jets, each rotated by an angle of its own."""
        jets, angle = place.put((self.store.batch(self.rows[index]), angles(len(index), generator)))
        return features(turn(jets, angle)), jets.mask


@dataclass(frozen=True)
class JetsInMemory:
    """A source of jets that are all in memory."""

    jets: Labelled

    def __len__(self) -> int:
        return len(self.jets.rows)

    def part(self, blocks: Ints | None) -> Labelled:
        """Return the jets of some blocks, or all."""
        if blocks is None:
            return self.jets
        chosen = places(blocks, len(self))
        return Labelled(self.jets.store, self.jets.rows[chosen], self.jets.y[chosen])


class JetsInFile:
    """A source of jets in a file of their own, whose row groups are the blocks, read when they are asked for."""

    def __init__(self, path: Path, variants: tuple[str, ...], constituents: int) -> None:
        """Open a file that :func:`write_jets` wrote."""
        self.path, self.variants, self.constituents = path, variants, constituents
        self._rows = pq.read_metadata(path).num_rows

    def __len__(self) -> int:
        return int(self._rows)

    def part(self, blocks: Ints | None) -> Labelled:
        """Read the jets of some blocks, or all; raises :class:`DataError` if the file cannot be read."""
        blocks = np.arange(-(-len(self) // BLOCK)) if blocks is None else blocks
        room = len(places(blocks, len(self))) * self.constituents
        store = join_parts(self._arrays(blocks), SIDES, self.variants, self.constituents, room)
        return Labelled(store, store.rows(), (store.process == 0).astype(np.int64))

    def observables(self) -> tuple[NDArray[np.float64], Ints]:
        """Return the observables [n, 4] and the labels [n] of all jets."""
        table = pq.read_table(self.path, columns=[*OBSERVABLES, SIDE])
        values = np.column_stack([table[name].to_numpy().astype(np.float64) for name in OBSERVABLES])
        return values, (table[SIDE].to_numpy() == 0).astype(np.int64)

    def _arrays(self, blocks: Ints) -> Iterator[dict[str, NDArray[Any]]]:
        try:
            with pq.ParquetFile(self.path, pre_buffer=True) as file:
                for block in blocks:
                    table = file.read_row_group(int(block), columns=[*COLUMNS, SIDE], use_threads=False)
                    side = table[SIDE].to_numpy().astype(np.int64)
                    yield {**part_arrays(self.path, table, 0, self.variants), "process": side}
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{self.path}: cannot be read ({error}); delete it and run again") from None


def write_jets(path: Path, index: Index, wanted: Wanted, constituents: int) -> None:
    """Write the wanted jets of a data set to a file with a row group per block, in one pass over the data set."""
    with atomic(path) as temporary:
        writer: pq.ParquetWriter | None = None
        try:
            for table in _blocks(index, wanted, constituents):
                writer = writer or pq.ParquetWriter(temporary, table.schema, **parquet_options(table.schema))
                writer.write_table(table, row_group_size=BLOCK)
        finally:
            if writer is not None:
                writer.close()


def _blocks(index: Index, wanted: Wanted, constituents: int) -> Iterator[pa.Table]:
    """Yield tables of whole blocks of rows, of which the last may be smaller."""
    waiting: list[pa.Table] = []
    for _, table, side in index.tables(wanted, constituents):
        waiting.append(table.append_column(SIDE, pa.array(side.astype(np.int8))))
        rows = sum(map(len, waiting))
        if rows >= BLOCK:
            joined = pa.concat_tables(waiting).combine_chunks()
            yield joined.slice(0, rows // BLOCK * BLOCK)
            waiting = [joined.slice(rows // BLOCK * BLOCK)]
    if rest := sum(map(len, waiting)):
        yield pa.concat_tables(waiting).combine_chunks().slice(0, rest)
