"""Compare the robustness of methods at equal performance.

A tagger that knows less is more stable, so only taggers that know equally much are compared. The first method is
taken at the number of labels at which it is as good as a supervised network is with the most labels; then both are
shown another simulation.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from rs3l.config.blocks import EvaluateBlock
from rs3l.evaluate.bootstrap import combine_difference
from rs3l.evaluate.measures import CLASSES, Key
from rs3l.evaluate.names import SUBJECT_MODES, has_seen, headline_efficiency, matched_references, rejection_name
from rs3l.evaluate.robustness_table import can_compare, sizes
from rs3l.evaluate.spread import Group
from rs3l.evaluate.tables import (
    SIGNIFICANCE_COLUMNS,
    SPREAD_COLUMNS,
    Row,
    TaskMetrics,
    group_columns,
    significance,
    spread_columns,
)

_COLUMNS = [
    "task", "method", "mode", "labels", "rejection", "rejection_error", "reference_method", "reference_mode",
    "reference_labels", "reference_rejection", "reference_rejection_error", "variant", "use", "seen",
    "reference_seen", "class", "value", "error", "reference_value", "reference_error", "difference",
    "difference_error", *SIGNIFICANCE_COLUMNS, *SPREAD_COLUMNS, "n_nominal", "n_varied",
]  # fmt: skip


def matched_table(results: Iterable[TaskMetrics], block: EvaluateBlock) -> pd.DataFrame:
    """Return ``matched.csv``, the Wasserstein distances of the output between the nominal and every other variant.

    It has a line per task, mode of the first method, reference, variant and class. ``labels`` is the number of
    labels at which the first method's rejection (at the headline efficiency) is nearest, in its logarithm, to that
    of the reference with the most labels. ``value`` and ``reference_value`` are the two distances. ``difference``
    is the first minus the second, paired over test events and repeats
    (:func:`rs3l.evaluate.bootstrap.combine_difference`).
    """
    rows: list[Row] = []
    for result in results:
        pairs = list(_pairs(result, block))
        for variant in (name for name in block.variants if name != "nominal"):
            if can_compare(result.measures, variant):
                rows += _variant_rows(result, pairs, variant, block)
    return pd.DataFrame(rows, columns=_COLUMNS)


def _pairs(result: TaskMetrics, block: EvaluateBlock) -> Iterator[tuple[Group, Group]]:
    """Yield the groups of the first method, each with the equally good reference with the most labels."""
    groups = result.measures.groups()
    k = _metric(result, block)
    for mode, reference in itertools.product(SUBJECT_MODES, matched_references(block.runs, block.subject)):
        own = [group for group in groups if group[:2] == (block.subject, mode)]
        other = [group for group in groups if group[:2] == reference]
        if own and other:
            most = max(other, key=lambda group: group[2])
            aim = _log_mean(result, groups[most], k)
            yield min(own, key=lambda group: abs(_log_mean(result, groups[group], k) - aim)), most


def _metric(result: TaskMetrics, block: EvaluateBlock) -> int:
    return result.column(rejection_name(headline_efficiency(block.evaluate.efficiencies)))


def _log_mean(result: TaskMetrics, members: list[int], k: int) -> float:
    return float(np.log(result.plain[members, 0, k]).mean())


def _variant_rows(
    result: TaskMetrics, pairs: list[tuple[Group, Group]], variant: str, block: EvaluateBlock
) -> Iterator[Row]:
    measures, groups = result.measures, result.measures.groups()
    rejections = {group: _rejection(result, group, block) for pair in pairs for group in pair}
    for (own, other), side in itertools.product(pairs, CLASSES.values()):
        key = Key("wasserstein", "nominal", variant, side)
        values = {group: measures.of(groups[group], key) for group in rejections}
        both = measures.combined(values)
        first, second = both[own], both[other]
        difference = combine_difference(
            values[own], measures.runs(groups[own]), values[other], measures.runs(groups[other])
        )
        yield {
            **group_columns(measures.task, own),
            **rejections[own],
            **_reference({**group_columns(measures.task, other), **rejections[other]}),
            "variant": variant,
            "use": block.variants[variant],
            "seen": has_seen(block, own[:2], variant),
            "reference_seen": has_seen(block, other[:2], variant),
            "class": side,
            "value": first.value,
            "error": first.error,
            "reference_value": second.value,
            "reference_error": second.error,
            "difference": difference.value,
            "difference_error": difference.error,
            **significance(difference),
            **spread_columns(difference),
            **sizes(measures, variant, side),
        }


def _rejection(result: TaskMetrics, group: Group, block: EvaluateBlock) -> Row:
    estimate = result.estimate(group, _metric(result, block))
    return {"rejection": estimate.value, "rejection_error": estimate.error}


def _reference(cells: Row) -> Row:
    return {f"reference_{name}": value for name, value in cells.items()}
