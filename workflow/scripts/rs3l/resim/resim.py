"""Stage 2 re-simulates the hard events of a shard under one variant, or under several that share the shower."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rs3l.config.blocks import ResimBlock
from rs3l.dataset.jets_file import JetsFile
from rs3l.dataset.schema import Status
from rs3l.dataset.splits import is_chosen
from rs3l.errors import DataError, GeneratorError
from rs3l.files import atomic
from rs3l.hard.anchor import Anchor, find_anchor
from rs3l.hard.jet_types import GLUON, GluonSplittings
from rs3l.lhe.lhe import HardEvent, ShardInfo, open_shard
from rs3l.lhe.weights import PREFIX
from rs3l.pythia import installed_version
from rs3l.pythia_reason import reason
from rs3l.resim import shower
from rs3l.resim.external.alternative import Alternative
from rs3l.resim.jet_table import jet_table
from rs3l.resim.pileup.pool import FilePool, Pool
from rs3l.resim.shared import SharedShower, check_shared
from rs3l.resim.shower import Particles, Recorder, Showerer, no_particles

EFFECT_EVENTS = 100
"""Number of events of the first shard in which a variant's settings must change something.

Settings that change none of them are rejected. Usually one event is enough to tell.
"""

MAX_FAILED_FRACTION = 0.05
"""Largest fraction of events that Pythia may fail to complete before the job stops."""

Shower = Callable[[Sequence[HardEvent], Recorder], list[list[Particles]]]
"""A function that takes some events and a recorder of the nominal's parton level.

