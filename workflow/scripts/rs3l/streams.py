"""Text on the command line and the terminal, whatever the locale says."""

from __future__ import annotations

import io
import os
import sys


def speak_any_locale() -> None:
    """Let stdout and stderr write an escape, and not fail, for characters that their encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def argument_text(argument: str) -> str:
    """Return an argument of the command line as its bytes say in UTF-8, because Python reads it by the locale.

    An argument that is no UTF-8 comes back as it is.
    """
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeError:
        return argument
