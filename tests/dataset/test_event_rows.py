"""Files are read in pieces, which cut no event and leave out no row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rs3l.dataset.event_rows import whole_events
from rs3l.errors import DataError


def write(path: Path, views: list[int], group: int) -> pa.Table:
    """Write a file whose event i has ``views[i]`` rows, in row groups that may cut events."""
    ids = np.repeat(np.arange(len(views)), views)
    table = pa.table({"event_id": ids, "row": np.arange(len(ids)), "other": np.zeros(len(ids))})
    pq.write_table(table, path, row_group_size=group)
    return table


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("group", [1, 4, 100])
def test_every_row_comes_once_and_with_its_event(tmp_path: Path, rows: int, group: int) -> None:
    views = [[3, 1, 1, 5, 2], [1], [2, 2]]
    written = [write(tmp_path / f"{i}.parquet", counts, group) for i, counts in enumerate(views)]
    pieces = list(whole_events([tmp_path / f"{i}.parquet" for i in range(3)], ["event_id", "row"], rows))
    assert pa.concat_tables(pieces).equals(pa.concat_tables(written).select(["event_id", "row"]))
    assert sum(len(set(piece["event_id"].to_pylist())) for piece in pieces) == 8  # no event is in two pieces
    assert max(piece.num_rows for piece in pieces) < rows + 5


def test_a_file_without_rows_has_no_event(tmp_path: Path) -> None:
    write(tmp_path / "none.parquet", [], 10)
    assert sum(piece.num_rows for piece in whole_events([tmp_path / "none.parquet"], ["event_id"])) == 0


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [1, 2], 10)
    with pytest.raises(DataError, match=r"a\.parquet: no column z; delete"):
        list(whole_events([tmp_path / "a.parquet"], ["event_id", "z"]))
    (tmp_path / "b.parquet").write_text("no table", encoding="utf-8")
    for name in ("b", "c"):
        with pytest.raises(DataError, match=rf"{name}\.parquet: cannot be read"):
            list(whole_events([tmp_path / f"{name}.parquet"], ["event_id"]))
