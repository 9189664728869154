"""Cross-sections from sums over the phase-space points tried, because sums of shards add up exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Sums = Mapping[str, tuple[int, float, float]]
"""Number of points tried, sum of the cross-section [pb] and sum of its square, for each subprocess's code."""


def cross_section(shards: Sequence[Sums]) -> tuple[float, float]:
    """Return cross-section and statistical error [pb] from the sums of shards, added over subprocesses."""
    sigma, variance = 0.0, 0.0
    for code in sorted({code for shard in shards for code in shard}):
        tried, first, second = (math.fsum(shard[code][k] for shard in shards if code in shard) for k in range(3))
        if tried:
            sigma += first / tried
            variance += max(second / tried - (first / tried) ** 2, 0.0) / tried
    return sigma, math.sqrt(variance)
