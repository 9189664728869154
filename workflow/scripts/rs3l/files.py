"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rs3l.errors import StorageError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UMASK = os.umask(0o022)
os.umask(_UMASK)
_LISTED = 20

WRITTEN: dict[Path, None] = {}
"""Files and folders that this process has written, in order, for :func:`written`."""


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, unique to this process, and rename it on success.

    The file is readable as the user's umask says, whatever the library that wrote it set. Two writers of one file
    cannot mix, because each has a temporary file of its own, and the last rename wins. Raises
    :class:`StorageError` if the disk is full or a limit is reached.
    """
    target = Path(path)
    owner = f"{os.environ.get('SLURM_JOB_ID', 'local')}-{os.uname().nodename}-{os.getpid()}"
    temporary = target.with_name(f".{target.name}.{owner}.tmp")
    try:
        with _full_disk_is_named(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            _to_disk(temporary)
            temporary.replace(target)
        WRITTEN[target] = None
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path`` and rename it on success, so that all its files appear at once.

    Raises :class:`StorageError` if ``path`` exists already and is not an empty folder, or the disk is full.
    """
    target = Path(path)
    refuse_existing(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    try:
        with _full_disk_is_named(path):
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    _to_disk(file)
            temporary.chmod(0o777 & ~_UMASK)
            temporary.replace(target)
        WRITTEN[target] = None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _full_disk_is_named(path: str | Path) -> Iterator[None]:
    """Turn an error of a full disk into one that names ``path``, and let others pass."""
    try:
        yield
    except OSError as error:
        named = full(path, error)
        if named is None:
            raise
        raise named from error


def refuse_existing(path: str | Path) -> None:
    """Raise :class:`StorageError` unless ``path`` is missing or an empty folder."""
    target = Path(path)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StorageError(f"{path}: exists already; delete it, or choose another folder")


def full(path: str | Path, error: OSError) -> StorageError | None:
    """Return the :class:`StorageError` that ``error`` means if the disk is full, or None."""
    if error.errno not in _NO_SPACE:
        return None
    cause = os.strerror(error.errno)
    return StorageError(f"{path}: cannot be written ({cause}); free space, or raise the quota, and run again")


def _to_disk(path: Path) -> None:
    """Set the permissions and wait for the disk, because some file systems report only now that they are full."""
    path.chmod(0o666 & ~_UMASK)
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())


def written() -> list[str]:
    """Return a line with its size for each file that this process has written and that is still there.

    If there are many, one line gives their number.
    """
    there = [path for path in WRITTEN if path.exists()]
    if len(there) > _LISTED:
        return [f"wrote {len(there)} files, {_size(there)}, the last of them {there[-1]}"]
    return [f"wrote {path} ({_size([path])})" for path in there]


def _size(paths: Iterable[Path]) -> str:
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    size, units = float(sum(file.stat().st_size for file in files)), ["bytes", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.3g} {units[0]}"


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
