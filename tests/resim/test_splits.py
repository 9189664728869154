"""Variants that re-simulate the hard events of some splits alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rs3l import seeds
from rs3l.config import Campaign, blocks, parse_campaign
from rs3l.config.blocks import Chosen
from rs3l.config.dataset import Splits
from rs3l.dataset.schema import CANDIDATE_COLUMNS, HARD_COLUMNS, JET_COLUMNS, Status
from rs3l.dataset.splits import is_chosen, split_of
from rs3l.errors import ConfigError, DataError, GeneratorError
from rs3l.lhe.lhe import HardEvent
from rs3l.merge.merge import merge
from rs3l.paths import CampaignPaths
from rs3l.resim import resim, shower
from rs3l.resim.replay import replay
from rs3l.resim.resim import resimulate, resimulate_shard

Events = Callable[[str, int], list[HardEvent]]
Shard = Callable[[str, int, int], Path]
N = 40


@pytest.fixture(scope="module")
def limited(test_values: dict[str, Any]) -> Campaign:
    """Return the miniature campaign with its `rehadron` held out, in the test split alone."""
    variants = {name: value for name, value in test_values["variants"].items() if name != "rehadron"}
    values = {"resample": "hadronisation", "use": "held_out", "splits": ["test"]}
    processes = {name: {**value, "events": N} for name, value in test_values["processes"].items()}
    return parse_campaign(
        {
            **test_values,
            "events_per_shard": N,
            "processes": processes,
            "variants": {**variants, "rehadron": values},
            "dataset": {**test_values.get("dataset", {}), "splits": {"train": 0.5, "val": 0.1, "test": 0.4}},
            "evaluate": {**test_values["evaluate"], "variants": ["nominal"]},
        }
    )


def in_test(config: Campaign, process: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    splits = (split_of(config.seed, config.dataset.splits, process, i) for i in range(N))
    return np.array([split == "test" for split in splits])


def test_chosen_events_are_as_ever_and_the_others_have_a_status(limited: Campaign, hard_events: Events) -> None:
    block, events, chosen = (
        blocks.resim(limited, "qcd", "rehadron"),
        hard_events("qcd", N),
        in_test(limited, "qcd"),
    )
    assert 0 < chosen.sum() < N
    whole = resimulate(block.model_copy(update={"chosen": None}), events)
    some = resimulate(block, events)
    assert some.filter(pa.array(chosen)).combine_chunks().equals(whole.filter(pa.array(chosen)).combine_chunks())
    rest = some.filter(pa.array(~chosen))
    assert set(rest["status"].to_pylist()) == {Status.SKIPPED}
    assert all(rest[name].null_count == len(rest) for name in (*JET_COLUMNS, *CANDIDATE_COLUMNS))
    for name in ("event_id", *HARD_COLUMNS):
        assert some[name].combine_chunks().equals(whole[name].combine_chunks()), name


def test_batches_play_no_role(limited: Campaign, hard_events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some batches have no event that is chosen."""
    block, events = blocks.resim(limited, "higgs_bb", "rehadron"), hard_events("higgs_bb", N)
    whole = resimulate(block, events).combine_chunks()
    monkeypatch.setattr(shower, "BATCH", 2)
    assert resimulate(block, events).combine_chunks().equals(whole)
    assert not all(in_test(limited, "higgs_bb").reshape(-1, 2).any(axis=1))


