"""Reads the jets of one task in one split, with their class (signal or background) and their observables.

J is the number of jets (one per view).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rs3l.config.tasks import Task
from rs3l.dataset.observables import load_columns
from rs3l.dataset.store import JetStore, load_views
from rs3l.errors import DataError
from rs3l.finetune.high_level import OBSERVABLES

SIDES = ("signal", "background")
"""The process names of a sample's store are those of the classes, because both may be of one process."""


@dataclass(frozen=True)
class Sample:
    """The jets in ``store``, with process 0 for signal and 1 for background, and their ``observables`` [J, 4]."""

    store: JetStore
    observables: NDArray[np.float64]


def load_sample(
    manifest: str | Path, split: str, task: Task, variants: Sequence[str], constituents: int
) -> Sample:
    """Read the jets of a task without those of a jet type that it does not name."""
    processes = list(dict.fromkeys((task.signal, task.background)))
    store = load_views(manifest, split, processes, variants, constituents)
    columns = load_columns(manifest, split, store, ["jet_type", *OBSERVABLES])
    side = _sides(task, store, columns["jet_type"])
    rows = np.flatnonzero(side < len(SIDES))
    for code, name in enumerate(SIDES):
        if not (side == code).any():
            raise DataError(
                f"{manifest}: no jet of the {name} {_text(task, name)} in the split {split!r} under "
                f"{', '.join(variants)}; its types are {', '.join(sorted(set(columns['jet_type'])))}; name other "
                "types, or raise processes.<name>.events"
            )
    observables = np.column_stack([columns[name].astype(np.float64) for name in OBSERVABLES])
    if len(rows) < len(store):
        store, observables = store.take(rows), observables[rows]
    return Sample(replace(store, process=side[rows], process_names=SIDES), observables)


def _text(task: Task, side: str) -> str:
    types = getattr(task, f"{side}_types")
    return " ".join([getattr(task, side), *(f"({name})" for name in types or [])])


def _sides(task: Task, store: JetStore, jet_type: NDArray[np.object_]) -> NDArray[np.int64]:
    """Return 0 for signal, 1 for background and 2 for neither [J]."""
    side = np.full(len(store), len(SIDES), dtype=np.int64)
    for code, (process, types) in enumerate(
        ((task.signal, task.signal_types), (task.background, task.background_types))
    ):
        chosen = store.process == store.process_names.index(process)
        side[chosen if types is None else chosen & np.isin(jet_type, types)] = code
    return side
