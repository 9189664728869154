"""Replace the splits of a data set on disk together, and only where no foreign file would go with them."""

from __future__ import annotations

import contextlib
import errno
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rs3l.errors import DataError
from rs3l.paths import EVERY_SPLIT, SPLITS, CampaignPaths

OWN = re.compile(r"[^.].*-\d{4,}\.parquet|\..*-\d{4,}\.parquet\..*\.tmp|\.snakemake_timestamp")
"""Names in the folder of a split: parts, what a killed merge has left of one, Snakemake's mark."""


@contextlib.contextmanager
def new_splits(paths: CampaignPaths) -> Iterator[str]:
    """Yield a root for the files of a new data set; its splits take the place of the older ones in the end.

    The older splits stay as they were until then. There is no manifest while the splits are exchanged, so that a
    mixture of both is never taken for a data set. Raises :class:`DataError` if the folder of a split holds
    anything but parts.
    """
    refuse_foreign(paths)
    folder = Path(paths.dataset)
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix=".new.", suffix=".tmp", dir=folder))
    try:
        yield str(root)
        refuse_foreign(paths)
        Path(paths.manifest).unlink(missing_ok=True)
        for split in EVERY_SPLIT:
            new = Path(CampaignPaths(str(root)).split(split))
            if new.is_dir():
                _exchange(new, Path(paths.split(split)), root)
            elif split not in SPLITS:
                _remove(Path(paths.split(split)), root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def refuse_foreign(paths: CampaignPaths) -> None:
    """Raise :class:`DataError` if the folder of a split holds anything but parts of a data set."""
    for folder in map(Path, map(paths.split, EVERY_SPLIT)):
        entries = list(folder.iterdir()) if folder.is_dir() else []
        foreign = sorted(entry.name for entry in entries if entry.is_dir() or not OWN.fullmatch(entry.name))
        if foreign:
            raise DataError(
                f"{folder}: the merge replaces this folder, and it holds what is no part of a data set: "
                f"{', '.join(foreign[:3])}{' and more' * (len(foreign) > 3)}; move that elsewhere and run again"
            )


def _remove(target: Path, old: Path) -> None:
    """Move the folder of a split, if there is one, to ``old``."""
    with contextlib.suppress(FileNotFoundError):
        target.rename(Path(tempfile.mkdtemp(dir=old)) / target.name)


def _exchange(new: Path, target: Path, old: Path) -> None:
    """Rename ``new`` to ``target``, and move what is there, or what another merge puts there, to ``old``."""
    while True:
        _remove(target, old)
        try:
            new.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return
