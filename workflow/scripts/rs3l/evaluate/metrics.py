"""Background rejection without its bias at few jets.

In the shapes, R counts the replicas (entry 0 of an axis of R + 1 is the sample itself), and K the signal
efficiencies.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rs3l.types import Floats64


def rejection(false_positive_rate: Floats64, n_background: int) -> tuple[Floats64, NDArray[np.bool_]]:
    """Return the background rejection [R + 1, K] of the sample and its replicas, and where it is a lower limit.

    1 / FPR is too large on average where few jets pass, and can even be infinite. Let k of n jets pass, of which f
    come together (the views of one event; f = 1 if the jets are independent). The rejection is then (n + f / 2) /
    (k + f / 2), because the mean of its logarithm is that of the true rejection to first order in f / k (Haldane,
    Ann. Hum. Genet. 20 (1956) 309; Anscombe, Biometrika 43 (1956) 461). If fewer than one background jet of
    average weight passes, the rejection is only a lower limit. If fewer than f / 2 jets pass, they count as f / 2,
    and the rejection is then about n / f.
    """
    passing = false_positive_rate * n_background
    half = 0.5 * together(passing)
    lower_limit = passing < 1.0 - 1e-9
    return (n_background + half) / (np.maximum(passing, half) + half), lower_limit


def together(passing: Floats64) -> Floats64:
    """Return how many of the ``passing`` jets [R + 1, K] come together, [K].

    This is their variance over their number, where the variance is that over the replicas (entries 1 and up). At
    least one jet comes at a time.
    """
    if len(passing) < 3:
        return np.ones(passing.shape[1])
    variance = passing[1:].var(axis=0, ddof=1)
    return np.asarray(np.maximum(1.0, variance / np.maximum(passing[0], 1.0)))
