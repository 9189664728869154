"""The scores of all classifiers of a task on the same test jets.

In the shapes, M counts the classifiers, N the jets (of every variant), and E the hard events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rs3l.config.tasks import Task
from rs3l.dataset.checksum import intact_parquet
from rs3l.errors import DataError
from rs3l.evaluate.bootstrap import Estimate, combine_all
from rs3l.evaluate.spread import Group, Runs
from rs3l.modes import MODES
from rs3l.runs import Run, is_baseline
from rs3l.types import Floats64

COLUMNS = ("event_id", "process", "variant", "is_signal", "weight", "task", "run")
_JET = ["event_id", "variant"]


@dataclass(frozen=True)
class ClassifierKey:
    """One trained classifier."""

    run: str
    mode: str
    labels: int
    repeat: int

    @property
    def method(self) -> str:
        """Return the pre-training method.

        Without pre-training it is ``none``, or ``none_<method>`` with the networks of that method.
        """
        return Run.parse(self.run).method

    @property
    def seed(self) -> int:
        """Return the number of the pre-training seed (0 without pre-training)."""
        return Run.parse(self.run).seed

    @property
    def group(self) -> tuple[str, str, int]:
        """Return method, mode and labels; results are averaged over the classifiers that share them."""
        return self.method, self.mode, self.labels


@dataclass(frozen=True)
class TaskScores:
    """Scores [M, N] of M classifiers on N test jets, sorted by event_id and variant.

    ``event`` [N] is the index of the hard event, 0 ... E - 1; ``variant``, ``is_signal`` and ``weight`` are [N]
    too.
    """

    task: str
    classifiers: list[ClassifierKey]
    scores: NDArray[np.float32]
    event: NDArray[np.intp]
    variant: NDArray[np.str_]
    is_signal: NDArray[np.bool_]
    weight: NDArray[np.float64]

    @property
    def signal_events(self) -> NDArray[np.bool_]:
        """Return which hard events are signal, [E]."""
        result = np.zeros(self.event.max() + 1, dtype=bool)
        result[self.event] = self.is_signal
        return result

    def groups(self) -> dict[tuple[str, str, int], list[int]]:
        """Return the rows of ``scores`` of each (method, mode, labels), sorted."""
        result: dict[tuple[str, str, int], list[int]] = {}
        for row, classifier in enumerate(self.classifiers):
            result.setdefault(classifier.group, []).append(row)
        return dict(sorted(result.items()))

    def most_labels(self) -> list[tuple[tuple[str, str, int], list[int]]]:
        """Return the groups with the most labels."""
        most = max(classifier.labels for classifier in self.classifiers)
        return [(group, members) for group, members in self.groups().items() if group[2] == most]

    def runs(self, rows: list[int]) -> Runs:
        """Return the pre-training seed and repeat of the classifiers in ``rows``, which belong to one group."""
        chosen = [self.classifiers[row] for row in rows]
        return Runs(
            seeds=np.array([c.seed for c in chosen]),
            repeats=np.array([c.repeat for c in chosen]),
            has_seeds=not is_baseline(chosen[0].run),
            has_repeats=MODES[chosen[0].mode].takes_labels,
        )

    def combined(self, values: Mapping[Group, Floats64]) -> dict[Group, Estimate]:
        """Return the mean of each group over its runs, from the values [n, R + 1] of each."""
        groups = self.groups()
        return combine_all({group: (each, self.runs(groups[group])) for group, each in values.items()})


Key = tuple[str, int, int]
"""Mode, labels and repeat of a classifier."""

Chosen = Callable[[Key], bool]


def load(
    paths: Iterable[str | Path],
    tasks: Mapping[str, Task],
    runs: Iterable[str],
    chosen: Chosen = lambda key: True,
) -> dict[str, TaskScores]:
    """Return the scores of every task from the files of predictions, any number per task and run.

    ``chosen`` says of a classifier whether it is read.

    Raises :class:`DataError` if a file was damaged, if a task or run is missing or unknown, if two runs were not
    scored on the same jets, if a score is not finite, or if the classes do not fit the task.
    """
    found: dict[str, dict[str, list[Path]]] = {task: {} for task in tasks}
    wanted = list(runs)
    for path in map(intact_parquet, paths):
        if (own := owner(path)) is None:
            continue
        task, run = map(str, own)
        if task not in found or run not in wanted:
            raise DataError(f"{path}: the configuration has no task {task!r} with a run {run!r}")
        found[task].setdefault(run, []).append(path)
    for task, files in found.items():
        if missing := [run for run in wanted if run not in files]:
            raise DataError(f"no predictions of task {task} for {', '.join(missing)}: give their files too")
    return {task: _load_task(task, tasks[task], {r: found[task][r] for r in wanted}, chosen) for task in tasks}


class Owner(NamedTuple):
    """The task and the run to which a file of predictions belongs."""

    task: str
    run: Run


def owner(path: Path) -> Owner | None:
    """Return the task and run that a file of predictions names, or None if it has no jets."""
    try:
        with pq.ParquetFile(path) as file:
            if missing := [name for name in COLUMNS if name not in file.schema_arrow.names]:
                raise DataError(f"{path}: no column {', '.join(missing)}: of an older version; score again")
            first = next(file.iter_batches(batch_size=1, columns=list(Owner._fields)), None)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: no table of predictions: {error}") from None
    if first is None or not len(first):
        return None
    return Owner(str(first["task"][0]), Run.parse(str(first["run"][0])))


def _load_task(task: str, definition: Task, files: Mapping[str, list[Path]], chosen: Chosen) -> TaskScores:
    classifiers: list[ClassifierKey] = []
    blocks: list[NDArray[np.float32]] = []
    jets: pd.DataFrame | None = None
    for run, paths in files.items():
        head, scores = _read(paths, definition, chosen)
        blocks += scores.values()
        classifiers += [ClassifierKey(run, *key) for key in scores]
        if jets is not None and not _same_jets(jets, head):
            raise DataError(f"{paths[0]}: not the test jets of the other runs; make all from one data set")
        jets = head if jets is None else jets
    assert jets is not None
    return TaskScores(
        task=task,
        classifiers=classifiers,
        scores=np.stack(blocks),
        event=np.unique(jets["event_id"].to_numpy(), return_inverse=True)[1],
        variant=jets["variant"].to_numpy().astype(str),
        is_signal=jets["is_signal"].to_numpy(dtype=bool),
        weight=jets["weight"].to_numpy(dtype=np.float64),
    )


def keys_of(path: str | Path) -> list[Key]:
    """Return the classifiers of a file of predictions."""
    names = [name.split("/") for name in pq.read_schema(path).names if "/" in name]
    return [(mode, int(labels), int(repeat)) for mode, labels, repeat in names]


def _read(
    paths: Sequence[Path], task: Task, chosen: Chosen
) -> tuple[pd.DataFrame, dict[Key, NDArray[np.float32]]]:
    """Return the jets of the files of a run and the scores of each classifier, by event and variant."""
    keys = sorted(filter(chosen, keys_of(paths[0])))
    names = ["/".join(map(str, key)) for key in keys]
    try:
        table = pa.concat_tables(pq.read_table(path, columns=[*COLUMNS, *names]) for path in paths)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{paths[0]}: no table of predictions: {error}") from None
    head = _checked(paths[0], table.select(COLUMNS).to_pandas(), task)
    order = np.lexsort((head["variant"].astype(str), head["event_id"]))
    scores = {key: _finite(paths[0], table[name])[order] for key, name in zip(keys, names, strict=True)}
    return head.iloc[order], scores


def _checked(path: Path, jets: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Return the jets after checking that each occurs once and that the classes are those of the task."""
    processes = np.where(jets["is_signal"], task.signal, task.background)
    if not (jets["process"] == processes).all():
        raise DataError(f"{path}: is_signal does not say signal {task.signal}, background {task.background}")
    if jets.duplicated(_JET).any():
        raise DataError(f"{path}: a jet is there twice; score again")
    return jets


def _finite(path: Path, column: pa.ChunkedArray) -> NDArray[np.float32]:
    scores: NDArray[np.float32] = column.to_numpy()
    if not np.isfinite(scores).all():
        raise DataError(f"{path}: a score is not finite; a classifier diverged")
    return scores


def _same_jets(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    return len(first) == len(second) and all(
        first[column].array.equals(second[column].array) for column in (*_JET, "is_signal", "weight")
    )
