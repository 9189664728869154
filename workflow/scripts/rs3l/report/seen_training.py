"""Say what is seen in the figures of the pre-training and of the latents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rs3l.evaluate.spread import unknown
from rs3l.figures.plot_results import read_table
from rs3l.pretrain.similarity import MEANS, VIEWS
from rs3l.report.figure_data import VALUE, FigureData, first_row
from rs3l.report.words import NO_DIFFERENCE, Row, apart, counted, is_beyond, listed, measured, of_row

_LAST = {
    "val_loss": "validation loss",
    "rank": "effective rank",
    "alignment": "alignment",
    "uniformity": "uniformity",
    "top1": "top-1",
}
"""The columns of ``metrics.csv`` whose last epoch is reported, and their names."""


def training(data: FigureData) -> str:
    """Give the metrics after the last epoch, for the runs of each method."""
    parts = []
    for method, rows in _last_epochs(data).items():
        values = [f"{title} {span(rows[column])}" for column, title in _LAST.items() if column in rows]
        epochs = span(rows["epoch"])
        parts.append(f"{method}, {_runs(rows)}, after epoch {epochs}: {', '.join(values)}.")
    return f"{' '.join(parts)} Losses of different methods are not comparable." if parts else ""


def similarity(data: FigureData) -> str:
    """Give the cosines of views and of classes after the last epoch, for the runs of each method."""
    parts = []
    for method, rows in _last_epochs(data).items():
        found = {prefix: rows.filter(regex=f"^{prefix}") for prefix in (VIEWS, MEANS)}
        texts = []
        if found[VIEWS].size:
            texts.append(f"two views of one event {span(found[VIEWS])}")
        if found[MEANS].size:
            texts.append(f"mean latents of two classes {span(found[MEANS])}")
        parts += [f"{method}, {_runs(rows)}: {', '.join(texts)}."] if texts else []
    return f"Cosines after the last epoch, all processes. {' '.join(parts)}" if parts else ""


def _runs(rows: pd.DataFrame) -> str:
    return f"{len(rows)} run{'s' if len(rows) > 1 else ''}"


def _last_epochs(data: FigureData) -> dict[str, pd.DataFrame]:
    """Return the last lines of the metrics of the trained runs of each method."""
    found = {}
    for method, runs in data.runs.items():
        paths = [path for run in runs if Path(path := data.paths.model_metrics(run)).is_file()]
        tables = [read_table(path, ["epoch"]) for path in paths]
        if lines := [table.tail(1) for table in tables if len(table)]:
            found[method] = pd.concat(lines, ignore_index=True)
    return found


def span(values: pd.Series | pd.DataFrame) -> str:
    """Return the smallest and the largest of some values, or one number if they look the same."""
    low, high = (f"{x:.3g}" for x in (np.nanmin(values.to_numpy(float)), np.nanmax(values.to_numpy(float))))
    return low if low == high else f"{low} to {high}"


def latent(data: FigureData) -> str:
    """Say how far apart the views of the joined events are in the plane, and the jets of a process."""
    points = data.points("latent", "run", "process", "event_id", "joined", "first", "second")
    parts = []
    for run, rows in points.groupby("run", sort=False):
        joined = rows[rows["joined"]]
        near = _radii(joined, ["process", "event_id"]).groupby([joined["process"], joined["event_id"]]).mean()
        far = _radii(rows[~rows["joined"]], ["process"]).mean()
        if len(near) > 1 and far > 0.0:
            error = float(near.std() / np.sqrt(len(near)))
            parts.append(
                f"{run}: {measured(float(near.mean()), error)} for {len(near)} events, {far:.2g} for jets."
            )
    if not parts:
        return ""
    return (
        "Mean distance, in this plane, of the joined views from the centre of their event (error: spread of the "
        f"events), and of nominal jets from that of their process. {' '.join(parts)}"
    )


def _radii(rows: pd.DataFrame, key: list[str]) -> pd.Series:
    """Return the distance of each point from the centre of its group."""
    centre = rows.groupby(key)[["first", "second"]].transform("mean")
    return pd.Series(
        np.hypot(rows["first"] - centre["first"], rows["second"] - centre["second"]), index=rows.index
    )


def latent_corner(data: FigureData) -> str:
    """Give the largest correlation of two features of each process, and the mean size of all."""
    points = data.points("latent_corner", "process", "first", "second", "pearson_r", "error", "jets")
    parts = []
    for process, pairs in points.dropna(subset=["pearson_r"]).groupby("process", sort=False):
        size = pairs["pearson_r"].abs()
        row = pairs.iloc[int(size.argmax())]
        r = measured(row["pearson_r"], row["error"])
        parts.append(
            f"{data.process(str(process))} ({counted(row['jets'])} jets): r = {r} for z{row['first']:.0f} and "
            f"z{row['second']:.0f}, mean size of {len(pairs)} pairs {size.mean():.2f}."
        )
    return f"Largest correlations. {' '.join(parts)}" if parts else ""


def latent_quality(data: FigureData) -> str:
    """Say what h of the first method knows best and worst, and how its retrieval compares with the second's."""
    table = data.table("latents", "method", "space", "quantity", "subject", *VALUE)
    h = table[table["space"] == "h"].dropna(subset=["value"])
    method, other = data.subject[0], data.peer[0] if data.peer else ""
    own = h[h["method"] == method]
    found = own[own["quantity"] == "retrieval"]
    peers = h[(h["method"] == other) & (h["quantity"] == "retrieval")]
    parts = [
        _extremes(found, "same event found") + _guessing(found),
        *_against(found, peers, other),
        _extremes(own[own["quantity"] == "r2"], "R² of a linear fit"),
        _rank(table, method),
    ]
    texts = [part for part in parts if part]
    return f"{method}, representation h: {'; '.join(texts)}." if texts else ""


