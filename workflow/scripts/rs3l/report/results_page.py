"""Make the tables of a page of results from the tables of a campaign that lie beside it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from rs3l.dataset.checksum import intact_text
from rs3l.dataset.manifest import read_manifest
from rs3l.errors import DataError
from rs3l.evaluate.marks import mark
from rs3l.evaluate.names import SUBJECT_MODES, legend, method_label
from rs3l.evaluate.registry import TABLES
from rs3l.evaluate.tables import rows_where
from rs3l.figures.plot_results import most_labels, read_table
from rs3l.figures.registry import figure_names
from rs3l.files import WRITTEN, write_text
from rs3l.paths import CampaignPaths
from rs3l.report.contents import frame_table, read_json
from rs3l.report.known import GROWTH
from rs3l.report.page import markdown_table
from rs3l.report.sections import difference, number
from rs3l.report.words import Row, counted, sigma
from rs3l.runs import BASELINE, is_baseline

_BEGIN = "<!-- table: "
_END = "<!-- /table -->"


def publish(campaign: str | Path, folder: str | Path) -> None:
    """Copy summary, tables and figures (PNG) of a campaign to ``folder``, and renew the tables of its README.md.

    If there is a README.md, the figures are those that it shows, and all of them otherwise.
    The tables of the ablations are copied too if the campaign has some, and so is that of their growth
    (``ablations/growth.csv``, ``workflow/scripts/growth.py``) if there is one.

    Raises :class:`DataError` if the campaign is not complete, if a file was changed after it was written, or if
    the page has an unknown table. In the first two cases nothing is copied.
    """
    paths, target = CampaignPaths(str(campaign)), Path(folder)
    summaries = [Path(paths.summary), Path(paths.summary_text)]
    tables = [Path(paths.evaluation(name)) for name, kind in TABLES.items() if kind.published]
    if missing := [str(path) for path in (*summaries, *tables) if not path.is_file()]:
        raise DataError(
            f"{missing[0]}: missing; run the campaign and workflow/scripts/report.py to their end first"
        )
    ablations = [Path(paths.ablations(name)) for name, kind in TABLES.items() if kind.published_of_ablations]
    ablations = ablations if all(path.is_file() for path in ablations) else []
    if ablations and Path(paths.ablations(GROWTH)).is_file():
        ablations.append(Path(paths.ablations(GROWTH)))
    for path in (*tables, *ablations):
        intact_text(path)
    page = target / "README.md"
    figures = [Path(paths.figure(name, "png")) for name in _figures(paths)]
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    if text:
        figures = [path for path in figures if f"](figures/{path.name})" in text]
    _copy(summaries, target)
    _copy(tables, target / "tables")
    _copy(ablations, target / "tables" / "ablations")
    _copy((path for path in figures if path.is_file()), target / "figures")
    if text:
        write_text(page, renewed(text, target / "tables"))


def _figures(paths: CampaignPaths) -> list[str]:
    """Return the figures of the campaign as it was evaluated, because older ones may lie beside them."""
    tasks = read_json(paths.summary)["provenance"]["block"]["tasks"]
    ablations = Path(paths.ablations_summary).is_file()
    names = figure_names(read_manifest(paths.manifest).processes, tasks, ablations)
    return [*names, GROWTH] if ablations else names


def _copy(files: Iterable[Path], folder: Path) -> None:
    for path in files:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / path.name)
        WRITTEN[folder / path.name] = None


def renewed(text: str, folder: str | Path) -> str:
    """Return a page with its tables made anew from the CSV files in ``folder``.

    A table stands between ``<!-- table: kind task metric -->`` and ``<!-- /table -->``. The kinds are those of
    :data:`KINDS`, and ``place/kind`` is made from the files in ``folder/place``. Raises :class:`DataError` if a
    kind is not known or a table is not closed.
    """
    before, *rest = text.split(_BEGIN)
    parts = [before]
    for piece in rest:
        words, _, body = piece.partition(" -->")
        _, end, after = body.partition(_END)
        first, *arguments = words.split()
        place, _, kind = first.rpartition("/")
        if kind not in KINDS or not end:
            raise DataError(f"the page of results: the table {words!r} is not known, or {_END} is missing")
        found = KINDS[kind](Path(folder) / place, *arguments)
        table = frame_table(kind, "", found, lines=len(found))
        parts.append("\n".join([f"{_BEGIN}{words} -->", "", *markdown_table(table), "", f"{_END}{after}"]))
    return "".join(parts)


def _read(folder: Path, name: str, **chosen: Any) -> pd.DataFrame:
    """Return the lines of a table with the given values.

    Raises :class:`DataError` if there are none.
    """
    table = rows_where(read_table(folder / f"{name}.csv"), chosen)
    if table.empty:
        raise DataError(f"{folder}/{name}.csv: no line with {chosen}")
    return table


def _wide(rows: Iterable[tuple[str, str, str]], head: str) -> pd.DataFrame:
    """Return (line, column, cell) as a table."""
    lines: dict[str, dict[str, str]] = {}
    for line, column, cell in rows:
        lines.setdefault(line, {})[column] = cell
    return pd.DataFrame.from_dict(lines, orient="index").fillna("").rename_axis(head).reset_index()


def _records(folder: Path, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the lines of a table in ``folder``, with methods in the order of legends and the subject first."""
    records = [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
    subject = read_table(folder / "differences.csv", ["method"])["method"].unique()
    names = [name if name == BASELINE else f"{name}_s0" for name in (*subject, *table["method"].unique())]
    order = {method: index for index, method in enumerate(legend(names))}
    return sorted(records, key=lambda row: order.get((row["method"], row["mode"]), len(order)))


def _method(row: Row, prefix: str = "") -> str:
    return method_label((row[f"{prefix}method"], row[f"{prefix}mode"]))


def _labels(row: Row, prefix: str = "") -> str:
    return counted(row[f"{prefix}labels"], "labels")


def _variant(row: Row, name: str = "variant") -> str:
    return f"{row[name]}{'' if row['use'] == 'train' else ' (held out)'}"


def _significant(text: str, row: Row) -> str:
    """Return a difference or a ratio, and in brackets its significance or what is unknown of it."""
    return f"{text} ({sigma(row)})" if sigma(row) else text


def metrics(folder: Path, task: str, metric: str) -> pd.DataFrame:
    """Return a metric of all methods, with a line per method and a column per number of labels."""
    return _metrics(folder, _read(folder, "metrics", task=task, metric=metric))


def _metrics(folder: Path, table: pd.DataFrame) -> pd.DataFrame:
    return _wide([(_method(row), _labels(row), number(row)) for row in _records(folder, table)], "method")


def ratios(folder: Path, task: str, metric: str) -> pd.DataFrame:
    """Return the ratio of a rejection over that of each reference, with its significance in brackets."""
    return _ratios(folder, _read(folder, "differences", task=task, metric=metric))


def _ratios(folder: Path, table: pd.DataFrame) -> pd.DataFrame:
    cells = [
        (_pair(row, "/"), _labels(row), _significant(difference(row, "ratio", "ratio_error"), row))
        for row in _records(folder, table)
    ]
    return _wide(cells, "ratio of rejections")


def _pair(row: Row, sign: str) -> str:
    return f"{_method(row)} {sign} {_method(row, 'reference_')}"


def differences(folder: Path, task: str, metric: str) -> pd.DataFrame:
    """Return the difference of a metric to each reference, with its significance in brackets."""
    rows = _records(folder, _read(folder, "differences", task=task, metric=metric))
    cells = [(_pair(row, "−"), _labels(row), _significant(difference(row), row)) for row in rows]
    return _wide(cells, "difference")


def savings(folder: Path, task: str, metric: str) -> pd.DataFrame:
    """Return how many labels the network from scratch needs per label of each method to reach the same metric."""
    rows = _records(folder, _read(folder, "savings", task=task, metric=metric))
    return _wide([(_method(row), _labels(row), _saving(row)) for row in rows], "method")


def pretrained(folder: Path, task: str, metric: str) -> pd.DataFrame:
    """Return :func:`metrics` of the pre-trained methods alone."""
    table = _read(folder, "metrics", task=task, metric=metric)
    return _metrics(folder, table[~table["method"].map(is_baseline) & table["mode"].isin(SUBJECT_MODES)])


def pretrained_ratios(folder: Path, task: str, metric: str) -> pd.DataFrame:
    """Return :func:`ratios` over pre-trained methods alone."""
    table = _read(folder, "differences", task=task, metric=metric)
    return _ratios(folder, table[~table["reference_method"].map(is_baseline)])


def _saving(row: Row) -> str:
    if isinstance(row["limit"], str) and row["limit"]:
        return f"{'>' if row['limit'] == 'more' else '<'} {row['value']:.3g}{mark(row)}"
    return difference(row)


def matched(folder: Path, task: str) -> pd.DataFrame:
    """Return the Wasserstein distances of the first method and of a supervised network that rejects as well."""
    return pd.DataFrame([_matched_row(row) for row in _records(folder, _read(folder, "matched", task=task))])


def _matched_row(row: Row) -> dict[str, str]:
    return {
        "variant": _variant(row),
        "class": row["class"],
        "pre-trained": f"{_method(row)}, {_labels(row)}",
        "rejection": number(row, "rejection", "rejection_error"),
        "distance": number(row),
        "supervised": f"{_method(row, 'reference_')}, {_labels(row, 'reference_')}",
        "its rejection": number(row, "reference_rejection", "reference_rejection_error"),
        "its distance": number(row, "reference_value", "reference_error"),
        "difference": _significant(difference(row, "difference", "difference_error"), row),
    }


def correlations(folder: Path, task: str, side: str) -> pd.DataFrame:
    """Return the rank correlation of the scores of one event under the nominal and each variant, with the AUC."""
    table = _read(folder, "stability", task=task, quantity="spearman", first="nominal", **{"class": side})
    cells = []
    for row in _records(folder, most_labels(table)):
        cells.append((_method(row), "AUC", number(row, "auc", "auc_error")))
        cells.append((_method(row), _variant(row, "second"), number(row)))
    return _wide(cells, "method")


def across(folder: Path, metric: str, labels: str, mode: str, *methods: str) -> pd.DataFrame:
    """Return a metric in every task, with a line per method in one mode, and one per baseline.

    If ``methods`` are named, these alone are shown (`none` are the baselines); those that the ablations lack are
    taken from the tables of the campaign, which are in the folder above.
    """
    table = _of_methods(folder, "metrics", methods, metric=metric, labels=int(labels))
    rows = [row for row in _records(folder, table) if row["mode"] == mode or is_baseline(row["method"])]
    if not any(row["mode"] == mode for row in rows):
        raise DataError(f"{folder}/metrics.csv: no line with {{'mode': {mode!r}, 'labels': {labels}}}")
    return _wide([(_method(row), row["task"], number(row)) for row in rows], "method")


def _of_methods(folder: Path, name: str, methods: Collection[str], **chosen: Any) -> pd.DataFrame:
    """Return lines of a table of these methods, or of all if none is named.

    Those of methods that are lacking are of the table in the folder above, if that has it.
    """
    table, above = _read(folder, name, **chosen), folder.parent / f"{name}.csv"
    lacking = sorted(set(methods) - set(table["method"]))
    if lacking and above.is_file():
        table = pd.concat([table, _read(folder.parent, name, **chosen).query("method in @lacking")])
    if missing := sorted(set(lacking) - set(table["method"])):
        raise DataError(f"{folder}/{name}.csv: no line of the method {missing[0]}")
    return table[table["method"].isin(methods)] if methods else table


def stable(folder: Path, task: str, mode: str, variants: str, *methods: str) -> pd.DataFrame:
    """Return the rank correlations of the scores of one event under the nominal and under each of some variants.

    ``variants`` are names with commas between them; ``methods`` as in :func:`across`.
    """
    names = variants.split(",")
    rows = {"task": task, "quantity": "spearman", "first": "nominal", "mode": mode}
    table = _of_methods(folder, "stability", methods, **rows)
    if missing := sorted(set(names) - set(table["second"])):
        raise DataError(f"{folder}/stability.csv: no line of the variant {missing[0]}")
    chosen = most_labels(table[table["second"].isin(names)])
    cells = [(_method(row), f"{row['class']}, {row['second']}", number(row)) for row in _records(folder, chosen)]
    return _wide(cells, "method")


def growth(folder: Path, task: str, mode: str) -> pd.DataFrame:
    """Return the fits in the number of pre-training events, and what they extrapolate to.

    Intervals have 95 %: those of a power law by Student's t, those of one with a floor from the bootstrap, because
    its errors to first order are too small.
    """
    table = _read(folder, GROWTH, task=task, mode=mode)
    lines = [group for _, group in table.groupby(["metric", "labels", "form"], sort=False)]
    return pd.DataFrame([_growth_row(group) for group in lines])


def _growth_row(lines: pd.DataFrame) -> dict[str, str]:
    *runs, beyond = lines.sort_values("events").to_dict("records")
    has_floor = beyond["form"] == "saturating"
    kind = "boot_" if has_floor else ""
    exponent = f"{beyond[f'exponent_{kind}low_95']:.2f} … {beyond[f'exponent_{kind}high_95']:.2f}"
    interval = f"{beyond[f'{kind}low_95']:.2g} … {beyond[f'{kind}high_95']:.2g}"
    return {
        "quantity, labels": f"{beyond['quantity'].replace('_', ' at ', 1)}, {beyond['labels']:,}",
        "floor": f"{beyond['floor']:.2g}" if has_floor else "none",
        "exponent (95 %)": f"{beyond['exponent']:.2f} ({exponent})",
        "χ² / ndof": f"{beyond['chi2']:.1f} / {beyond['ndof']}",
        **{f"{row['events']:,} events": f"{row['measured']:.3g}" for row in runs},
        f"{beyond['events']:,} events, extrapolated (95 %)": f"{beyond['value']:.2g} ({interval})",
    }


KINDS: Mapping[str, Callable[..., pd.DataFrame]] = {
    "metrics": metrics,
    "ratios": ratios,
    "differences": differences,
    "savings": savings,
    "pretrained": pretrained,
    "pretrained_ratios": pretrained_ratios,
    "matched": matched,
    "correlations": correlations,
    "across": across,
    "stable": stable,
    GROWTH: growth,
}
"""The tables that a page may have, by name."""
