"""Make a data set of this project from files in RS3L's HDF5 layout (``rs3l.hdf5.layout``).

The five variants of an event become its views. What the files do not hold gets a substitute that readers accept
(``rs3l.hdf5.views.SUBSTITUTES``). Files are read a few hundred events at a time.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rs3l import seeds
from rs3l.dataset.card import card_text
from rs3l.dataset.checksum import sealed_json
from rs3l.dataset.files_manifest import files_manifest, process_entry
from rs3l.dataset.splits import split_of
from rs3l.dataset.writer import DatasetWriter
from rs3l.errors import DataError
from rs3l.files import atomic_folder, refuse_existing, sha256, write_json, write_text
from rs3l.hdf5.source import (
    BLOCK_EVENTS,
    ImportOptions,
    Source,
    check_sources,
    find_files,
    open_source,
)
from rs3l.hdf5.views import (
    LABELS,
    PRETRAINED,
    SUBSTITUTES,
    event_keys,
    event_processes,
    event_views,
    invalid_jets,
    jet_types,
    read_block,
)
from rs3l.paths import EVERY_SPLIT
from rs3l.provenance import provenance


def import_hdf5(files: Sequence[str | Path], out: str | Path, options: ImportOptions) -> dict[str, Any]:
    """Write the data set of ``files`` (or of a folder of them) to the new folder ``out``; return its manifest.

    Everything appears at once or not at all. Raises :class:`DataError` for files of another layout, unknown
    jet types, and values that cannot be used.
    """
    refuse_existing(out)
    sources = [open_source(path, options) for path in find_files(files)]
    check_sources(sources)
    with atomic_folder(out) as folder:
        writer = DatasetWriter(folder, options.events_per_part, options.events_per_row_group)
        left_out = Counter(events_without_jets=0, invalid_jets=0)
        for source in sources:
            left_out += import_events(source, writer, options)
        manifest = _manifest(sources, writer, options, left_out)
        if not manifest["files"]:
            names = ", ".join(str(source.layout.path) for source in sources)
            raise DataError(f"no event with a jet in {names}: no jet pT, or no candidate pT, is above zero")
        write_text(folder / "card.md", card_text(manifest))
        write_json(folder / "provenance.json", _provenance(sources, options))
        write_json(folder / "manifest.json", sealed_json(manifest))
    logging.info("%s: %d files; left out: %s", out, len(manifest["files"]), dict(left_out))
    return manifest


def import_events(source: Source, writer: DatasetWriter, options: ImportOptions) -> Counter[str]:
    """Add all events of a file to the data set, and return the counts of what was left out."""
    starts = range(0, source.layout.events, BLOCK_EVENTS)
    return sum((_import_block(source, start, writer, options) for start in starts), Counter[str]())


def _import_block(source: Source, start: int, writer: DatasetWriter, options: ImportOptions) -> Counter[str]:
    """Add the events from ``start`` on to the data set, and return the counts of what was left out."""
    block = read_block(source, start, BLOCK_EVENTS)
    named = np.array([bool(name) for name in source.variants])
    present = named & (block.jet["jet_pt"] > 0) & (block.candidates[:, :, 0] > 0).any(axis=-1)
    invalid = invalid_jets(source, start, block, present, options)
    present &= ~invalid
    with_jets = present.any(axis=1)
    types = jet_types(source, start, block, present)
    processes = event_processes(source, block, types, options)
    keys = event_keys(source, start, block, processes)
    present &= (processes != "")[:, None]
    events = np.flatnonzero(present.any(axis=1))
    table = event_views(source, start, block, present, types, processes, keys, options)
    split = source.layout.attribute("split")
    for process in dict.fromkeys(processes[events]):
        own = events[processes[events] == process]
        indices = (seeds.event_index(int(keys[e])) for e in own)
        chosen = np.array([split or split_of(options.seed, options.splits, process, index) for index in indices])
        for name in EVERY_SPLIT:
            ids = pa.array(keys[own[chosen == name]])
            if len(ids):
                writer.append(name, process, table.filter(pa.compute.is_in(table["event_id"], value_set=ids)))
    return Counter(
        events_without_jets=int((~with_jets).sum()),
        invalid_jets=int(invalid.sum()),
        events_of_other_types=int(with_jets.sum()) - len(events),
    )


def _manifest(
    sources: Sequence[Source], writer: DatasetWriter, options: ImportOptions, left_out: Counter[str]
) -> dict[str, Any]:
    used = sources[0].layout.attribute("variant_use") or {}
    stated = sources[0].layout.attribute("processes") or {}
    use = {name: used.get(name, "train") for name in sources[0].variants if name}
    source = "files in RS3L's HDF5 layout: " + ", ".join(source.layout.path.name for source in sources)
    manifest = files_manifest(options.name, options.seed, source, use, writer)
    return manifest | {
        "processes": {name: _process(name, manifest, stated.get(name, {})) for name in writer.processes},
        "events_without_jets": left_out["events_without_jets"],
        "invalid_jets": left_out["invalid_jets"],
        "substitutes": SUBSTITUTES,
    }


def _process(name: str, manifest: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of a process, with what the file states of it."""
    use = "pretrain" if name in PRETRAINED else "downstream"
    entry = process_entry(name, LABELS.get(name, name), use, manifest["files"], manifest["variants"])
    return entry | {
        key: value for key, value in stated.items() if key not in ("hard_events", "matching_efficiency")
    }


def _provenance(sources: Sequence[Source], options: ImportOptions) -> dict[str, Any]:
    return provenance(
        options={"seed": options.seed, "splits": options.splits.model_dump(), "columns": dict(options.columns)},
        files=[
            {
                "name": source.layout.path.name,
                "sha256": sha256(source.layout.path),
                "events": source.layout.events,
                "angles": source.angles,
                "columns": dict(source.layout.columns),
            }
            for source in sources
        ],
    )
