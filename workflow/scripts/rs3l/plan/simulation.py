"""The work of the stages that make the data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rs3l.config import blocks
from rs3l.config.campaign import Campaign
from rs3l.plan.work import Scope, Work, events

MERGED_GROUPS = 4
"""Row groups in the memory of a merge with two workers: read, and being written."""
_SHARED_COST = {None: 1.0, "hadronisation": 0.4, "pileup": 0.2, "detector": 0.2}
"""Cost of a variant that shares its shower with others in one job, relative to a job of its own."""


_INTERACTION = 0.02
"""Cost of a pile-up interaction relative to a shower: overlay, detector and clustering (docs/pileup.md)."""


def _shard_work(stage: str, config: Campaign, costs: Sequence[float]) -> Work:
    """Return the work of the stages that run per shard, once for each of ``costs`` (relative, per event)."""
    number = events(config)
    jobs = len(costs) * sum(len(blocks.shards(config, process)) for process in config.processes)
    largest = min(config.events_per_shard, max(p.events for p in config.processes.values()))
    return Work(stage, jobs, number * sum(costs), largest * max(costs), held=0, written=number * len(costs))


def hard(config: Campaign, scope: Scope) -> Work:
    """Return the work of the hard processes."""
    return _shard_work("hard_process", config, [1.0])


def pileup(config: Campaign, scope: Scope) -> Work:
    """Return the work of the pool of minimum-bias events, of which there is none without pile-up."""
    jobs = len(blocks.pool_shards(config))
    number = config.pileup.events if jobs else 0
    largest = min(config.pileup.events_per_shard, number)
    return Work("pileup", jobs, number, largest, held=0, written=number)


def resimulate(config: Campaign, scope: Scope) -> Work:
    """Return the work of the re-simulation, with a job per variant or one for all that share a shower."""
    costs = [
        _cost(config, name, 1.0) * blocks.chosen_fraction(config, name) for name in blocks.own_variants(config)
    ]
    if shared := blocks.shared_variants(config):
        costs.append(sum(_cost(config, v, _SHARED_COST[config.variants[v].resample]) for v in shared))
    return replace(_shard_work("resimulate", config, costs), written=events(config) * len(config.variants))


def _cost(config: Campaign, variant: str, shower: float) -> float:
    """Return the cost of an event under a variant whose ``shower`` costs so much, with its pile-up."""
    return shower * config.variants[variant].cost + _INTERACTION * config.pileup_of(variant).mean


def merge(config: Campaign, scope: Scope) -> Work:
    """Return the work of the merge, whose workers go through the shards and hold a few row groups."""
    showers = events(config) * len(config.variants)
    rows = min(config.dataset.events_per_row_group, max(p.events for p in config.processes.values()))
    return Work("merge", 1, showers, showers, held=MERGED_GROUPS * rows * len(config.variants), written=showers)
