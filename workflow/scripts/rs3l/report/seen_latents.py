"""Say what the encoders know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from rs3l.evaluate.spread import unknown
from rs3l.report.figure_data import VALUE, FigureData, first_row
from rs3l.report.words import NO_DIFFERENCE, Row, apart, is_beyond, measured, of_row, sides


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
    found = sides({"more often": more, "less often": less})
    if not found:
        return [f"compared with {other}, {NO_DIFFERENCE} for any of {len(pairs)} variants"]
    text = f"compared with {other} by more than two standard deviations (errors in quadrature) {', '.join(found)}"
    return [f"{text}, {NO_DIFFERENCE} for {rest} of {len(pairs)} variants" if rest else text]


def _sides(row: Mapping[Any, Any]) -> tuple[Row, Row]:
    """Return the two lines that were merged to one."""
    names = [name for name in ("value", "error", "dof") if name in row]
    return {name: row[name] for name in names}, {name: row[f"{name}_peer"] for name in names}


def _rank(table: pd.DataFrame, method: str) -> str:
    table = table[(table["method"] == method) & (table["quantity"] == "effective_rank")]
    rows = {space: first_row(table, space=space) for space in "hz"}
    known = [f"{of_row(row)} ({space})" for space, row in rows.items() if row]
    return f"effective rank {' and '.join(known)}" if known else ""
