"""Says in words what the keys of the typed configuration take, for :mod:`rs3l.config.pages` and for errors."""

from __future__ import annotations

import json
import math
import re
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeGuard, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

MOST_NAMES = 10
"""A type of more names than these says only how many there are; the description has them."""

_UNIT = re.compile(r"\s*\[([^\]]+)\]")
_BOUNDS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
_NAMES = {bool: "boolean", int: "integer", float: "number", str: "text"}


def blocks_of(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the path and model of ``model`` and of every block inside it, depth first."""
    yield path, model
    for name, field in model.model_fields.items():
        for inner, block in blocks_in(path, name, field):
            yield from blocks_of(block, inner)


def blocks_in(path: str, name: str, field: FieldInfo) -> list[tuple[str, type[BaseModel]]]:
    """Return path and model of the block that a key holds, or of each alternative if its ``kind`` chooses one."""
    annotation = field.annotation
    if type(None) in get_args(annotation):  # a block that may be left out
        annotation = get_args(annotation)[0]
    named = get_origin(annotation) is dict
    inner = ".".join(filter(None, [path, name, "<name>" if named else ""]))
    if named:
        annotation = get_args(annotation)[1]
    annotation = next(filter(_is_block, get_args(annotation)), annotation)  # a block that may be left out
    if _is_block(annotation):
        return [(inner, annotation)]
    kinds = [get_args(kind)[0] for kind in get_args(annotation) if get_origin(kind) is Annotated]
    return [(f"{inner} ({_kind(block)})", block) for block in kinds if _is_block(block)]


def _is_block(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _kind(block: type[BaseModel]) -> str:
    """Return what chooses a block, which is its kind or, for a user's own class, the import path."""
    return next(map(str, get_args(block.model_fields["kind"].annotation)), "package.module:Class")


def block_default(field: FieldInfo, block: type[BaseModel]) -> str:
    """Return the default of a key that holds a block."""
    if field.is_required():
        return "required"
    if field.default is None:
        return "none"
    if any(inner.is_required() for inner in block.model_fields.values()):
        return f"`{json.dumps(field.default.model_dump())}`"
    return "see there"


def block_type(field: FieldInfo) -> str:
    """Return in words whether a key holds a block, or blocks by name."""
    return f"blocks by name{_bounds(field.metadata)}" if get_origin(field.annotation) is dict else "block"


def type_text(field: FieldInfo) -> str:
    """Return the type of a key in words, with its bounds."""
    return _type(field.annotation) + _bounds(field.metadata)


def default_text(field: FieldInfo) -> str:
    """Return the default of a key as YAML, or ``required``."""
    if field.is_required():
        return "required"
    if field.default is None:
        return "none"
    return f"`{json.dumps(field.default)}`"


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        bounds = _bounds(arguments[1:]).removeprefix(", ")
        return f"{_type(arguments[0])} ({bounds})" if bounds else _type(arguments[0])
    if origin is Literal:
        names = len(arguments)
        return f"name (one of {names})" if names > MOST_NAMES else " or ".join(f"`{name}`" for name in arguments)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_type(kind) for kind in arguments if kind is not type(None))
    if origin is dict:
        return "settings by name"
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is tuple:
        return f"{len(arguments)} entries: {_type(arguments[0])}"
    return _NAMES[annotation]


def _bounds(metadata: Any) -> str:
    """Return the constraints in the metadata of a field or an ``Annotated`` type, each after a comma."""
    entries = [inner for entry in metadata for inner in (entry, *getattr(entry, "metadata", ()))]
    found = [
        f"{sign} {number_text(getattr(entry, name))}"
        for entry in entries
        for name, sign in _BOUNDS.items()
        if getattr(entry, name, None) is not None
    ]
    if any(getattr(entry, "min_length", None) for entry in entries):
        found.append("not empty")
    return "".join(f", {text}" for text in dict.fromkeys(found))


def number_text(value: float) -> str:
    """Return a number in words, with large powers of two and ten written as powers."""
    for base in (2, 10):
        power = round(math.log(value, base)) if value >= 1e6 else 0
        if power and base**power == value:
            return f"{base}^{power}"
    if value == int(value) and abs(value) >= 1e6:
        return f"{int(value):,}"
    return f"{value:g}"


def unit_of(description: str) -> str:
    """Return the unit that a description gives in brackets, or an empty text if it gives none."""
    return split_unit(description)[0]


def split_unit(description: str) -> tuple[str, str]:
    """Return the unit given in brackets and the description without it."""
    match = _UNIT.search(description)
    if match is None:
        return "", description
    return match.group(1), _UNIT.sub("", description, count=1)
