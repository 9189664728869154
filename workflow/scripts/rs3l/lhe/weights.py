"""Additional weights of Les Houches events that become columns of the data set."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

from rs3l.errors import DataError

PREFIX = "weight_"
"""All columns of further weights begin with this."""

_WGT = re.compile(r"<wgt id=(?:\"([^\"]*+)\"|'([^']*+)')>([^<]*+)</wgt>")
_SHOWN = 8


def column_name(identifier: str) -> str:
    """Return a weight's column: the prefix, and small letters, digits and `_` for the rest of its identifier.

    A minus before a digit is written as an `m`, so that variations up and down do not become one name.
    """
    signed = re.sub(r"-(?=[\d.])", "m", identifier)
    return PREFIX + (re.sub(r"[^a-z0-9]+", "_", signed.lower()).strip("_") or "unnamed")


def chosen_columns(where: str, patterns: Sequence[str], names: Collection[str]) -> dict[str, str]:
    """Return the identifiers of weights by column, in the order of ``names`` (those of an event).

    A pattern that is an identifier is taken literally. Raises :class:`DataError` that names ``where`` for a
    pattern without a weight, and for two weights with one column.
    """
    for pattern in patterns:
        if not any(_matches(pattern, name) for name in names):
            shown = ", ".join(list(names)[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" * (len(names) > _SHOWN))
            raise DataError(
                f"{where}: no additional weight {pattern!r} (key `lhe_weights`); it has {shown or 'none'}"
            )
    result: dict[str, str] = {}
    for name in (name for name in names if any(_matches(pattern, name) for pattern in patterns)):
        other = result.setdefault(column_name(name), name)
        if other != name:
            raise DataError(
                f"{where}: the weights {other!r} and {name!r} would both be the column {column_name(name)}: name "
                "one of them in `lhe_weights`"
            )
    return result


def _matches(pattern: str, name: str) -> bool:
    return pattern == name or fnmatchcase(name, pattern)


def check_present(where: str, columns: Mapping[str, str], weights: Collection[str]) -> None:
    """Raise :class:`DataError` unless an event has every weight that became a column with the first one."""
    missing = [name for name in columns.values() if name not in weights]
    if missing:
        raise DataError(
            f"{where}: the additional weight {missing[0]!r}, a column of the data set by `lhe_weights`, is "
            f"missing ({len(missing)} in all), and the first event has it; leave it out, or get the file again"
        )


def read_columns(text: str, columns: Mapping[str, str]) -> dict[str, float]:
    """Return the weights by column from the ``<rwgt>`` block of an event of a shard.

    Raises :class:`ValueError` if one is missing.
    """
    found = {html.unescape(first or second): value for first, second, value in _WGT.findall(text)}
    if missing := [name for name in columns.values() if name not in found]:
        raise ValueError(f"an event without the weight {missing[0]!r}")
    return {column: float(found[name]) for column, name in columns.items()}
