"""Reading a configuration, with errors that name the key and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import yaml
from pydantic import BaseModel, Tag, ValidationError

from rs3l.config.library import with_library
from rs3l.config.methods import override_problems
from rs3l.config.models import Campaign
from rs3l.errors import ConfigError


def parse_campaign(values: Mapping[str, Any]) -> Campaign:
    """Return the typed configuration of ``values`` (a parsed YAML file, with any overrides).

    Raises :class:`ConfigError` that lists every problem, one line each, by the key's path.
    """
    try:
        config = Campaign.model_validate(with_library(values))
        lines = [_describe_override(*problem) for problem in override_problems(config)]
    except ValidationError as error:
        lines = [_describe(problem) for problem in error.errors()]
    if lines:
        raise ConfigError("the configuration is not valid:\n  " + "\n  ".join(dict.fromkeys(lines)))
    return config


def load_campaign(path: str | Path) -> Campaign:
    """Return the typed configuration in the YAML file ``path``."""
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a mapping of keys is expected, found {type(values).__name__}")
    return parse_campaign(values)


def _describe_override(path: tuple[str, ...], problem: Any) -> str:
    if isinstance(problem, str):
        return f"{'.'.join(path)}: {problem}"
    return _describe({**problem, "loc": (*path, *problem["loc"])})


def _describe(problem: Any) -> str:
    path = ".".join(str(key) for key in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{path}: unknown key{_suggestion(problem['loc'])}"
    if problem["type"] == "missing":
        return f"{path}: required, and missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not path:
        return message.replace("\n", "\n  ")
    if isinstance(problem["input"], Mapping):
        return f"{path}: {message}"
    return f"{path}: {message} (found {problem['input']!r})"[:400]


def _suggestion(location: tuple[str | int, ...]) -> str:
    known = _known_keys(location[:-1])
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; known here: {', '.join(sorted(known))}" if known else "; remove it"


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    """Return the keys of the block at ``location``, descending through mappings by name."""
    annotation: Any = Campaign
    for key in _without_override(location):
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            annotation = annotation.model_fields[str(key)].annotation
        elif key in (kinds := _kinds(annotation)):
            annotation = kinds[key]
        else:
            annotation = getattr(annotation, "__args__", (None,))[-1]
        if getattr(annotation, "__args__", None) and type(None) in annotation.__args__:
            annotation = annotation.__args__[0]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return list(annotation.model_fields)
    return []


def _without_override(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Return the place in the block ``pretrain`` that a key of a method or an ablation overrides."""
    if location[:2] == ("pretrain", "methods") and len(location) > 2:
        return "pretrain", *location[3:]
    if location[:1] == ("ablations",) and len(location) > 1:
        return "pretrain", *location[2:]
    return location


def _kinds(annotation: Any) -> dict[str | int, Any]:
    """Return the alternatives of a block that its ``kind`` chooses, by kind."""
    alternatives = [get_args(kind) for kind in get_args(annotation) if get_origin(kind) is Annotated]
    return {tag.tag: block for block, *tags in alternatives for tag in tags if isinstance(tag, Tag)}
