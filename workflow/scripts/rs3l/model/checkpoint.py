"""The resumable state of a training: a file in a folder that is no output of a rule."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rs3l.config.blocks import PretrainBlock
from rs3l.errors import DataError
from rs3l.files import atomic


class Checkpoint:
    """The resumable state of one block on one data set: a file named by the hash of both."""

    def __init__(self, folder: str | Path, block: PretrainBlock, manifest_sha256: str) -> None:
        text = block.model_dump_json() + manifest_sha256
        self.path = Path(folder) / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.pt"

    def save(self, values: Mapping[str, Any]) -> None:
        """Write the state atomically."""
        with atomic(self.path) as temporary:
            torch.save(dict(values), temporary)

    def load(self) -> dict[str, Any] | None:
        """Return the state, or None if there is none; a damaged file is a :class:`DataError`."""
        if not self.path.is_file():
            return None
        try:
            return dict(torch.load(self.path, weights_only=True, map_location="cpu"))
        except Exception as error:
            raise DataError(f"{self.path}: cannot be resumed from ({error}); delete it") from None

    def delete(self) -> None:
        """Remove the state, and its folder if that is empty then."""
        self.path.unlink(missing_ok=True)
        if self.path.parent.is_dir() and not any(self.path.parent.iterdir()):
            self.path.parent.rmdir()
