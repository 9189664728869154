"""Write a data set of own jets: Parquet files, manifest with checksums, card, as the merge makes them."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rs3l import seeds
from rs3l.config.dataset import Splits
from rs3l.dataset.card import card_text
from rs3l.dataset.checksum import sealed_json
from rs3l.dataset.files_manifest import files_manifest, process_entry
from rs3l.dataset.own.jetclass import LABELS
from rs3l.dataset.own.jets import Jets
from rs3l.dataset.own.order import Runs, keys_of
from rs3l.dataset.own.rows import SPLIT, RowMaker, rows_schema, substitutes
from rs3l.dataset.own.tables import pieces, source_name
from rs3l.dataset.splits import split_of
from rs3l.dataset.writer import DatasetWriter
from rs3l.errors import ConfigError, DataError
from rs3l.files import atomic_folder, refuse_existing, sha256, write_json, write_text
from rs3l.paths import EVERY_SPLIT
from rs3l.provenance import provenance

NOMINAL = "nominal"


@dataclass(frozen=True)
class WriteOptions:
    """How jets become a data set; :func:`rs3l.dataset.write` explains them."""

    name: str = "own"
    labels: Mapping[str, str] = field(default_factory=dict)
    downstream: Collection[str] = ()
    held_out: Collection[str] = ()
    splits: Splits = field(default_factory=lambda: Splits(train=0.8, val=0.1, test=0.1))
    seed: int = 20240311
    constituents: int | None = None
    leave_out_invalid: bool = False
    events_per_part: int = 20_000
    events_per_row_group: int = 1_000


def write_dataset(sources: Sequence[Jets], out: str | Path, options: WriteOptions) -> dict[str, Any]:
    """Write the data set of ``sources`` to the new folder ``out``, whole or not at all, and return its manifest.

    Errors are those of :func:`rs3l.dataset.write`.
    """
    refuse_existing(out)
    labels = {label.process: label.label for label in LABELS} | dict(options.labels)
    if options.constituents is not None and options.constituents < 1:
        raise ConfigError(f"constituents: {options.constituents}; give a number above 0")
    if wrong := [name for name, label in options.labels.items() if not isinstance(label, str)]:
        raise ConfigError(f"labels: that of {wrong[0]} is no text")
    maker = RowMaker(labels, options.constituents, options.leave_out_invalid)
    with atomic_folder(out) as folder:
        writer = DatasetWriter(folder, options.events_per_part, options.events_per_row_group)
        with tempfile.TemporaryDirectory(prefix="runs.", dir=folder) as runs:
            for rows in _in_order(sources, maker, Path(runs)):
                _append(writer, rows, options)
        manifest = _manifest(sources, writer, maker, options)
        _check_names(manifest, maker, options)
        write_text(folder / "card.md", card_text(manifest))
        write_json(folder / "provenance.json", _provenance(sources, options))
        write_json(folder / "manifest.json", sealed_json(manifest))
    logging.info("%s: %d files; left out: %s", out, len(manifest["files"]), dict(maker.invalid))
    return manifest


def _in_order(sources: Sequence[Jets], maker: RowMaker, folder: Path) -> Iterator[pa.Table]:
    """Yield all rows by event; events that are numbered here are in order already."""
    runs = Runs(folder, rows_schema())
    for jets in sources:
        for piece in pieces(jets):
            rows = maker.rows(piece, jets)
            if maker.numbered:
                runs.append(rows)
            elif len(maker.variants) > 1:
                raise DataError(
                    f"{piece.where}: views under {', '.join(maker.variants)} without a column event_id that says "
                    "which belong to one event; add it"
                )
            elif rows.num_rows:
                yield rows
    if maker.numbered:
        yield from runs.merged(_nominal_first(maker.variants))


def _nominal_first(variants: Iterable[str]) -> list[str]:
    return sorted(variants, key=lambda name: name != NOMINAL)


def _append(writer: DatasetWriter, rows: pa.Table, options: WriteOptions) -> None:
    """Add rows in the order of their events to the files of their splits and processes."""
    process = np.asarray(rows["process"].to_numpy())
    for name in dict.fromkeys(process):
        own = rows.filter(pa.array(process == name))
        split = _event_splits(str(name), own, options)
        for one in EVERY_SPLIT:
            chosen = own.filter(pa.array(split == one)).drop_columns([SPLIT])
            if chosen.num_rows:
                writer.append(one, str(name), chosen)


def _event_splits(process: str, rows: pa.Table, options: WriteOptions) -> np.ndarray[Any, np.dtype[np.object_]]:
    """Return the split of each row of a process, after checking the views of each event."""
    keys = keys_of(rows)
    same = keys[1:] == keys[:-1]
    variant, given = (np.asarray(rows[name].to_numpy(), dtype=object) for name in ("variant", SPLIT))
    twice = same & (variant[1:] == variant[:-1])
    if twice.any():
        view = variant[int(twice.argmax())]
        _refuse(twice, process, keys, f"has two jets under {view}; give every view of it a variant of its own")
    _refuse(same & (given[1:] != given[:-1]), process, keys, "has views in two splits; give all of them one")
    first = np.flatnonzero(np.concatenate([[True], ~same]))
    names = [
        given[row] or split_of(options.seed, options.splits, process, int(seeds.event_index(int(keys[row]))))
        for row in first
    ]
    return np.repeat(np.array(names, dtype=object), np.diff(first, append=len(keys)))


def _refuse(wrong: np.ndarray[Any, Any], process: str, keys: Any, text: str) -> None:
    if wrong.any():
        event = seeds.event_index(int(keys[int(wrong.argmax())]))
        raise DataError(f"the event {event} of {process} {text}")


def _manifest(
    sources: Sequence[Jets], writer: DatasetWriter, maker: RowMaker, options: WriteOptions
) -> dict[str, Any]:
    use = {name: "held_out" if name in options.held_out else "train" for name in _nominal_first(maker.variants)}
    source = f"jets of {', '.join(_short_names(sources))}"
    manifest = files_manifest(options.name, options.seed, source, use, writer)
    filled = [name for name in maker.processes if any(file["process"] == name for file in manifest["files"])]
    return manifest | {
        "title": "jets",
        "processes": {
            name: process_entry(
                name,
                maker.labels.get(name, name),
                "downstream" if name in options.downstream else "pretrain",
                manifest["files"],
                use,
            )
            for name in filled
        },
        "events_without_jets": 0,
        "invalid_jets": maker.invalid.total(),
        "invalid_by_column": dict(maker.invalid),
        "lacks": sorted(maker.lacking),
        "substitutes": substitutes(sorted(maker.lacking)),
    }


def _short_names(sources: Sequence[Jets]) -> list[str]:
    """Return the names of the sources; of many, some."""
    names = [Path(jets.data).name if isinstance(jets.data, str | Path) else source_name(jets) for jets in sources]
    return names if len(names) <= 10 else [*names[:9], f"and {len(names) - 9} more"]


def _check_names(manifest: Mapping[str, Any], maker: RowMaker, options: WriteOptions) -> None:
    """Raise an error if there is no jet, no nominal view, or a name that no jet has."""
    if not manifest["files"]:
        raise DataError(f"{manifest['source']}: no jet; left out as invalid: {dict(maker.invalid) or 0}")
    if NOMINAL not in manifest["variants"] or NOMINAL in options.held_out:
        raise ConfigError(
            f"one variant must be `{NOMINAL}`, and not be held out (there are {', '.join(maker.variants)}): name "
            "so the view that labels are read from"
        )
    for kind, given, known in (
        ("process", [*options.labels, *options.downstream], manifest["processes"]),
        ("variant", [*options.held_out], manifest["variants"]),
    ):
        if unknown := [name for name in given if name not in known]:
            raise ConfigError(f"no jet is of the {kind} {unknown[0]}; there are {', '.join(known)}")


def _provenance(sources: Sequence[Jets], options: WriteOptions) -> dict[str, Any]:
    """Return versions, options and checksums of the files."""
    own = {**asdict(options), "splits": options.splits.model_dump()}
    own |= {name: sorted(getattr(options, name)) for name in ("downstream", "held_out")}
    entries = []
    for jets in sources:
        said = {key: value for key, value in asdict(_without_data(jets)).items() if value and key != "data"}
        entry = {"name": source_name(jets), **said, "fill": sorted(jets.fill)}
        if isinstance(jets.data, str | Path):
            entry["sha256"] = sha256(jets.data)
        entries.append(entry)
    return provenance(options=own, files=entries)


def _without_data(jets: Jets) -> Jets:
    return Jets(None, jets.process, jets.variant, jets.split, dict(jets.rename), jets.tree, jets.relative)
