"""The cost of demanding a jet, as counts and mean pT of the hard events before and after, per process.

Demanding a jet under all variants would bias the data set, which is why it keeps every matched view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rs3l.merge.exact import exact_sum, rounded

Moments = dict[str, list[int]]
"""Events, sum and sum of squares of the parton's pT, and of the nominal jet's pT [GeV], by selection.

The sums are those of :func:`exact_sum`.
"""


def moments(tables: Mapping[str, pa.Table], ok: NDArray[np.bool_]) -> Moments:
    """Return the sums over some events.

    ``ok`` [V, E] tells whether there is a jet under variant v, with the nominal first. The selections are all hard
    events, those with a nominal jet, and those of them with a jet under every variant.
    """
    nominal = tables["nominal"]
    parton = nominal["parton_pt"].to_numpy().astype(float)
    jet = nominal["jet_pt"].fill_null(0.0).to_numpy().astype(float)
    selections = {"hard": np.ones(len(parton), bool), "nominal": ok[0], "all_variants": ok.all(axis=0)}
    return {
        name: [int(chosen.sum()), *_sums(parton[chosen]), *_sums(jet[chosen & ok[0]])]
        for name, chosen in selections.items()
    }


def added(pieces: Sequence[Moments]) -> Moments:
    """Return the sums over the events of all pieces."""
    return {name: [sum(sums) for sums in zip(*(p[name] for p in pieces), strict=True)] for name in pieces[0]}


def survival(sums: Moments) -> dict[str, dict[str, Any]]:
    """Return events, and mean pT [GeV] with its standard error, of each selection (for the manifest)."""
    result = {}
    for name, (events, *totals) in sums.items():
        parton, squares, jet, jet_squares = map(rounded, totals)
        entry = {"events": events, "parton_pt": _mean(events, parton, squares)}
        result[name] = entry if name == "hard" else {**entry, "nominal_jet_pt": _mean(events, jet, jet_squares)}
    return result


def _sums(values: NDArray[np.float64]) -> list[int]:
    return [exact_sum(values), exact_sum(np.square(values))]


def _mean(events: int, total: float, squares: float) -> list[float] | None:
    """Return mean and standard error to six digits, or None without events."""
    if events < 1:
        return None
    mean = total / events
    variance = max(squares / events - mean**2, 0.0)
    return [float(f"{mean:.6g}"), float(f"{(variance / events) ** 0.5:.3g}")]
