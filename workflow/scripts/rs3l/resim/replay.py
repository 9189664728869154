"""Replay one event alone, as it was in the campaign, with its record in the generator and its row of jets."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rs3l import seeds
from rs3l.config import Campaign, blocks
from rs3l.dataset.splits import is_chosen, split_of
from rs3l.errors import ConfigError, DataError
from rs3l.hard.hard import generate_shard
from rs3l.lhe.lhe import HardEvent, open_shard, read_shard
from rs3l.paths import CampaignPaths, shard_name
from rs3l.resim.pileup.pool import FilePool, MadePool, Pool
from rs3l.resim.resim import resimulate
from rs3l.resim.shower import Showerer


@dataclass(frozen=True)
class Replay:
    """An event under one variant, with its place in the campaign and its row.

    ``stored`` is the row of the campaign, if it is there. ``showerer`` holds Pythia with the complete event.
    """

    process: str
    index: int
    shard: str
    row: pa.Table
    stored: pa.Table | None
    showerer: Showerer

    @property
    def identical(self) -> bool | None:
        """Whether the row is that of the campaign, to the bit; None if the campaign does not have it."""
        return None if self.stored is None else self.row.equals(self.stored)


def replay(config: Campaign, event_id: int, variant: str, folder: str | Path = ".") -> Replay:
    """Simulate one event again; ``folder`` is where Snakemake runs.

    Its hard event is read from the campaign's shard, or generated without one. Raises :class:`ConfigError` for an
    unknown variant, and :class:`DataError` for an id that no process of the campaign has.
    """
    if config.source:
        raise ConfigError("the jets of this campaign come from files (source): none can be simulated again")
    process, index = locate(config, event_id)
    block = blocks.resim(config, process, variant)
    if block.generator:
        raise DataError(f"variants.{variant}: made by a command of its own, which shows no single event")
    if block.chosen and not is_chosen(config.seed, block.chosen, process, index):
        split = split_of(config.seed, config.dataset.splits, process, index)
        key = "splits" if split not in block.chosen.only else "fraction"
        raise DataError(f"{event_id}: in the split {split}, which variants.{variant}.{key} leaves out")
    paths = CampaignPaths(str(Path(folder) / config.root))
    shard = shard_name(index // config.events_per_shard)
    event = _hard_event(config, process, index, Path(paths.hard(process, shard)))
    showerer = Showerer(block)
    showerer.shower([event])
    row = resimulate(block, [event], _pool(config, block, paths)).combine_chunks()
    stored = _stored(Path(paths.jets(process, variant, shard)), event_id)
    return Replay(process, index, shard, row, stored, showerer)


def _pool(config: Campaign, block: blocks.ResimBlock, paths: CampaignPaths) -> Pool | None:
    """Return the campaign's pool of minimum-bias events, or if it is not there, one that makes those drawn."""
    if block.pileup is None:
        return None
    files = [Path(paths.pool(shard_name(shard))) for shard in blocks.pool_shards(config)]
    there = all(path.exists() for path in files)
    return FilePool(files, block.pileup.pool) if there else MadePool(block.pileup.pool)


def locate(config: Campaign, event_id: int) -> tuple[str, int]:
    """Return process and index of a hard event; raises :class:`DataError` if the campaign has no such event."""
    index = seeds.event_index(event_id)
    for process, settings in config.processes.items():
        if seeds.event_id(process, index) == event_id and index < settings.events:
            return process, index
    raise DataError(f"{event_id}: no hard event of the campaign {config.campaign} has this event_id")


def _hard_event(config: Campaign, process: str, index: int, path: Path) -> HardEvent:
    if path.exists():
        return next(islice(open_shard(path)[1], index % config.events_per_shard, None))
    block = blocks.hard(config, process, index // config.events_per_shard)
    if not isinstance(block, blocks.HardBlock):
        raise DataError(f"{path}: missing; its events come from external files: make it first (snakemake {path})")
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / "hard.lhe.gz"
        generate_shard(block.model_copy(update={"first": index, "events": 1}), alone)
        return read_shard(alone)[1][0]


def _stored(path: Path, event_id: int) -> pa.Table | None:
    if not path.exists():
        return None
    table = pq.read_table(path).replace_schema_metadata(None)
    return table.filter(pc.field("event_id") == event_id).combine_chunks()
