"""How a claim grows with the number of unlabelled events, from runs that differ in `events` alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rs3l.config import blocks, methods
from rs3l.config.campaign import Campaign
from rs3l.config.pretrain import Pretrain
from rs3l.dataset.manifest import Manifest, check_names
from rs3l.errors import DataError
from rs3l.evaluate import student
from rs3l.evaluate.names import SUBJECT_MODES, headline_efficiency, rejection_name
from rs3l.evaluate.power_law import (
    LEAST_POINTS,
    PARAMETERS,
    Fit,
    Form,
    Points,
    bootstrap,
    bootstrap_interval,
    fit,
)
from rs3l.evaluate.tables import read_csv
from rs3l.seeds import keyed_hash

TARGET = 10_000_000
"""Pre-training events that fits are extrapolated to."""

REPLICAS = 400
_READ = ["task", "method", "mode", "labels", "seed", "repeat", "metric", "value", "lower_limit"]


@dataclass(frozen=True)
class Series:
    """One quantity of one task, mode and number of labels against the number of pre-training events.

    ``metric`` is that of the tables. The quantity falls as things get better: 1 - AUC, or 1 / rejection.
    """

    task: str
    mode: str
    labels: int
    metric: str
    points: Points

    @property
    def quantity(self) -> str:
        """Return the name of what is fitted."""
        return "1 - AUC" if self.metric == "auc" else f"1 / {self.metric}"


def events_of(config: Campaign, manifest: Manifest) -> dict[str, int]:
    """Return the pre-training events of the methods that differ from the first one in their number alone.

    The number of training events is that of the manifest: events of the train split with a jet, of the processes
    of pre-training.
    """
    known = {**methods.methods(config), **methods.ablations(config)}
    first = next(iter(methods.methods(config).values()))
    used = [name for name, process in config.processes.items() if process.use == "pretrain"]
    check_names("the manifest", "process", used, manifest.processes)
    total = sum(manifest.events("train", name) for name in used)
    return {name: _number(block, total) for name, block in known.items() if _same(block, first)}


def _same(block: Pretrain, first: Pretrain) -> bool:
    """Return whether two settings are equal but for events and seeds."""
    return block.model_copy(update={"events": first.events, "seeds": first.seeds}) == first


def _number(block: Pretrain, total: int) -> int:
    if block.events is None:
        return total
    return min(block.events, total) if isinstance(block.events, int) else round(block.events * total)


def read_runs(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Return the lines of some tables ``runs.csv``, each once.

    Raises :class:`DataError` if one cannot be read or has not the columns.
    """
    tables = [read_csv(path, _READ, "give tables runs.csv")[_READ] for path in paths]
    return pd.concat(tables).drop_duplicates([name for name in _READ if name not in ("value", "lower_limit")])


def series_of(runs: pd.DataFrame, events: Mapping[str, int], efficiency: float) -> list[Series]:
    """Return all series of the modes on the first method's network with enough numbers of events.

    Repeats (draws of labels) are averaged in the logarithm within each pre-training. A series with a lower limit
    in place of a rejection is left out. Raises :class:`DataError` if there is no series.
    """
    metrics = ["auc", rejection_name(efficiency)]
    chosen = runs[runs["method"].isin(list(events)) & runs["mode"].isin(SUBJECT_MODES)]
    chosen = chosen[chosen["metric"].isin(metrics)]
    found = []
    for (task, mode, labels, metric), lines in chosen.groupby(["task", "mode", "labels", "metric"]):
        if lines["lower_limit"].any():
            continue
        points = _points(lines, events, metric == "auc")
        if len(points.events) >= LEAST_POINTS:
            found.append(Series(str(task), str(mode), int(str(labels)), str(metric), points))
    if not found:
        raise DataError(
            f"growth needs {LEAST_POINTS} numbers of pre-training events, and the tables have those of "
            f"{', '.join(f'{name} ({number})' for name, number in events.items())}: add ablations that differ in "
            "`events` alone (0.5, 0.25, ...), with seeds of 2 or more, and give their runs.csv too"
        )
    return found


def _points(lines: pd.DataFrame, events: Mapping[str, int], is_area: bool) -> Points:
    value = lines["value"].to_numpy(float)
    falling = np.maximum(1.0 - value, 1e-12) if is_area else 1.0 / value
    table = lines.assign(log=np.log(falling), events=[events[name] for name in lines["method"]])
    runs = table.groupby(["events", "method", "seed"], sort=True)["log"].mean().reset_index()
    numbers = sorted(set(runs["events"]))
    logs = [runs.loc[runs["events"] == number, "log"].to_numpy(float) for number in numbers]
    return Points(np.array(numbers, dtype=float), logs)


