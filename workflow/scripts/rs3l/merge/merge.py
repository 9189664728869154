"""Stage 3 zips the variants of every hard event into the data set.

Rows are aligned by position and checked by key, without a join or a shuffle. One Dask task makes one part (a block
of hard events of one process). Memory is bounded by a part, because shards are read in row groups. Parts and row
groups are cut by hard event, so that the files do not depend on the size of the shards.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rs3l import seeds
from rs3l.config.blocks import MergeBlock
from rs3l.dataset.card import card_text
from rs3l.dataset.checksum import VALUES, ValuesDigest, is_sealed, sealed_json
from rs3l.dataset.parquet import parquet_options
from rs3l.dataset.schema import FINGERPRINT, SHOWER_WEIGHT, Status, dataset_schema, jets_schema
from rs3l.dataset.splits import split_of
from rs3l.errors import DataError
from rs3l.files import atomic, sha256, write_json, write_text
from rs3l.lhe.cross_section import Sums, cross_section
from rs3l.merge.replace import new_splits
from rs3l.merge.survival import Moments, moments, survival
from rs3l.merge.workers import Jobs, compute
from rs3l.paths import SPLITS, CampaignPaths, shard_name
from rs3l.provenance import provenance
from rs3l.repeated import first_repeated
from rs3l.types import Bools

FORMAT = 1
_DAMAGE = (OSError, ValueError, pa.ArrowException)
"""The exceptions that reading a damaged Parquet file raises."""


@dataclass(frozen=True)
class Shard:
    """One file of jets with the content of its header."""

    path: str
    process: str
    variant: str
    first: int
    events: int
    pythia: str
    subprocesses: Sums
    resimulation: str
    values_sha256: str


@dataclass(frozen=True)
class PartResult:
    """The files that one task wrote, and the numbers that it counted."""

    files: list[dict[str, Any]]
    status: dict[str, Counter[str]]
    all_variants: int
    two_variants: int
    sum_weights: float
    survival: Moments


def merge(block: MergeBlock, root: str, workers: int, jobs: Jobs | None = None) -> dict[str, Any]:
    """Write the data set under ``root`` with local ``workers`` or as Slurm ``jobs``; return its manifest.

    An older data set there is replaced as a whole in the end. Before anything is written, this raises
    :class:`DataError` for a shard that is missing, damaged, of another campaign or of another version of Pythia,
    for a hard event that a process has twice, and for an older data set with foreign files beside it. A task
    raises it for rows that are not the expected hard events.
    """
    paths = CampaignPaths(root)
    shards = find_shards(block, paths)
    for process, by_variant in shards.items():
        check_no_event_twice(paths, process, by_variant["nominal"])
    with new_splits(paths) as new:
        tasks = [
            dask.delayed(merge_part)(block, new, process, part, shards[process])
            for process in block.processes
            for part in range(_n_parts(block, process))
        ]
        manifest = _manifest(block, shards, compute(tasks, workers, jobs))
    write_text(paths.card, card_text(manifest))
    write_json(paths.merge_provenance, sealed_json(_provenance(block, shards)))
    write_json(paths.manifest, sealed_json(manifest))
    logging.info("%s: %d files", paths.manifest, len(manifest["files"]))
    return manifest


def find_shards(block: MergeBlock, paths: CampaignPaths) -> dict[str, dict[str, list[Shard]]]:
    """Return the shards by process and variant, in order, after checking all their headers."""
    found = {
        process: {
            variant: [
                read_header(paths.jets(process, variant, shard_name(i))) for i in range(block.shards[process])
            ]
            for variant in block.variants
        }
        for process in block.processes
    }
    for process, by_variant in found.items():
        for variant, shards in by_variant.items():
            _check_shards(block, process, variant, shards)
    _check_one_pythia([s for by_variant in found.values() for shards in by_variant.values() for s in shards])
    return found


def read_header(path: str) -> Shard:
    """Return the content of the header of a file of jets; raises :class:`DataError` if it cannot be read."""
    metadata = _read_metadata(path)
    values = {key.removeprefix("rs3l."): value for key, value in metadata.items()}
    try:
        resimulation = json.loads(values["block"])
        return Shard(
            path=path,
            process=resimulation["process"],
            variant=resimulation["variant"],
            first=int(values["first"]),
            events=int(values["events"]),
            pythia=values["pythia"],
            subprocesses=json.loads(values["subprocesses"]),
            resimulation=values["block"],
            values_sha256=metadata[VALUES],
        )
    except (KeyError, ValueError):
        raise DataError(f"{path}: not a file of jets of this workflow; delete it and run again") from None


def _read_metadata(path: str) -> dict[str, str]:
    """Return the metadata of a file of jets after verifying its checksum."""
    try:
        entries = pq.read_schema(path).metadata or {}
        metadata = {key.decode(): value.decode() for key, value in entries.items()}
    except FileNotFoundError:
        raise DataError(f"{path}: missing; run the rule resimulate for it") from None
    except _DAMAGE as error:
        raise DataError(f"{path}: truncated or damaged ({error}); delete it and run again") from None
    if not is_sealed(metadata):
        raise DataError(
            f"{path}: its header is damaged, or not of this version of the workflow; delete it and run again"
        )
    return metadata


def merge_part(
    block: MergeBlock, root: str, process: str, part: int, shards: Mapping[str, Sequence[Shard]]
) -> PartResult:
    """Write the files of one part, one per split, and return their entries in the manifest."""
    first = part * block.events_per_part
    last = min(first + block.events_per_part, block.processes[process].events)
    tables = {variant: read_events(shards[variant], process, first, last) for variant in block.variants}
    ok = np.stack([table["status"].to_numpy() == Status.OK for table in tables.values()])
    _check_hard_events(tables)
    sum_weights = float(pc.sum(tables["nominal"]["weight"]).as_py())
    tables = {
        variant: _with_shower_weights(_with_types_of(tables["nominal"], table))
        for variant, table in tables.items()
    }
    complete = ok[[variant not in block.limited for variant in block.variants]]
    keep = complete.sum(axis=0) >= block.min_views
    split = np.array([split_of(block.seed, block.splits, process, event) for event in range(first, last)])
    files = [
        _write_split(block, root, process, part, name, tables, ok & (keep & (split == name))) for name in SPLITS
    ]
    return PartResult(
        files=files,
        status={variant: _count_status(table) for variant, table in tables.items()},
        all_variants=int(complete.all(axis=0).sum()),
        two_variants=int((complete.sum(axis=0) >= 2).sum()),
        sum_weights=sum_weights,
        survival=moments(tables, complete),
    )


def read_events(shards: Sequence[Shard], process: str, first: int, last: int) -> pa.Table:
    """Return the rows of the hard events ``first ... last - 1`` and check their keys one by one."""
    pieces = []
    for shard in shards:
        start, stop = max(first, shard.first), min(last, shard.first + shard.events)
        if start < stop:
            pieces.append(_read_rows(shard, start - shard.first, stop - shard.first))
    table = pa.concat_tables(pieces).combine_chunks()
    expected = np.array([seeds.event_id(process, event) for event in range(first, last)])
    keys = table["event_id"].to_numpy()
    if not np.array_equal(keys, expected):
        names = ", ".join(shard.path for shard in shards)
        raise DataError(f"rows are not the hard events {first} ... {last - 1} of {process}, in order: {names}")
    return table


def _read_rows(shard: Shard, start: int, stop: int) -> pa.Table:
    """Return the rows ``start ... stop - 1`` of a file of jets after verifying the checksum of all its values.

    The file is read in row groups, so that memory holds only the rows and one row group.
    """
    digest, rows, kept = ValuesDigest(), 0, [jets_schema().empty_table()]
    try:
        with pq.ParquetFile(shard.path) as file:
            same_columns = file.schema_arrow.remove_metadata() == jets_schema()
            for group in range(file.num_row_groups):
                table = file.read_row_group(group).replace_schema_metadata(None)
                table.validate(full=True)
                digest.update(table)
                first, last = max(start - rows, 0), min(stop - rows, table.num_rows)
                rows += table.num_rows
                if first < last and same_columns:
                    kept.append(table.slice(first, last - first))
    except _DAMAGE as error:
        raise DataError(f"{shard.path}: damaged ({error}); delete it and run again") from None
    if rows != shard.events:
        raise DataError(f"{shard.path}: {rows} rows for {shard.events} hard events; delete it and run again")
    if digest.hexdigest() != shard.values_sha256 or not same_columns:
        raise DataError(f"{shard.path}: its values were changed after it was written; delete it and run again")
    return pa.concat_tables(kept)


def _check_shards(block: MergeBlock, process: str, variant: str, shards: Sequence[Shard]) -> None:
    expected = 0
    for shard in shards:
        if (shard.process, shard.variant) != (process, variant):
            raise DataError(
                f"{shard.path}: holds {shard.process}, {shard.variant}, not {process}, {variant}; "
                "delete it and run again"
            )
        if json.loads(shard.resimulation)["seed"] != block.seed:
            raise DataError(f"{shard.path}: made with another campaign seed; delete it and run again")
        if shard.first != expected:
            raise DataError(
                f"{shard.path}: begins with hard event {shard.first}, not {expected}; delete it and run again"
            )
        if shard.resimulation != shards[0].resimulation:
            raise DataError(f"{shard.path}: made with other settings than {shards[0].path}; run again")
        expected += shard.events
    if expected != block.processes[process].events:
        raise DataError(
            f"the shards of {process}, {variant} hold {expected} of {block.processes[process].events} hard events"
        )


def _check_one_pythia(shards: Sequence[Shard]) -> None:
    versions = {shard.pythia: shard.path for shard in shards}
    if len(versions) > 1:
        examples = "; ".join(f"{version}: {path}" for version, path in sorted(versions.items()))
        raise DataError(
            f"shards were made with different versions of Pythia ({examples}): the same seed gives other events; "
            "delete those of one version and run again"
        )


def _check_hard_events(tables: Mapping[str, pa.Table]) -> None:
    """Raise :class:`DataError` unless every view of an event carries the same hard event, to the bit."""
    columns = [
        "event_id", FINGERPRINT, "weight",
        "parton_pdg_id", "parton_pt", "parton_eta", "parton_phi", "parton_energy",
    ]  # fmt: skip
    nominal = tables["nominal"].select(columns)
    for variant, table in tables.items():
        if not table.select(columns).equals(nominal):
            raise DataError(
                f"the hard events of {variant} are not those of nominal; delete its jets and run again"
            )


def check_no_event_twice(paths: CampaignPaths, process: str, shards: Sequence[Shard]) -> None:
    """Raise :class:`DataError` if two hard events of a process are the same but for their keys and weights.

    All shards and splits are compared, which takes 16 bytes per event.
    """
    found = first_repeated(_fingerprints(shards))
    if found is None:
        return
    first, second, pairs = found
    files = [paths.hard(process, shard_name(i)) for i in (_shard_of(shards, first), _shard_of(shards, second))]
    names = ", ".join(dict.fromkeys(files))
    raise DataError(
        f"the hard events {first} and {second} of {process} are one and the same ({names}; {pairs} such "
        "pairs in all): it would count twice, and could be in training and test; delete the shards that are "
        "named, and run again"
    )


def _shard_of(shards: Sequence[Shard], event: int) -> int:
    return next(i for i, shard in enumerate(shards) if event < shard.first + shard.events)


def _fingerprints(shards: Sequence[Shard]) -> npt.NDArray[np.uint64]:
    """Return the fingerprint of each hard event [E], by index."""
    result = np.zeros(sum(shard.events for shard in shards), np.uint64)
    for shard in shards:
        try:
            with pq.ParquetFile(shard.path) as file:
                values = file.read(columns=[FINGERPRINT])[FINGERPRINT].to_numpy()
            result[shard.first : shard.first + shard.events] = values
        except KeyError:
            raise DataError(f"{shard.path}: of another version of the workflow; delete it and run again") from None
        except _DAMAGE as error:
            raise DataError(f"{shard.path}: damaged ({error}); delete it and run again") from None
    return result


def _with_shower_weights(table: pa.Table) -> pa.Table:
    """Return ``table`` with the weights of its views, which are hard-event weight times shower weight."""
    column = table.schema.get_field_index("weight")
    weight = pc.multiply(table["weight"], table[SHOWER_WEIGHT])
    return table.set_column(column, table.schema.field(column), weight)


def _with_types_of(nominal: pa.Table, table: pa.Table) -> pa.Table:
    """Return ``table`` with the jet types of the nominal, because only its shower tells how a gluon splits."""
    column = table.schema.get_field_index("jet_type")
    return table.set_column(column, table.schema.field(column), nominal["jet_type"])


def _write_split(
    block: MergeBlock,
    root: str,
    process: str,
    part: int,
    split: str,
    tables: Mapping[str, pa.Table],
    chosen: Bools,
) -> dict[str, Any]:
    """Write the chosen views [V, E] of one split, the views of an event adjacent; return the file's entry."""
    path = Path(CampaignPaths(root).part(split, process, shard_name(part)))
    schema = dataset_schema()
    rows = 0
    with atomic(path) as temporary:
        with pq.ParquetWriter(temporary, schema, **parquet_options(schema)) as writer:
            for events in _row_groups(chosen, block.events_per_row_group):
                group = _rows(block, process, tables, chosen, events)
                writer.write_table(group, row_group_size=max(group.num_rows, 1))
                rows += group.num_rows
        digest = sha256(temporary)
    return {
        "path": f"{split}/{path.name}",
        "split": split,
        "process": process,
        "events": int(chosen.any(axis=0).sum()),
        "rows": rows,
        "sha256": digest,
    }


