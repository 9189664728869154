"""The file of measures: what each classifier does on the test jets, under every replica.

It has a line per classifier, quantity and subject. In the shapes, R counts the replicas; entry 0 of R + 1 values
is the test sample itself. Replicas in which a sample of the quantity has no jet, or a correlation fewer than two
events, are left out, which is the same for all classifiers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.dataset.checksum import COLLAPSED, intact_parquet, write_sealed
from rs3l.errors import DataError
from rs3l.evaluate.classifiers import ClassifierKey, Classifiers
from rs3l.evaluate.scores import Column, TestJets
from rs3l.types import Floats64

SAMPLE = "rs3l.sample"
"""Entry of the metadata for the task, the run and the numbers of jets."""

CLASSES = {True: "signal", False: "background"}


class Key(NamedTuple):
    """What is measured.

    ``first`` and ``second`` are the two variants that are compared, ``side`` the class of jets, and ``efficiency``
    that of the signal (0 where there is none).
    """

    quantity: str
    first: str = ""
    second: str = ""
    side: str = ""
    efficiency: float = 0.0


Measured = dict[Key, Floats64]
"""The values of one classifier."""


def schema(metadata: Mapping[str, str]) -> pa.Schema:
    """Return the schema of the file."""
    kinds = {
        "mode": pa.string(),
        "labels": pa.int64(),
        "repeat": pa.int64(),
        "quantity": pa.string(),
        "first": pa.string(),
        "second": pa.string(),
        "side": pa.string(),
        "efficiency": pa.float64(),
        "values": pa.list_(pa.float64()),
    }
    return pa.schema([pa.field(*kind, nullable=False) for kind in kinds.items()], dict(metadata))


def table_of(found: Mapping[Column, Measured], metadata: Mapping[str, str]) -> pa.Table:
    """Return the table of the classifiers' measures."""
    names = ["mode", "labels", "repeat", *Key._fields, "values"]
    rows = [
        dict(zip(names, (*column, *key, values), strict=True))
        for column, measured in found.items()
        for key, values in measured.items()
    ]
    return pa.Table.from_pylist(rows, schema(metadata))


@dataclass(frozen=True)
class Sample:
    """The test jets of a task behind some measures.

    ``digest`` says which jets these are. ``jets`` counts them by variant and class, ``pairs`` those of two
    variants, and ``chosen`` and ``events`` the jets and hard events of the metrics, signal first.
    """

    task: str
    run: str
    digest: str
    chosen: tuple[int, int]
    events: tuple[int, int]
    jets: dict[str, int]
    pairs: dict[str, int]

    def metadata(self, collapsed: str) -> dict[str, str]:
        """Return the entries of the metadata of a file of measures."""
        entries = {SAMPLE: json.dumps(self.__dict__, sort_keys=True)}
        return entries | ({COLLAPSED: collapsed} if collapsed else {})


def count_name(*words: str) -> str:
    """Return the name of a count, of variants and a class."""
    return "/".join(words)


@dataclass(frozen=True)
class TaskMeasures(Classifiers):
    """The measures of all classifiers of a task, with ``values`` by classifier."""

    values: list[Measured] = field(default_factory=list)
    sample: Sample | None = None
    collapsed: dict[str, str] = field(default_factory=dict)

    @property
    def jets(self) -> Sample:
        """The test jets."""
        assert self.sample is not None
        return self.sample

    def has(self, row: int, key: Key) -> bool:
        """Return whether a quantity was measured for a classifier."""
        return key in self.values[row]

    def of(self, rows: Sequence[int], key: Key) -> Floats64:
        """Return the values [n, R + 1] of some classifiers."""
        return np.stack([self.values[row][key] for row in rows])


def write_measures(path: str | Path, found: Mapping[Column, Measured], jets: TestJets, sample: Sample) -> None:
    """Write the measures of one task and run."""
    write_sealed(path, table_of(found, sample.metadata(jets.collapsed)))


def read_measures(path: str | Path) -> tuple[Sample, str, dict[Column, Measured]]:
    """Return the sample, the signs of collapse and the measures of a file.

    Raises :class:`DataError` if it is missing or damaged, or holds no measures.
    """
    table = pq.read_table(intact_parquet(path))
    entries = pq.read_metadata(path).metadata or {}
    if SAMPLE.encode() not in entries or table.schema.names != schema({}).names:
        raise DataError(f"{path}: no table of measures; run the step that makes it")
    fields: dict[str, Any] = json.loads(entries[SAMPLE.encode()])
    sample = Sample(**fields | {name: tuple(fields[name]) for name in ("chosen", "events")})
    found: dict[Column, Measured] = {}
    lists = table["values"].combine_chunks()
    values, ends = lists.values.to_numpy(), lists.offsets.to_numpy()
    heads = zip(*(table[name].to_pylist() for name in table.schema.names[:-1]), strict=True)
    for row, (mode, labels, repeat, *key) in enumerate(heads):
        found.setdefault(Column(mode, labels, repeat), {})[Key(*key)] = values[ends[row] : ends[row + 1]]
    return sample, entries.get(COLLAPSED.encode(), b"").decode(), found


def load(paths: Iterable[str | Path], tasks: Iterable[str], runs: Iterable[str]) -> dict[str, TaskMeasures]:
    """Return the measures of every task from the files of one task and run each.

    Raises :class:`DataError` if a file was damaged, if a task or run is missing or unknown, or if two runs were
    not measured on the same jets.
    """
    wanted = list(runs)
    found: dict[str, dict[str, tuple[Sample, str, dict[Column, Measured]]]] = {task: {} for task in tasks}
    for path in paths:
        each = read_measures(path)
        if each[0].task not in found or each[0].run not in wanted:
            raise DataError(f"{path}: the configuration has no task {each[0].task!r} with a run {each[0].run!r}")
        found[each[0].task][each[0].run] = each
    for task, files in found.items():
        if missing := [run for run in wanted if run not in files]:
            raise DataError(f"no measures of task {task} for {', '.join(missing)}: give their files too")
    return {task: _joined(task, [files[run] for run in wanted]) for task, files in found.items()}


def _joined(task: str, files: Sequence[tuple[Sample, str, dict[Column, Measured]]]) -> TaskMeasures:
    sample = files[0][0]
    for other, _, _ in files:
        if other.digest != sample.digest:
            raise DataError(
                f"task {task}: the jets of {other.run} are not the test jets of {sample.run}; score both from one "
                "data set"
            )
    return TaskMeasures(
        task=task,
        classifiers=[ClassifierKey(own.run, *column) for own, _, found in files for column in found],
        values=[measured for _, _, found in files for measured in found.values()],
        sample=sample,
        collapsed={own.run: signs for own, signs, _ in files if signs},
    )
