"""A terminal that closes: what `make demo` starts is interrupted as by Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
CHILD = "import signal, time\nprint(signal.getsignal(signal.SIGHUP).name, flush=True)\ntime.sleep(60)"
PARENT = f"""
import signal, sys
import hang_up
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a shell
process = hang_up.start([sys.executable, "-c", {CHILD!r}])
while True:
    try:
        print(process.wait(), flush=True)
        break
    except KeyboardInterrupt:
        continue
"""


@pytest.mark.parametrize("ignored", [False, True])
def test_a_hang_up_is_a_ctrl_c(ignored: bool) -> None:
    """The child ignores SIGHUP, so that SIGINT ends it; after nohup nothing is passed on."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(TOOLS)},
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "SIG_IGN\n"
            os.killpg(process.pid, signal.SIGHUP)
            if ignored:
                os.killpg(process.pid, signal.SIGTERM)
                assert process.wait() == -signal.SIGTERM, "not before"
            else:
                assert process.stdout.readline() == f"{-signal.SIGINT}\n"
                assert process.wait() == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
