"""The manifest of a data set, which lists its contents and the checksums of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, PrivateAttr, ValidationError

from rs3l.dataset.checksum import check_json
from rs3l.errors import DataError
from rs3l.files import sha256
from rs3l.paths import Split, splits_with

FORMAT = 1
"""Format of the manifest."""

COUNTS = ("matching_efficiency", "matching_efficiency_two_variants", "matching_efficiency_all_variants")
"""Counts of the merge for each process, which an imported data set does not know."""


def _inside(path: str) -> str:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError("must lie in the folder of the manifest")
    return path


class _Strict(BaseModel):
    """Base of models that name the entries that are read; there may be others."""

    model_config = ConfigDict(strict=True, extra="allow")


class Part(_Strict):
    """One Parquet file, with the events of a process in a split, and the jets (rows) that they have."""

    path: Annotated[str, AfterValidator(_inside)]
    split: Split
    process: str
    events: NonNegativeInt
    rows: NonNegativeInt
    sha256: str


class ProcessCounts(_Strict):
    """The entries of a process in the data set; an imported one does not know the matching efficiencies."""

    label: str
    use: str
    hard_events: NonNegativeInt = 0
    matching_efficiency: dict[str, float | None] = {}
    matching_efficiency_two_variants: float | None = None
    matching_efficiency_all_variants: float | None = None

    @property
    def is_counted(self) -> bool:
        """Whether the events without a jet were counted."""
        efficiencies = [getattr(self, name) for name in COUNTS if name != "matching_efficiency"]
        return bool(self.matching_efficiency) and None not in [*efficiencies, *self.matching_efficiency.values()]


class Manifest(_Strict):
    """The contents of a data set: ``variants`` with their use, ``processes`` with their counts, and the files.

    ``digests`` are the checksums of contents by split, process and variant, whatever the files.
    """

    campaign: str = ""
    variants: dict[str, str]
    processes: dict[str, ProcessCounts]
    parts: list[Part] = Field(alias="files")
    digests: dict[str, dict[str, dict[str, str]]] = {}
    _folder: Path = PrivateAttr(Path())

    @property
    def splits(self) -> tuple[Split, ...]:
        """Return the splits of the data set, `label` only if some events are set apart for labels."""
        return splits_with({part.split for part in self.parts})

    def files(self, split: str | None = None, process: str | None = None) -> list[Part]:
        """Return the files of a split and of a process (None means all), in the order of the manifest."""
        return [
            part
            for part in self.parts
            if part.split == (split or part.split) and part.process == (process or part.process)
        ]

    def path(self, part: Part) -> Path:
        """Return the path of a file."""
        return self._folder / part.path

    def events(self, split: str | None = None, process: str | None = None) -> int:
        """Return the number of hard events with a jet."""
        return sum(part.events for part in self.files(split, process))

    def jets(self, split: str | None = None, process: str | None = None) -> int:
        """Return the number of jets, under all variants."""
        return sum(part.rows for part in self.files(split, process))

    def contents(
        self, splits: Sequence[str], processes: Sequence[str], variants: Sequence[str]
    ) -> dict[str, dict[str, dict[str, str]]] | None:
        """Return the checksums of contents by split, process and variant, or None where they are not known."""
        try:
            return {
                split: {name: {v: self.digests[split][name][v] for v in variants} for name in processes}
                for split in splits
            }
        except KeyError:
            return None

    def files_sha256(self, splits: Sequence[str], processes: Sequence[str]) -> str:
        """Return a checksum of the files that have rows of some splits and processes."""
        parts = [part for split in splits for name in processes for part in self.files(split, name) if part.rows]
        return hashlib.sha256(json.dumps([[part.path, part.sha256] for part in parts]).encode()).hexdigest()


def read_manifest(path: str | Path) -> Manifest:
    """Return the data set's manifest after checking its structure and its checksum.

    Raises :class:`DataError` if it is missing, damaged, malformed or of another format.
    """
    values = _read(path)
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        raise DataError(f"{path}: format {found!r}, expected {FORMAT}; merge the data set again")
    manifest = _checked(path, values)
    check_json(path, values)
    manifest._folder = Path(path).parent
    return manifest


def _read(path: str | Path) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such manifest; make the data set first (rule merge)") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error}); merge the data set again") from None


def _checked(path: str | Path, values: Mapping[str, Any]) -> Manifest:
    """Return the manifest; raise :class:`DataError` if an entry that is read is missing or malformed."""
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{path}: {where}: {first['msg']}; merge the data set again") from None
    for part in manifest.parts:
        if part.process not in manifest.processes:
            raise DataError(f"{path}: {part.path} is of no process {part.process}; merge the data set again")
    return manifest


def read_counts(path: str | Path) -> Manifest:
    """Return the manifest of a data set whose merge has counted the events without a jet.

    Raises :class:`DataError` if it has not.
    """
    manifest = read_manifest(path)
    for name, process in manifest.processes.items():
        if not process.is_counted:
            raise DataError(
                f"{path}: does not say how many hard events of {name} have a jet: the data set was imported; "
                "merge one from re-simulations"
            )
    return manifest


def check_names(path: str | Path, kind: str, names: Sequence[str], known: Collection[str]) -> None:
    """Raise :class:`DataError` if a process or variant (``kind``) is not in the data set."""
    unknown = [name for name in names if name not in known]
    if unknown:
        raise DataError(
            f"{path}: no {kind} {', '.join(unknown)} in the data set (it has {', '.join(known)}); "
            "merge the data set again with this configuration"
        )


def verified(path: Path, expected: str) -> Path:
    """Return ``path`` after verifying that it is the file that the manifest names."""
    if not path.is_file():
        raise DataError(f"{path}: named in the manifest, and missing; delete the manifest and run again")
    if sha256(path) != expected:
        raise DataError(f"{path}: its SHA-256 is not the manifest's; delete the manifest and run again")
    return path
