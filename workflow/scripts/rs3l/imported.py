"""Import parts, such as an encoder, a loss or an augmentation, from another package by their import path."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rs3l.errors import CampaignError, ConfigError


def is_path(name: str) -> bool:
    """Return whether a name is an import path, ``package.module:Name``."""
    return ":" in name


def imported(path: str, key: str) -> Any:
    """Return the object at an import path; ``key`` of the configuration is named in errors.

    Raises :class:`ConfigError` if the module cannot be imported, or has nothing of this name.
    """
    module, _, name = path.partition(":")
    try:
        with guarded(path, key):
            found = importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{key}: {path}: {error}; install the package into the environment of the job, or put its folder on "
            "PYTHONPATH"
        ) from None
    if not hasattr(found, name):
        raise ConfigError(f"{key}: {path}: the module {module} has no {name}; correct the name")
    return getattr(found, name)


@contextmanager
def guarded(path: str, key: str) -> Iterator[None]:
    """Turn what goes wrong in the code behind an import path into a :class:`ConfigError`; the log has all of it.

    An error of this package, and an ``ImportError``, are passed on.
    """
    try:
        yield
    except (CampaignError, ImportError):
        raise
    except Exception as error:
        logging.exception("in %s", path)
        raise ConfigError(f"{key}: {path}: {type(error).__name__}: {error}; the log has the traceback") from None


def not_found(paths: Iterable[str]) -> list[str]:
    """Return those of some import paths whose package is not installed here."""
    return [path for path in paths if importlib.util.find_spec(path.partition(":")[0].split(".")[0]) is None]
