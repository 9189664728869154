"""What figures need of the latents, from files that are read some thousand jets at a time.

In the shapes, N counts jets, and D the dimensions of z. All z are on the unit sphere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from rs3l.dataset.checksum import intact_parquet
from rs3l.dataset.event_rows import whole_events
from rs3l.errors import DataError
from rs3l.runs import Run
from rs3l.types import Floats64, Ints

_COLUMNS = ("event_id", "process", "variant", "z")

_FINE_BINS = 20_000
"""A quantile is found to this fraction of the range of its quantity."""


def by_run(paths: Iterable[str | Path]) -> dict[str, list[Path]]:
    """Return the files of each run, ``{run}/latents/{process}-{group}.parquet``, in their order."""
    found: dict[str, list[Path]] = {}
    for path in map(Path, paths):
        found.setdefault(str(Run.of_file(path.parent)), []).append(path)
    return found


def intact_latents(paths: Iterable[str | Path]) -> list[Path]:
    """Return the files of a run after their values are verified; raise :class:`DataError` if some are wrong."""
    return [intact_parquet(path) for path in paths]


def latents(paths: Iterable[str | Path]) -> Iterator[tuple[pd.DataFrame, Floats64]]:
    """Yield event_id, process and variant of the test jets, and z [N, D], always whole events."""
    for table in whole_events(paths, _COLUMNS):
        if table.num_rows:
            yield table.drop_columns(["z"]).to_pandas(), _on_sphere(table["z"].combine_chunks())


def _on_sphere(z: pa.FixedSizeListArray) -> Floats64:
    values = z.flatten().to_numpy().reshape(len(z), -1).astype(np.float64)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12))


class Moments:
    """Mean and covariance of rows that come in pieces, around the mean of the first piece for precision."""

    def __init__(self) -> None:
        """Begin with no row."""
        self.count = 0
        self._origin, self._sum, self._squares = np.zeros(0), np.zeros(0), np.zeros((0, 0))

    def add(self, rows: Floats64) -> None:
        """Add rows [N, D]."""
        if not len(rows):
            return
        if not self.count:
            d = rows.shape[1]
            self._origin, self._sum, self._squares = rows.mean(axis=0), np.zeros(d), np.zeros((d, d))
        centred = rows - self._origin
        self.count += len(rows)
        self._sum += centred.sum(axis=0)
        self._squares += centred.T @ centred

    @property
    def mean(self) -> Floats64:
        """Mean [D]."""
        return np.asarray(self._origin + self._sum / self.count)

    @property
    def covariance(self) -> Floats64:
        """Covariance [D, D], with 1 / N."""
        mean = self._sum / self.count
        return np.asarray(self._squares / self.count - np.outer(mean, mean))

    @property
    def correlation(self) -> Floats64:
        """Pearson's r [D, D], NaN for a feature that is constant."""
        covariance = self.covariance
        width = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.clip(covariance / np.outer(width, width), -1.0, 1.0))


