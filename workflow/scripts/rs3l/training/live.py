"""Records metrics while a training runs, as JSON lines and as events of TensorBoard.

Nothing is computed from them, so they may be deleted at any time. A training that goes on removes the lines of
the steps that it takes again. :class:`Live` is the one interface; :mod:`rs3l.training.tracking` has other sinks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

from rs3l.errors import ConfigError, StoppedError

End = Literal["finished", "stopped", "failed"]
"""The end of a training: with its model, by a signal after which it can go on, or with an error."""

STEPS, EPOCHS = "steps.jsonl", "epochs.jsonl"


class Live(Protocol):
    """A sink for the metrics of steps and epochs."""

    def begin(self, step: int) -> None:
        """Go on after ``step`` and drop what is later."""

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Take the metrics of a step."""

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        """Take the metrics of an epoch that ended with ``step``."""

    def flush(self) -> None:
        """Keep what was taken so far for good; the training calls this before it saves its state."""

    def end(self, how: End) -> None:
        """Take note that this process trains no more."""


class NullMetrics:
    """Takes the metrics and keeps none of them."""

    def begin(self, step: int) -> None:
        """Do nothing."""

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Do nothing."""

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""

    def end(self, how: End) -> None:
        """Do nothing."""


class Several:
    """Passes all on to several sinks, in order."""

    def __init__(self, sinks: Sequence[Live]) -> None:
        self.sinks = list(sinks)

    def begin(self, step: int) -> None:
        """Pass it on."""
        for sink in self.sinks:
            sink.begin(step)

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Pass it on."""
        for sink in self.sinks:
            sink.step(step, values)

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        """Pass it on."""
        for sink in self.sinks:
            sink.epoch(step, values)

    def flush(self) -> None:
        """Pass it on."""
        for sink in self.sinks:
            sink.flush()

    def end(self, how: End) -> None:
        """Pass it on."""
        for sink in self.sinks:
            sink.end(how)


@contextmanager
def ending(live: Live) -> Iterator[None]:
    """Tell a sink how what is done within ends; an error is passed on."""
    how: End = "failed"
    try:
        yield
        how = "finished"
    except StoppedError:
        how = "stopped"
        raise
    finally:
        live.end(how)


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
        self.flush()

    def flush(self) -> None:
        """Keep the events of TensorBoard, too; a line is written as it comes."""
        if self._writer is not None:
            self._writer.flush()

    def end(self, how: End) -> None:
        """Close the file of TensorBoard."""
        if self._writer is not None:
            self._writer.close()

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
