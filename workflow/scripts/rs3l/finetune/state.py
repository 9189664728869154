"""What a fine-tuning has done so far: the classifiers that it has finished, and where the last training is.

They lie in a folder that is no output of a rule, under the hash of the settings, the data and the encoder.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from rs3l.config.blocks import FinetuneBlock
from rs3l.config.reads import Reads
from rs3l.dataset.checksum import check_json, sealed_json
from rs3l.dataset.digests import contents
from rs3l.errors import DataError
from rs3l.files import sha256, write_json
from rs3l.finetune.classifiers import Classifiers, Model, Trained, load, save
from rs3l.finetune.sample import NOMINAL
from rs3l.finetune.training import Fit
from rs3l.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class Result:
    """One classifier with the way it was trained."""

    mode: str
    labels: int
    repeat: int
    fit: Fit
    model: Model


class State:
    """The folder of one block on one data set and encoder, within ``folder``, which may hold others'."""

    def __init__(self, folder: str | Path, block: FinetuneBlock, data: str, encoder: str) -> None:
        """Log what the folder has, by the digest ``data`` of the data set and that of the encoder's file."""
        text = block.model_dump_json() + data + encoder
        self.root, self.block = Path(folder), block
        self.folder = self.root / hashlib.sha256(text.encode()).hexdigest()[:16]
        for other in sorted(self.root.glob("*")):
            if other != self.folder:
                logging.info(
                    "%s: the state of other settings or data, which is not used; it may be deleted", other
                )

    def path(self, mode: str, labels: int, repeat: int, suffix: str) -> Path:
        """Return the path of a file of one classifier."""
        return self.folder / f"{mode}-{labels}-{repeat}.{suffix}"

    def checkpoint(self, mode: str, labels: int, repeat: int) -> Checkpoint:
        """Return the place of the training of one classifier."""
        return Checkpoint.at(self.path(mode, labels, repeat, "pt"))

    def keep(self, result: Result) -> None:
        """Write a finished classifier; the place of its training is no longer needed."""
        name = result.mode, result.labels, result.repeat
        write_json(self.path(*name, "json"), sealed_json(asdict(result.fit)))
        trained = Trained(*name, result.model)
        save(
            self.path(*name, "safetensors"),
            Classifiers(self.block.name, self.block.task, self.block.run, [trained]),
        )
        self.path(*name, "pt").unlink(missing_ok=True)

    def finished(self, mode: str, labels: int, repeat: int) -> Result | None:
        """Return a classifier if it is finished; raises :class:`DataError` if its files are damaged."""
        if not self.path(mode, labels, repeat, "safetensors").is_file():
            return None
        fit = _fit(self.path(mode, labels, repeat, "json"))
        [found] = load(self.path(mode, labels, repeat, "safetensors")).trained
        logging.info("%s, %d labels, repeat %d: finished before", mode, labels, repeat)
        return Result(mode, labels, repeat, fit, found.model)

    def delete(self) -> None:
        """Remove the state, and the folder if that is then empty."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.root.is_dir() and not any(self.root.iterdir()):
            self.root.rmdir()


def _fit(path: Path) -> Fit:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        check_json(path, entries)
        entries.pop("sha256")
        return Fit(**entries)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: cannot be used ({error}); delete its folder and run again") from None


def data_digest(manifest: str | Path, block: FinetuneBlock) -> str:
    """Return the checksums of what is read of the data set, or that of the manifest, if it does not have them."""
    if not Path(manifest).is_file():
        raise DataError(f"{manifest}: no such manifest; make the data set first (rule merge)")
    processes = list(dict.fromkeys((block.task.signal, block.task.background)))
    variants = list(dict.fromkeys([NOMINAL, *block.variants]))
    found = contents(manifest, Reads(splits=[block.labels_from, "val"], processes=processes, variants=variants))
    return sha256(manifest) if found is None else json.dumps(found)
