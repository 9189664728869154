"""Describes in words what is wrong in a configuration.

A description names the key, what it may hold, what was found there and the nearest known key.
"""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, Tag

from rs3l.config.base import NO_NUMBER, PATTERNS
from rs3l.config.campaign import Campaign
from rs3l.config.docs import blocks_of, number_text, unit_of
from rs3l.config.pretrain import Pretrain

_UNIONS = (types.UnionType, typing.Union)
_LIMITS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
_SCALARS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True)
class Place:
    """The place of a problem, with the keys as a person writes them and what the last of them may hold.

    ``inside`` is the alternative of ``annotation`` that pydantic has tried, and ``choice`` is the last key on the
    way that has alternatives. ``key_type`` is the type of the last key's name, if the user chose that name.
    ``block`` is the model that contains the last key.
    """

    keys: tuple[str, ...]
    annotation: Any
    metadata: tuple[Any, ...] = ()
    unit: str = ""
    inside: Any = None
    choice: tuple[str, ...] | None = None
    key_type: Any = None
    is_key: bool = False
    block: Any = None

    @property
    def path(self) -> str:
        """Return the keys, joined by dots."""
        return ".".join(self.keys)

    @property
    def is_choice(self) -> bool:
        """Return whether one of the alternatives of this very key does not fit."""
        return self.choice == self.keys and not self.is_key


def describe(problems: Iterable[Any]) -> list[str]:
    """Return one line for each of pydantic's ``problems`` with a configuration.

    Where a key has alternatives, pydantic names the problems of each. The key then gets one line, or the lines of
    the list or block that it holds.
    """
    placed = [(problem, place(problem["loc"])) for problem in problems]
    inner = {where.choice for _, where in placed if not where.is_choice}
    lines = [_line(problem, where) for problem, where in placed if not (where.is_choice and where.choice in inner)]
    return list(dict.fromkeys(lines))


def place(location: Sequence[str | int]) -> Place:
    """Return the place that pydantic's ``location`` names, where methods and ablations hold keys of `pretrain`."""
    start = _override(location)
    where = Place(tuple(map(str, location[:start])), Pretrain if start else Campaign)
    for key in location[start:]:
        where = _step(where, key)
    return where


def _override(location: Sequence[str | int]) -> int:
    """Return the number of keys that lead to a method or an ablation, or 0 if none does."""
    for parents in (("pretrain", "methods"), ("ablations",)):
        n = len(parents)
        if tuple(location[:n]) == parents and len(location) > n + 1 and not str(location[n]).endswith("]"):
            return 0 if location[n + 1] == "[key]" else n + 1
    return 0


def _step(where: Place, key: str | int) -> Place:
    """Return the place of ``key`` within ``where``; pydantic writes alternatives as if they were keys."""
    annotation, _ = bare(where.annotation if where.inside is None else where.inside)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if key == "[key]":
        return replace(where, is_key=True)
    if origin in _UNIONS:
        return _alternative(where, str(key))
    here = Place((*where.keys, str(key)), None, choice=where.choice)
    if is_block(annotation):
        return _field(replace(here, block=annotation), str(key))
    if origin is dict:
        return replace(here, annotation=arguments[1], key_type=arguments[0])
    return replace(here, annotation=arguments[0]) if origin in (list, tuple) else here


def _field(here: Place, key: str) -> Place:
    """Return ``here`` with what the key of a block may hold, or unchanged for an unknown key."""
    field = here.block.model_fields.get(key)
    if field is None:
        return here
    unit = unit_of(field.description or "")
    return replace(here, annotation=field.annotation, metadata=tuple(field.metadata), unit=unit)


def _alternative(where: Place, label: str) -> Place:
    """Return ``where`` within the alternative that pydantic calls ``label``, e.g. ``list[int]``."""
    members = members_of(where.annotation)
    tagged = {tag.tag: kind for kind in members for tag in bare(kind)[1] if isinstance(tag, Tag)}
    if label in tagged:
        return replace(where, inside=tagged[label])
    kind = {"list": list, "dict": dict}.get(label.partition("[")[0])
    inside = next((member for member in members if kind and get_origin(bare(member)[0]) is kind), str)
    return replace(where, inside=inside, choice=where.keys)


def _line(problem: Any, where: Place) -> str:
    kind, found = problem["type"], problem["input"]
    head = f"{where.path}: " if where.path else ""
    if kind == "extra_forbidden":
        return f"{head}unknown key{_suggestion(where)}"
    if kind == "missing":
        return f"{head}required, and missing"
    if kind == "invalid_key":
        return f"{head}a key is text, and this is none; write it in quotes"
    if (kind == "value_error" and NO_NUMBER not in problem["msg"]) or (
        kind == "encoder_kind" and isinstance(found, Mapping)
    ):
        return _own_words(head, str(problem["msg"]).removeprefix("Value error, "), found)
    if where.is_key:
        return f"{head}{allowed(where.key_type)} is expected as a key, found {_shown(found)}"
    unit = f" [{where.unit}]" if where.unit else ""
    wanted = allowed(where.annotation, where.metadata)
    return f"{head}{wanted}{unit} is expected, found {_shown(found)}{_hint(where.annotation, found)}"


