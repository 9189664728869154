"""The test jets of a task and the scores of one run's classifiers on them, read one classifier at a time.

In the shapes, N counts the jets (of every variant), and E the hard events.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rs3l.config.tasks import Task
from rs3l.dataset.checksum import COLLAPSED, intact_parquet
from rs3l.errors import DataError
from rs3l.modes import classifier_name
from rs3l.types import Bools, Floats32, Ints

_HEAD = ["event_id", "process", "variant", "is_signal", "weight", "task", "run"]
_AGAIN = "score the jets again"


class Column(NamedTuple):
    """A classifier of a run, and so a column of its scores."""

    mode: str
    labels: int
    repeat: int

    @property
    def name(self) -> str:
        """The name of the column."""
        return classifier_name(self.mode, self.labels, self.repeat)


@dataclass(frozen=True)
class TestJets:
    """The jets [N] of the test split.

    ``row`` [N] is the index of the hard event, whose key is ``event_id`` [E]. ``variant`` [N] is an index of
    ``variants``. ``weight`` [N] holds the cross-section weights.
    """

    paths: list[Path]
    columns: list[Column]
    collapsed: str
    event_id: Ints
    row: NDArray[np.int32]
    variants: list[str]
    variant: NDArray[np.uint8]
    is_signal: Bools
    weight: Floats32

    def digest(self) -> str:
        """Return a checksum that says which jets these are, however they are shared among files."""
        result = hashlib.sha256()
        for values in (self.event_id, self.row, self.variant, self.is_signal, self.weight):
            result.update(values.tobytes())
        return result.hexdigest()

    def where(self, variants: Iterable[str], is_signal: bool | None = None) -> NDArray[np.int32]:
        """Return the jets under some variants, of one class or of both."""
        codes = [self.variants.index(name) for name in variants if name in self.variants]
        chosen = np.isin(self.variant, codes)
        if is_signal is not None:
            chosen &= self.is_signal == is_signal
        return np.flatnonzero(chosen).astype(np.int32)

    def pairs(self, first: str, second: str, is_signal: bool) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the jets [P], [P] of the hard events of one class with a jet under both variants."""
        one, other = (self.where([name], is_signal) for name in (first, second))
        _, a, b = np.intersect1d(self.row[one], self.row[other], assume_unique=True, return_indices=True)
        return one[a], other[b]

    def scores(self, column: Column) -> Floats32:
        """Return the scores [N] of a classifier.

        Raises :class:`DataError` if a score is not finite.
        """
        result = np.empty(len(self.row), dtype=np.float32)
        end = 0
        for path in self.paths:
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    found = file.read_row_group(group, columns=[column.name]).column(0).to_numpy()
                    if not np.isfinite(found).all():
                        raise DataError(f"{path}: a score of {column.name} is not finite; a classifier diverged")
                    result[end : end + len(found)] = found
                    end += len(found)
        return result


class _Jets(NamedTuple):
    """The jets of one row group, where ``row`` counts the events of the row group."""

    event_id: Ints
    row: NDArray[np.int32]
    variant: NDArray[np.uint8]
    is_signal: Bools
    weight: Floats32


def read_jets(paths: Sequence[str | Path], name: str, task: Task, run: str, variants: Sequence[str]) -> TestJets:
    """Return the test jets of the files ``{process}-{group}.parquet`` of a task ``name`` and a run.

    Raises :class:`DataError` if a file is missing, damaged, of another task or run, if the files have other
    classifiers, if a jet is there twice, or if the classes do not fit the task.
    """
    checked = [intact_parquet(path) for path in paths]
    columns, collapsed = _columns(checked)
    parts = [part for path in checked for part in _read(path, name, task, run, list(variants))]
    events = [len(part.event_id) for part in parts]
    event_id = np.concatenate([part.event_id for part in parts])
    if not len(event_id):
        raise DataError(f"{checked[0].parent}: no jets; the test split of the data set may be empty")
    event_id, place = np.unique(event_id, return_inverse=True)
    if len(event_id) < len(place):
        raise DataError(f"{checked[0].parent}: a hard event is in two files or row groups; {_AGAIN}")
    firsts = np.cumsum([0, *events[:-1]])
    rows = [place[part.row + first].astype(np.int32) for part, first in zip(parts, firsts, strict=True)]
    return TestJets(
        paths=checked,
        columns=columns,
        collapsed=collapsed,
        event_id=event_id,
        row=np.concatenate(rows),
        variants=list(variants),
        variant=np.concatenate([part.variant for part in parts]),
        is_signal=np.concatenate([part.is_signal for part in parts]),
        weight=np.concatenate([part.weight for part in parts]),
    )


def _columns(paths: Sequence[Path]) -> tuple[list[Column], str]:
    """Return the classifiers, which all files must share, and the signs of collapse of their pre-training."""
    found: list[Column] | None = None
    collapsed = ""
    for path in paths:
        schema = pq.read_schema(path)
        if missing := [name for name in _HEAD if name not in schema.names]:
            raise DataError(f"{path}: no column {', '.join(missing)}: of an older version; {_AGAIN}")
        own = sorted(_column(path, name) for name in schema.names if name not in _HEAD)
        if not own or (found is not None and own != found):
            raise DataError(f"{path}: not the classifiers of {paths[0]}; {_AGAIN}")
        found = own
        collapsed = (pq.read_metadata(path).metadata or {}).get(COLLAPSED.encode(), b"").decode()
    return found or [], collapsed


def _column(path: Path, name: str) -> Column:
    mode, _, numbers = name.partition("/")
    labels, _, repeat = numbers.partition("/")
    if not (labels.isdigit() and repeat.isdigit()):
        raise DataError(f"{path}: column {name} is no mode/labels/repeat; {_AGAIN}")
    return Column(mode, int(labels), int(repeat))


def _read(path: Path, name: str, task: Task, run: str, variants: list[str]) -> Iterator[_Jets]:
    """Yield the jets of each row group of a file."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield _jets(path, file.read_row_group(group, columns=_HEAD), name, task, run, variants)


def _jets(path: Path, table: pa.Table, name: str, task: Task, run: str, variants: list[str]) -> _Jets:
    """Return the jets of a row group."""
    for column, expected in (("task", name), ("run", run)):
        if other := set(pc.unique(table[column]).to_pylist()) - {expected}:
            raise DataError(f"{path}: of the {column} {', '.join(sorted(other))} and not {expected}")
    is_signal = table["is_signal"].to_numpy(zero_copy_only=False).astype(bool)
    signal = pc.equal(table["process"], task.signal).to_numpy(zero_copy_only=False)
    background = pc.equal(table["process"], task.background).to_numpy(zero_copy_only=False)
    if not np.where(is_signal, signal, background).all():
        raise DataError(f"{path}: is_signal does not say signal {task.signal}, background {task.background}")
    event_id, row = np.unique(table["event_id"].to_numpy(), return_inverse=True)
    variant = _codes(path, table["variant"], variants)
    if len(np.unique(row * len(variants) + variant)) < len(row):
        raise DataError(f"{path}: a jet is there twice; {_AGAIN}")
    weight = table["weight"].to_numpy().astype(np.float32)
    return _Jets(event_id, row.astype(np.int32), variant, is_signal, weight)


def _codes(path: Path, names: pa.ChunkedArray, variants: list[str]) -> NDArray[np.uint8]:
    found = pc.index_in(names.cast(pa.string()), pa.array(variants, pa.string()))
    if found.null_count:
        raise DataError(f"{path}: a variant that the configuration does not have; {_AGAIN}")
    return np.asarray(found.to_numpy()).astype(np.uint8)
