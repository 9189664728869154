"""Turn measures and histories into the tables of the evaluation and the summary."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd

from rs3l.config.blocks import EvaluateBlock
from rs3l.dataset.manifest import read_manifest
from rs3l.evaluate import tables
from rs3l.evaluate.marks import marked
from rs3l.evaluate.measures import load
from rs3l.evaluate.registry import TABLES, TableKind
from rs3l.evaluate.summary import summarise


@dataclass(frozen=True)
class Evaluation:
    """The tables by name, and the summary."""

    tables: dict[str, pd.DataFrame]
    summary: dict[str, Any]


def evaluate(
    block: EvaluateBlock,
    manifest: str | Path,
    measures: Sequence[str | Path],
    histories: Sequence[str | Path],
    qualities: Sequence[str | Path] = (),
) -> Evaluation:
    """Return all tables and the summary of a campaign.

    There is one file of ``measures`` and one of ``histories`` per task and run of the block. ``qualities`` lie in
    ``{run}/``, one per pre-trained run, or there are none at all. Raises :class:`DataError` if a file is missing
    or does not fit, and :class:`~rs3l.errors.TrainingError` if a classifier was best in its last epoch and its
    history does not say so. Whatever a history reports as failed is marked in every table
    (:func:`rs3l.evaluate.marks.marked`).
    """
    training = tables.training_table(histories)
    found = load(measures, block.tasks, block.runs)
    known = {
        "block": block,
        "subject": block.subject,
        "results": [tables.task_metrics(each, block.evaluate) for each in found.values()],
        "qualities": qualities,
        "training": training,
    }
    made = {name: marked(_made(table, known), training) for name, table in TABLES.items()}
    return Evaluation(tables=made, summary=summarise(block, read_manifest(manifest), made))


def _made(table: TableKind, known: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table, whose function receives the results that its parameters name."""
    module, function = table.function.split(".")
    make = cast(Callable[..., pd.DataFrame], getattr(importlib.import_module(f"rs3l.evaluate.{module}"), function))
    return make(**{name: known[name] for name in inspect.signature(make).parameters})
