"""Makes the tables of the pages in ``docs/config`` from the typed configuration.

A page says where a table stands. Between ``<!-- keys: NAME -->`` and ``<!-- /keys -->`` are heading and table of
the section NAME: a block by its path (``pretrain.loop``), or one of :data:`TOP`. Between ``<!-- blocks -->`` and
``<!-- /blocks -->`` is a line for each block of a campaign, between ``<!-- where -->`` and ``<!-- /where -->`` one
for each section, with its keys.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pydantic.fields import FieldInfo

from rs3l.config.campaign import Campaign
from rs3l.config.docs import block_default, block_type, blocks_in, blocks_of, default_text, split_unit, type_text
from rs3l.errors import DataError

FOLDER = "docs/config"

TOP: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "top level": ("campaign", "results", "seed", "events_per_shard", "share_shower"),
        "ablations": ("ablations",),
    }
)
"""Sections of the keys of a campaign that hold no block."""

Places = Mapping[str, str]
"""The page of each section."""

Row = tuple[str, ...]

_HEADER = ("key", "type", "unit", "default", "effect")
_KEYS = re.compile(r"<!-- keys: (.+?) -->\n.*?<!-- /keys -->", re.DOTALL)
_MARKER = re.compile(r"<!-- /?(?:keys|blocks|where)\b.*?-->")
_PAGE = re.compile(r"\bdocs/(\w+\.md)")
_ROLE = re.compile(r":\w+:(`[^`]+`)")
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


@dataclass(frozen=True)
class Section:
    """Keys that are in one table: those of a block, or some of a campaign's that hold none."""

    name: str
    path: str
    about: str
    fields: Mapping[str, FieldInfo]


def sections() -> dict[str, Section]:
    """Return all sections by name, in the order of the models."""
    top, *others = (
        Section(name, "", "", {key: Campaign.model_fields[key] for key in keys}) for name, keys in TOP.items()
    )
    blocks = (
        Section(path, path, inspect.getdoc(model) or "", model.model_fields)
        for path, model in blocks_of(Campaign)
        if path
    )
    return {section.name: section for section in (top, *blocks, *others)}


def with_tables(pages: Mapping[str, str]) -> dict[str, str]:
    """Return the pages, by file name, with new tables between their markers.

    Raises :class:`DataError` if a section is on no page, or on two, or a marker is not known or has no end.
    """
    places = places_of(pages)
    return {page: _filled(page, text, places) for page, text in pages.items()}


def places_of(pages: Mapping[str, str]) -> dict[str, str]:
    """Return the page of each section; raises :class:`DataError` as :func:`with_tables`."""
    found = [(name, page) for page, text in pages.items() for name in _KEYS.findall(text)]
    known, count = sections(), Counter(name for name, _ in found)
    problems = [
        *(f"{page}: no section is called {name}: remove its marker" for name, page in found if name not in known),
        *(f"{name}: its marker is there {n} times; keep one" for name, n in count.items() if n > 1),
        *(
            f"{name}: give it a place: <!-- keys: {name} --> and <!-- /keys -->"
            for name in known
            if not count[name]
        ),
        *(f"{page}: {marker} has no partner" for page, text in pages.items() for marker in _lonely(text)),
    ]
    if problems:
        raise DataError("\n".join(f"{FOLDER}: {problem}" for problem in problems))
    return dict(found)


def _lonely(text: str) -> list[str]:
    """Return the markers that stand outside of any pair."""
    for pattern in (_KEYS, *(_pair(name) for name in _OVERVIEWS)):
        text = pattern.sub("", text)
    return _MARKER.findall(text)


def _pair(name: str, end: str = "") -> re.Pattern[str]:
    begin, end = re.escape(f"<!-- {name} -->"), re.escape(f"<!-- /{end or name} -->")
    return re.compile(f"({begin})\n.*?({end})", re.DOTALL)


def _filled(page: str, text: str, places: Places) -> str:
    known = sections()
    for name, table in _OVERVIEWS.items():
        text = _put(_pair(name), table(page, places), text)
    for name in (name for name, place in places.items() if place == page):
        text = _put(_pair(f"keys: {name}", "keys"), section_text(known[name], page, places), text)
    return text


def _put(pattern: re.Pattern[str], table: str, text: str) -> str:
    """Return ``text`` with a table between the two markers that a pattern finds."""
    return pattern.sub(lambda match: f"{match[1]}\n\n{table}\n\n{match[2]}", text)


def section_text(section: Section, page: str, places: Places) -> str:
    """Return heading, meaning and table of a section for a page."""
    title = f"## `{section.name}`" if section.name != "top level" else "## Top level"
    rows = [_row(section.path, name, field, page, places) for name, field in section.fields.items()]
    about = _linked(section.about)
    return "\n\n".join(filter(None, [title, about, _table(_HEADER, rows)]))


def _row(path: str, name: str, field: FieldInfo, page: str, places: Places) -> Row:
    """Return the cells of a key, with links to the keys of the block that it holds."""
    *cells, effect = _cells(path, name, field)
    keys = ", ".join(link(block, page, places) for block, _ in blocks_in(path, name, field))
    return f"`{name}`", *cells, f"{effect} Keys: {keys}." if keys else effect


def _cells(path: str, name: str, field: FieldInfo) -> tuple[str, str, str, str]:
    """Return type, unit, default and effect of a key."""
    inner = blocks_in(path, name, field)
    if inner:
        about = field.description or (inspect.getdoc(inner[0][1]) or "").splitlines()[0]
        return block_type(field), "", block_default(field, inner[0][1]), _linked(about)
    unit, effect = split_unit(field.description or "")
    return type_text(field), unit, default_text(field), _linked(effect.replace("<", r"\<"))


def _blocks(page: str, places: Places) -> str:
    """Return a table with a line for each key of a campaign that has its own section, and one for the others."""
    rows: list[Row] = [
        (link("top level", page, places), "", "", ", ".join(f"`{key}`" for key in TOP["top level"]))
    ]
    for name, field in Campaign.model_fields.items():
        if name not in TOP["top level"]:
            kind, _, default, effect = _cells("", name, field)
            section = next((block for block, _ in blocks_in("", name, field)), name)
            rows.append((link(section, page, places), kind, default, effect))
    return _table(("block", "type", "default", "what it is"), rows)


def _where(page: str, places: Places) -> str:
    """Return a table of all sections and their keys."""
    rows: list[Row] = [
        (link(section.name, page, places), ", ".join(f"`{key}`" for key in section.fields))
        for section in sections().values()
    ]
    return _table(("block", "keys"), rows)


_OVERVIEWS: Mapping[str, Callable[[str, Places], str]] = MappingProxyType({"blocks": _blocks, "where": _where})
"""The tables of more than one section, by their markers."""


def _table(header: tuple[str, ...], rows: list[Row]) -> str:
    """Return a table in Markdown, without the columns that are empty in every row."""
    kept = [index for index in range(len(header)) if any(row[index] for row in rows)]
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(line[index].replace("|", "\\|") for index in kept) + " |" for line in lines)


def link(name: str, page: str, places: Places) -> str:
    """Return a link from a page to a section."""
    file = "" if places[name] == page else places[name]
    text = name if name == "top level" else f"`{name}`"
    return f"[{text}]({file}#{anchor(name)})"


def anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return _NOT_IN_ANCHORS.sub("", heading.lower()).replace(" ", "-")


def _linked(text: str) -> str:
    """Return a description with links to the pages of docs/ that it names."""
    return _PAGE.sub(r"[docs/\1](../\1)", _ROLE.sub(r"\1", text))
