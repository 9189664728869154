"""The files of jets that a merge reads: their headers, and what must hold before anything is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.config.blocks import MergeBlock
from rs3l.dataset.checksum import VALUES, is_sealed
from rs3l.dataset.schema import FINGERPRINT
from rs3l.errors import DataError
from rs3l.lhe.cross_section import Sums
from rs3l.paths import CampaignPaths, shard_name
from rs3l.repeated import first_repeated

DAMAGE = (OSError, ValueError, pa.ArrowException)
"""The exceptions that reading a damaged Parquet file raises."""


@dataclass(frozen=True)
class Shard:
    """One file of jets with the content of its header.

    ``weights`` are the columns of further weights of the hard events, with the identifiers that they had.
    """

    path: str
    process: str
    variant: str
    first: int
    events: int
    pythia: str
    subprocesses: Sums
    resimulation: str
    values_sha256: str
    weights: Mapping[str, str] = field(default_factory=dict)
    pileup: str = ""

    @property
    def bands(self) -> dict[str, str]:
        """Variations of the shower by name."""
        found: dict[str, str] = json.loads(self.resimulation).get("bands", {})
        return found


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
    every = [s for by_variant in found.values() for shards in by_variant.values() for s in shards]
    _check_one_pythia(every)
    _check_one_pool(every)
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
            weights=json.loads(values.get("weights", "{}")),
            pileup=values.get("pileup", ""),
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
    except DAMAGE as error:
        raise DataError(f"{path}: truncated or damaged ({error}); delete it and run again") from None
    if not is_sealed(metadata):
        raise DataError(
            f"{path}: its header is damaged, or not of this version of the workflow; delete it and run again"
        )
    return metadata


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
        if shard.weights != shards[0].weights:
            raise DataError(
                f"{shard.path}: its hard events have other weights than those of {shards[0].path}; delete it and "
                "run again"
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


def _check_one_pool(shards: Sequence[Shard]) -> None:
    """Raise :class:`DataError` if the pile-up of two shards comes from pools with other events."""
    pools = {shard.pileup: shard.path for shard in shards if shard.pileup}
    if len(pools) > 1:
        raise DataError(
            f"shards were made with different pools of pile-up ({'; '.join(sorted(pools.values()))}): delete "
            "those of one pool and run again"
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
        except DAMAGE as error:
            raise DataError(f"{shard.path}: damaged ({error}); delete it and run again") from None
    return result
