"""Keeps the resumable state of a training in a file of a folder that is no output of a rule."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rs3l.config.blocks import PretrainBlock
from rs3l.errors import DataError
from rs3l.files import atomic

DIGEST_BYTES = hashlib.sha256().digest_size


class Checkpoint:
    """The resumable state of one block on one data set, in a file named by the hash of both."""

    def __init__(self, folder: str | Path, block: PretrainBlock, files_sha256: str) -> None:
        text = block.model_dump_json() + files_sha256
        self.path = Path(folder) / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.pt"

    @classmethod
    def at(cls, path: Path) -> Checkpoint:
        """Return the resumable state in a file that somebody else has named."""
        checkpoint = cls.__new__(cls)
        checkpoint.path = path
        return checkpoint

    def save(self, values: Mapping[str, Any]) -> None:
        """Write the state and then its SHA-256 atomically; raises :class:`StorageError` if the disk is full."""
        stream = io.BytesIO()
        torch.save(dict(values), stream)
        content = stream.getvalue()
        with atomic(self.path) as temporary:  # not by torch, whose errors do not say that the disk is full
            temporary.write_bytes(content + hashlib.sha256(content).digest())

    def load(self) -> dict[str, Any] | None:
        """Return the state, or None if there is none; raises :class:`DataError` if it is not as it was written."""
        if not self.path.is_file():
            return None
        try:
            content = self.path.read_bytes()
            content, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
            if hashlib.sha256(content).digest() != digest:
                raise ValueError("its SHA-256 is not that at its end: it was damaged, or made by another version")
            return dict(torch.load(io.BytesIO(content), weights_only=True, map_location="cpu"))
        except Exception as error:
            raise self.unusable(error) from None

    def unusable(self, error: BaseException) -> DataError:
        """Return the error for a state that exists but cannot be used."""
        text = f"no {error}" if isinstance(error, KeyError) else (str(error).splitlines() or [repr(error)])[0]
        return DataError(f"{self.path}: cannot be resumed from ({text}); delete it, and the training begins anew")

    def delete(self) -> None:
        """Remove the state, and its folder if that is then empty."""
        self.path.unlink(missing_ok=True)
        if self.path.parent.is_dir() and not any(self.path.parent.iterdir()):
            self.path.parent.rmdir()
