"""Reads a configuration, with errors that name the key and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rs3l.config.campaign import Campaign
from rs3l.config.capacity import check_capacity
from rs3l.config.library import with_library
from rs3l.config.methods import override_problems
from rs3l.config.problems import describe
from rs3l.config.with_source import with_source
from rs3l.config.yaml_file import read_mapping
from rs3l.errors import ConfigError


def parse_campaign(values: Mapping[str, Any]) -> Campaign:
    """Return the typed configuration of ``values`` (a parsed YAML file, with any overrides).

    Raises :class:`ConfigError`, which lists every problem on a line of its own with the path of its key.
    """
    try:
        config = Campaign.model_validate(with_source(with_library(values)))
        lines = _override_lines(config)
    except ValidationError as error:
        lines = describe(error.errors())
    if lines:
        raise ConfigError("the configuration is not valid:\n  " + "\n  ".join(dict.fromkeys(lines)))
    return config


def load_campaign(path: str | Path) -> Campaign:
    """Return the typed configuration in the YAML file ``path``.

    Raises :class:`ConfigError` if it is not valid, or asks for more than its events can give.
    """
    config = parse_campaign(read_mapping(path))
    check_capacity(config)
    return config


def _override_lines(config: Campaign) -> list[str]:
    """Return a line for each problem in methods and ablations."""
    problems = list(override_problems(config))
    texts = [f"{'.'.join(path)}: {problem}" for path, problem in problems if isinstance(problem, str)]
    others = [
        {**problem, "loc": (*path, *problem["loc"])} for path, problem in problems if not isinstance(problem, str)
    ]
    return [*texts, *describe(others)]