class Plane:
    """The jets that the figure of the latent space shows, and the moments of all jets, from one reading.

    Of each process these are the first ``jets`` nominal ones, and all views of the first ``events`` of its events
    with the most views.
    """

    def __init__(self, processes: Sequence[str], jets: int, events: int) -> None:
        """Begin with no jet."""
        self.moments = Moments()
        self._jets, self._events = jets, events
        self._nominal: dict[str, list[pd.DataFrame]] = {process: [] for process in processes}
        self._joined: dict[str, list[pd.DataFrame]] = {process: [] for process in processes}
        self._views = dict.fromkeys(processes, 0)

    def add(self, jets: pd.DataFrame, z: Floats64) -> None:
        """Add whole events with their z [N, D]."""
        self.moments.add(z)
        for process in self._nominal:
            own = jets[jets["process"] == process]
            if len(own):
                self._add_nominal(process, own[own["variant"] == "nominal"], z)
                self._add_events(process, own, z)

    def _add_nominal(self, process: str, jets: pd.DataFrame, z: Floats64) -> None:
        missing = self._jets - sum(map(len, self._nominal[process]))
        self._nominal[process].append(_with_z(jets.head(missing), z))

    def _add_events(self, process: str, jets: pd.DataFrame, z: Floats64) -> None:
        views = jets.groupby("event_id")["variant"].transform("size")
        most = int(views.max())
        if most > self._views[process]:
            self._views[process], self._joined[process] = most, []
        missing = self._events - len(self._joined[process])
        chosen = jets[views == self._views[process]]
        for event in chosen["event_id"].drop_duplicates().head(missing):
            self._joined[process].append(_with_z(chosen[chosen["event_id"] == event], z))

    def components(self) -> tuple[pd.DataFrame, Floats64]:
        """Return the jets with two principal components of all jets, and the fractions of the variance.

        The column ``joined`` says whether the row belongs to an event whose views are joined.
        """
        variance, axes = np.linalg.eigh(self.moments.covariance)
        order = np.argsort(-variance)[:2]
        axes = axes[:, order]
        axes *= np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])  # makes the largest entry positive
        parts = [
            part.assign(joined=joined)
            for process in self._nominal
            for joined, rows in ((False, self._nominal[process]), (True, self._joined[process]))
            for part in rows
        ]
        table = pd.concat(parts, ignore_index=True)
        z = np.array(table["z"].to_list()).reshape(len(table), -1)
        first, second = axes.T @ (z - self.moments.mean).T
        return table.drop(columns="z").assign(first=first, second=second), np.asarray(
            variance[order] / variance.sum()
        )


def _with_z(jets: pd.DataFrame, z: Floats64) -> pd.DataFrame:
    """Return jets with their z; the index is the place in ``z``."""
    return jets.assign(z=list(z[jets.index.to_numpy()]))


@dataclass(frozen=True)
class Widest:
    """The feature of z that varies most, counted from 0, and two quantiles of it."""

    feature: int
    low: float
    high: float


def widest_feature(paths: Sequence[str | Path], outside: float) -> Widest:
    """Return the feature that varies most over all jets, and the range that leaves out ``outside`` at either end.

    The ends are those of fine bins, which always leave a range. Raises :class:`DataError` if there is no jet.
    """
    moments, low, high = Moments(), np.inf, -np.inf
    for _, z in latents(paths):
        moments.add(z)
        low, high = np.minimum(low, z.min(axis=0)), np.maximum(high, z.max(axis=0))
    if not moments.count:
        raise DataError(f"{paths[0]}: no jet; raise processes.<name>.events or dataset.splits.test")
    feature = int(np.diag(moments.covariance).argmax())
    edges = np.linspace(*_some_range(np.atleast_1d(low)[feature], np.atleast_1d(high)[feature]), _FINE_BINS + 1)
    counts = sum(np.histogram(z[:, feature], edges)[0] for _, z in latents(paths))
    return Widest(feature, *_quantiles(np.asarray(counts), edges, outside))


def _some_range(low: float, high: float) -> tuple[float, float]:
    """Return a range, widened if it has no width, as with a collapsed encoder."""
    width = 1e-6 if high - low < 1e-6 else 0.0
    return low - width, high + width


def _quantiles(counts: Ints, edges: Floats64, outside: float) -> tuple[float, float]:
    """Return the edges of the bins beyond which at most a fraction ``outside`` lies at either end."""
    below = np.cumsum(counts) / counts.sum()
    first = int(np.searchsorted(below, outside, side="right"))
    last = int(np.searchsorted(below, 1.0 - outside, side="left"))
    return float(edges[first]), float(edges[last + 1])


class Corner:
    """The nominal jets of one process in the corner plot: moments, a histogram per feature, and the first dots."""

    def __init__(self, features: int, bins: int, dots: int) -> None:
        """Begin with no jet; the bins divide -1 ... 1."""
        self.moments = Moments()
        self.edges = np.linspace(-1.0, 1.0, bins + 1)
        self.counts = np.zeros((features, bins), dtype=np.int64)
        self.dots = np.zeros((0, features))
        self._most = dots

    def add(self, z: Floats64) -> None:
        """Add jets [N, D], of which the first features are shown."""
        z = z[:, : len(self.counts)]
        self.moments.add(z)
        self.counts += np.array([np.histogram(column, self.edges)[0] for column in z.T])
        self.dots = np.concatenate([self.dots, z[: self._most - len(self.dots)]])
