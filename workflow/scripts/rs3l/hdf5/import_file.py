"""Import one file of a campaign whose jets exist already, and make one data set of all that were imported.

Each file becomes one part of every split and process, named by the number of the file, and an entry that says what
is in them. A file that is imported stays so, whatever happens to the others; the data set is made of the entries.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from rs3l.config.blocks import ImportBlock, ImportedBlock
from rs3l.dataset.card import card_text
from rs3l.dataset.checksum import check_json, sealed_json
from rs3l.dataset.contents import contents_sha256
from rs3l.dataset.manifest import FORMAT
from rs3l.dataset.parquet import parquet_options
from rs3l.dataset.schema import dataset_schema
from rs3l.dataset.writer import DatasetWriter
from rs3l.errors import DataError
from rs3l.files import sha256, write_json, write_text
from rs3l.hdf5.import_hdf5 import import_events
from rs3l.hdf5.layout import COLUMNS
from rs3l.hdf5.source import ImportOptions, Source, open_source
from rs3l.hdf5.views import SUBSTITUTES
from rs3l.paths import CampaignPaths, splits_with
from rs3l.provenance import provenance

_ALL_IN_ONE = 2**62
"""Events per part: all of a file."""


def import_file(block: ImportBlock, file: str | Path, root: str, part: str) -> dict[str, Any]:
    """Write the part ``part`` of every split and process, and the entry of ``file``, and return the entry.

    The events are read a few hundred at a time. The entry is written last. Raises :class:`DataError` as
    :func:`rs3l.hdf5.import_hdf5.import_hdf5` does.
    """
    paths = CampaignPaths(root)
    options = _options(block)
    source = open_source(Path(file), options)
    with _folder(paths, part) as folder:
        writer = DatasetWriter(folder, _ALL_IN_ONE, block.events_per_row_group)
        left_out = import_events(source, writer, options)
        entries = writer.close()
        _refuse_labels(block, file, entries)
        made = {(entry["split"], entry["process"]): entry for entry in entries}
        files = [
            _placed(paths, folder, made, (split, process), part)
            for split in block.splits.names
            for process in block.processes
        ]
    entry = sealed_json(_entry(source, block, writer, files, left_out))
    write_json(paths.imported(part), entry)
    logging.info("%s: %d events; left out: %s", file, sum(f["events"] for f in files), dict(left_out))
    return entry


def _options(block: ImportBlock) -> ImportOptions:
    return ImportOptions(
        seed=block.seed,
        splits=block.splits,
        columns=block.columns,
        jet_types=block.jet_types,
        angles=block.angles,
        leave_out_invalid=block.leave_out_invalid,
        events_per_row_group=block.events_per_row_group,
        processes=block.processes,
        variants=block.variants,
    )


def _refuse_labels(block: ImportBlock, file: str | Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Raise :class:`DataError` if a file has events for labels alone, and the campaign has no such split."""
    foreign = {entry["split"] for entry in entries} - set(block.splits.names)
    if foreign:
        raise DataError(
            f"{file}: its events are of the split {', '.join(foreign)}, which the campaign does not have: set "
            "dataset.splits.label to their fraction (above 0)"
        )


@contextlib.contextmanager
def _folder(paths: CampaignPaths, part: str) -> Iterator[Path]:
    """Yield a folder beside the parts, where they are written before they get their names.

    It has the name of the part, so that what a killed job has left there goes when the job runs again.
    """
    folder = Path(paths.dataset) / f".import-{part}.tmp"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _placed(
    paths: CampaignPaths,
    folder: Path,
    made: Mapping[tuple[str, str], Mapping[str, Any]],
    key: tuple[str, str],
    part: str,
) -> dict[str, Any]:
    """Give a part its name, or write one without a row, and return its entry in the manifest."""
    split, process = key
    target = Path(paths.part(split, process, part))
    target.parent.mkdir(parents=True, exist_ok=True)
    entry = {"split": split, "process": process, "events": 0, "rows": 0, **made.get(key, {})}
    written = folder / str(entry.get("path", f"{split}-{process}.parquet"))
    if key not in made:
        schema = dataset_schema()
        pq.ParquetWriter(written, schema, **parquet_options(schema)).close()
        entry["sha256"] = sha256(written)
    written.replace(target)
    return {**entry, "path": f"{split}/{target.name}"}


