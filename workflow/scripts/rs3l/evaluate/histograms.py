"""Histograms of a classifier's output under every variant, from which the figure of the outputs is drawn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rs3l.evaluate.measures import CLASSES, Key, Measured
from rs3l.evaluate.robustness import scaled
from rs3l.evaluate.sums import Rows
from rs3l.types import Floats32, Floats64, Ints

EDGES = np.linspace(0.0, 1.0, 26)
"""Edges of the bins of the output."""
_BINS = len(EDGES) - 1


def histograms(
    score: Floats32,
    classes: Mapping[tuple[str, bool], Rows],
    pairs: Mapping[tuple[str, str, bool], tuple[Rows, Rows]],
) -> Measured:
    """Return the numbers of jets per bin of the output, by variant and class.

    ``classes`` are the jets of each variant and class, and ``pairs`` those of the same events under two variants.

    Of the hard events with a jet under a variant and the nominal, there are three more: by the bin of the
    ``varied`` one, by that of the ``nominal`` one, and those with ``both`` in the bin. The errors of ratios follow
    from them.
    """
    result: Measured = {}
    bins = np.minimum(np.searchsorted(EDGES, scaled(score), side="right") - 1, _BINS - 1)
    for (variant, side), jets in classes.items():
        both = (jets, jets) if variant == "nominal" else pairs["nominal", variant, side]
        nominal, varied = (bins[each] for each in both)
        for name, chosen in (
            ("histogram", bins[jets]),
            ("histogram_varied", varied),
            ("histogram_nominal", nominal),
            ("histogram_both", varied[varied == nominal]),
        ):
            result[Key(name, "nominal", variant, CLASSES[side])] = _counts(chosen)
    return result


def _counts(bins: Ints) -> Floats64:
    return np.bincount(bins, minlength=_BINS).astype(np.float64)
