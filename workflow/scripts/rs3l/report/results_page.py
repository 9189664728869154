"""The tables of a page of results, from the tables of a campaign that lie beside it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from rs3l.errors import DataError
from rs3l.eval.names import LABELS
from rs3l.eval.plot_results import read_table
from rs3l.files import write_text
from rs3l.paths import CampaignPaths
from rs3l.report.contents import frame_table
from rs3l.report.page import markdown_table
from rs3l.report.sections import method_name, number

TABLES = ("metrics", "differences", "savings", "stability", "robustness", "matched", "calibration", "latents")
"""Tables of the evaluation that are kept beside a page of results."""

_MARK = "<!-- table: {} -->"
_END = "<!-- /table -->"


def publish(campaign: str | Path, folder: str | Path) -> None:
    """Copy summary, tables and figures (PNG) of a campaign to ``folder``, and renew the tables of its README.md.

    Raises :class:`DataError` if the campaign is not complete, or the page has a table that is not known.
    """
    paths, target = CampaignPaths(str(campaign)), Path(folder)
    summaries = [Path(paths.summary), Path(paths.summary_text)]
    tables = [Path(paths.evaluation(name)) for name in TABLES]
    if missing := [str(path) for path in (*summaries, *tables) if not path.is_file()]:
        raise DataError(
            f"{missing[0]}: missing; run the campaign and workflow/scripts/report.py to their end first"
        )
    _copy(summaries, target)
    _copy(tables, target / "tables")
    _copy(Path(paths.figure("x")).parent.glob("*.png"), target / "figures")
    page = target / "README.md"
    if page.is_file():
        write_text(page, renewed(page.read_text(), target / "tables"))


def _copy(files: Iterable[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in files:
        shutil.copyfile(path, folder / path.name)


def renewed(text: str, folder: str | Path) -> str:
    """Return a page with its tables made anew from the CSV files in ``folder``.

    A table stands between ``<!-- table: kind task metric -->`` and ``<!-- /table -->``; the kinds are those of
    :data:`KINDS`. Raises :class:`DataError` if one is not known or not closed.
    """
    begin = _MARK.partition("{}")[0]
    before, *rest = text.split(begin)
    parts = [before]
    for piece in rest:
        words, _, body = piece.partition(" -->")
        _, end, after = body.partition(_END)
        kind, *arguments = words.split()
        if kind not in KINDS or not end:
            raise DataError(f"the page of results: the table {words!r} is not known, or {_END} is missing")
        table = frame_table(kind, "", KINDS[kind](Path(folder), *arguments))
        parts.append("\n".join([f"{begin}{words} -->", "", *markdown_table(table), "", f"{_END}{after}"]))
    return "".join(parts)


def _read(folder: Path, name: str, **chosen: Any) -> pd.DataFrame:
    """Return the lines of a table with the given values."""
    table = read_table(folder / f"{name}.csv")
    for column, value in chosen.items():
        table = table[table[column] == value]
    if table.empty:
        raise DataError(f"{folder}/{name}.csv: no line with {chosen}")
    return table


def _wide(rows: Iterable[tuple[str, str, str]], head: str) -> pd.DataFrame:
    """Return (line, column, cell) as a table."""
    lines: dict[str, dict[str, str]] = {}
    for line, column, cell in rows:
        lines.setdefault(line, {})[column] = cell
    return pd.DataFrame.from_dict(lines, orient="index").fillna("").rename_axis(head).reset_index()


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the lines of a table, methods in the order of the figures' legends."""
    records = [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
    order = {method: index for index, method in enumerate(LABELS)}
    return sorted(records, key=lambda row: order.get((row["method"], row["mode"]), len(order)))


def _labels(row: Mapping[str, Any]) -> str:
    return f"{row['labels']:,} labels"


def metrics(folder: Path, task: str, metric: str) -> pd.DataFrame:
    """Return a metric of all methods: a line per method, a column per number of labels."""
    rows = _records(_read(folder, "metrics", task=task, metric=metric))
    return _wide([(method_name(row["method"], row["mode"]), _labels(row), number(row)) for row in rows], "method")


def ratios(folder: Path, task: str, metric: str) -> pd.DataFrame:
    """Return the ratio of a rejection over that of each reference, and in brackets its significance."""
    rows = _records(_read(folder, "differences", task=task, metric=metric))
    return _wide([(_pair(row), _labels(row), _ratio(row)) for row in rows], "ratio of rejections")


def _pair(row: Mapping[str, Any]) -> str:
    over = method_name(row["reference_method"], row["reference_mode"])
    return f"{method_name(row['method'], row['mode'])} / {over}"


def _ratio(row: Mapping[str, Any]) -> str:
    return f"{number(row, 'ratio', 'ratio_error')} ({row['z']:+.1f} σ)"


def differences(folder: Path, task: str, metric: str) -> pd.DataFrame:
    """Return the difference of a metric to each reference, and in brackets its significance."""
    rows = _records(_read(folder, "differences", task=task, metric=metric))
    cells = [
        (_pair(row).replace(" / ", " − "), _labels(row), f"{number(row)} ({row['z']:+.1f} σ)") for row in rows
    ]
    return _wide(cells, "difference")


def savings(folder: Path, task: str, metric: str) -> pd.DataFrame:
    """Return how many labels the network from scratch needs per label of each method, for the same metric."""
    rows = _records(_read(folder, "savings", task=task, metric=metric))
    return _wide([(method_name(row["method"], row["mode"]), _labels(row), _saving(row)) for row in rows], "method")


def _saving(row: Mapping[str, Any]) -> str:
    if isinstance(row["limit"], str) and row["limit"]:
        return f"{'>' if row['limit'] == 'more' else '<'} {row['value']:.3g}"
    return number(row)


def matched(folder: Path, task: str) -> pd.DataFrame:
    """Return Wasserstein distances of the first method and of a supervised network that rejects as well."""
    return pd.DataFrame([_matched_row(row) for row in _records(_read(folder, "matched", task=task))])


def _matched_row(row: Mapping[str, Any]) -> dict[str, str]:
    def who(prefix: str, method: str) -> str:
        return f"{method}, {_labels({'labels': row[prefix + 'labels']})}"

    rejection, error = "rejection", "rejection_error"
    return {
        "variant": f"{row['variant']}{'' if row['use'] == 'train' else ' (held out)'}",
        "class": row["class"],
        "pre-trained": who("", method_name(row["method"], row["mode"])),
        "rejection": number(row, rejection, error),
        "distance": number(row),
        "supervised": who("reference_", method_name(row["reference_method"], row["reference_mode"])),
        "its rejection": number(row, f"reference_{rejection}", f"reference_{error}"),
        "its distance": number(row, "reference_value", "reference_error"),
        "difference": f"{number(row, 'difference', 'difference_error')} ({row['z']:+.1f} σ)",
    }


def correlations(folder: Path, task: str, side: str) -> pd.DataFrame:
    """Return the rank correlation of the scores of one event under the nominal and each variant, and the AUC."""
    table = _read(folder, "stability", task=task, quantity="spearman", first="nominal", **{"class": side})
    table = table[table["labels"] == table["labels"].max()]
    cells = []
    for row in _records(table):
        method = method_name(row["method"], row["mode"])
        cells.append((method, "AUC", number(row, "auc", "auc_error")))
        cells.append((method, f"{row['second']}{'' if row['use'] == 'train' else ' (held out)'}", number(row)))
    return _wide(cells, "method")


KINDS: Mapping[str, Callable[..., pd.DataFrame]] = {
    "metrics": metrics,
    "ratios": ratios,
    "differences": differences,
    "savings": savings,
    "matched": matched,
    "correlations": correlations,
}
"""Tables that a page may have, by name."""
