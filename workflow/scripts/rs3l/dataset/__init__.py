"""The data set that the merge writes and all later stages read, and :func:`write` for one of own jets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from rs3l.dataset.own.jets import Jets

__all__ = ["Jets", "write"]


def write(
    jets: Any,
    out: str | Path,
    *,
    name: str = "own",
    process: str = "",
    labels: Mapping[str, str] | None = None,
    downstream: Collection[str] = (),
    held_out: Collection[str] = (),
    splits: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 20240311,
    constituents: int | None = None,
    leave_out_invalid: bool = False,
    events_per_part: int = 20_000,
    events_per_row_group: int = 1_000,
) -> dict[str, Any]:
    """Write a data set of own jets to the new folder ``out``, whole or not at all, and return its manifest.

    ``jets`` are one :class:`Jets` or several, or the data of one: a path (Parquet, ROOT, JetClass's layout),
    arrays, or an iterator of arrays. The columns are listed in docs/own_jets.md; units are GeV, mm and radians.
    Views with one ``event_id`` are those of one event of their process, wherever they come from; without that
    column, every jet is an event of its own.

    ``process`` is that of sources that name none. ``labels`` are texts for processes. Processes are for
    pre-training, but for those that are ``downstream``; variants are for training, but for those that are
    ``held_out``. ``splits`` are the fractions of train, validation and test, or of train, label, validation and
    test with events for labels alone: the split of an event follows from ``seed``, process and number, where the
    source gives none. At most ``constituents`` candidates of a jet
    are stored. With ``leave_out_invalid``, jets with values that cannot be used are left out and counted.

    Memory does not grow with the number of jets. Jets with event numbers wait on the disk beside ``out``, so that
    about twice the space is needed while it is written. Raises :class:`rs3l.errors.DataError`, which names source,
    column and row, and :class:`rs3l.errors.ConfigError` for options that cannot be met.
    """
    from dataclasses import replace

    from rs3l.config.dataset import splits_of
    from rs3l.dataset.own.write import WriteOptions, write_dataset

    sources: Sequence[Any] = jets if isinstance(jets, list | tuple) else [jets]
    named = [one if isinstance(one, Jets) else Jets(one) for one in sources]
    return write_dataset(
        [replace(one, process=one.process or process) for one in named],
        out,
        WriteOptions(
            name=name,
            labels=labels or {},
            downstream=downstream,
            held_out=held_out,
            splits=splits_of(splits, f"splits: {' '.join(map(str, splits))}"),
            seed=seed,
            constituents=constituents,
            leave_out_invalid=leave_out_invalid,
            events_per_part=events_per_part,
            events_per_row_group=events_per_row_group,
        ),
    )