def _extremes(rows: pd.DataFrame, what: str) -> str:
    """Return the lines with the highest and the lowest value."""
    if rows.empty:
        return ""
    order = rows.sort_values("value", ascending=False)
    cells = order.iloc[[0, -1]][["subject", *VALUE]].itertuples(index=False)
    shown = dict.fromkeys(f"{measured(value, error)} ({subject})" for subject, value, error in cells)
    return f"{what} {' to '.join(shown)}"


def _guessing(rows: pd.DataFrame) -> str:
    if "classes" not in rows or not (rows["classes"] > 0).any():
        return ""
    return f", by guessing {1.0 / rows['classes'].max():.1g}"


def _against(own: pd.DataFrame, peers: pd.DataFrame, other: str) -> list[str]:
    """Return for how many variants the first method finds the event more often than the second, and less often."""
    pairs = own.merge(peers, on="subject", suffixes=("", "_peer"))
    if pairs.empty:
        return []
    rows = [[{str(k): v for k, v in row.items()} for row in table.to_dict("records")] for table in (own, peers)]
    if lacking := unknown(*rows[0], *rows[1]):
        return [f"how often {other} finds the event is not compared ({lacking})"]
    difference = pairs["value"] - pairs["value_peer"]
    beyond = np.array([is_beyond(*apart(*_sides(row))) for row in pairs.to_dict("records")])
    more, less = (list(pairs.loc[beyond & (sign * difference > 0), "subject"]) for sign in (1, -1))
    rest = len(pairs) - len(more) - len(less)
    text = f"compared with {other} by more than two standard deviations (errors in quadrature) more often for "
    return [
        f"{text}{listed(more)}, less often for {listed(less)}, {NO_DIFFERENCE} for {rest} of {len(pairs)} variants"
    ]


def _sides(row: Mapping[Any, Any]) -> tuple[Row, Row]:
    """Return the two lines that were merged to one."""
    names = [name for name in ("value", "error", "dof") if name in row]
    return {name: row[name] for name in names}, {name: row[f"{name}_peer"] for name in names}


def _rank(table: pd.DataFrame, method: str) -> str:
    table = table[(table["method"] == method) & (table["quantity"] == "effective_rank")]
    rows = {space: first_row(table, space=space) for space in "hz"}
    known = [f"{of_row(row)} ({space})" for space, row in rows.items() if row]
    return f"effective rank {' and '.join(known)}" if known else ""
