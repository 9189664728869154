"""Read the pool of minimum-bias events: mapped into memory, so that a job reads the events that it draws."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rs3l.config.blocks import PoolBlock
from rs3l.errors import DataError
from rs3l.pythia import installed_version
from rs3l.resim.pileup.minimum_bias import MinimumBias, event_digest
from rs3l.resim.pileup.particles import KINDS, Columns
from rs3l.types import Ints

_AGAIN = "delete it and run the rule pileup again"


class Pool(Protocol):
    """Minimum-bias events by index."""

    def take(self, indices: Ints) -> tuple[Ints, Columns]:
        """Return sizes [N] and particles [T] of the events ``indices`` [N], in their order."""


class MadePool:
    """Events that are made when they are asked for, as those of the files are."""

    def __init__(self, block: PoolBlock) -> None:
        """Set Pythia up when the first events are asked for."""
        self._block = block

    @cached_property
    def _generator(self) -> MinimumBias:
        return MinimumBias(self._block)

    def take(self, indices: Ints) -> tuple[Ints, Columns]:
        """Return sizes [N] and particles [T] of the events ``indices`` [N], in their order."""
        if not len(indices):
            return np.zeros(0, np.int64), {name: np.zeros(0, kind) for name, kind in KINDS.items()}
        offsets, columns = self._generator.events(indices.tolist())
        return np.diff(offsets), columns


@dataclass(frozen=True)
class _Piece:
    """Consecutive events of a file, from ``first`` on; nothing is copied from the file."""

    path: str
    first: int
    offsets: npt.NDArray[np.int32]
    columns: Columns
    digests: npt.NDArray[np.uint64]


class FilePool:
    """Events of the pool's files, of which each is compared with its digest when it is first taken."""

    def __init__(self, files: Sequence[str | Path], block: PoolBlock) -> None:
        """Open the files; raises :class:`DataError` if one is missing, damaged, or of another pool."""
        self._pieces = sorted((p for path in files for p in _pieces(path, block)), key=lambda piece: piece.first)
        self._firsts = np.array([piece.first for piece in self._pieces], np.int64)
        ends = [piece.first + len(piece.digests) for piece in self._pieces]
        if [*self._firsts, block.events] != [0, *ends]:
            raise DataError(
                f"the files of the pile-up pool do not hold its {block.events} events, each once: "
                f"{', '.join(map(str, files)) or 'none is given'}; run the rule pileup for all its shards"
            )
        self._verified = np.zeros(block.events, bool)

    @property
    def digest(self) -> str:
        """Digest of all events, whatever their shards."""
        digests = np.concatenate([piece.digests for piece in self._pieces])
        return hashlib.sha256(digests.astype("<u8").tobytes()).hexdigest()

    def take(self, indices: Ints) -> tuple[Ints, Columns]:
        """Return sizes [N] and particles [T] of the events ``indices`` [N], in their order.

        Raises :class:`DataError` for a damaged event.
        """
        owner = np.searchsorted(self._firsts, indices, side="right") - 1
        local = indices - self._firsts[owner]
        sizes = np.zeros(len(indices), np.int64)
        for number in np.unique(owner).tolist():
            mine = owner == number
            self._verify(self._pieces[number], np.unique(local[mine]))
            sizes[mine] = np.diff(self._pieces[number].offsets)[local[mine]]
        starts = np.cumsum(sizes) - sizes
        result: dict[str, Any] = {name: np.empty(int(sizes.sum()), kind) for name, kind in KINDS.items()}
        for number in np.unique(owner).tolist():
            mine = np.flatnonzero(owner == number)
            piece = self._pieces[number]
            source = ranges(piece.offsets[local[mine]], sizes[mine])
            target = ranges(starts[mine], sizes[mine])
            for name, values in piece.columns.items():
                result[name][target] = values[source]
        return sizes, result

    def _verify(self, piece: _Piece, local: Ints) -> None:
        for i in local[~self._verified[piece.first + local]].tolist():
            found = event_digest(piece.columns, int(piece.offsets[i]), int(piece.offsets[i + 1]))
            if found != int(piece.digests[i]):
                raise DataError(f"{piece.path}: its event {piece.first + i} is damaged; {_AGAIN}")
        self._verified[piece.first + local] = True


def ranges(starts: npt.NDArray[np.integer[Any]], sizes: Ints) -> Ints:
    """Return the numbers of all ranges, each ``sizes`` [N] numbers from ``starts`` [N] on, one after another."""
    before = np.cumsum(sizes) - sizes
    return np.repeat(starts.astype(np.int64) - before, sizes) + np.arange(int(sizes.sum()))


def _pieces(path: str | Path, block: PoolBlock) -> list[_Piece]:
    """Return the events of a file in its pieces, after checks of its header."""
    try:
        file = pa.ipc.open_file(pa.memory_map(str(path)))
        metadata = {key.decode(): value.decode() for key, value in (file.schema.metadata or {}).items()}
        batches = [file.get_batch(i) for i in range(file.num_record_batches)]
        first = int(metadata["rs3l.first"])
        settings, version = json.loads(metadata["rs3l.pool"]), metadata["rs3l.pythia"]
    except FileNotFoundError:
        raise DataError(f"{path}: missing; run the rule pileup for it") from None
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a whole shard of the pile-up pool ({error}); {_AGAIN}") from None
    if settings != json.loads(block.model_dump_json()):
        raise DataError(f"{path}: a pool of minimum-bias events made with other settings; {_AGAIN}")
    if version != installed_version():
        raise DataError(f"{path}: made with Pythia {version}, but {installed_version()} is installed; {_AGAIN}")
    result = []
    for batch in batches:
        result.append(_piece(str(path), first, batch))
        first += batch.num_rows
    return result


def _piece(path: str, first: int, batch: pa.RecordBatch) -> _Piece:
    columns = {name: batch.column(name).values.to_numpy() for name in KINDS}
    offsets = batch.column("px").offsets.to_numpy()
    return _Piece(path, first, offsets, columns, batch.column("digest").to_numpy())