def _entry(
    source: Source,
    block: ImportBlock,
    writer: DatasetWriter,
    files: Sequence[Mapping[str, Any]],
    left_out: Counter[str],
) -> dict[str, Any]:
    return {
        "name": source.layout.path.name,
        "sha256": sha256(source.layout.path),
        "events": source.layout.events,
        "angles": source.angles,
        "columns": dict(source.layout.columns),
        "left_out": dict(left_out),
        "files": list(files),
        "blocks": {
            split: {
                process: {variant: writer.blocks(split, process, variant) for variant in block.variants}
                for process in block.processes
            }
            for split in block.splits.names
        },
    }


def import_dataset(block: ImportedBlock, root: str, entries: Sequence[str | Path]) -> dict[str, Any]:
    """Write manifest, card and provenance of the data set of all imported files, and return the manifest.

    ``entries`` are the entries of the files, in their order. Raises :class:`DataError` for a damaged entry, and
    for a process or variant without a jet.
    """
    paths = CampaignPaths(root)
    found = [_read(path) for path in entries]
    manifest = _manifest(block, found)
    _check_contents(block, manifest, found)
    write_text(paths.card, card_text(manifest))
    files = [
        {key: entry[key] for key in ("name", "sha256", "events", "angles", "columns", "left_out")}
        for entry in found
    ]
    write_json(paths.merge_provenance, sealed_json(provenance(block=block.model_dump(), files=files)))
    write_json(paths.manifest, sealed_json(manifest))
    logging.info("%s: %d files", paths.manifest, len(manifest["files"]))
    return manifest


def _read(path: str | Path) -> dict[str, Any]:
    try:
        entry: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); delete it and run again") from None
    check_json(path, entry)
    return entry


def _manifest(block: ImportedBlock, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    files = sorted((file for entry in entries for file in entry["files"]), key=lambda file: str(file["path"]))
    left_out = sum((Counter[str](entry["left_out"]) for entry in entries), Counter[str]())
    return {
        "format": FORMAT,
        "campaign": block.campaign,
        "seed": block.seed,
        "pythia": None,
        "detector": None,
        "source": "files in RS3L's HDF5 layout: " + ", ".join(entry["name"] for entry in entries),
        "min_views": 1,
        "variants": dict(block.variants),
        "processes": {
            name: {
                "label": info.label,
                "use": info.use,
                "hard_events": sum(file["events"] for file in files if file["process"] == name),
                "matching_efficiency": dict.fromkeys(block.variants),
            }
            for name, info in block.processes.items()
        },
        **{name: left_out[name] for name in ("events_without_jets", "invalid_jets", "events_of_other_types")},
        "lacks": _lacking(entries),
        "substitutes": SUBSTITUTES,
        "files": files,
        "digests": {
            split: {
                process: {variant: _digest(entries, split, process, variant) for variant in block.variants}
                for process in block.processes
            }
            for split in splits_with(entries[0]["blocks"])
        },
        "schema": {column.name: str(column.type) for column in dataset_schema()},
    }


def _lacking(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the columns that some file does not have."""
    return [name for name in COLUMNS if any(name not in entry["columns"] for entry in entries)]


def _digest(entries: Sequence[Mapping[str, Any]], split: str, process: str, variant: str) -> str:
    """Return the checksum of the rows of all files; a block of events in two files has the checksum of both."""
    blocks: dict[int, str] = {}
    for entry in entries:
        for number, digest in entry["blocks"][split][process][variant].items():
            known = blocks.get(int(number))
            both = digest if known is None else hashlib.sha256(f"{known} {digest}".encode()).hexdigest()
            blocks[int(number)] = both
    return contents_sha256(blocks)


def _check_contents(
    block: ImportedBlock, manifest: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]
) -> None:
    """Raise :class:`DataError` for a process without events, and for a variant without jets."""
    names = manifest["source"]
    empty = [name for name, process in manifest["processes"].items() if not process["hard_events"]]
    if empty:
        raise DataError(
            f"{names}: no event with a jet of {', '.join(empty)}; remove it from `processes` and `tasks`, or name "
            f"its jet types (processes.{empty[0]}.jet_types, source.jet_types); left out: "
            f"{manifest['events_of_other_types']} events of other types, {manifest['events_without_jets']} "
            "without jets"
        )
    for variant in block.variants:
        blocks = (
            entry["blocks"][split][process][variant]
            for entry in entries
            for split in entry["blocks"]
            for process in block.processes
        )
        if not any(blocks):
            raise DataError(f"{names}: no jet under the variant {variant}; remove it from `variants`")
