"""The ready processes, variants and tunes in the files below ``config/``, whose entries a campaign names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from rs3l.config.generator import Generator
from rs3l.config.yaml_file import read_mapping
from rs3l.errors import ConfigError

FOLDER = Path(__file__).resolve().parents[4] / "config"
KINDS = ("processes", "variants")


@cache
def library(kind: str) -> dict[str, Any]:
    """Return the entries of all files in ``config/<kind>/``.

    Raises :class:`ConfigError` if a name is there twice.
    """
    result: dict[str, Any] = {}
    for path in sorted((FOLDER / kind).glob("*.yaml")):
        entries = read_mapping(path)
        twice = sorted(result.keys() & entries.keys())
        if twice:
            raise ConfigError(f"{path}: {', '.join(twice)} is in another file of this folder, too; rename it")
        result |= entries
    return result


@cache
def tunes() -> dict[str, dict[str, Any]]:
    """Return Pythia's settings of each tune in ``config/tunes/``."""
    return {path.stem: read_mapping(path) for path in sorted((FOLDER / "tunes").glob("*.yaml"))}


def with_library(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration in which every ``like`` and ``tune`` is followed by the keys that it stands for.

    Keys beside ``like`` win over those of the entry, and blocks (``pythia``, ``pt_hat``) are merged key by key.
    Raises :class:`ConfigError` for a name that the library does not have.
    """
    result = dict(values)
    for kind in KINDS:
        entries = values.get(kind)
        if isinstance(entries, Mapping):
            result[kind] = {name: _like(kind, str(name), entry) for name, entry in entries.items()}
    generator = values.get("generator")
    if isinstance(generator, Mapping) and generator.get("tune") is not None:
        result["generator"] = _tuned(generator)
    return result


def _like(kind: str, name: str, entry: Any) -> Any:
    if not isinstance(entry, Mapping) or entry.get("like") is None:
        return entry
    base = _entry(f"{kind}.{name}.like", library(kind), entry["like"], f"config/{kind}")
    return {key: _merged(base.get(key), entry.get(key, base.get(key))) for key in {**base, **entry}}


def _merged(base: Any, own: Any) -> Any:
    return {**base, **own} if isinstance(base, Mapping) and isinstance(own, Mapping) else own


def _tuned(generator: Mapping[str, Any]) -> dict[str, Any]:
    tune = _entry("generator.tune", tunes(), generator["tune"], "config/tunes")
    own = generator.get("pythia", Generator().pythia)
    return {**generator, "pythia": {**tune, **own} if isinstance(own, Mapping) else own}


def _entry(path: str, entries: Mapping[str, Any], name: Any, folder: str) -> Any:
    if not isinstance(name, str):
        raise ConfigError(f"{path}: the name of an entry of {folder} is expected, found {name!r}")
    if name in entries:
        return entries[name]
    close = difflib.get_close_matches(name, entries, n=1)
    hint = f"did you mean `{close[0]}`?" if close else f"it has {', '.join(entries)}"
    raise ConfigError(f"{path}: {folder} has no `{name}`; {hint}")
