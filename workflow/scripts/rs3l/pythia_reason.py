"""Pythia's own reason for a failure.

Pythia runs silently, because most of its messages are about attempts that it repeats, and each is printed once in
the life of an instance. What has failed for good is done again by a new instance that may print. An event has
seeds of its own, so that it fails in the same way.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import BinaryIO

MOST = 6
"""Largest number of messages that are repeated; the last one is always among them."""
_BEGIN = " PYTHIA "
_WARNING = "Warning"
_END = "reached end of Les Houches Events File"
"""Message after an event that failed at the process level, because the next one is asked for."""
_speaks = ContextVar("_speaks", default=False)


def speaks() -> bool:
    """Return whether a new Pythia is to print its messages."""
    return _speaks.get()


def reason(repeat: Callable[[], object]) -> str:
    """Return Pythia's own words while ``repeat`` fails again, with a Pythia that it makes itself.

    Whatever ``repeat`` raises is left out, because the first failure is the one to report.
    """
    if speaks():  # this is the repetition
        return ""
    if not _is_open(1):
        return "Pythia's reason cannot be read, since the standard output is closed"
    token = _speaks.set(True)
    try:
        with _standard_output() as stream:
            with contextlib.suppress(Exception):
                repeat()
            _flush()
            stream.seek(0)
            text = stream.read().decode(errors="replace")
    finally:
        _speaks.reset(token)
    return said(text)


def said(text: str) -> str:
    """Return the errors in what Pythia has printed, or the warnings if there is no error, in one line."""
    lines = [line.removeprefix(_BEGIN).strip(": ") for line in text.splitlines() if line.startswith(_BEGIN)]
    lines = [line for line in dict.fromkeys(lines) if _END not in line]
    errors = [line for line in lines if not line.startswith(_WARNING)] or lines
    if not errors:
        return "Pythia gives no reason"
    return "Pythia says: " + "; ".join([*errors[:-1][: MOST - 1], errors[-1]])


@contextlib.contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    """Redirect the standard output of this process, C++ included, into a file as long as the context lasts."""
    _flush()
    before = os.dup(1)
    with _scratch() as stream:
        os.dup2(stream.fileno(), 1)
        try:
            yield stream
        finally:
            _flush()
            os.dup2(before, 1)
            os.close(before)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _flush() -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or none
        sys.stdout.flush()
    ctypes.CDLL(None).fflush(None)


def _scratch() -> BinaryIO:
    """Return a file of this process alone, in memory where that is possible, since the disk may be full."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("pythia"), "w+b")
    return tempfile.TemporaryFile()
