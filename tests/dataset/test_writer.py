"""The writer of a data set in parts: every event is in a file, whatever the sizes of parts and row groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from rs3l.dataset import contents
from rs3l.dataset.checksum import values_sha256
from rs3l.dataset.schema import dataset_schema
from rs3l.dataset.writer import DatasetWriter
from rs3l.errors import DataError
from rs3l.seeds import event_index
from support.toy import rows_of

EVENTS = 19


def table(events: range) -> pa.Table:
    """Return the views of some events, in order of their keys."""
    rows = sorted(rows_of("signal", events), key=lambda row: row["event_id"])
    return pa.Table.from_pylist(rows, schema=dataset_schema())


@pytest.mark.parametrize("at_once", [1, 4, EVENTS])
@pytest.mark.parametrize(("part", "group"), [(20, 10), (15, 10), (5, 10), (7, 3), (3, 3), (1, 1)])
def test_no_event_is_lost(tmp_path: Path, part: int, group: int, at_once: int) -> None:
    whole = table(range(EVENTS))
    writer = DatasetWriter(tmp_path, part, group)
    keys = np.unique(whole["event_id"].to_numpy())
    for start in range(0, EVENTS, at_once):
        chosen = np.isin(whole["event_id"].to_numpy(), keys[start : start + at_once])
        writer.append("train", "signal", whole.filter(pa.array(chosen)))
    files = writer.close()
    assert [file["events"] for file in files] == [min(part, EVENTS - i) for i in range(0, EVENTS, part)]
    found = pa.concat_tables([pq.read_table(tmp_path / file["path"]) for file in files])
    assert found.equals(whole)
    assert sum(file["rows"] for file in files) == len(whole)


def test_contents_have_checksums_whatever_the_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is that of the variant's rows in blocks of hard events; without rows, it is that of no block."""
    monkeypatch.setattr(contents, "BLOCK", 6)
    whole, found = table(range(EVENTS)), []
    for part, at_once in ((20, 1), (3, 5), (7, EVENTS)):
        folder = tmp_path / str(part)
        folder.mkdir()
        writer = DatasetWriter(folder, part, 3)
        for start in range(0, EVENTS, at_once):
            writer.append("val", "signal", table(range(start, min(start + at_once, EVENTS))))
        found.append(writer.digests(["nominal", "seed"]))
    assert found[0] == found[1] == found[2]
    for variant in ("nominal", "seed"):
        rows = whole.filter(pc.equal(whole["variant"], variant)).drop_columns(["process", "label", "variant"])
        numbers = [event_index(key) // 6 for key in rows["event_id"].to_pylist()]
        blocks = {n: values_sha256(rows.filter(pa.array([m == n for m in numbers]))) for n in set(numbers)}
        assert len(blocks) == 4 and found[0]["val"]["signal"][variant] == contents.contents_sha256(blocks)
        assert found[0]["train"]["signal"][variant] == contents.contents_sha256({})
    assert len(set(found[0]["val"]["signal"].values())) == 2


def test_an_event_that_comes_twice_is_refused(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path, 10, 10)
    writer.append("train", "signal", table(range(3)))
    with pytest.raises(DataError, match="events come twice"):
        writer.append("train", "signal", table(range(3)))
