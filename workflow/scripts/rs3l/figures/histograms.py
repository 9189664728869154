"""Weighted, normalised histograms of all variants, whose errors allow for jets that share a hard event.

In the shapes, V counts the variants (0 is the nominal), and B the bins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rs3l.dataset.event_rows import whole_events
from rs3l.dataset.manifest import Manifest
from rs3l.errors import DataError
from rs3l.types import Floats64, Ints


@dataclass(frozen=True)
class Shapes:
    """Histograms of all variants, each array [V, B].

    ``fraction`` is the share of the weight of all jets (also of those outside the bins) in each bin. ``ratio`` is
    its ratio to the nominal. ``error`` and ``ratio_error`` are statistical, and ``jets`` counts the jets.
    """

    edges: Floats64
    fraction: Floats64
    error: Floats64
    ratio: Floats64
    ratio_error: Floats64
    jets: Ints

    def significance(self, fewest: int) -> Floats64:
        """Return by how many standard deviations each variant differs from the nominal in all bins together [V].

        It is that of the sum over bins of ((ratio - 1) / error)^2, by the cube root of Wilson and Hilferty (1931),
        and 0 for less than is expected by chance. Bins count that have ``fewest`` jets under both; without such a
        bin it is NaN. Correlations of the bins, which their common norm causes, are not taken into account.
        """
        seen = np.minimum(self.jets, self.jets[:1]) >= fewest
        seen &= np.isfinite(self.ratio) & (np.nan_to_num(self.ratio_error) > 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            squares = np.where(seen, ((self.ratio - 1.0) / self.ratio_error) ** 2, 0.0).sum(axis=1)
            n = seen.sum(axis=1).astype(np.float64)
            spread = 2.0 / (9.0 * n)
            found = (np.cbrt(squares / n) - 1.0 + spread) / np.sqrt(spread)
        return np.where(n > 0, np.maximum(found, 0.0), np.nan)


class Accumulator:
    """Sums over hard events from which :class:`Shapes` follow, filled file by file in bounded memory.

    For p = sum(w in bin) / sum(w), an event contributes w (1[in bin] - p) / sum(w) to the deviation of p. The
    covariance of two variants is the sum, over the events with a jet in both, of the products of their
    contributions. It therefore needs the sums of w^2 over the events with both jets, with the first jet in the
    bin, with the second, and with both.
    """

    def __init__(self, variants: int, edges: Floats64) -> None:
        self.edges = edges
        shape = (variants, len(edges) - 1)
        self.weight = np.zeros(variants)
        self.in_bin = np.zeros(shape)
        self.jets = np.zeros(shape, dtype=np.int64)
        # The sums of w^2 pair each variant with itself (0) and with the nominal (1).
        self.both = np.zeros((2, variants))
        self.first = np.zeros((2, *shape))
        self.second = np.zeros((2, *shape))
        self.joint = np.zeros((2, *shape))

    def add(self, value: Floats64, weight: Floats64) -> None:
        """Add events with ``value`` [V, E] and ``weight`` [E], where NaN means no jet under this variant."""
        present = np.isfinite(value)
        bins = np.searchsorted(self.edges, np.where(present, value, self.edges[0] - 1.0), side="right") - 1
        bins = np.where(present & (value >= self.edges[0]) & (value < self.edges[-1]), bins, -1)
        for v in range(len(value)):
            self.weight[v] += weight[present[v]].sum()
            self.in_bin[v] += self._sum(bins[v], weight)
            self.jets[v] += self._sum(bins[v], np.ones_like(weight)).astype(np.int64)
            for k, other in enumerate((v, 0)):
                squares = np.where(present[v] & present[other], weight**2, 0.0)
                self.both[k, v] += squares.sum()
                self.first[k, v] += self._sum(bins[v], squares)
                self.second[k, v] += self._sum(bins[other], squares)
                self.joint[k, v] += self._sum(np.where(bins[v] == bins[other], bins[v], -1), squares)

    def _sum(self, bins: Ints, weight: Floats64) -> Floats64:
        inside = bins >= 0
        sums = np.bincount(bins[inside], weights=weight[inside], minlength=len(self.edges) - 1)
        return sums.astype(np.float64)

    def shapes(self) -> Shapes:
        """Return the histograms and their errors."""
        with np.errstate(divide="ignore", invalid="ignore"):
            p = self.in_bin / self.weight[:, None]
            variance, covariance = self._covariance(0, p, p), self._covariance(1, p, p[:1])
            ratio = p / p[:1]
            relative = variance / p**2 + (variance / p**2)[:1] - 2.0 * covariance / (p * p[:1])
            relative[0] = 0.0
            return Shapes(
                edges=self.edges,
                fraction=p,
                error=np.sqrt(np.maximum(variance, 0.0)),
                ratio=ratio,
                ratio_error=ratio * np.sqrt(np.maximum(relative, 0.0)),
                jets=self.jets,
            )

    def _covariance(self, k: int, p: Floats64, q: Floats64) -> Floats64:
        norm = self.weight[:, None] * (self.weight[:, None] if k == 0 else self.weight[0])
        total = self.joint[k] - q * self.first[k] - p * self.second[k] + p * q * self.both[k][:, None]
        return np.asarray(total / norm)


def process_files(manifest: Manifest, process: str) -> list[Path]:
    """Return the files of one process, of all splits.

    Raises :class:`DataError` if a file that the manifest names is missing.
    """
    paths = [manifest.path(part) for part in manifest.files(process=process)]
    for path in paths:
        if not path.is_file():
            raise DataError(f"{path}: named in the manifest, and missing; run the merge again")
    return paths


def fill(paths: Iterable[Path], column: str, variants: Sequence[str], edges: Floats64) -> Shapes:
    """Return the histograms of ``column`` under ``variants`` (the first is the nominal) from files."""
    return fill_all(paths, {column: edges}, variants)[column]


def fill_all(paths: Iterable[Path], edges: Mapping[str, Floats64], variants: Sequence[str]) -> dict[str, Shapes]:
    """Return the histograms of the columns of ``edges`` under ``variants``, from files that are read once.

    A few thousand events are in memory at a time.
    """
    results = {column: Accumulator(len(variants), bins) for column, bins in edges.items()}
    for table in whole_events(paths, ["event_id", "variant", "weight", *edges]):
        place = _Places.of(table["event_id"].to_numpy(), _codes(table["variant"], variants), len(variants))
        weight = place.event_values(table["weight"].to_numpy())
        for column, result in results.items():
            result.add(place.view_values(table[column].to_numpy()), weight)
    return {column: result.shapes() for column, result in results.items()}


def add_views(
    result: Accumulator,
    event_id: Ints,
    names: NDArray[np.str_],
    variants: Sequence[str],
    value: NDArray[np.floating],
    weight: Floats64,
) -> None:
    """Add jets to ``result``, with ``event_id``, variant ``names``, ``value`` and ``weight`` of each, [N].

    A value of NaN means a jet without the quantity. All views of an event have its weight.
    """
    place = _Places.of(event_id, _codes(pa.array(names, pa.string()), variants), len(variants))
    result.add(place.view_values(value), place.event_values(weight))


def _codes(names: pa.Array | pa.ChunkedArray, variants: Sequence[str]) -> Ints:
    """Return the index of each name in ``variants``, or -1 for others."""
    codes = pc.fill_null(pc.index_in(names, value_set=pa.array(variants, pa.string())), -1)
    return np.asarray(codes, dtype=np.int64)


@dataclass(frozen=True)
class _Places:
    """The places of jets [N] in a table [V, E] of variants and events; a ``variant`` of -1 has none."""

    event: Ints
    variant: Ints
    shape: tuple[int, int]

    @classmethod
    def of(cls, event_id: Ints, variant: Ints, variants: int) -> _Places:
        ids, event = np.unique(event_id, return_inverse=True)
        return cls(event, variant, (variants, len(ids)))

    def view_values(self, value: NDArray[np.floating]) -> Floats64:
        """Return the table of a quantity of the jets, with NaN where there is no jet."""
        result = np.full(self.shape, np.nan)
        known = self.variant >= 0
        result[self.variant[known], self.event[known]] = value[known]
        return result

    def event_values(self, value: Floats64) -> Floats64:
        """Return a quantity [E] that all views of an event share."""
        result = np.zeros(self.shape[1])
        result[self.event] = value
        return result
