"""`python script.py` in a process that was forked with the libraries in it: what a job's imports take, it has not to wait.

A campaign starts a Python for each of its jobs, which imports torch or matplotlib for two to five seconds. The tests
run the same scripts in processes of their own, with their own environment, folder and streams, and their libraries
loaded once. What is killed, measured, or run on a cluster has the real Python.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from support import servers

CLIENT = """#!{python} -IS
import json, os, socket, sys
if len(sys.argv) < 2 or not sys.argv[1].endswith(".py"):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
order = json.dumps([sys.argv[1], sys.argv[2:], dict(os.environ), os.getcwd()]).encode()
socket.send_fds(server, [len(order).to_bytes(8, "big")], [0, 1, 2])
server.sendall(order)
answer = server.recv(1)
sys.exit(answer[0] if answer else 1)
"""
"""The program `python`: it hands its streams and its command to the server, and ends as that does."""


@cache
def folder() -> Path:
    """Return a folder with a `python` for the front of PATH; its server ends with this process."""
    place = Path(tempfile.mkdtemp())
    address = str(place / "server")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    server = subprocess.Popen(
        [sys.executable, "-m", "support.quick_python", address], stdout=subprocess.PIPE, env=environment
    )
    assert server.stdout is not None and server.stdout.readline() == b"ready\n"
    atexit.register(server.terminate)
    (place / "python").write_text(CLIENT.format(python=sys.executable, address=address), encoding="utf-8")
    (place / "python").chmod(0o755)
    return place


def serve(address: str) -> None:
    """Fork a process for each order, which forks the command and says how it ended."""
    for module in servers.SCRIPTS:
        importlib.import_module(module)
    gc.freeze()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        connection, _ = listening.accept()
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            _answer(connection)
        connection.close()


def _answer(connection: socket.socket) -> None:
    head, streams, _, _ = socket.recv_fds(connection, 8, 3)
    order = b""
    while len(order) < int.from_bytes(head, "big"):
        order += connection.recv(1 << 16)
    child = os.fork()
    if not child:
        connection.close()
        for descriptor, stream in enumerate(streams):
            os.dup2(stream, descriptor)
        servers.become(*json.loads(order))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.sendall(bytes([status if status >= 0 else 128 - status]))
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
