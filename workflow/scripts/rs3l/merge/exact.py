"""Sums that are the same however their terms are grouped, because nothing is rounded before the end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rs3l.errors import DataError

_MANTISSA = 53
_HALF = 26
_SCALE = 1_200
"""Sums are whole multiples of 2^-1200, which divides every double."""


def exact_sum(values: NDArray[np.float64]) -> int:
    """Return the sum of ``values`` [N] in units of 2^-1200; raises :class:`DataError` if one is not finite."""
    if not np.isfinite(values).all():
        raise DataError("a weight or a pT of the hard events is not finite; simulate them again")
    mantissa, exponent = np.frexp(values)
    whole = np.ldexp(mantissa, _MANTISSA).astype(np.int64)
    total = 0
    for power in np.unique(exponent):
        terms = whole[exponent == power]  # of 53 bits: halves, because a few thousand would exceed 64
        high, low = int((terms >> _HALF).sum()), int((terms & ((1 << _HALF) - 1)).sum())
        total += ((high << _HALF) + low) << (int(power) - _MANTISSA + _SCALE)
    return total


def rounded(total: int) -> float:
    """Return the double next to a sum of :func:`exact_sum`."""
    return total / (1 << _SCALE)
