"""Events for labels alone: without them the same data set, with them no labelled event in a pre-training."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pyarrow.parquet as pq
import pytest

from rs3l.config import Campaign, blocks, parse_campaign
from rs3l.config.blocks import MergeBlock
from rs3l.config.capacity import check_capacity, most_events
from rs3l.config.dataset import Splits
from rs3l.config.reads import made_with, of_pretraining, of_task
from rs3l.dataset.manifest import read_manifest
from rs3l.dataset.splits import split_of
from rs3l.dataset.stream import Order, ViewStream
from rs3l.errors import ConfigError
from rs3l.merge import merge as module
from rs3l.merge.merge import merge
from rs3l.paths import EVERY_SPLIT, SPLITS, CampaignPaths
from support.merging import small
from support.tuning import task_training

Values = dict[str, Any]
Jets = Callable[[int], tuple[MergeBlock, CampaignPaths]]
FRACTIONS = {"train": 0.15, "label": 0.35, "val": 0.25, "test": 0.25}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merge in this process."""
    monkeypatch.setattr(module, "compute", lambda tasks, *_: list(dask.compute(*tasks, scheduler="sync")))


def with_splits(values: Values, **splits: Any) -> Values:
    """Return a configuration with other splits."""
    result = copy.deepcopy(values)
    result["dataset"]["splits"] = splits
    return result


def merged(jets: Jets, shard: int, folder: Path, splits: Splits) -> CampaignPaths:
    """Return the data set of the jets in shards of a size, with other splits."""
    block, made = jets(shard)
    paths = CampaignPaths(str(folder))
    if not (folder / "jets").exists():
        folder.mkdir(parents=True)
        (folder / "jets").symlink_to(Path(made.root) / "jets")
    merge(block.model_copy(update={"splits": splits}), paths.root, 1)
    return paths


def keys(paths: CampaignPaths, split: str) -> set[int]:
    """Return the events in the files of a split."""
    files = sorted(Path(paths.split(split)).glob("*.parquet"))
    return {key for file in files for key in pq.read_table(file)["event_id"].to_pylist()}


def labelled_campaign(values: Values, shard: int = 16) -> Campaign:
    """Return the small campaign with events for labels alone."""
    result = with_splits(values, **FRACTIONS)
    result["finetune"] = {**values["finetune"], "labels": [10], "repeats": 2}
    result["pretrain"] = {**values["pretrain"], "batch": 4}
    return small(result, shard)


def test_no_setting_changes_without_them(test_values: Values) -> None:
    fractions = test_values["dataset"]["splits"]
    campaigns = [parse_campaign(with_splits(test_values, **own)) for own in (fractions, {**fractions, "label": 0})]
    run, task = blocks.runs(campaigns[0])[0], next(iter(campaigns[0].tasks))
    for make in (
        lambda config: blocks.merge(config).as_json(),
        lambda config: blocks.finetune(config, task, run).as_json(),
        lambda config: made_with(config, of_task(config, task)),
        lambda config: made_with(config, of_pretraining(config, run)),
    ):
        before, after = map(make, campaigns)
        assert before == after
        assert "labels_from" not in str(before)
    assert "label" not in blocks.merge(campaigns[1]).splits.model_dump()


def test_without_them_an_event_is_where_it_was() -> None:
    splits = Splits(train=0.5, label=0, val=0.25, test=0.25)
    for position in np.random.default_rng(1).uniform(size=1000):
        literal = "train" if position < 0.5 else "val" if position < 0.75 else "test"
        assert splits.at(position) == literal


def test_the_data_set_is_the_same_to_the_byte_without_them(jets: Jets, tmp_path: Path) -> None:
    """Also after one that had them, whose folder goes."""
    found = []
    for name, before in (("never", []), ("again", [Splits(**FRACTIONS)])):
        for splits in [*before, Splits(train=0.5, label=0.0, val=0.25, test=0.25)]:
            paths = merged(jets, 16, tmp_path / name, splits)
        folder = Path(paths.dataset)
        found.append({p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()})
    for files in found:
        files.pop(Path("provenance.json"))
    assert found[0] == found[1]
    assert {path.parts[0] for path in found[0]} == {*SPLITS, "manifest.json", "card.md"}


