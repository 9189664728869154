"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_UMASK = os.umask(0o022)
os.umask(_UMASK)


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, unique to this process; rename it on success.

    The file is readable as the user's umask says, whatever the library that wrote it thought. Two writers of
    one file cannot mix: each has a temporary file of its own, and the last rename wins.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    owner = f"{os.environ.get('SLURM_JOB_ID', 'local')}-{os.uname().nodename}-{os.getpid()}"
    temporary = target.with_name(f".{target.name}.{owner}.tmp")
    try:
        yield temporary
        temporary.chmod(0o666 & ~_UMASK)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text)


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
