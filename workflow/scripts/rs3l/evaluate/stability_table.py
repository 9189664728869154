"""The table of how scores change between views of the same hard event."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from rs3l.config.blocks import EvaluateBlock
from rs3l.evaluate.measure import paired_cases
from rs3l.evaluate.measures import CLASSES, Key, count_name
from rs3l.evaluate.names import has_seen
from rs3l.evaluate.tables import Row, TaskMetrics, auc_columns, estimate_columns, frame, group_columns


def stability_table(results: Iterable[TaskMetrics], block: EvaluateBlock) -> pd.DataFrame:
    """Return ``stability.csv``, which says how scores change between views of the same hard event.

    Signal and background have separate lines. They give ``spearman`` between the scores under the two variants of
    ``evaluate.pair``, and ``spearman`` and ``rank_shift`` from the nominal to every other variant, on the hard
    events with a jet in both. ``use`` is that of the second variant, and ``seen`` says whether the method has
    learned from it. The AUC (with its error) stands beside each because a tagger that knows nothing is stable.
    Correlations beyond the configured pair are given at the most labels alone.
    """
    rows: list[Row] = []
    for result in results:
        for case in paired_cases(list(block.variants), block.evaluate.pair):
            for side in CLASSES.values():
                rows += _stability_rows(result, Key(*case, side), block)
    return frame(rows, ("class", "quantity", "first", "second", "use", "seen"), ["n_events"])


def _stability_rows(result: TaskMetrics, key: Key, block: EvaluateBlock) -> list[Row]:
    measures = result.measures
    n_events = measures.jets.pairs[count_name(key.first, key.second, key.side)]
    if n_events < 2:
        return []
    everywhere = key.quantity == "rank_shift" or (key.first, key.second) == block.evaluate.pair
    groups = measures.groups() if everywhere else measures.most_labels()
    values = {group: measures.of(members, key) for group, members in groups.items()}
    return [
        {
            **group_columns(measures.task, group),
            "class": key.side,
            "quantity": key.quantity,
            "first": key.first,
            "second": key.second,
            "use": block.variants[key.second],
            "seen": has_seen(block, group[:2], key.second),
            **estimate_columns(estimate),
            "n_events": n_events,
            **auc_columns(result, group),
        }
        for group, estimate in measures.combined(values).items()
    ]