@pytest.mark.parametrize("shard", [16, 40])
def test_no_labelled_event_is_seen_by_pre_training(
    jets: Jets, test_values: Values, tmp_path: Path, shard: int
) -> None:
    config = labelled_campaign(test_values, shard)
    paths = merged(jets, shard, tmp_path / "labels", config.dataset.splits)
    run = blocks.runs(config)[0]
    block, reads = blocks.pretrain(config, run), of_pretraining(config, run)
    seen: set[int] = set()
    for split in reads.splits:
        stream = ViewStream(
            paths.manifest, split, block.processes, block.variants, order=Order(seed=1, batch=1, min_views=1)
        )
        seen |= {int(key) for views in stream for key in np.asarray(views.event_id)}
    job = task_training(blocks.finetune(config, "h_vs_qcd", "none"), Path(paths.manifest))
    labelled = {int(key) for draw in job.draws for key in draw.event_id}
    assert seen and labelled <= keys(paths, "label")
    assert not seen & keys(paths, "label")
    assert not keys(paths, "label") & (keys(paths, "val") | keys(paths, "test"))


def test_the_data_set_with_them_does_not_depend_on_the_shards(jets: Jets, tmp_path: Path) -> None:
    manifests = [
        read_manifest(merged(jets, shard, tmp_path / str(shard), Splits(**FRACTIONS)).manifest)
        for shard in (16, 40)
    ]
    assert manifests[0].parts == manifests[1].parts
    assert manifests[0].splits == EVERY_SPLIT
    assert "label" in manifests[0].digests


def test_validation_and_test_stay_if_train_gives_the_labels(jets: Jets, tmp_path: Path) -> None:
    before = merged(jets, 16, tmp_path / "before", Splits(train=0.5, val=0.25, test=0.25))
    after = merged(jets, 16, tmp_path / "after", Splits(**FRACTIONS))
    assert keys(before, "train") == keys(after, "train") | keys(after, "label")
    assert keys(before, "val") == keys(after, "val")
    assert keys(before, "test") == keys(after, "test")


def test_the_card_counts_them(jets: Jets, tmp_path: Path) -> None:
    paths = merged(jets, 16, tmp_path / "card", Splits(**FRACTIONS))
    text = Path(paths.card).read_text(encoding="utf-8")
    assert "label events" in text
    assert "path: label/*.parquet" in text


def test_they_are_counted() -> None:
    splits = Splits(**FRACTIONS)
    for split in EVERY_SPLIT:
        literal = [split_of(7, splits, "qcd", event) for event in range(60)].count(split)
        assert most_events(7, splits, "qcd", 60, split) == literal > 0


def test_trainings_read_them_and_no_others(test_values: Values) -> None:
    config = labelled_campaign(test_values)
    task = next(iter(config.tasks))
    assert of_task(config, task).splits == ["label", "val"]
    assert of_pretraining(config, blocks.runs(config)[0]).splits == ["train", "val"]
    assert blocks.finetune(config, task, "none").labels_from == "label"


def test_a_variant_for_training_needs_them(test_values: Values) -> None:
    values = with_splits(test_values, **FRACTIONS)
    values["variants"]["seed"]["splits"] = ["train", "val", "test"]
    with pytest.raises(ConfigError, match=r"variants.seed.splits: `use: train` needs those of train, label"):
        check_capacity(parse_campaign(values))
    parse_campaign({**values, "dataset": test_values["dataset"]})


def test_too_few_of_them_are_refused(test_values: Values) -> None:
    values = with_splits(test_values, **{**FRACTIONS, "train": 0.499, "label": 0.001})
    with pytest.raises(ConfigError, match=r"dataset.splits.label"):
        check_capacity(parse_campaign(values))
