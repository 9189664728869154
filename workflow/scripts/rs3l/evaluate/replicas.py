"""Weights of the hard events in the bootstrap replicas, addressed and not drawn.

A replica gives each hard event a weight with the Poisson distribution of mean 1, which is the limit of drawing as
many events as there are, with replacement (J. Hanley and B. MacGibbon, Comput. Methods Programs Biomed. 83 (2006)
57; N. Chamandy et al., Estimating Uncertainty for Massive Data Streams, Google, 2012). The weight comes from a
hash of the campaign's seed, the task, the event and the number of the replica. It is therefore the same for all
classifiers of all runs, in any order, for any files and whatever other events or runs there are, so that
differences are those of paired samples.

Signal and background are not drawn separately (stratified). The numbers of events of each class then fluctuate,
but all measures are made of rates that are normalised within their class in each replica, and the weights of two
events are independent: the replicas of a rate of one class do not depend on how many events of the other there
are, and those of its own number cancel in the ratio to first order.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rs3l.seeds import keyed_hash, mixed_bits
from rs3l.types import Ints

Weights = NDArray[np.uint8]
"""Weights [E + 1, R + 1] of the events in the replicas.

Column 0 is the sample itself (all ones). The last row is zero, and stands for no event.
"""

_EVENTS = 128
"""Events that are worked on at a time, so that their hashes stay in the cache."""
_STEP = 0x9E3779B97F4A7C15
"""Step of the counter of SplitMix64 (G. Steele, D. Lea and C. Flood, OOPSLA 2014)."""
_BITS = 32
_LARGEST = 12


def _cumulative() -> list[int]:
    """Return 2^32 times the probability of at most 0, 1, ... events, as integers."""
    probabilities = [math.exp(-1.0) / math.factorial(k) for k in range(_LARGEST + 1)]
    bounds = [round(2**_BITS * math.fsum(probabilities[: k + 1])) for k in range(_LARGEST + 1)]
    return [bound for bound in bounds if bound < 2**_BITS]


THRESHOLDS = _cumulative()
"""An event has at least k + 1 copies if the 32 bits of its hash are at least ``THRESHOLDS[k]``."""


def replica_weights(event_id: Ints, number: int, seed: int, task: str) -> Weights:
    """Return the weights [E + 1, number + 1] of the hard events ``event_id`` [E] in ``number`` replicas."""
    result = np.zeros((len(event_id) + 1, number + 1), dtype=np.uint8)
    counter = np.arange(1, number + 1, dtype=np.uint64) * np.uint64(_STEP)
    key = np.uint64(keyed_hash(seed, "bootstrap", task))
    for first in range(0, len(event_id), _EVENTS):
        events = event_id[first : first + _EVENTS].astype(np.uint64)
        words = mixed_bits(mixed_bits(events + key, 64)[:, None] + counter, _BITS).astype(np.uint32)
        own = result[first : first + len(events)]
        own[:, 0] = 1
        for threshold in THRESHOLDS:
            own[:, 1:] += words >= np.uint32(threshold)
    return result
