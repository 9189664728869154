"""Fit how a quantity falls with the number of events: a power law, free of a floor or with one.

Fits are of the logarithm y of the quantity at x = ln(N / centre), weighted, with

- ``power``: y = a - b x,
- ``saturating``: y = ln(exp(a - b x) + exp(c)), whose floor is exp(c); it needs four numbers of events.

The spread of the logarithm from run to run is pooled over all numbers of events, because a few runs of one number
do not tell it. A point of n runs then weighs n / spread². In the shapes, P counts the points and K the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rs3l.errors import DataError
from rs3l.evaluate import student
from rs3l.types import Floats64

Form = Literal["power", "saturating"]
PARAMETERS: Mapping[Form, int] = {"power": 2, "saturating": 3}
LEAST_POINTS = 3
"""Fewest numbers of events of a fit; one more than the parameters are needed for a floor."""

_MOST_STEPS = 200
_DEEPEST = 15.0
"""The floor is at least exp(-15) times the smallest value: lower ones cannot be told apart."""


@dataclass(frozen=True)
class Points:
    """The logarithm of the quantity, ``logs`` [P] of [n] runs each, at ``events`` [P]."""

    events: Floats64
    logs: Sequence[Floats64]

    @property
    def x(self) -> Floats64:
        """Return the logarithm of the events [P], zero at their geometric mean."""
        return np.asarray(np.log(self.events) - np.log(self.events).mean())

    @property
    def means(self) -> Floats64:
        """Return the mean logarithm of each point [P]."""
        return np.array([values.mean() for values in self.logs])

    @property
    def dof(self) -> int:
        """Return the degrees of freedom of the spread of runs."""
        return sum(len(values) - 1 for values in self.logs)

    @property
    def spread(self) -> float:
        """Return the pooled standard deviation of single runs, or NaN if no point has two of them."""
        squares = sum(float(((values - values.mean()) ** 2).sum()) for values in self.logs)
        return math.sqrt(squares / self.dof) if self.dof and squares > 0 else math.nan

    @property
    def counts(self) -> Floats64:
        """Return the number of runs of each point [P]."""
        return np.array([float(len(values)) for values in self.logs])


@dataclass(frozen=True)
class Fit:
    """A fit with its ``parameters`` [K] (a, b and, with a floor, c), their ``covariance`` [K, K] and chi².

    ``dof`` are the degrees of freedom of the errors: those of the spread of runs or, where no point has two runs,
    those of the fit, whose residuals then give the spread; ``chi2`` is NaN in that case.
    """

    form: Form
    points: Points
    parameters: Floats64
    covariance: Floats64
    chi2: float
    ndof: int
    dof: float

    @property
    def exponent(self) -> float:
        """Return b: the quantity falls as events to the power of -b (above its floor)."""
        return float(self.parameters[1])

    @property
    def exponent_error(self) -> float:
        """Return the standard error of the exponent."""
        return math.sqrt(self.covariance[1, 1])

    @property
    def floor(self) -> float:
        """Return what the quantity falls to, which is 0 without a floor."""
        return math.exp(self.parameters[2]) if self.form == "saturating" else 0.0

    @property
    def probability(self) -> float:
        """Return the probability of a chi² as large as this, or NaN if it is not known."""
        return chi2_probability(self.chi2, self.ndof)

    def log_at(self, events: float) -> float:
        """Return the logarithm of the quantity at a number of events."""
        return float(_logs(self.form, self.parameters, self._x(events))[0])

    def error_at(self, events: float) -> float:
        """Return the standard error of :meth:`log_at`, to first order."""
        slope = _slopes(self.form, self.parameters, self._x(events))[0]
        return math.sqrt(max(float(slope @ self.covariance @ slope), 0.0))

    def interval_at(self, events: float, probability: float) -> tuple[float, float]:
        """Return the central interval of the quantity at a number of events, by Student's t in the logarithm."""
        half = self.error_at(events) * student.quantile(probability, self.dof)
        return math.exp(self.log_at(events) - half), math.exp(self.log_at(events) + half)

    def exponent_interval(self, probability: float) -> tuple[float, float]:
        """Return the central interval of the exponent by Student's t."""
        half = self.exponent_error * student.quantile(probability, self.dof)
        return self.exponent - half, self.exponent + half

    def _x(self, events: float) -> Floats64:
        return np.array([math.log(events) - float(np.log(self.points.events).mean())])


def fit(points: Points, form: Form) -> Fit:
    """Return the weighted fit; raises :class:`DataError` for too few numbers of events."""
    needed = max(LEAST_POINTS, PARAMETERS[form] + 1)
    if len(points.events) < needed:
        raise DataError(
            f"a {form} fit needs {needed} numbers of pre-training events, and there are {len(points.events)}: run "
            "more ablations with `events` (0.5, 0.25, ...)"
        )
    parameters = _solve(form, points.x, points.means, points.counts, None)
    residuals = points.means - _logs(form, parameters, points.x)
    sum_of_squares = float((points.counts * residuals**2).sum())
    ndof = len(points.events) - PARAMETERS[form]
    known = not math.isnan(points.spread)
    variance = points.spread**2 if known else sum_of_squares / ndof
    slopes = _slopes(form, parameters, points.x)
    covariance = np.asarray(variance * np.linalg.pinv((slopes * points.counts[:, None]).T @ slopes))
    chi_squared = sum_of_squares / variance if known else math.nan
    return Fit(form, points, parameters, covariance, chi_squared, ndof, points.dof if known else ndof)


