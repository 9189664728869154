"""When a training pauses between two steps, on a signal to stop or because a state is due by the clock."""

from __future__ import annotations

import logging
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Self

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""A cancelled job gets the first, Ctrl-C sends the second, and a terminal that closes sends the third."""


class StopRequest:
    """Notes a signal to stop instead of ending at once.

    A second signal changes nothing, because both Slurm and torchrun send theirs to each rank. Only the main
    thread of a process gets signals, so nothing is changed in any other.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            noted = [number for number in SIGNALS if not _hang_up_is_ignored(number)]
            self._before = {number: signal.signal(number, self._note) for number in noted}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        logging.info("%s: stops after this step", self.name)


def _hang_up_is_ignored(number: int) -> bool:
    """Return whether this is SIGHUP and the process ignores it, as it does after nohup."""
    return number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN


class Timer:
    """Tells when ``seconds`` have passed since the timer was made or last restarted."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._last = time.monotonic()

    def due(self) -> bool:
        """Return whether it is time."""
        return time.monotonic() - self._last >= self.seconds

    def restart(self) -> None:
        """Count from now on."""
        self._last = time.monotonic()