def chosen(
    found: Iterable[Series],
    tasks: Sequence[str] = (),
    modes: Sequence[str] = (),
    labels: Sequence[int] = (),
    metrics: Sequence[str] = (),
) -> list[Series]:
    """Return the series of these tasks, modes, numbers of labels and metrics; of all where none is named.

    Raises :class:`DataError` if there is none.
    """
    wanted = {"task": tasks, "mode": modes, "labels": labels, "metric": metrics}
    left = [one for one in found if all(getattr(one, key) in values for key, values in wanted.items() if values)]
    if not left:
        raise DataError(
            f"growth: no series with { ({key: list(values) for key, values in wanted.items() if values}) }"
        )
    return left


def fits_of(series: Series) -> list[Fit]:
    """Return the fits of all forms that there are points enough for."""
    forms: list[Form] = [form for form, n in PARAMETERS.items() if len(series.points.events) > n]
    return [fit(series.points, form) for form in forms]


def growth_table(
    found: Sequence[Series], targets: Sequence[float] = (TARGET,), seed: int = 0, replicas: int = REPLICAS
) -> pd.DataFrame:
    """Return a line per series, form and number of events: of the points, and of the ``targets``.

    ``value`` is that of the fit, ``extrapolated`` whether there is no run with so many events. ``low_68`` ... are
    by Student's t from the spread of pre-trainings, ``boot_low_68`` ... from the bootstrap over them. The error of
    the test sample, which is common to all points, is in none of them.
    """
    return pd.DataFrame([row for series in found for row in _rows(series, targets, seed, replicas)])


def _rows(series: Series, targets: Sequence[float], seed: int, replicas: int) -> Iterator[dict[str, object]]:
    head = {name: getattr(series, name) for name in ("task", "mode", "labels", "metric", "quantity")}
    for found in fits_of(series):
        words = (*head.values(), found.form)
        drawn = bootstrap(found, replicas, keyed_hash(seed, "growth", *words) >> 1)
        for events in dict.fromkeys([*series.points.events, *targets]):
            yield {**head, **_fit_cells(found, drawn), **_value_cells(found, drawn, float(events))}


def _fit_cells(found: Fit, drawn: np.ndarray) -> dict[str, object]:
    low, high = found.exponent_interval(student.TWO_SIGMA)
    ends = np.quantile(drawn[:, 1], [0.023, 0.977]) if len(drawn) else (np.nan, np.nan)
    return {
        "form": found.form,
        "points": len(found.points.events),
        "pre_trainings": int(found.points.counts.sum()),
        "exponent": found.exponent,
        "exponent_error": found.exponent_error,
        "exponent_low_95": low,
        "exponent_high_95": high,
        "exponent_boot_low_95": float(ends[0]),
        "exponent_boot_high_95": float(ends[1]),
        "floor": found.floor,
        "chi2": found.chi2,
        "ndof": found.ndof,
        "p_chi2": found.probability,
        "dof": found.dof,
    }


def _value_cells(found: Fit, drawn: np.ndarray, events: float) -> dict[str, object]:
    measured = dict(zip(found.points.events, found.points.means, strict=True))
    cells: dict[str, object] = {
        "events": int(events),
        "measured": float(np.exp(measured[events])) if events in measured else np.nan,
        "value": float(np.exp(found.log_at(events))),
        "extrapolated": events > found.points.events.max(),
    }
    for name, width in (("68", student.ONE_SIGMA), ("95", student.TWO_SIGMA)):
        cells |= dict(zip((f"low_{name}", f"high_{name}"), found.interval_at(events, width), strict=True))
        ends = bootstrap_interval(found, drawn, events, width)
        cells |= dict(zip((f"boot_low_{name}", f"boot_high_{name}"), ends, strict=True))
    return cells


def growth(
    config: Campaign, manifest: Manifest, runs: Iterable[str | Path], targets: Sequence[float] = (TARGET,)
) -> tuple[list[Series], pd.DataFrame]:
    """Return the series of a campaign and the table of their fits."""
    efficiency = headline_efficiency(blocks.evaluate(config).evaluate.efficiencies)
    found = series_of(read_runs(runs), events_of(config, manifest), efficiency)
    return found, growth_table(found, targets, config.seed)
