"""Rows that do not fit in memory come in the order of their events, whatever the runs, as a sort in memory has them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from rs3l.dataset.own import order
from rs3l.dataset.own.order import Runs

SCHEMA = pa.schema([("event_id", pa.int64()), ("variant", pa.string()), ("x", pa.list_(pa.int64()))])
VARIANTS = ["nominal", "b", "a"]


def table(seed: int, events: int) -> pa.Table:
    """Return views of events in any order, each row with a number of its own."""
    rng = np.random.default_rng(seed)
    rows = [(event, name) for event in range(events) for name in VARIANTS if rng.random() < 0.7]
    rng.shuffle(rows)
    return pa.Table.from_pylist(
        [
            {"event_id": int(event), "variant": str(name), "x": [i] * (i % 4)}
            for i, (event, name) in enumerate(rows)
        ],
        schema=SCHEMA,
    )


def slow(rows: pa.Table) -> list[dict[str, object]]:
    """Return the rows as a sort in memory has them."""
    return sorted(rows.to_pylist(), key=lambda row: (row["event_id"], VARIANTS.index(row["variant"])))


@pytest.mark.parametrize(("fan_in", "block"), [(2, 1), (2, 5), (3, 4), (64, 512)])
@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_any_order_becomes_that_of_the_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fan_in: int, block: int, piece: int
) -> None:
    monkeypatch.setattr(order, "FAN_IN", fan_in)
    monkeypatch.setattr(order, "BLOCK_ROWS", block)
    rows = table(fan_in + piece, 40)
    runs = Runs(tmp_path, SCHEMA)
    for start in range(0, rows.num_rows, piece):
        runs.append(rows.slice(start, piece))
    found = list(runs.merged(VARIANTS))
    assert pa.concat_tables(found).to_pylist() == slow(rows)
    for one, other in itertools.pairwise(found):  # no event is cut
        assert one["event_id"][-1].as_py() < other["event_id"][0].as_py()


def test_what_is_in_order_is_one_run_for_each_source(tmp_path: Path) -> None:
    """So that K files of views are merged at once, with K blocks in memory."""
    runs = Runs(tmp_path, SCHEMA)
    for seed in range(3):
        rows = pa.Table.from_pylist(slow(table(seed, 30)), schema=SCHEMA)
        for start in range(0, rows.num_rows, 8):
            runs.append(rows.slice(start, 8))
    assert len(runs.paths) == 3
    found = pa.concat_tables(runs.merged(VARIANTS))
    assert found["event_id"].to_pylist() == sorted(found["event_id"].to_pylist())
    assert found.num_rows == sum(table(seed, 30).num_rows for seed in range(3))


def test_nothing_is_nothing(tmp_path: Path) -> None:
    assert list(Runs(tmp_path, SCHEMA).merged(VARIANTS)) == []
