"""Collect what the report shows from the files of a campaign, without what is not there."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import yaml
from markupsafe import Markup

from rs3l.config.campaign import Campaign
from rs3l.dataset.checksum import check_json
from rs3l.errors import DataError
from rs3l.evaluate.names import task_text
from rs3l.evaluate.registry import TABLES
from rs3l.figures.plot_results import read_table
from rs3l.figures.registry import FIGURES, Figure
from rs3l.figures.style import INK
from rs3l.paths import CampaignPaths
from rs3l.report import known
from rs3l.report.brief import brief
from rs3l.report.captions import caption, parts, plain
from rs3l.report.heads import head
from rs3l.report.seen import seen
from rs3l.report.theme import csv_uri, is_narrow, svg_uri, themed

LARGEST_SVG = 310_000
"""The PNG is shown of a figure whose SVG has more bytes than this."""

LARGEST_TABLE = 40
"""At most this many lines of a table are shown; the file has all."""

SECTIONS = {
    "simulation": "Simulation",
    "dataset": "Data set",
    "pretraining": "Pre-training",
    "tasks": "Tasks",
    "robustness": "Robustness",
    "ablations": "Ablations",
    "provenance": "Provenance",
}
"""The sections after the overview, in their order; a section without contents is left out."""


@dataclass(frozen=True)
class Picture:
    """A figure with its picture and points as data URIs, its caption, and its text.

    ``caption`` says in a sentence what is shown, and ``brief`` what is seen. ``details`` (how it was made) and
    ``seen`` (with all numbers) are for those who want more. ``is_themed`` says whether the picture follows the
    light or dark page, and ``is_narrow`` whether a phone shows it as a whole.
    """

    name: str
    title: str
    source: str
    points: str
    caption: Markup
    details: Markup
    brief: str
    seen: str
    alternative: str
    is_themed: bool
    is_narrow: bool


@dataclass(frozen=True)
class Table:
    """A table with its cells as text, and the number of lines in the file."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[str]]
    lines: int
    about: str = ""
    is_open: bool = False


@dataclass(frozen=True)
class Section:
    """Figures and tables on one subject."""

    name: str
    title: str
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    code: list[tuple[str, str]] = field(default_factory=list)


def read_json(path: str | Path) -> dict[str, Any]:
    """Return a JSON file of the campaign.

    Raises :class:`DataError` if it is missing or damaged.
    """
    try:
        value = dict(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); run the campaign to its end first") from None
    check_json(path, value)
    return value


def pictures(config: Campaign, paths: CampaignPaths) -> dict[str, list[Picture]]:
    """Return the figures that the configuration defines, by section and in the order of the registry."""
    found: dict[str, list[Picture]] = {name: [] for name in SECTIONS}
    order = list(FIGURES.values())
    shown = sorted(known.kinds_of(config), key=lambda entry: (entry[1], order.index(entry[0])))
    for figure, item in shown:
        name = "_".join(filter(None, (figure.name, item)))
        if Path(paths.figure(name)).is_file() and known.is_shown(config, paths, name):
            found[figure.section].append(_picture(config, paths, name, figure, item))
    return found


def _picture(config: Campaign, paths: CampaignPaths, name: str, figure: Figure, item: str) -> Picture:
    html = caption(config, name)
    shown, details = parts(html)
    file = Path(paths.figure(name)).read_text(encoding="utf-8")
    svg = themed(file) if INK in file else file  # figures of earlier versions have black ink
    is_small = len(svg) <= LARGEST_SVG
    points = Path(paths.figure(name, "csv"))
    title = figure.heading(_in_words(config, figure, item))
    return Picture(
        name=name,
        title=title,
        source=svg_uri(svg[svg.index("<svg") :]) if is_small else data_uri("image/png", paths.figure(name, "png")),
        points=csv_uri(points.read_text(encoding="utf-8")) if points.is_file() else "",
        caption=shown,
        details=details,
        brief=brief(figure.name, item, paths, config),
        seen=seen(figure.name, item, paths, config),
        alternative=plain(html) or title,
        is_themed=is_small and INK in file,
        is_narrow=is_narrow(svg),
    )


def _in_words(config: Campaign, figure: Figure, item: str) -> str:
    """Return a figure's process or task as its reader knows it."""
    if figure.of == "process":
        return str(config.processes[item].label)
    return task_text(config, item) if figure.of == "task" else item


def data_uri(kind: str, path: str | Path) -> str:
    """Return a file as a data URI, or an empty text if it is missing."""
    try:
        data = Path(path).read_bytes()
    except OSError:
        return ""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def tables(
    folder: Path, names: known.Known, about: Mapping[str, str] = MappingProxyType({})
) -> dict[str, list[Table]]:
    """Return the tables of an evaluation in a folder, by section.

    ``about`` is the text that accompanies some of them. Lines with other ``names`` than those of the configuration
    are left out.
    """
    found: dict[str, list[Table]] = {name: [] for name in SECTIONS}
    for path in sorted(folder / f"{name}.csv" for name in TABLES):
        if path.is_file():
            frame, title = names.rows(read_table(path)), f"{folder.name}/{path.name}"
            table = frame_table(f"{folder.name}-{path.stem}", title, frame, about.get(path.stem, ""))
            found[TABLES[path.stem].section].append(table)
    return found


def frame_table(
    name: str, title: str, frame: pd.DataFrame, about: str = "", is_open: bool = False, lines: int = LARGEST_TABLE
) -> Table:
    """Return the first ``lines`` of a frame as a table, whose numbers have four digits."""
    shown = frame.head(lines)
    rows = [[cell(value) for value in row] for row in shown.itertuples(index=False)]
    return Table(name, title, [head(str(column)) for column in frame.columns], rows, len(frame), about, is_open)


def cell(value: Any) -> str:
    """Return a value as it is shown."""
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    return "" if value != value else f"{value:.4g}"


def configuration(config: Campaign) -> str:
    """Return the whole configuration, defaults included, as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)


def versions(provenances: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Return the versions and commits that the stages ran with, with a column per stage."""
    rows: dict[str, dict[str, str]] = {}
    for number, entry in enumerate(provenances):
        values = {**entry.get("versions", {}), "commit": entry.get("git") or "unknown"}
        rows[entry.get("what", str(number))] = {key: str(value) for key, value in values.items()}
    return pd.DataFrame(rows).fillna("").rename_axis("package").reset_index()
