"""Run the command of an external generator without a shell, with a time limit and its messages in the log."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from threading import Thread
from typing import IO

from rs3l.errors import GeneratorError

_LAST_LINES = 5
_GRACE = 10.0
"""Seconds that a command has to end by itself before it is killed."""
_WATCH = ("/bin/sh", "-c", 'read -r line; kill -s KILL -- "-$0"')
"""A process that waits for the end of its input, which is that of this job, and then ends a process group."""


def arguments(command: str, values: Mapping[str, object]) -> list[str]:
    """Return the words of a command with its placeholders replaced; a value is never split into words."""
    return [word.format(**values) for word in shlex.split(command)]


def run_command(words: Sequence[str], seconds: float) -> None:
    """Run a command to its end; what it prints goes to the job's log (stderr).

    Raises :class:`GeneratorError` with its last lines if it cannot be started, fails, or takes longer than
    ``seconds``. The command and what it started are gone then, and after any other end of this job.
    """
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0
        )
    except OSError as error:
        raise GeneratorError(f"its command cannot be started: {words[0]}: {error.strerror}") from None
    last: deque[str] = deque(maxlen=_LAST_LINES)
    reader = Thread(target=_forward, args=(process.stdout, last), daemon=True)
    reader.start()
    try:
        with _not_outliving_the_job(process.pid):
            status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        raise GeneratorError(
            f"its command took more than {seconds / 60:g} min and was ended{_said(last)}"
        ) from None
    finally:
        _end(process)
        reader.join(_GRACE)
    if status:
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        raise GeneratorError(f"its command {how}{_said(last)}")


@contextlib.contextmanager
def _not_outliving_the_job(group: int) -> Iterator[None]:
    """Let a watcher end the process group if this process disappears, because SIGKILL leaves no time to tidy up.

    The watcher has the other end of a pipe, which the system closes then.
    """
    watcher = subprocess.Popen([*_WATCH, str(group)], stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        watcher.kill()
        watcher.communicate()


def _forward(stream: IO[bytes] | None, last: deque[str]) -> None:
    assert stream is not None
    for line in stream:
        text = line.decode(errors="replace")
        sys.stderr.write(text)
        if text.strip():
            last.append(text.strip())


def _said(last: Sequence[str]) -> str:
    return "; it said: " + " | ".join(last) if last else "; it said nothing"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process group, because the command may be a script that started others."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
