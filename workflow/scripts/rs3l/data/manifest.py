"""The manifest of a data set: what it holds, and whether its files are those that were written."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, NonNegativeInt, ValidationError

from rs3l.data.checksum import check_json
from rs3l.errors import DataError
from rs3l.files import sha256
from rs3l.paths import Split

FORMAT = 1
"""Format of the manifest."""

COUNTS = ("matching_efficiency", "matching_efficiency_two_variants", "matching_efficiency_all_variants")
"""What the merge counts of each process, and a data set that was imported does not know."""


def _inside(path: str) -> str:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError("must lie in the folder of the manifest")
    return path


class _Strict(BaseModel):
    """Entries that are read; there may be others."""

    model_config = ConfigDict(strict=True, extra="allow")


class _File(_Strict):
    path: Annotated[str, AfterValidator(_inside)]
    split: Split
    process: str
    events: NonNegativeInt
    rows: NonNegativeInt
    sha256: str


class _Process(_Strict):
    label: str
    use: str
    hard_events: NonNegativeInt = 0
    matching_efficiency: dict[str, float | None] = {}
    matching_efficiency_two_variants: float | None = None
    matching_efficiency_all_variants: float | None = None


class _Manifest(_Strict):
    variants: dict[str, str]
    processes: dict[str, _Process]
    files: list[_File]


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Return the data set's manifest, after a look at its structure and its checksum.

    Raises :class:`DataError` if it is missing, damaged, malformed or of another format.
    """
    try:
        manifest = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such manifest; make the data set first (rule merge)") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error}); merge the data set again") from None
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != FORMAT:
        raise DataError(f"{path}: format {found!r}, expected {FORMAT}; merge the data set again")
    _check(path, manifest)
    check_json(path, manifest)
    return dict(manifest)


def _check(path: str | Path, manifest: Mapping[str, Any]) -> None:
    """Raise :class:`DataError` if the manifest lacks what is read of it, or has it in another form."""
    try:
        checked = _Manifest.model_validate(manifest)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{path}: {where}: {first['msg']}; merge the data set again") from None
    for file in checked.files:
        if file.process not in checked.processes:
            raise DataError(f"{path}: {file.path} is of no process {file.process}; merge the data set again")


def read_counts(path: str | Path) -> dict[str, Any]:
    """Return the manifest of a data set whose merge has counted the events without a jet.

    Raises :class:`DataError` if it has not.
    """
    manifest = read_manifest(path)
    for name, process in manifest["processes"].items():
        values = [process.get(key) for key in COUNTS]
        if None in values or None in process["matching_efficiency"].values():
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
    """Return ``path`` once it is known to be the file that the manifest names."""
    if not path.is_file():
        raise DataError(f"{path}: named in the manifest, and missing; delete the manifest and run again")
    if sha256(path) != expected:
        raise DataError(f"{path}: its SHA-256 is not the manifest's; delete the manifest and run again")
    return path
