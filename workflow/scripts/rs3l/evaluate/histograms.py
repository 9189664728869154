"""Histograms of a classifier's output under every variant, from which the figure of the outputs is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rs3l.evaluate.measures import CLASSES, Key, Measured
from rs3l.evaluate.robustness import scaled
from rs3l.evaluate.scores import TestJets
from rs3l.types import Floats32, Floats64, Ints

EDGES = np.linspace(0.0, 1.0, 26)
"""Edges of the bins of the output."""
_BINS = len(EDGES) - 1


def histograms(score: Floats32, jets: TestJets, variants: Sequence[str]) -> Measured:
    """Return the numbers of jets per bin of the output, by variant and class.

    Of the hard events with a jet under a variant and the nominal, there are three more: by the bin of the
    ``varied`` one, by that of the ``nominal`` one, and those with ``both`` in the bin. The errors of ratios follow
    from them.
    """
    result: Measured = {}
    bins = np.minimum(np.searchsorted(EDGES, scaled(score), side="right") - 1, _BINS - 1)
    for side, name in CLASSES.items():
        for variant in variants:
            result[Key("histogram", "", variant, name)] = _counts(bins[jets.where([variant], side)])
            nominal, varied = (bins[each] for each in jets.pairs("nominal", variant, side))
            result[Key("histogram_varied", "nominal", variant, name)] = _counts(varied)
            result[Key("histogram_nominal", "nominal", variant, name)] = _counts(nominal)
            result[Key("histogram_both", "nominal", variant, name)] = _counts(varied[varied == nominal])
    return result


def _counts(bins: Ints) -> Floats64:
    return np.bincount(bins, minlength=_BINS).astype(np.float64)
