"""Import parts, such as an encoder, a loss or an augmentation, from another package by their import path."""

from __future__ import annotations

import importlib
from typing import Any

from rs3l.errors import ConfigError


def is_path(name: str) -> bool:
    """Return whether a name is an import path, ``package.module:Name``."""
    return ":" in name


def imported(path: str, key: str) -> Any:
    """Return the object at an import path; ``key`` of the configuration is named in errors.

    Raises :class:`ConfigError` if the module cannot be imported, or has nothing of this name.
    """
    module, _, name = path.partition(":")
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{key}: {path}: {error}; install the package into the environment of the job, or put its folder on "
            "PYTHONPATH"
        ) from None
    if not hasattr(found, name):
        raise ConfigError(f"{key}: {path}: the module {module} has no {name}; correct the name")
    return getattr(found, name)