def _own_words(head: str, text: str, found: Any) -> str:
    """Return the text of the models' own checks."""
    if not head:
        return text.replace("\n", "\n  ")
    return f"{head}{text}" if isinstance(found, Mapping) else f"{head}{text} (found {_shown(found)})"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping | BaseModel):
        return "a block of keys" if value else "an empty block"
    text = json.dumps(value) if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _hint(annotation: Any, found: Any) -> str:
    members = [bare(kind)[0] for kind in members_of(annotation)]
    choices = [str(value) for kind in members if get_origin(kind) is Literal for value in get_args(kind)]
    close = difflib.get_close_matches(found.lower(), choices, n=1) if isinstance(found, str) else []
    if close:
        return f"; did you mean `{close[0]}`?"
    if isinstance(found, str | int | float) and any(get_origin(kind) is list for kind in members):
        return f"; write it as a list: [{found}]"
    if found is None:
        return "; give it, or remove the key"
    if isinstance(found, str) and found[:1].isdigit() and {int, float} & set(members):
        return "; write the number alone, e.g. 300, 0.5 or 1.2e2"
    return ""


def allowed(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Return in words what a key of this type and with these constraints may hold."""
    annotation, metadata = bare(annotation, metadata)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in _UNIONS and any(is_block(bare(kind)[0]) for kind in members_of(annotation)):
        return "a block of keys"
    if origin in _UNIONS:
        return _either([allowed(kind) for kind in members_of(annotation)])
    if origin is Literal:
        return _either([f"`{value}`" for value in arguments])
    if origin is dict or is_block(annotation):
        return f"a block of keys{_limits(metadata)}"
    if origin is tuple:
        return f"a list of {len(arguments)} (each {allowed(arguments[0])})"
    if origin is list:
        return f"a list{_limits(metadata)} (each {allowed(arguments[0])})"
    pattern = next((PATTERNS[text] for text in _values(metadata, "pattern") if text in PATTERNS), None)
    return (pattern or _SCALARS.get(annotation, "something else")) + _limits(metadata)


def _either(words: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _limits(metadata: Sequence[Any]) -> str:
    if _values(metadata, "min_length"):
        return " that is not empty"
    found = [f"{word} {number_text(value)}" for name, word in _LIMITS.items() for value in _values(metadata, name)]
    return f" {' and '.join(dict.fromkeys(found))}" if found else ""


def _values(metadata: Sequence[Any], name: str) -> list[Any]:
    entries = [inner for entry in metadata for inner in (entry, *getattr(entry, "metadata", ()))]
    return [getattr(entry, name) for entry in entries if getattr(entry, name, None) is not None]


def bare(annotation: Any, metadata: Sequence[Any] = ()) -> tuple[Any, tuple[Any, ...]]:
    """Return a type without its constraints and ``None``, and the constraints, which follow ``metadata``."""
    found = tuple(metadata)
    while get_origin(annotation) is Annotated or len(kinds := members_of(annotation)) == 1:
        inner = get_args(annotation)[0] if get_origin(annotation) is Annotated else kinds[0]
        if inner is annotation:
            break
        found = (*found, *(get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()))
        annotation = inner
    return annotation, found


def members_of(annotation: Any) -> list[Any]:
    """Return the alternatives of a type except ``None``, or the type itself if it has none."""
    if get_origin(annotation) is Annotated and get_origin(get_args(annotation)[0]) in _UNIONS:
        return members_of(get_args(annotation)[0])
    if get_origin(annotation) in _UNIONS:
        return [kind for kind in get_args(annotation) if kind is not type(None)]
    return [annotation]


def is_block(annotation: Any) -> bool:
    """Return whether a type is a block of the configuration."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _suggestion(where: Place) -> str:
    """Return the key that was probably meant by an unknown one, either of its block or of another block."""
    name = where.keys[-1]
    known = list(where.block.model_fields) if where.block else []
    elsewhere = [path for path, other in blocks_of(Campaign) if name in other.model_fields]
    if elsewhere and len(elsewhere) <= 3:
        return f"; it is a key of {_either([f'`{path}`' if path else 'the top level' for path in elsewhere])}"
    if close := difflib.get_close_matches(name, known, n=1):
        return f"; did you mean `{close[0]}`?"
    return f"; known here: {', '.join(sorted(known))}" if known else "; remove it"
