"""Words for numbers: values with errors, and what may be said of a difference.

A difference within two of its standard deviations is never called one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rs3l.evaluate import student
from rs3l.evaluate.marks import mark
from rs3l.evaluate.spread import effective_dof, unknown
from rs3l.evaluate.summary import format_number

BEYOND = 2.0
"""A difference of more than this many standard deviations is called one."""

NO_DIFFERENCE = "no difference beyond two standard deviations"

_SEVERAL = 5
"""From this many comparisons on, the text says how many chance alone takes beyond two standard deviations."""

_BY_CHANCE = math.erfc(BEYOND / math.sqrt(2.0))

Row = Mapping[str, Any]


def of_best(p_value: float, trials: int) -> str:
    """Return in words what the p-value of the best of several is, or nothing where it is not known."""
    p = student.sidak(p_value, trials)
    return "" if math.isnan(p) else f", p = {p:.2g} for the best of {trials}"


def dof_of(row: Row, name: str = "dof") -> float:
    """Return the degrees of freedom of an error, which are infinite in older tables that lack them."""
    value = float(row.get(name, math.inf))
    return math.inf if math.isnan(value) else value


def plain(value: float) -> str:
    """Return a number with three digits, without an exponent where it is large."""
    return f"{float(f'{value:.3g}'):,.12g}"


def measured(value: float, error: float) -> str:
    """Return ``value ± error`` with two digits of the error, or the value alone if it has no error."""
    if not (math.isfinite(error) and error > 0.0):
        return plain(value)
    return format_number({"value": value, "error": error}).replace("+-", "±")


def of_row(row: Row) -> str:
    """Return value and error of a line of a table, or ``> value`` for a lower limit."""
    if row.get("lower_limit"):
        return f"> {plain(row['value'])}{mark(row)}"
    return measured(float(row["value"]), float(row["error"])) + mark(row)


def lacks(row: Row) -> str:
    """Return in brackets what the error of a line lacks, or an empty text if it is complete."""
    lacking = unknown(row)
    return f" ({lacking})" if lacking else ""


def signed(value: float, error: float) -> str:
    """Return ``+ value ± error`` or ``− value ± error``."""
    return f"{'−' if value < 0 else '+'}{measured(abs(value), error)}"


def sigmas(value: float, error: float, dof: float = math.inf) -> float:
    """Return how many standard deviations of a normal distribution are as improbable as a value.

    The probability is that of Student's t; the result is NaN without an error.
    """
    if not error > 0.0:
        return math.nan
    return abs(value) / error if math.isinf(dof) else student.deviate(student.two_sided(value / error, dof))


def is_beyond(value: float, error: float, dof: float = math.inf) -> bool:
    """Return whether a value differs from zero by more than two standard deviations.

    Without an error it never does.
    """
    return sigmas(value, error, dof) > BEYOND


def deviations(value: float, error: float, dof: float = math.inf) -> str:
    """Return how many standard deviations a value is from zero."""
    return f"{sigmas(value, error, dof):.1f} standard deviations"


def verdict(
    value: float,
    error: float,
    dof: float = math.inf,
    lacking: str = "",
    words: tuple[str, str] = ("higher", "lower"),
) -> str:
    """Return in words whether a difference is more or less than zero, or that nothing can be told from it.

    ``lacking`` is what the error lacks (:func:`rs3l.evaluate.spread.unknown`); nothing can be told then.
    """
    if lacking:
        return f"difference {signed(value, error)} ({lacking}, and nothing is said of significance)"
    if not error > 0.0:
        return f"difference {value:+.3g}, of unknown error"
    if not is_beyond(value, error, dof):
        return f"{NO_DIFFERENCE} ({signed(value, error)})"
    return f"{words[value < 0]} by {measured(abs(value), error)}, {deviations(value, error, dof)}"


def ratio_verdict(ratio: float, error: float, dof: float = math.inf, lacking: str = "") -> str:
    """Return in words whether a ratio differs from 1, by the error of its logarithm; ``lacking`` is as above."""
    logarithm, own = math.log(ratio), error / ratio
    text = f"paired ratio {measured(ratio, error)}"
    if lacking:
        return f"{text} ({lacking}, and nothing is said of significance)"
    if not own > 0.0:
        return f"{text}, of unknown error"
    if not is_beyond(logarithm, own, dof):
        return f"{text}: {NO_DIFFERENCE}"
    return f"{text}, {deviations(logarithm, own, dof)} from 1"


def apart(first: Row, second: Row) -> tuple[float, float, float]:
    """Return the difference of two lines of a table, its error (in quadrature), and its degrees of freedom."""
    errors = [float(row["error"]) for row in (first, second)]
    dof = effective_dof((error**2, dof_of(row)) for error, row in zip(errors, (first, second), strict=True))
    return float(first["value"] - second["value"]), math.hypot(*errors), dof


def sigma(row: Row, value: str = "value", error: str = "error") -> str:
    """Return the significance of a line of differences as ``+2.1 σ``, or the missing spread if that is unknown.

    Tables that precede the use of Student's t have value / error in ``z``, or these two.
    """
    if lacking := unknown(row):
        return lacking
    number = row.get("significance", row.get("z"))
    if number is None:
        number = float(row[value]) / float(row[error]) if float(row[error]) > 0 else math.nan
    return f"{number:+.1f} σ" if math.isfinite(number) else ""


def by_chance(comparisons: int) -> str:
    """Return a sentence on how many of several comparisons chance alone takes beyond two standard deviations."""
    if comparisons < _SEVERAL:
        return ""
    return f" Of {comparisons} comparisons, chance alone takes about {_BY_CHANCE * comparisons:.1g} beyond that."


def sides(found: Mapping[str, Sequence[str]], comma: str = ", ") -> list[str]:
    """Return "side for names" of each side that has names."""
    return [f"{side} for {listed(names, comma=comma)}" for side, names in found.items() if names]


def listed(names: Sequence[str], most: int = 4, comma: str = ", ") -> str:
    """Return names as a list in words, ``none`` if there are none, or the first ones if there are many.

    ``comma`` separates the names, for names that have commas themselves.
    """
    if not names:
        return "none"
    more = [f"{len(names) - most} more"] if len(names) > most else []
    shown = [*names[:most], *more]
    return shown[0] if len(shown) == 1 else f"{comma.join(shown[:-1])} and {shown[-1]}"


def counted(number: float, what: str = "") -> str:
    """Return a whole number with commas."""
    return f"{number:,.0f} {what}".rstrip()
