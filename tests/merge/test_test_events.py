"""Hard events that are all in the test split, so that more of them re-train nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pyarrow.parquet as pq
import pytest

from rs3l import seeds
from rs3l.config import blocks, parse_campaign
from rs3l.config.blocks import MergeBlock
from rs3l.config.capacity import most_events
from rs3l.config.dataset import Splits
from rs3l.config.reads import made_with, of_pretraining, of_task, of_test
from rs3l.dataset.manifest import read_manifest
from rs3l.dataset.splits import split_of
from rs3l.errors import ConfigError
from rs3l.merge import merge as module
from rs3l.merge.merge import merge
from rs3l.paths import SPLITS, CampaignPaths, shard_name

Values = dict[str, Any]
PLAIN = Splits(train=0.5, val=0.25, test=0.25)
AFTER = PLAIN.model_copy(update={"test_only_after": {"qcd": 20}})


def with_more(values: Values, events: int = 400) -> Values:
    """Return a configuration with further test events of qcd."""
    result = copy.deepcopy(values)
    result["dataset"]["splits"]["test_only_after"] = {"qcd": values["processes"]["qcd"]["events"]}
    result["processes"]["qcd"]["events"] = events
    return result


def test_the_first_events_keep_their_split() -> None:
    before, after = ([split_of(7, splits, "qcd", event) for event in range(60)] for splits in (PLAIN, AFTER))
    assert after == before[:20] + ["test"] * 40 != before
    assert [split_of(7, AFTER, "w", event) for event in range(60)] == [
        split_of(7, PLAIN, "w", event) for event in range(60)
    ]


def test_they_are_counted() -> None:
    for split in SPLITS:
        literal = [split_of(7, AFTER, "qcd", event) for event in range(60)].count(split)
        assert most_events(7, AFTER, "qcd", 60, split) == literal


def test_the_files_of_the_other_splits_stay_as_they_are(
    jets: Callable[[int], tuple[MergeBlock, CampaignPaths]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a merge of the first shard alone, of 16 events."""
    monkeypatch.setattr(module, "compute", lambda tasks, *_: list(dask.compute(*tasks, scheduler="sync")))
    block, made = jets(16)
    paths, found = CampaignPaths(str(tmp_path)), []
    (tmp_path / "jets").symlink_to(Path(made.root) / "jets")
    splits = block.splits.model_copy(update={"test_only_after": {"qcd": 16}})
    for events in (16, 30):
        info = block.processes["qcd"].model_copy(update={"events": events})
        shards = {"qcd": -(-events // 16)}
        own = block.model_copy(update={"processes": {"qcd": info}, "shards": shards, "splits": splits})
        merge(own, paths.root, 1)
        found.append(read_manifest(paths.manifest))
    few, more = found
    train = ["train", "val"], ["qcd"]
    assert few.files_sha256(*train) == more.files_sha256(*train)
    assert few.contents(*train, list(block.variants)) == more.contents(*train, list(block.variants)) is not None
    assert few.files_sha256(["test"], ["qcd"]) != more.files_sha256(["test"], ["qcd"])
    last = pq.read_table(paths.part("test", "qcd", shard_name(1)))  # events 25 to 29
    assert {seeds.event_index(key) for key in last["event_id"].to_pylist()} <= set(range(25, 30))
    assert last.num_rows > 5 and not pq.read_table(paths.part("train", "qcd", shard_name(1))).num_rows
    assert more.events("test") > few.events("test") + 5


def test_settings_of_what_is_trained_stay_as_they_are(test_values: Values) -> None:
    few, more = parse_campaign(test_values), parse_campaign(with_more(test_values))
    for reads in (of_pretraining(few, "rs3l_s0"), of_task(few, "h_vs_qcd")):
        assert made_with(few, reads) == made_with(more, reads)
    assert made_with(few, of_test(few)) != made_with(more, of_test(few))
    first = of_test(few, "qcd", range(1))
    assert made_with(few, first) == made_with(more, first), "the first part of 100 events has no new one"
    plain = copy.deepcopy(test_values)
    plain["processes"]["qcd"]["events"] = 400
    assert made_with(few, of_task(few, "w_vs_qcd")) != made_with(parse_campaign(plain), of_task(few, "w_vs_qcd"))


def test_limited_variants_know_them(test_values: Values) -> None:
    values = with_more(test_values)
    values["variants"]["lo"] = {"resample": "shower", "use": "held_out", "splits": ["test"]}
    config = parse_campaign(values)
    qcd, other = (blocks.resim(config, process, "lo").chosen for process in ("qcd", "higgs_bb"))
    assert qcd is not None and qcd.splits.test_only_after == {"qcd": 180}
    assert other is not None and "test_only_after" not in other.splits.model_dump()


def test_an_unknown_process_is_named(test_values: Values) -> None:
    values = with_more(test_values)
    values["dataset"]["splits"]["test_only_after"]["zzz"] = 5
    with pytest.raises(ConfigError, match="dataset.splits.test_only_after: no process 'zzz'"):
        parse_campaign(values)
