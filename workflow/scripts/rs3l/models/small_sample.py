"""Make the sample of jets that ships with a model: the first hard events of a test split, made small."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rs3l.dataset.card import card_text
from rs3l.dataset.checksum import sealed_json
from rs3l.dataset.manifest import FORMAT, Manifest, read_manifest
from rs3l.dataset.row_groups import row_groups
from rs3l.dataset.schema import CANDIDATE_COLUMNS, dataset_schema
from rs3l.dataset.writer import DatasetWriter
from rs3l.errors import DataError
from rs3l.files import write_json, write_text
from rs3l.paths import SPLITS
from rs3l.types import Array

EVENTS = {"train": 40, "val": 20, "test": 40}
"""Hard events of each process in each split of a sample."""

BITS, DISPLACEMENT_BITS, STEPS = 10, 8, 1024
"""Bits of the mantissa of pT and energy, and of d0 and dz; steps of an angle per rad."""

TOGETHER = 1_000_000
"""A file of a sample is one row group."""


def write_sample(
    manifest_path: str | Path, folder: Path, constituents: int, events: Mapping[str, int] = EVENTS
) -> dict[str, Any]:
    """Write a data set of the first test events of each process of the pre-training; return its manifest.

    ``folder`` must be there, and empty. ``events`` are the hard events of a process in each split of the sample.
    Every jet has its ``constituents`` hardest candidates (:func:`thinned`). Raises :class:`DataError` if the
    test split has fewer events, or a file of it is missing or was changed.
    """
    source = read_manifest(manifest_path)
    writer = DatasetWriter(folder, TOGETHER, TOGETHER)
    processes = [name for name, process in source.processes.items() if process.use == "pretrain"]
    for process in processes:
        table = thinned(_first_events(manifest_path, process, sum(events.values())), constituents)
        ids = np.unique(table["event_id"].to_numpy())
        for split, part in zip(events, np.split(ids, np.cumsum(list(events.values()))[:-1]), strict=True):
            writer.append(split, process, table.filter(pc.is_in(table["event_id"], value_set=pa.array(part))))
    manifest = _manifest(source, processes, writer, constituents)
    write_text(folder / "card.md", card_text(manifest))
    write_json(folder / "manifest.json", sealed_json(manifest))
    return manifest


def _first_events(manifest_path: str | Path, process: str, events: int) -> pa.Table:
    """Return the rows of the first ``events`` hard events of a process in the test split."""
    tables: list[pa.Table] = []
    for group in row_groups(manifest_path, "test", [process]):
        tables.append(group.read())
        ids = np.unique(pa.concat_tables(tables)["event_id"].to_numpy())
        if len(ids) >= events:
            table = pa.concat_tables(tables)
            return table.filter(pc.is_in(table["event_id"], value_set=pa.array(ids[:events])))
    raise DataError(
        f"{manifest_path}: the test split has fewer than {events} hard events of {process}; ask for fewer, or "
        f"raise processes.{process}.events"
    )


def thinned(table: pa.Table, constituents: int) -> pa.Table:
    """Return rows of the data set with fewer candidates per jet, and fewer bits of each, so that files are small.

    Columns of the whole jet stay as they are, and so do charges and PDG codes.
    """
    offsets = table["cand_pt"].combine_chunks().offsets.to_numpy()
    lengths = np.diff(offsets)
    slots = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    kept = np.minimum(lengths, constituents)
    new = pa.array(np.concatenate([[0], np.cumsum(kept)]).astype(np.int32))
    for name, kind in CANDIDATE_COLUMNS.items():
        values = rounded(name, table[name].combine_chunks().flatten().to_numpy()[slots < constituents])
        index = table.schema.get_field_index(name)
        column = pa.ListArray.from_arrays(new, pa.array(values, kind))
        table = table.set_column(index, name, column)
    return table.cast(dataset_schema())


def rounded(name: str, values: Array) -> Array:
    """Return the values of a column of candidates with the bits that a sample keeps: within 1 in 2^bits."""
    if name in ("cand_eta", "cand_phi"):
        return np.round(values * STEPS) / STEPS
    if not np.issubdtype(values.dtype, np.floating):
        return values
    bits = DISPLACEMENT_BITS if name in ("cand_d0", "cand_dz") else BITS
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.round(mantissa * 2**bits) / 2**bits, exponent))


def _manifest(source: Manifest, processes: list[str], writer: DatasetWriter, constituents: int) -> dict[str, Any]:
    files = writer.close()
    return {
        "format": FORMAT,
        "campaign": f"{source.campaign}-sample",
        "source": f"the test split of the campaign {source.campaign}: its first events, the {constituents} "
        "hardest candidates of each jet, with fewer bits",
        "min_views": 1,
        "variants": source.variants,
        "processes": {name: _process(source, name, files, list(source.variants)) for name in processes},
        "files": files,
        "digests": writer.digests(list(source.variants)),
        "schema": {field.name: str(field.type) for field in dataset_schema()},
    }


def _process(source: Manifest, name: str, files: list[dict[str, Any]], variants: list[str]) -> dict[str, Any]:
    process = source.processes[name]
    return {
        "label": process.label,
        "use": process.use,
        "hard_events": sum(file["events"] for file in files if file["process"] == name),
        "matching_efficiency": dict.fromkeys(variants),
    }


def about(manifest: Mapping[str, Any], events: Mapping[str, int], constituents: int) -> dict[str, Any]:
    """Return what a card says of a sample."""
    return {
        "events": sum(file["events"] for file in manifest["files"]),
        "jets": sum(file["rows"] for file in manifest["files"]),
        "split": {split: events[split] for split in SPLITS},
        "constituents": constituents,
        "bits": BITS,
        "displacement_bits": DISPLACEMENT_BITS,
        "steps": STEPS,
    }
