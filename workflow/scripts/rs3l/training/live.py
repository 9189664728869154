"""Records metrics while a training runs, as JSON lines and as events of TensorBoard.

Nothing is computed from them, so they may be deleted at any time. A training that goes on removes the lines of
the steps that it takes again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from rs3l.errors import ConfigError

STEPS, EPOCHS = "steps.jsonl", "epochs.jsonl"


class Live(Protocol):
    """A sink for the metrics of steps and epochs."""

    def begin(self, step: int) -> None:
        """Go on after ``step`` and drop what is later."""

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Take the metrics of a step."""

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        """Take the metrics of an epoch that ended with ``step``."""


class NullMetrics:
    """Takes the metrics and keeps none of them."""

    def begin(self, step: int) -> None:
        """Do nothing."""

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Do nothing."""

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        """Do nothing."""


class Folder:
    """Writes ``steps.jsonl`` and ``epochs.jsonl``, each line as it comes, and events for TensorBoard if asked."""

    def __init__(self, folder: str | Path, tensorboard: bool = False) -> None:
        self.folder, self.tensorboard = Path(folder), tensorboard
        self._writer: Any = None

    def begin(self, step: int) -> None:
        """Go on after ``step`` and drop what is later."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (STEPS, EPOCHS):
            _cut(self.folder / name, step)
        if self.tensorboard:
            self._writer = _summary_writer(self.folder, step)

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Take the metrics of a step."""
        self._write(STEPS, "step", step, values)

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        """Take the metrics of an epoch that ended with ``step``."""
        self._write(EPOCHS, "epoch", step, values)
        if self._writer is not None:
            self._writer.flush()

    def _write(self, name: str, group: str, step: int, values: Mapping[str, float]) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"steps": step, **values}) + "\n")
        if self._writer is not None:
            for key, value in values.items():
                self._writer.add_scalar(f"{group}/{key}", value, step)


def _cut(path: Path, step: int) -> None:
    """Keep the lines up to ``step``, or up to one that a killed job has left half-written."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            if json.loads(line)["steps"] > step:
                break
        except (ValueError, KeyError):
            break
        kept.append(line + "\n")
    path.write_text("".join(kept), encoding="utf-8")


def _summary_writer(folder: Path, step: int) -> Any:
    try:
        from tensorboardX import SummaryWriter  # type: ignore[import-untyped]
    except ImportError:
        raise ConfigError(
            "--tensorboard needs the package tensorboardX: python -m pip install tensorboardX"
        ) from None
    return SummaryWriter(str(folder), purge_step=step + 1)
