"""Reads YAML as people write it.

A key that is there twice, a tab and a wrong indentation are reported with file and line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from rs3l.errors import ConfigError

_REMEDIES = {
    "'\\t'": "indent with spaces: YAML takes no tab",
    "mapping values are not allowed": "look at the indentation; a value with `: ` in it needs quotes",
    "but found '<block": "look at the indentation: the keys of a block begin in one column",
    "special characters": "remove the character",
}
"""These remedies are keyed by a part of YAML's message."""


def read_yaml(path: str | Path) -> Any:
    """Return what the YAML (or JSON) file ``path`` holds.

    Raises :class:`ConfigError` with file, line and remedy if the file cannot be read, if it is not UTF-8 or not
    YAML, or if a block has a key twice (YAML itself would silently take the last one).
    """
    text = _text(path)
    try:
        loader = yaml.SafeLoader(text)
        loader.name = str(path)
        node = loader.get_single_node()
        twice = [] if node is None else list(_twice(node, ()))
        value = None if node is None or twice else loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return _json(path, text, error)
    if twice:
        raise ConfigError("\n".join(f"{path}, {problem}" for problem in twice))
    return value


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Return the keys of the YAML file ``path``.

    Raises :class:`ConfigError` if it cannot be read or holds no mapping.
    """
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a mapping of keys is expected, found {type(values).__name__}")
    return values


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: cannot be read: there is no such file; name a campaign's configuration (YAML)"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}, line {line}: is not UTF-8 (byte 0x{error.object[error.start]:02x}); save the file as UTF-8"
        ) from None


def _json(path: str | Path, text: str, problem: Exception) -> Any:
    """Return a JSON file that is not YAML (it may be indented by tabs), or raise the error that YAML gave."""
    try:
        return json.loads(text, object_pairs_hook=_pairs)
    except _TwiceError as error:
        raise ConfigError(f"{path}: {error}") from None
    except (ValueError, RecursionError):
        said = str(problem).replace("<unicode string>", str(path))
    remedies = [f"\n  {remedy}" for part, remedy in _REMEDIES.items() if part in said]
    raise ConfigError(f"{path}: cannot be read as YAML: {said}{''.join(remedies)}") from None


class _TwiceError(ValueError):
    """The error for a key that a JSON object has twice."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise _TwiceError(f"`{'`, `'.join(twice)}` is there twice in one block; keep one")
    return dict(pairs)


def _twice(node: yaml.Node, path: tuple[str, ...], seen: set[int] | None = None) -> Iterator[str]:
    """Yield a line for each key of ``node``, and of all blocks within, that is there a second time."""
    seen = set() if seen is None else seen
    if id(node) in seen:  # this alias points to something that was checked already
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        first: dict[Hashable, int] = {}
        for key, value in node.value:
            name, line = (key.tag, str(key.value)), key.start_mark.line + 1
            inner = (*path, str(key.value) if isinstance(key, yaml.ScalarNode) else "?")
            if isinstance(key, yaml.ScalarNode) and name in first:
                yield (
                    f"line {line}: the key `{'.'.join(inner)}` is there already, in line {first[name]}; "
                    "the last one would win: keep one of them"
                )
            first.setdefault(name, line)
            yield from _twice(value, inner, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, entry in enumerate(node.value):
            yield from _twice(entry, (*path, str(index)), seen)


def check_files(paths: Iterable[str | Path]) -> None:
    """Raise :class:`ConfigError` if :func:`read_mapping` rejects a file.

    Pipes are skipped, because they can be read only once.
    """
    for path in paths:
        if not Path(path).is_fifo():
            read_mapping(path)


def refuse_unreadable(paths: Iterable[str | Path]) -> None:
    """End the program with the message of :func:`check_files`."""
    try:
        check_files(paths)
    except ConfigError as error:
        sys.exit(f"error: {error}")