It returns the batches of each view.
"""


def resimulate_shard(
    block: ResimBlock,
    hard: str | Path,
    out: str | Path,
    first: int | None = None,
    pileup: Sequence[str | Path] = (),
) -> None:
    """Re-simulate the LHE shard ``hard`` and write one row per hard event, in its order, to ``out``.

    ``first`` is the hard event that the shard must begin with, if known, and ``pileup`` are the files of the pool
    if the variant has pile-up. Raises :class:`DataError` for a damaged
    or foreign shard or pool, and :class:`GeneratorError` if Pythia refuses the variant or fails on more than
    ``MAX_FAILED_FRACTION`` of the events. Memory does not grow with the number of events.
    """
    resimulate_together([block], hard, [out], first, pileup)


def resimulate_together(
    views: Sequence[ResimBlock],
    hard: str | Path,
    outs: Sequence[str | Path],
    first: int | None = None,
    pileup: Sequence[str | Path] = (),
) -> None:
    """Re-simulate a shard under several variants in one job, with a file for each.

    The first variant is the nominal, whose shower the others share while they resample a later stage. The files
    equal those of :func:`resimulate_shard` to the bit, and the errors are the same.
    """
    if len(outs) != len(views):
        raise DataError(f"{len(outs)} files for {len(views)} variants; name one for each")
    info, events = open_shard(hard)
    _check_shard(views[0], hard, info, first)
    _check_columns(views, hard, info)
    pool = _open_pool(views, pileup)
    if info.first == 0:
        events = _checked(views, events)
    start = perf_counter()
    with ExitStack() as stack:
        further = list(info.weights or {})
        files = [
            stack.enter_context(JetsFile(stack.enter_context(atomic(out)), further, list(view.bands)))
            for view, out in zip(views, outs, strict=True)
        ]
        for tables in jet_tables(views, events, pool):
            for file, table in zip(files, tables, strict=True):
                file.write(table)
        for view, file in zip(views, files, strict=True):
            _check_failures(file, view, hard, external=info.source is not None)
            file.finish(_metadata(view, info, pool))
    seconds = perf_counter() - start
    for out in outs:
        logging.info("%s: %d events in %.1f s, %.0f events/s", out, info.events, seconds, info.events / seconds)


def _open_pool(views: Sequence[ResimBlock], files: Sequence[str | Path]) -> FilePool | None:
    """Return the pool of the views that have pile-up, which is one, or None if none has."""
    block = next((view.pileup.pool for view in views if view.pileup), None)
    return FilePool(files, block) if block else None


def resimulate(block: ResimBlock, events: Sequence[HardEvent], pool: Pool | None = None) -> pa.Table:
    """Return the jets of ``events`` under the variant, one row per event (schema ``jets_schema``)."""
    return pa.concat_tables(table for (table,) in jet_tables([block], events, pool))


def jet_tables(
    views: Sequence[ResimBlock], events: Iterable[HardEvent], pool: Pool | None = None
) -> Iterator[list[pa.Table]]:
    """Yield the jets of some events at a time, as a table per view with one row per event, in order.

    Gluons are typed by their splitting in the nominal only; the merge gives all views the nominal's type.
    """
    if views[0].generator:  # a command works on all events at once
        whole = list(events)
        chosen = chosen_events(views[0], whole)
        batches = Alternative(views[0], [whole[i] for i in chosen]).batches() if len(chosen) else [no_particles()]
        yield [jet_table(views[0], whole, _anchors(views[0], whole), batches, chosen, pool)]
        return
    showers = _showers(views)
    for some in _chunks(events, shower.BATCH):
        yield _tables_of(views, some, showers, pool)


def _tables_of(
    views: Sequence[ResimBlock], events: Sequence[HardEvent], showers: Shower, pool: Pool | None
) -> list[pa.Table]:
    """Return a table per view of the same events; only a single view may leave some out."""
    anchors, chosen = _anchors(views[0], events), chosen_events(views[0], events)
    splittings = GluonSplittings(_gluons(anchors) if views[0].variant == "nominal" else {})
    asked = [events[i] for i in chosen]
    batches = showers(asked, splittings) if asked else [[no_particles()]]
    typed = [replace(a, jet_type=splittings.types.get(i, a.jet_type)) for i, a in enumerate(anchors)]
    return [
        jet_table(view, events, typed if view.variant == "nominal" else anchors, of_view, chosen, pool)
        for view, of_view in zip(views, batches, strict=True)
    ]


def chosen_events(block: ResimBlock, events: Sequence[HardEvent]) -> npt.NDArray[np.int64]:
    """Return the positions of the events that the variant re-simulates."""
    chosen = block.chosen
    if chosen is None:
        return np.arange(len(events))
    return np.flatnonzero([is_chosen(block.seed, chosen, block.process, event.index) for event in events])


def _showers(views: Sequence[ResimBlock]) -> Shower:
    """Return the function that simulates some events under all views."""
    if len(views) > 1:
        return SharedShower(views).shower
    alone = Showerer(views[0])
    return lambda events, recorder: [[alone.shower(events, recorder)]]


def _chunks(events: Iterable[HardEvent], size: int) -> Iterator[list[HardEvent]]:
    """Yield ``size`` events at a time."""
    rest = iter(events)
    while some := list(islice(rest, size)):
        yield some


def _anchors(block: ResimBlock, events: Sequence[HardEvent]) -> list[Anchor]:
    return [find_anchor(event, block.anchor, block.anchor_choice) for event in events]


def _gluons(anchors: Sequence[Anchor]) -> dict[int, tuple[float, float]]:
    """Return the directions of the anchors that are gluons, by position."""
    return {i: (anchor.eta, anchor.phi) for i, anchor in enumerate(anchors) if _splits(anchor)}


def _splits(anchor: Anchor) -> bool:
    return anchor.pdg_id == GLUON and anchor.has_direction


def _check_shard(block: ResimBlock, hard: str | Path, info: ShardInfo, first: int | None) -> None:
    """Raise :class:`DataError` unless the shard is the one that this job is about."""
    if info.process != block.process:
        raise DataError(f"{hard}: holds events of {info.process}, not of {block.process}; delete it and run again")
    if info.seed != block.seed:
        raise DataError(f"{hard}: made with another campaign seed; delete it and run again")
    if first is not None and info.first != first:
        raise DataError(f"{hard}: begins with hard event {info.first}, not {first}; delete it and run again")
    installed = installed_version()
    if info.pythia not in (installed, ""):  # empty if the events come from external files, not from Pythia
        raise DataError(
            f"{hard}: made with Pythia {info.pythia}, but {installed} is installed, and the same seed gives other "
            f"events there; install Pythia {info.pythia} again, or start another campaign (key `campaign`)"
        )


def _check_columns(views: Sequence[ResimBlock], hard: str | Path, info: ShardInfo) -> None:
    """Raise :class:`DataError` if a band of the shower would be the column of a weight of the hard events."""
    for view in views:
        both = {PREFIX + name for name in view.bands} & set(info.weights or {})
        if both:
            column = min(both)
            raise DataError(
                f"{hard}: its weight {(info.weights or {})[column]!r} and the band {column.removeprefix(PREFIX)} "
                f"would both be the column {column}: rename the band in variants.{view.variant}.bands"
            )


def _checked(views: Sequence[ResimBlock], events: Iterator[HardEvent]) -> Iterator[HardEvent]:
    """Return the same events after the first have shown that the variants are what they say."""
    head = list(islice(events, EFFECT_EVENTS))
    check_directions(views[0], head)
    for view in views:
        check_effect(view, head)
    check_shared(views, head)
    return chain(head, events)


def check_directions(block: ResimBlock, events: Sequence[HardEvent]) -> None:
    """Raise :class:`DataError` if no anchor of ``events`` moves across the beam and could have a jet."""
    if events and not any(anchor.has_direction for anchor in _anchors(block, events)):
        raise DataError(
            f"processes.{block.process}: in the first {len(events)} hard events the anchor {block.anchor} moves "
            "along the beam, as at leading order in gg -> H or pp -> Z: it has no direction that a jet could be "
            "near. Choose a process in which it recoils against a parton, or another `anchor`"
        )


def check_effect(block: ResimBlock, events: Sequence[HardEvent]) -> None:
    """Raise :class:`GeneratorError` if the variant's settings change none of ``events``.

    Both are simulated with the nominal's random numbers, so that only the settings can tell them apart. Pythia
    does not say when one part of it ignores the settings of another, as VINCIA ignores those of the default
    shower.
    """
    if block.baseline is None or not events:
        return
    own = block.model_copy(update={"resample": None, "bands": {}})
    nominal = own.model_copy(update={"pythia": block.baseline})
    ours, theirs = Showerer(own), Showerer(nominal)
    pieces = (events[:1], events[1:10], events[10:])
    if all(ours.shower(some).same_as(theirs.shower(some)) for some in pieces if some):
        raise GeneratorError(
            f"variants.{block.variant}.pythia: these settings change none of the first {len(events)} events of "
            f"{block.process}; remove the variant, or name the keys that the chosen shower and models know"
        )


def _check_failures(file: JetsFile, block: ResimBlock, hard: str | Path, external: bool) -> None:
    failed, asked = file.status[Status.FAILED], file.rows - file.status[Status.SKIPPED]
    if not failed:
        return
    name, key, limit, why = "Pythia", "pythia", MAX_FAILED_FRACTION, ""
    if block.generator:
        name, key, limit = "the external generator", "generator", block.generator.max_failed
    elif file.first_failed is not None:
        why = f" ({_why(block, hard, file.first_failed)})"
    if failed > limit * asked:
        raise GeneratorError(
            f"{hard}: {name} failed on {failed} of {asked} events under the variant {block.variant}{why}; "
            f"check variants.{block.variant}.{key}" + (f", and processes.{block.process}.lhe" if external else "")
        )
    logging.warning("%s: %s failed on %d of %d events%s", hard, name, failed, asked, why)


def _why(block: ResimBlock, hard: str | Path, row: int) -> str:
    """Return what Pythia says of the event in a row of the shard, which fails in the same way alone."""
    event = next(islice(open_shard(hard)[1], row, None))
    return f"hard event {event.index}: {reason(lambda: Showerer(block).shower([event]))}"


def _metadata(block: ResimBlock, info: ShardInfo, pool: FilePool | None) -> dict[str, str]:
    """Return what the merge needs to know of a shard, as the file's metadata."""
    return {
        **({"rs3l.weights": json.dumps(info.weights)} if info.weights else {}),
        **({"rs3l.pileup": pool.digest} if block.pileup and pool else {}),
        "rs3l.block": block.model_dump_json(),
        "rs3l.first": str(info.first),
        "rs3l.events": str(info.events),
        "rs3l.pythia": installed_version(),
        "rs3l.subprocesses": json.dumps(info.subprocesses),
    }
