"""The resources that a command uses."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Sequence


def usage(command: Sequence[str]) -> resource.struct_rusage:
    """Run Python with ``command`` and return its resource usage; its messages are shown if it fails."""
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    messages = process.stderr.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(messages)
    return used
