"""Passes the settings and metrics of a training on to experiment trackers: MLflow, or one's own by import path.

A tracker is a function of a :class:`Training` that returns a sink (:class:`rs3l.training.live.Live`). The first
rank alone has one. A tracker that cannot begin is an error at once. One that fails while a training runs is left
out from there on, because days of training are worth more than their curves.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rs3l.config.blocks import PretrainBlock
from rs3l.errors import CampaignError, ConfigError
from rs3l.imported import guarded, imported
from rs3l.training.live import End, Live

MLFLOW, TRACKER = "RS3L_MLFLOW", "RS3L_TRACKER"
"""Variables of the environment that stand for the options of the command, so that rules pass them on."""


@dataclass(frozen=True)
class Training:
    """What a tracker is told of a training.

    ``identity`` is that of its resumable state: a training that goes on has the same one, other settings or other
    data have another. ``settings`` are those of its block, flat, with names as ``loop.optimizer``.
    """

    name: str
    identity: str
    settings: Mapping[str, str | int | float | bool | None]


Tracker = Callable[[Training], Live]


def described(block: PretrainBlock, identity: str) -> Training:
    """Return what a tracker is told of the training of ``block``."""
    return Training(f"{block.method}, seed {block.seed}", identity, dict(_flat("", block.model_dump(mode="json"))))


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}" if name else key, inner)
    else:
        yield name, ", ".join(map(str, value)) if isinstance(value, list) else value


def trackers(mlflow: str | None, own: str | None) -> list[Tracker]:
    """Return the trackers of a command's options, or of the environment where these are not given.

    Raises :class:`ConfigError` if a package that they need cannot be imported.
    """
    uri, path = mlflow or os.environ.get(MLFLOW), own or os.environ.get(TRACKER)
    found: list[Tracker] = []
    if uri:
        from rs3l.training.mlflow_tracker import MlflowRun

        found.append(partial(MlflowRun, uri))
    if path:
        found.append(partial(_own, path, imported(path, "--tracker")))
    return found


def _own(path: str, tracker: Tracker, training: Training) -> Live:
    with guarded(path, "--tracker"):
        return tracker(training)


def guarded_trackers(makers: Sequence[Tracker], training: Training) -> list[Live]:
    """Return the sinks of a training, none of which can end it once it has begun."""
    return [Guarded(make(training)) for make in makers]


class Guarded:
    """A sink whose errors are warnings after its beginning; after the first one it gets nothing more."""

    def __init__(self, sink: Live) -> None:
        self._sink: Live | None = sink
        self._name = type(sink).__name__

    def begin(self, step: int) -> None:
        """Pass it on; raises :class:`ConfigError` for whatever goes wrong."""
        try:
            if self._sink is not None:
                self._sink.begin(step)
        except CampaignError:
            raise
        except Exception as error:
            raise ConfigError(f"the tracker {self._name} cannot begin: {_said(error)}") from error

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Pass it on."""
        self._pass_on(lambda sink: sink.step(step, values))

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        """Pass it on."""
        self._pass_on(lambda sink: sink.epoch(step, values))

    def flush(self) -> None:
        """Pass it on."""
        self._pass_on(lambda sink: sink.flush())

    def end(self, how: End) -> None:
        """Pass it on."""
        self._pass_on(lambda sink: sink.end(how))

    def _pass_on(self, call: Callable[[Live], None]) -> None:
        if self._sink is None:
            return
        try:
            call(self._sink)
        except Exception as error:
            logging.warning(
                "the tracker %s failed and gets nothing more; the training goes on: %s", self._name, _said(error)
            )
            self._sink = None


def _said(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or repr(error)
