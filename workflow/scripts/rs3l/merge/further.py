"""Columns of further weights: those of the hard events (``lhe_weights``), and bands of the showers (``bands``).

In the data set each is the weight of the row: to use one, take it in place of ``weight``.
"""

from __future__ import annotations

import math
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

Sums = dict[str, dict[str, list[int]]]
"""By column and variant: events, and sums over them of v, v^2, w, v w and w^2 (:func:`exact_sum`).

v is the column, and w is ``weight``, of the hard event.
"""


def columns(shards: Mapping[str, Mapping[str, Sequence[Shard]]]) -> list[str]:
    """Return the columns of further weights of all processes, those of hard events first.

    Raises :class:`DataError` if the variants of a process have other weights of the hard events, or a name is
    both.
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
            f"{bands[name].path}: its band {name.removeprefix(PREFIX)} and the weight "
            f"{lhe[name].weights[name]!r} of {lhe[name].path} would both be the column {name}: rename the band"
        )
    return [*lhe, *bands]


def further_weights(table: pa.Table, names: Iterable[str]) -> dict[str, pa.ChunkedArray]:
    """Return the columns of the data set of a variant's jets [E], NaN where the jets have none of a name."""
    none = pa.chunked_array([pa.array(np.full(table.num_rows, np.nan))])
    factors = {name: _factors(table, name) for name in names}
    return {name: none if own is None else pc.multiply(*(table[n] for n in own)) for name, own in factors.items()}


def _factors(table: pa.Table, name: str) -> tuple[str, str] | None:
    """Return the two columns of the jets whose product is a column of the data set, or None without them."""
    band = band_column(name.removeprefix(PREFIX))
    if band in table.column_names:
        return "weight", band
    return (name, SHOWER_WEIGHT) if name in table.column_names else None


def sums(tables: Mapping[str, pa.Table], names: Sequence[str]) -> Sums:
    """Return the sums over some events: bands of those that a variant has simulated, others of all hard events."""
    result: Sums = {}
    for name in names:
        for variant, table in tables.items():
            factors = _factors(table, name)
            if factors is None or not (factors[0] == "weight" or variant == "nominal"):
                continue
            left_out = (Status.FAILED, Status.SKIPPED) if factors[0] == "weight" else ()
            done = ~np.isin(table["status"].to_numpy(), left_out)
            column = further_weights(table, [name])[name]
            values, weight = (own.to_numpy()[done] for own in (column, table["weight"]))
            terms = values, values**2, weight, values * weight, weight**2
            own_sums = map(exact_sum, terms)
            result.setdefault(name, {})[variant] = [int(done.sum()), *own_sums]
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
    ratio times ``sigma``; ``effective`` is (sum)^2 / (sum of squares) by that of ``weight``.
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
    events, (v, vv, w, vw, ww) = own[0], map(rounded, own[1:])
    if not (events and vv and w):
        return {"events": events}
    ratio = v / w
    error = math.sqrt(max(vv - 2 * ratio * vw + ratio**2 * ww, 0.0)) / abs(w)
    return {
        "events": events,
        "sum_weights": v,
        "ratio": [float(f"{ratio:.6g}"), float(f"{error:.3g}")],
        "cross_section_pb": float(f"{sigma * ratio:.6g}"),
        "effective": float(f"{v**2 / vv / (w**2 / ww):.4g}"),
    }
