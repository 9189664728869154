"""Columns of further weights: those of the hard events (``lhe_weights``), and bands of the showers (``bands``).

In the data set each is the weight of the row: to use one, take it in place of ``weight``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rs3l.dataset.schema import SHOWER_WEIGHT, Status, band_column
from rs3l.errors import DataError
from rs3l.lhe.weights import PREFIX
from rs3l.merge.exact import exact_sum, rounded
from rs3l.merge.shards import Shard
from rs3l.types import Floats64

Sums = dict[str, dict[str, list[int]]]
"""By column and variant: events, sum of the column, of its square, and of ``weight``, of the same events.

The sums are those of :func:`exact_sum`.
"""


def columns(shards: Mapping[str, Mapping[str, Sequence[Shard]]]) -> list[str]:
    """Return the columns of further weights of all processes, those of hard events first.

    Raises :class:`DataError` if the variants of a process have other weights of the hard events, or a name is both.
    """
    lhe: dict[str, Shard] = {}
    bands: dict[str, Shard] = {}
    for by_variant in shards.values():
        first = by_variant["nominal"][0]
        for shard in (own[0] for own in by_variant.values()):
            if shard.weights != first.weights:
                raise DataError(
                    f"{shard.path}: its hard events have other weights than those of {first.path}; delete the "
                    f"jets of {shard.variant} and run again"
                )
            bands |= {PREFIX + name: shard for name in shard.bands}
        lhe |= dict.fromkeys(first.weights, first)
    for name in lhe.keys() & bands.keys():
        raise DataError(
            f"{bands[name].path}: its band {name.removeprefix(PREFIX)} and the weight {lhe[name].weights[name]!r} of "
            f"{lhe[name].path} would both be the column {name}: rename the band"
        )
    return [*lhe, *bands]


def further_weights(table: pa.Table, names: Iterable[str]) -> dict[str, pa.ChunkedArray]:
    """Return the columns of the data set of a variant's jets [E], NaN where the jets have none of a name."""
    result = {}
    for name in names:
        band = band_column(name.removeprefix(PREFIX))
        if band in table.column_names:
            result[name] = pc.multiply(table["weight"], table[band])
        elif name in table.column_names:
            result[name] = pc.multiply(table[name], table[SHOWER_WEIGHT])
        else:
            result[name] = pa.chunked_array([pa.array(np.full(table.num_rows, np.nan))])
    return result


def sums(tables: Mapping[str, pa.Table], names: Sequence[str]) -> Sums:
    """Return the sums over some events: those that a variant has simulated."""
    result: Sums = {}
    for variant, table in tables.items() if names else ():
        done = ~np.isin(table["status"].to_numpy(), (Status.FAILED, Status.SKIPPED))
        weight = table["weight"].to_numpy()[done]
        for name, column in further_weights(table, names).items():
            values: Floats64 = column.to_numpy()[done]
            if not np.isnan(values).any():
                entries = [int(done.sum()), *map(exact_sum, (values, np.square(values), weight))]
                result.setdefault(name, {})[variant] = entries
    return result


def added(pieces: Sequence[Sums]) -> Sums:
    """Return the sums over the events of all pieces."""
    return {
        name: {
            variant: [sum(entries) for entries in zip(*(p[name][variant] for p in pieces), strict=True)]
            for variant in pieces[0][name]
        }
        for name in pieces[0]
    }


def entries(found: Sums, shards: Mapping[str, Sequence[Shard]], sigma: float) -> dict[str, Any]:
    """Return what the manifest says of each column: its origin, and what it does under each variant.

    ``ratio`` is the sum of the column by that of ``weight``, with its standard error; ``cross_section_pb`` is the
    ratio times ``sigma``; ``effective`` is (sum)^2 / (sum of squares) by the number of events.
    """
    result: dict[str, Any] = {}
    for name, by_variant in found.items():
        origin = shards["nominal"][0].weights.get(name)
        variants = {variant: _entry(own, sigma) for variant, own in by_variant.items()}
        if origin is not None:
            result[name] = {"lhe": origin, "variants": variants}
        else:
            band = name.removeprefix(PREFIX)
            changes = {variant: shards[variant][0].bands[band] for variant in by_variant}
            result[name] = {"bands": changes, "variants": variants}
    return result


def _entry(own: Sequence[int], sigma: float) -> dict[str, Any]:
    events, (total, squares, weights) = own[0], map(rounded, own[1:])
    if not events or not squares or not weights:
        return {"events": events}
    ratio = total / weights
    return {
        "events": events,
        "sum_weights": total,
        "ratio": float(f"{ratio:.6g}"),
        "cross_section_pb": float(f"{sigma * ratio:.6g}"),
        "effective": float(f"{total**2 / squares / events:.4g}"),
    }