def chi2_probability(value: float, ndof: int) -> float:
    """Return the probability of a chi² of ``ndof`` degrees of freedom above ``value``, or NaN if that is NaN.

    Written out in closed form, which whole numbers of degrees of freedom have (Abramowitz and Stegun, 26.4.4 f.).
    """
    if ndof < 1 or math.isnan(value):
        return math.nan
    half = value / 2
    first = math.erfc(math.sqrt(half)) if ndof % 2 else 0.0
    begin = 0.5 if ndof % 2 else 0.0
    terms = (math.exp(-half) * half ** (begin + k) / math.gamma(begin + k + 1) for k in range(ndof // 2))
    return float(first + sum(terms))


def bootstrap(found: Fit, replicas: int, seed: int) -> Floats64:
    """Return the parameters [R, K] of fits to points whose runs are drawn anew from the residuals of all runs.

    The residuals of a point of n runs are scaled by sqrt(n / (n - 1)), so that few runs spread as many would.
    Without two runs of one number of events there are none, and the result is empty.
    """
    points, rng = found.points, np.random.default_rng(seed)
    several = [values for values in points.logs if len(values) > 1]
    if not several:
        return np.empty((0, len(found.parameters)))
    pool = np.concatenate([(v - v.mean()) * math.sqrt(len(v) / (len(v) - 1)) for v in several])
    drawn = []
    for _ in range(replicas):
        noise = np.array([rng.choice(pool, len(values)).mean() for values in points.logs])
        drawn.append(_solve(found.form, points.x, points.means + noise, points.counts, found.parameters))
    return np.array(drawn)


def bootstrap_interval(found: Fit, drawn: Floats64, events: float, probability: float) -> tuple[float, float]:
    """Return the central interval of the quantity at a number of events over the replicas ``drawn`` [R, K]."""
    if not len(drawn):
        return math.nan, math.nan
    logs = [float(_logs(found.form, parameters, found._x(events))[0]) for parameters in drawn]
    low, high = np.quantile(logs, [0.5 - probability / 2, 0.5 + probability / 2])
    return math.exp(low), math.exp(high)


def _logs(form: Form, parameters: Floats64, x: Floats64) -> Floats64:
    line = parameters[0] - parameters[1] * x
    return np.asarray(np.logaddexp(line, parameters[2]) if form == "saturating" else line)


def _slopes(form: Form, parameters: Floats64, x: Floats64) -> Floats64:
    """Return the derivatives [P, K] of the logarithm by the parameters."""
    line = np.column_stack([np.ones_like(x), -x])
    if form == "power":
        return line
    share = np.exp(parameters[0] - parameters[1] * x - _logs(form, parameters, x))[:, None]
    return np.hstack([share * line, 1.0 - share])


def _solve(form: Form, x: Floats64, y: Floats64, counts: Floats64, start: Floats64 | None) -> Floats64:
    """Return the parameters of the least squares of y [P], weighted by the numbers of runs."""
    root = np.sqrt(counts)
    design = np.column_stack([np.ones_like(x), -x]) * root[:, None]
    line = np.linalg.lstsq(design, y * root, rcond=None)[0]
    if form == "power":
        return np.asarray(line)
    lowest = np.array([-np.inf, -np.inf, float(y.min()) - _DEEPEST])
    starts = [np.array([*line, float(y.min()) - depth]) for depth in (0.3, 1.0, 5.0)]
    starts = starts if start is None else [start]
    found = [_descend(x, y, counts, first, lowest) for first in starts]
    return min(found, key=lambda each: each[1])[0]


def _descend(
    x: Floats64, y: Floats64, counts: Floats64, start: Floats64, lowest: Floats64
) -> tuple[Floats64, float]:
    """Return the parameters with a floor where the weighted squares are least, and their sum.

    The steps are those of Levenberg and Marquardt.
    """
    here, damping = np.maximum(start, lowest), 1e-3
    squares = _squares(x, y, counts, here)
    for _ in range(_MOST_STEPS):
        slopes = _slopes("saturating", here, x)
        matrix = (slopes * counts[:, None]).T @ slopes
        gradient = slopes.T @ (counts * (y - _logs("saturating", here, x)))
        step = np.linalg.solve(matrix + np.diag(damping * np.diag(matrix) + 1e-12), gradient)
        there = np.maximum(here + step, lowest)
        trial = _squares(x, y, counts, there)
        if trial < squares:
            small = squares - trial < 1e-10 * squares
            here, squares, damping = there, trial, damping / 3
            if small:
                break
        elif damping > 1e10:
            break
        else:
            damping *= 4
    return here, squares


def _squares(x: Floats64, y: Floats64, counts: Floats64, parameters: Floats64) -> float:
    return float((counts * (y - _logs("saturating", parameters, x)) ** 2).sum())