def test_failures_are_counted_among_the_chosen(
    limited: Campaign, hard_shard: Shard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pythia completes no event of the variant: the message counts those that were asked for."""
    monkeypatch.setattr(resim, "_showers", lambda views: lambda events, recorder: [[shower.no_particles()]])
    monkeypatch.setattr(resim, "check_effect", lambda *arguments: None)
    asked = int(in_test(limited, "qcd").sum())
    with pytest.raises(GeneratorError, match=f"failed on {asked} of {asked} events"):
        resimulate_shard(
            blocks.resim(limited, "qcd", "rehadron"), hard_shard("qcd", 0, N), tmp_path / "out.parquet"
        )
    assert not list(tmp_path.iterdir())


def test_the_merge_counts_what_was_asked_for(limited: Campaign, hard_shard: Shard, tmp_path: Path) -> None:
    paths = CampaignPaths(str(tmp_path))
    for process in limited.processes:
        for variant in limited.variants:
            out = Path(paths.jets(process, variant, "0000"))
            resimulate_shard(blocks.resim(limited, process, variant), hard_shard(process, 0, N), out)
    manifest = merge(blocks.merge(limited), str(tmp_path), 1)
    assert manifest["limited"] == {"rehadron": ["test"]}
    for process, entry in manifest["processes"].items():
        counts = entry["status"]["rehadron"]
        asked = int(in_test(limited, process).sum())
        assert counts["skipped"] == N - asked
        assert entry["matching_efficiency"]["rehadron"] == counts["ok"] / asked
        ok = {v: pq.read_table(paths.jets(process, v, "0000"))["status"].to_numpy() == 0 for v in limited.variants}
        complete = np.stack([ok[v] for v in limited.variants if v != "rehadron"])
        assert entry["matching_efficiency_all_variants"] == complete.all(axis=0).sum() / N
        assert entry["survival"]["all_variants"]["events"] == complete.all(axis=0).sum()
    rows = {
        split: pa.concat_tables([pq.read_table(f) for f in Path(paths.split(split)).glob("*.parquet")])
        for split in ("train", "val", "test")
    }
    assert "rehadron" in rows["test"]["variant"].to_pylist()
    assert "rehadron" not in [*rows["train"]["variant"].to_pylist(), *rows["val"]["variant"].to_pylist()]


def test_a_replay_of_an_event_that_was_left_out_says_so(limited: Campaign, tmp_path: Path) -> None:
    left_out = int(np.flatnonzero(~in_test(limited, "qcd"))[0])
    with pytest.raises(DataError, match=r"which variants\.rehadron\.splits leaves out"):
        replay(limited, seeds.event_id("qcd", left_out), "rehadron", tmp_path)


def test_a_variant_of_all_splits_does_not_depend_on_them(campaign: Campaign, limited: Campaign) -> None:
    assert blocks.resim(limited, "qcd", "seed").chosen is None
    assert blocks.resim(campaign, "qcd", "seed").chosen is None
    assert blocks.chosen_fraction(limited, "rehadron") == pytest.approx(0.4)
    assert blocks.chosen_fraction(limited, "seed") == pytest.approx(1.0)


def test_a_variant_to_train_on_has_all_splits(test_values: dict[str, Any]) -> None:
    variants = {**test_values["variants"], "seed": {"resample": "shower", "splits": ["train"]}}
    with pytest.raises(ConfigError, match="only a variant with `use: held_out` may leave out `splits`"):
        parse_campaign({**test_values, "variants": variants})


@pytest.fixture(scope="module", params=[0.5, 0.2])
def thinned(request: pytest.FixtureRequest, limited: Campaign) -> Campaign:
    """Return the same campaign with `rehadron` on a fraction of its test events alone."""
    rehadron = limited.variants["rehadron"].model_copy(update={"fraction": request.param})
    return limited.model_copy(update={"variants": {**limited.variants, "rehadron": rehadron}})


def test_a_fraction_of_the_events_are_as_ever_whatever_the_shards(thinned: Campaign, hard_events: Events) -> None:
    block, events = blocks.resim(thinned, "qcd", "rehadron"), hard_events("qcd", N)
    assert block.chosen is not None
    chosen = [is_chosen(thinned.seed, block.chosen, "qcd", event.index) for event in events]
    assert 0 < sum(chosen) < in_test(thinned, "qcd").sum()
    whole = resimulate(block.model_copy(update={"chosen": None}), events)
    some = pa.concat_tables([resimulate(block, events[:7]), resimulate(block, events[7:])])
    assert some.filter(pa.array(chosen)).combine_chunks().equals(whole.filter(pa.array(chosen)).combine_chunks())
    assert set(some.filter(pa.array(np.logical_not(chosen)))["status"].to_pylist()) == {Status.SKIPPED}


def test_a_fraction_is_that_of_its_splits_and_a_smaller_one_lies_in_it() -> None:
    splits = Splits(train=0.5, val=0.1, test=0.4)
    wide, narrow, whole = (Chosen(splits=splits, only=["test"], fraction=f) for f in (0.5, 0.2, 1.0))
    of = {id(c): {i for i in range(4000) if is_chosen(1, c, "qcd", i)} for c in (wide, narrow, whole)}
    assert of[id(narrow)] < of[id(wide)] < of[id(whole)]
    assert len(of[id(wide)]) / len(of[id(whole)]) == pytest.approx(0.5, abs=0.1)  # 8 standard deviations
    assert len(of[id(narrow)]) / len(of[id(whole)]) == pytest.approx(0.2, abs=0.08)


def test_a_fraction_counts_as_cost_and_is_named(thinned: Campaign, limited: Campaign, tmp_path: Path) -> None:
    fraction = thinned.variants["rehadron"].fraction
    assert blocks.chosen_fraction(thinned, "rehadron") == pytest.approx(0.4 * fraction)
    block = blocks.resim(thinned, "qcd", "rehadron")
    assert block.chosen is not None
    kept = [i for i in range(N) if is_chosen(thinned.seed, block.chosen, "qcd", i)]
    left_out = next(i for i in np.flatnonzero(in_test(thinned, "qcd")) if i not in kept)
    with pytest.raises(DataError, match=r"which variants\.rehadron\.fraction leaves out"):
        replay(thinned, seeds.event_id("qcd", int(left_out)), "rehadron", tmp_path)
    whole = blocks.resim(limited, "qcd", "rehadron").chosen
    assert (
        whole is not None and "fraction" not in whole.model_dump()
    )  # files of finished campaigns stay as they are


def test_a_variant_to_train_on_has_all_events(test_values: dict[str, Any]) -> None:
    variants = {**test_values["variants"], "seed": {"resample": "shower", "fraction": 0.5}}
    with pytest.raises(ConfigError, match=r"may leave out events \(`fraction`\)"):
        parse_campaign({**test_values, "variants": variants})
