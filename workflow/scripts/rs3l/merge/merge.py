"""Stage 3 zips the variants of every hard event into the data set.

Rows are aligned by position and checked by key, without a join or a shuffle. One Dask task merges a range of hard
events: it goes through the shards of all variants in step, some thousand rows at a time, and cuts parts and row
groups as it comes to their ends. Every shard is read once, and memory depends neither on the size of shards nor on
that of parts. Parts and row groups are cut by hard event, so that the files do not depend on shards and ranges.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dask

from rs3l.config.blocks import MergeBlock
from rs3l.dataset import contents
from rs3l.dataset.card import card_text
from rs3l.dataset.checksum import sealed_json
from rs3l.dataset.contents import contents_sha256
from rs3l.dataset.schema import dataset_schema
from rs3l.files import write_json, write_text
from rs3l.lhe.cross_section import cross_section
from rs3l.merge import further
from rs3l.merge.exact import rounded
from rs3l.merge.parts import Made
from rs3l.merge.ranges import Merged, merge_range, merge_seam, ranges
from rs3l.merge.replace import new_splits
from rs3l.merge.shards import Shard, check_no_event_twice, find_shards
from rs3l.merge.survival import survival
from rs3l.merge.views import Counts, added_counts
from rs3l.merge.workers import Jobs, compute
from rs3l.paths import CampaignPaths, Split
from rs3l.provenance import provenance

FORMAT = 1
Shards = Mapping[str, Mapping[str, list[Shard]]]
"""The files of jets by process and variant."""


def merge(block: MergeBlock, root: str, workers: int, jobs: Jobs | None = None) -> dict[str, Any]:
    """Write the data set under ``root`` with local ``workers`` or as Slurm ``jobs``; return its manifest.

    An older data set there is replaced as a whole in the end. Before anything is written, this raises
    :class:`DataError` for a shard that is missing, of another campaign or of another version of Pythia, or whose
    header is damaged, for a hard event that a process has twice, and for an older data set with foreign files
    beside it. Before anything is replaced, it raises it for a shard with damaged values, and for rows that are not
    the expected hard events.
    """
    paths = CampaignPaths(root)
    shards = find_shards(block, paths)
    for process, by_variant in shards.items():
        check_no_event_twice(paths, process, by_variant["nominal"])
    block = block.model_copy(update={"weights": further.columns(shards)})
    with new_splits(paths) as new:
        named = list(tasks(block, new, shards, jobs.number if jobs else workers))
        results = compute([task for _, task in named], workers, jobs)
        manifest = _manifest(block, shards, [(n[0], r) for n, r in zip(named, results, strict=True)])
    write_text(paths.card, card_text(manifest))
    write_json(paths.merge_provenance, sealed_json(_provenance(block, shards)))
    write_json(paths.manifest, sealed_json(manifest))
    logging.info("%s: %d files", paths.manifest, len(manifest["files"]))
    return manifest


def tasks(block: MergeBlock, root: str, shards: Shards, workers: int) -> Iterator[tuple[str, Any]]:
    """Yield the name of a process and a task of Dask: for each range, and for each end that a part goes across."""
    for process, by_variant in shards.items():
        ends = [shard.first + shard.events for shard in by_variant["nominal"]]
        cut = ranges(ends, block.events_per_part, workers)
        done = [dask.delayed(merge_range)(block, root, process, own, by_variant) for own in cut]
        yield from ((process, task) for task in done)
        for own, task, following in zip(cut, done, done[1:], strict=False):
            if own.seam(block.events_per_part) or own.seam(contents.BLOCK):
                yield process, dask.delayed(merge_seam)(block, root, process, own, task, following)


def _manifest(block: MergeBlock, shards: Shards, results: Sequence[tuple[str, Merged | Made]]) -> dict[str, Any]:
    made = {
        process: [r.made if isinstance(r, Merged) else r for name, r in results if name == process]
        for process in block.processes
    }
    first = shards[next(iter(shards))]["nominal"][0]
    return {
        "format": FORMAT,
        "campaign": block.campaign,
        "seed": block.seed,
        "pythia": first.pythia,
        "detector": json.loads(first.resimulation)["detector"]["response"],
        **_pileup(shards),
        "min_views": block.min_views,
        "variants": dict(block.variants),
        "limited": dict(block.limited),
        "processes": {
            process: _process_entry(
                block,
                process,
                shards[process],
                added_counts([r.counts for name, r in results if name == process and isinstance(r, Merged)]),
            )
            for process in block.processes
        },
        "files": sorted((f for pieces in made.values() for m in pieces for f in m.files), key=lambda f: f["path"]),
        "digests": {
            split: {process: _digests(pieces, split) for process, pieces in made.items()}
            for split in block.splits.names
        },
        "schema": {field.name: str(field.type) for field in dataset_schema(block.weights)},
    }


def _pileup(shards: Shards) -> dict[str, Any]:
    """Return the entry on pile-up: the digest of its pool, and the settings of the variants that have some."""
    every = [files[0] for by_variant in shards.values() for files in by_variant.values()]
    blocks = {shard.variant: json.loads(shard.resimulation).get("pileup") for shard in every}
    settings = {variant: block["settings"] for variant, block in blocks.items() if block}
    if not settings:
        return {}
    pool = next(block["pool"] for block in blocks.values() if block)
    digest = next(shard.pileup for shard in every if shard.pileup)
    drawn = sum(
        shard.events * json.loads(shard.resimulation)["pileup"]["settings"]["mean"]
        for by_variant in shards.values()
        for files in by_variant.values()
        for shard in files
        if shard.pileup
    )
    entry = {"pool_sha256": digest, "events": pool["events"], "uses": _rounded(drawn / pool["events"])}
    return {"pileup": {**entry, "variants": settings}}


def _digests(pieces: Sequence[Made], split: Split) -> dict[str, str]:
    """Return the checksum of the contents of each variant in one split of a process."""
    return {
        variant: contents_sha256({n: d for piece in pieces for n, d in piece.contents[split][variant].items()})
        for variant in pieces[0].contents[split]
    }


def _process_entry(
    block: MergeBlock, process: str, shards: Mapping[str, Sequence[Shard]], counts: Counts
) -> dict[str, Any]:
    events, accepted = block.processes[process].events, block.processes[process].accepted
    sigma, error = cross_section([shard.subprocesses for shard in shards["nominal"]])
    return {
        "label": block.processes[process].label,
        "use": block.processes[process].use,
        "hard_events": events,
        "cross_section_pb": _rounded(sigma),
        "cross_section_error_pb": _rounded(error),
        "sum_weights": rounded(counts.weights),
        "status": counts.status,
        "matching_efficiency": {
            variant: status["ok"] / max(events - status["skipped"], 1) for variant, status in counts.status.items()
        },
        "matching_efficiency_all_variants": counts.all_variants / events,
        "matching_efficiency_two_variants": counts.two_variants / events,
        "survival": survival(counts.survival),
        **({"weights": further.entries(counts.further, shards, sigma)} if counts.further else {}),
        **({"accepted": list(accepted)} if accepted else {}),
    }


def _rounded(value: float) -> float:
    """Return six digits, because the last bits depend on how the events were cut into shards."""
    return float(f"{value:.6g}")


def _provenance(block: MergeBlock, shards: Shards) -> dict[str, Any]:
    return provenance(
        block=block.model_dump(),
        resimulation={
            process: {variant: json.loads(files[0].resimulation) for variant, files in by_variant.items()}
            for process, by_variant in shards.items()
        },
        shards={process: len(by_variant["nominal"]) for process, by_variant in shards.items()},
    )
