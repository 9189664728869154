"""Start Snakemake so that a terminal that closes ends it as Ctrl-C does.

By itself Snakemake dies of SIGHUP at once, and leaves its lock behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any


def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start ``command`` with SIGHUP ignored; this process passes one on to all of its group as SIGINT.

    If this process was started to ignore it (nohup), nothing is passed on.
    """
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _interrupt)
    return subprocess.Popen(command, preexec_fn=_ignore, **options)


def _ignore() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _interrupt(number: int, frame: object) -> None:
    os.killpg(os.getpgrp(), signal.SIGINT)
