"""From predictions and histories to the tables of the evaluation and the summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rs3l.config.blocks import EvaluateBlock
from rs3l.data.manifest import read_manifest
from rs3l.eval import tables
from rs3l.eval.bootstrap import replicas
from rs3l.eval.calibration import calibration_table
from rs3l.eval.latent_table import latents_table
from rs3l.eval.marks import marked
from rs3l.eval.matched import matched_table
from rs3l.eval.robustness_table import robustness_table
from rs3l.eval.savings import savings_table
from rs3l.eval.scores import load
from rs3l.eval.summary import summarise

TABLES = (
    "metrics", "runs", "differences", "savings", "stability", "robustness", "matched", "calibration", "latents",
    "training", "roc",
)  # fmt: skip
"""Names of the tables, as written by the script."""


@dataclass(frozen=True)
class Evaluation:
    """The tables, by name, and the summary."""

    tables: dict[str, pd.DataFrame]
    summary: dict[str, Any]


def evaluate(
    block: EvaluateBlock,
    manifest: str | Path,
    predictions: Sequence[str | Path],
    histories: Sequence[str | Path],
    qualities: Sequence[str | Path] = (),
) -> Evaluation:
    """Return all tables and the summary of a campaign.

    ``predictions`` and ``histories`` lie in ``{task}/{run}/``, one each per task and run of the block; they
    hold the test split only; ``qualities`` in ``{run}/``, one per pre-trained run, or none at all. Raises
    :class:`DataError` if a file is missing or does not fit, and :class:`~rs3l.errors.TrainingError` if a
    classifier was best in its last epoch and its history does not say so. What a history says to have failed is
    marked in every table (:func:`rs3l.eval.marks.marked`).
    """
    training = tables.training_table(histories)
    scores = load(predictions, block.tasks, block.runs)
    counts = {
        task: replicas(s.signal_events, block.evaluate.bootstrap, block.seed, task) for task, s in scores.items()
    }
    results = [tables.task_metrics(s, counts[task], block.evaluate) for task, s in scores.items()]
    found = {
        "metrics": tables.metrics_table(results),
        "runs": tables.runs_table(results),
        "differences": tables.differences_table(results, block.subject),
        "stability": tables.stability_table(results, counts, block),
        "savings": savings_table(results),
        "robustness": robustness_table(results, counts, block),
        "matched": matched_table(results, counts, block),
        "calibration": calibration_table(results, counts),
        "latents": latents_table(qualities, block),
        "training": training,
        "roc": tables.roc_table(results, counts, block.evaluate),
    }
    found = {name: marked(table, training) for name, table in found.items()}
    return Evaluation(tables=found, summary=summarise(block, read_manifest(manifest), found))
