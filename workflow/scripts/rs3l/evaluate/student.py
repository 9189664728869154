"""Student's t with any number of degrees of freedom, and the normal deviate that is as improbable.

Both are written out here because the evaluation needs nothing else of SciPy; the tests compare them with SciPy's.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_TINY = 1e-300
_STEPS = 10_000
_NEARLY_NORMAL = 1e6
"""Above this many degrees of freedom the normal distribution is used, which differs by less than 1e-6 of p."""

ONE_SIGMA, TWO_SIGMA = (math.erf(n / math.sqrt(2.0)) for n in (1, 2))
"""Probabilities within one and two standard deviations of a normal distribution."""


def two_sided(t: float, dof: float) -> float:
    """Return the probability that Student's t with ``dof`` degrees of freedom is further from 0 than ``t``."""
    if not dof > 0 or math.isnan(t):
        return math.nan
    if dof > _NEARLY_NORMAL:
        return math.erfc(abs(t) / math.sqrt(2.0))
    return _beta(0.5 * dof, 0.5, dof, t * t)


@lru_cache(maxsize=4096)
def quantile(probability: float, dof: float) -> float:
    """Return the t within which Student's t lies, on both sides of 0, with this ``probability`` (0 < p < 1)."""
    if not dof > 0:
        return math.nan
    low, high = 0.0, 1.0
    while two_sided(high, dof) > 1.0 - probability and high < 1e100:
        low, high = high, 2.0 * high
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if two_sided(middle, dof) > 1.0 - probability else (low, middle)
    return 0.5 * (low + high)


def deviate(p_value: float) -> float:
    """Return how many standard deviations of a normal distribution have this two-sided p-value, at most 37."""
    if not 0.0 <= p_value <= 1.0:
        return math.nan
    return abs(NormalDist().inv_cdf(max(0.5 * p_value, _TINY)))


def sidak(p_value: float, trials: int) -> float:
    """Return the probability that the smallest of ``trials`` independent p-values is at most this one by chance.

    This is 1 - (1 - p)^n (Z. Šidák, J. Am. Stat. Assoc. 62 (1967) 626): the p-value of a best of n. It is an upper
    bound for comparisons that share jets, labels or a reference, as those of one table do. Raises
    :class:`ValueError` for fewer than one trial.
    """
    if trials < 1:
        raise ValueError(f"{trials} trials: the best of at least one is corrected")
    if not 0.0 <= p_value <= 1.0:
        return math.nan
    return 1.0 if p_value == 1.0 else -math.expm1(trials * math.log1p(-p_value))


def _beta(a: float, b: float, x: float, y: float) -> float:
    """Return the regularised incomplete beta function I_z(a, b) at z = x / (x + y)."""
    z, rest = x / (x + y), y / (x + y)
    if z <= 0.0 or rest <= 0.0:
        return 0.0 if z <= 0.0 else 1.0
    logarithm = a * math.log(z) + b * math.log(rest) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(logarithm)
    if z < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(a, b, z) / a
    return 1.0 - front * _fraction(b, a, rest) / b


def _fraction(a: float, b: float, z: float) -> float:
    """Return the continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method."""
    c, d = 1.0, 1.0 / _not_zero(1.0 - (a + b) * z / (a + 1.0))
    result = d
    for m in range(1, _STEPS):
        for numerator in (
            m * (b - m) * z / ((a + 2 * m - 1.0) * (a + 2 * m)),
            -(a + m) * (a + b + m) * z / ((a + 2 * m) * (a + 2 * m + 1.0)),
        ):
            d = 1.0 / _not_zero(1.0 + numerator * d)
            c = _not_zero(1.0 + numerator / c)
            result *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return result


def _not_zero(x: float) -> float:
    return x if abs(x) > _TINY else _TINY
