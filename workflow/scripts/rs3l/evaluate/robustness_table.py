"""The table of unpaired changes from the nominal to every variant."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rs3l.config.blocks import EvaluateBlock
from rs3l.evaluate.bootstrap import drawn
from rs3l.evaluate.names import has_seen
from rs3l.evaluate.robustness import Changes, changes, scaled, unbiased_change
from rs3l.evaluate.scores import TaskScores
from rs3l.evaluate.tables import Row, TaskMetrics, auc_columns, estimate_columns, group_columns
from rs3l.types import Counts, Floats64


def robustness_table(
    results: Iterable[TaskMetrics], counts: Mapping[str, Counts], block: EvaluateBlock
) -> pd.DataFrame:
    """Return ``robustness.csv``, with a line per group, variant, quantity, class, and signal efficiency.

    The table is made at the most labels. Its quantities are those of :class:`rs3l.evaluate.robustness.Changes`,
    computed from the output in 0 ... 1. ``n_nominal`` and ``n_varied`` count the jets of the class, and
    ``background_passing`` is the average number of nominal ones above the nominal's threshold. The AUC stands
    beside each quantity because a tagger that knows nothing is stable.
    """
    rows: list[Row] = []
    for result in results:
        for variant in block.variants:
            if variant != "nominal":
                rows += _variant_rows(result, counts[result.scores.task], variant, block)
    return pd.DataFrame(rows)


def samples(scores: TaskScores, variant: str) -> list[NDArray[np.intp]]:
    """Return the signal and background jets under the nominal, then under a variant."""
    return [
        np.flatnonzero((scores.variant == name) & (scores.is_signal == is_signal))
        for name in ("nominal", variant)
        for is_signal in (True, False)
    ]


def _variant_rows(result: TaskMetrics, counts: Counts, variant: str, block: EvaluateBlock) -> list[Row]:
    scores = result.scores
    jets = samples(scores, variant)
    if min(map(len, jets)) < 2:
        return []
    efficiencies = np.array(block.evaluate.change_efficiencies)
    groups = scores.most_labels()
    found = changes_of(scores, [i for _, members in groups for i in members], jets, counts, efficiencies)
    quantities = {group: list(_quantities([found[i] for i in members], efficiencies)) for group, members in groups}
    number = range(len(quantities[groups[0][0]]))
    estimates = [scores.combined({group: each[q][1] for group, each in quantities.items()}) for q in number]
    rows: list[Row] = []
    for (group, each), q in itertools.product(quantities.items(), number):
        cells = each[q][0]
        side = 0 if cells["class"] == "signal" else 1
        rows.append(
            {
                **group_columns(scores.task, group),
                "variant": variant,
                "use": block.variants[variant],
                "seen": has_seen(block, group[:2], variant),
                **cells,
                **estimate_columns(estimates[q][group]),
                "n_nominal": len(jets[side]),
                "n_varied": len(jets[side + 2]),
                **auc_columns(result, group),
            }
        )
    return rows


def changes_of(
    scores: TaskScores, rows: list[int], jets: list[NDArray[np.intp]], counts: Counts, efficiencies: Floats64
) -> dict[int, Changes]:
    """Return, by row, the changes of the classifiers ``rows`` between the :func:`samples` ``jets``.

    ``counts`` [R + 1, E] are the replicas; those in which a sample is empty are left out.
    """
    own = [drawn(counts, scores.event[chosen]) for chosen in jets]
    usable = np.all([each.any(axis=1) for each in own], axis=0)
    own = [each[usable] for each in own]
    return {i: changes([scaled(scores.scores[i][chosen]) for chosen in jets], own, efficiencies) for i in rows}


def _quantities(found: list[Changes], efficiencies: Floats64) -> Iterator[tuple[Row, Floats64]]:
    """Yield the cells that name a quantity, and its values [runs, R + 1]."""
    for side, name in enumerate(("signal", "background")):
        cells = {"class": name, "quantity": "wasserstein", "efficiency": np.nan, "background_passing": np.nan}
        yield cells, np.stack([each.wasserstein[side] for each in found])
    for k, efficiency in enumerate(efficiencies):
        for quantity, name, attribute in (
            ("fpr_change_own", "background", "own"),
            ("fpr_change_fixed", "background", "fixed"),
            ("efficiency_change_fixed", "signal", "efficiency"),
        ):
            passing = float(np.mean([each.passing[0, k] for each in found]))
            cells = {"class": name, "quantity": quantity, "efficiency": efficiency}
            cells["background_passing"] = passing
            values = [getattr(each, attribute)[:, k] for each in found]
            if name == "background":
                values = [unbiased_change(v, each.passing[:, k]) for v, each in zip(values, found, strict=True)]
            yield cells, np.stack(values)