def _row_groups(chosen: Bools, size: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the positions of the events with a chosen view, ``size`` at a time."""
    events = np.flatnonzero(chosen.any(axis=0))
    for start in range(0, len(events), size):
        yield events[start : start + size]


def _rows(
    block: MergeBlock,
    process: str,
    tables: Mapping[str, pa.Table],
    chosen: Bools,
    events: npt.NDArray[np.int64],
) -> pa.Table:
    """Return the chosen views of ``events``, ordered by event and then by variant."""
    views = [
        table.take(pa.array(events[chosen[v, events]])).append_column(
            "variant", pa.array([name] * int(chosen[v, events].sum()), pa.string())
        )
        for v, (name, table) in enumerate(tables.items())
    ]
    position = np.concatenate([events[chosen[v, events]] for v in range(len(views))])
    order = np.argsort(position, kind="stable")
    rows = pa.concat_tables(views).take(pa.array(order))
    constant = {"process": process, "label": block.processes[process].label}
    return pa.table(
        [
            pa.array([constant[field.name]] * rows.num_rows, field.type)
            if field.name in constant
            else rows[field.name].combine_chunks().cast(field.type)
            for field in dataset_schema()
        ],
        schema=dataset_schema(),
    )


def _count_status(table: pa.Table) -> Counter[str]:
    counts = Counter(table["status"].to_pylist())
    return Counter({status.name.lower(): counts[status.value] for status in Status})


def _n_parts(block: MergeBlock, process: str) -> int:
    return -(-block.processes[process].events // block.events_per_part)


def _manifest(
    block: MergeBlock, shards: Mapping[str, Mapping[str, list[Shard]]], results: Sequence[PartResult]
) -> dict[str, Any]:
    by_process = {process: [r for r in results if r.files[0]["process"] == process] for process in block.processes}
    return {
        "format": FORMAT,
        "campaign": block.campaign,
        "seed": block.seed,
        "pythia": shards[next(iter(shards))]["nominal"][0].pythia,
        "detector": json.loads(shards[next(iter(shards))]["nominal"][0].resimulation)["detector"]["response"],
        "min_views": block.min_views,
        "variants": dict(block.variants),
        "limited": dict(block.limited),
        "processes": {
            process: _process_entry(block, process, shards[process]["nominal"], by_process[process])
            for process in block.processes
        },
        "files": sorted((file for result in results for file in result.files), key=lambda file: file["path"]),
        "schema": {field.name: str(field.type) for field in dataset_schema()},
    }


def _process_entry(
    block: MergeBlock, process: str, nominal: Sequence[Shard], results: Sequence[PartResult]
) -> dict[str, Any]:
    events = block.processes[process].events
    status = {
        variant: {
            key: sum(result.status[variant][key] for result in results) for key in results[0].status[variant]
        }
        for variant in block.variants
    }
    sigma, error = cross_section([shard.subprocesses for shard in nominal])
    return {
        "label": block.processes[process].label,
        "use": block.processes[process].use,
        "hard_events": events,
        "cross_section_pb": _rounded(sigma),
        "cross_section_error_pb": _rounded(error),
        "sum_weights": sum(result.sum_weights for result in results),
        "status": status,
        "matching_efficiency": {
            variant: counts["ok"] / max(events - counts["skipped"], 1) for variant, counts in status.items()
        },
        "matching_efficiency_all_variants": sum(result.all_variants for result in results) / events,
        "matching_efficiency_two_variants": sum(result.two_variants for result in results) / events,
        "survival": survival([result.survival for result in results]),
    }


def _rounded(value: float) -> float:
    """Return six digits, because the last bits depend on how the events were cut into shards."""
    return float(f"{value:.6g}")


def _provenance(block: MergeBlock, shards: Mapping[str, Mapping[str, list[Shard]]]) -> dict[str, Any]:
    return provenance(
        block=block.model_dump(),
        resimulation={
            process: {variant: json.loads(files[0].resimulation) for variant, files in by_variant.items()}
            for process, by_variant in shards.items()
        },
        shards={process: len(by_variant["nominal"]) for process, by_variant in shards.items()},
    )
