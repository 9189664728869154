"""Variants that share a shower in one job: their files are those of separate jobs, to the bit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rs3l.config import Campaign, blocks, parse_campaign
from rs3l.config.detector import Detector
from rs3l.config.library import library
from rs3l.dataset.schema import Status
from rs3l.errors import ConfigError, DataError, GeneratorError
from rs3l.lhe.lhe import HardEvent, read_shard, write_shard
from rs3l.merge.shards import read_header
from rs3l.resim import shower
from rs3l.resim.resim import jet_tables, resimulate, resimulate_shard, resimulate_together
from rs3l.resim.shared import SharedShower
from rs3l.resim.shower import Particles, Showerer
from support.workflow import run_script

Events = Callable[[str, int], list[HardEvent]]
Shard = Callable[[str, int, int], Path]
N = 40
VARIANTS = {
    "rehadron": {"resample": "hadronisation"},
    "lund": {"resample": "hadronisation", "pythia": {"StringZ:aLund": 0.4, "StringFlav:probStoUD": 0.3}},
    "redetect": {"resample": "detector"},
}


def sharing(values: dict[str, Any], **changes: Any) -> Campaign:
    """Return the miniature campaign with variants that share a shower, and one that does not."""
    values = copy.deepcopy(values)
    values["variants"] = {"nominal": {}, "seed": {"resample": "shower"}, **VARIANTS}
    return parse_campaign({**values, "share_shower": True, **changes})


def views(config: Campaign, process: str) -> list[blocks.ResimBlock]:
    return blocks.together(config, process).views


def by_position(batches: list[Particles]) -> dict[int, list[Any]]:
    """Return all columns of each event."""
    return {
        position: [
            column[batch.offsets[i] : batch.offsets[i + 1]].tolist()
            for name, column in vars(batch).items()
            if name not in ("position", "offsets", "weight", "bands")
        ]
        + [[batch.weight[i]]]
        for batch in batches
        for i, position in enumerate(batch.position.tolist())
    }


@pytest.mark.parametrize(("process", "response"), [("higgs_bb", "none"), ("qcd", "cms")])
def test_the_files_are_those_of_separate_jobs(
    test_values: dict[str, Any],
    hard_shard: Shard,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    process: str,
    response: str,
) -> None:
    """Byte by byte, and with more than one batch."""
    monkeypatch.setattr(shower, "BATCH", 15)
    together = views(sharing(test_values, detector=Detector(response=response).model_dump()), process)
    assert [view.variant for view in together] == ["nominal", *VARIANTS]
    hard = hard_shard(process, 0, N)
    outs = [tmp_path / "together" / f"{view.variant}.parquet" for view in together]
    resimulate_together(together, hard, outs, 0)
    for view, out in zip(together, outs, strict=True):
        resimulate_shard(view, hard, tmp_path / "alone.parquet", 0)
        assert out.read_bytes() == (tmp_path / "alone.parquet").read_bytes(), view.variant
    assert len({out.read_bytes() for out in outs}) == len(outs)


def test_second_attempts_are_those_of_a_job_alone(test_values: dict[str, Any], hard_events: Events) -> None:
    """A second attempt begins with a new shower. Here, rounding errors fail Pythia's check of the momentum."""
    generator = copy.deepcopy(test_values["generator"])
    generator["pythia"] |= {"Check:epTolErr": 3e-12, "Check:epTolWarn": 1e-12}
    nominal, other = views(sharing(test_values, generator=generator), "qcd")[:2]
    events = hard_events("qcd", N)
    attempts: list[int] = []
    alone = Showerer(other).shower(events, lambda position, event: attempts.append(position))
    both = SharedShower([nominal, other]).shower(events)
    assert by_position(both[1]) == by_position([alone])
    assert by_position(both[0]) == by_position([Showerer(nominal).shower(events)])
    repeated = [i for i in range(N) if attempts.count(i) > 1]
    assert 3 < len(repeated) < N - 3
    assert set(both[1][1].position.tolist()) <= set(repeated)


def test_an_event_that_fails_fails_in_every_view(test_values: dict[str, Any], hard_events: Events) -> None:
    together = views(sharing(test_values), "higgs_bb")
    events = hard_events("higgs_bb", 6)
    whole = [by_position(batches) for batches in SharedShower(together).shower(events)]
    broken = [p._replace(colour=901, anticolour=902) if p.pdg_id == 5 else p for p in events[2].particles]
    events[2] = HardEvent(**{**vars(events[2]), "particles": broken})
    found = [by_position(batches) for batches in SharedShower(together).shower(events)]
    assert found == [{i: event for i, event in view.items() if i != 2} for view in whole]
    alone = [resimulate(view, events[2:3])["status"].to_pylist() for view in together]
    rows = [table["status"].to_pylist() for table in next(jet_tables(together, events[2:3]))]
    assert rows == alone == [[Status.FAILED]] * len(together)


def test_settings_that_break_the_sharing_are_refused(
    test_values: dict[str, Any], hard_shard: Shard, tmp_path: Path
) -> None:
    """Where the configuration does not know better, the first events of a campaign tell: here, of another shower."""
    nominal, rehadron = views(sharing(test_values), "qcd")[:2]
    other = rehadron.model_copy(update={"pythia": {**rehadron.pythia, "TimeShower:renormMultFac": 0.5}})
    outs = [tmp_path / "out" / name for name in ("a.parquet", "b.parquet")]
    with pytest.raises(
        GeneratorError, match="variants.rehadron: with `share_shower` its first 15 events of qcd are"
    ):
        resimulate_together([nominal, other], hard_shard("qcd", 0, 15), outs, 0)
    assert not (tmp_path / "out").exists()


def test_a_shard_that_is_damaged_leaves_no_file(
    test_values: dict[str, Any], hard_shard: Shard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if only its events, in the middle of the work, tell that something is wrong."""
    monkeypatch.setattr(shower, "BATCH", 5)
    info, events = read_shard(hard_shard("qcd", 15, 25))
    write_shard(tmp_path / "hard.lhe.gz", info, [*events[:12], *events[:13]], 13000.0)
    together = views(sharing(test_values), "qcd")[:2]
    outs = [tmp_path / "out" / name for name in ("a.parquet", "b.parquet")]
    with pytest.raises(DataError, match=r"hard.lhe.gz: its header announces the events 15 ... 39, but"):
        resimulate_together(together, tmp_path / "hard.lhe.gz", outs)
    assert not list((tmp_path / "out").iterdir())


def test_the_script_makes_all_files(test_values: dict[str, Any], hard_shard: Shard, tmp_path: Path) -> None:
    config = sharing(test_values)
    hard = str(hard_shard("qcd", 0, 15))
    names = blocks.shared_variants(config)
    outs = [str(tmp_path / f"{name}.parquet") for name in names]
    block = blocks.together(config, "qcd").model_dump_json()
    done = run_script("resim_together.py", "--block", block, "--hard", hard, "--shard", "0",
                      "--shard-events", "15", "--out", *outs)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [read_header(out).variant for out in outs] == names
    wrong = run_script("resim_together.py", "--block", block, "--hard", hard, "--out", *outs[1:])
    assert wrong.returncode == 1 and "3 files for 4 variants" in wrong.stderr


@pytest.mark.parametrize(
    ("variants", "expected"),
    [
        ({"seed": {"resample": "shower"}}, "share_shower: no variant has `resample: hadronisation`, `pileup` or `detector`"),
        ({"a": {"resample": "hadronisation", "pythia": {"Ropewalk:doFlavour": True}}}, "variants.a.pythia.Ropewalk:doFlavour: with `share_shower`, only these groups"),
        ({"a": {"resample": "hadronisation", "pythia": {"ColourReconnection:mode": 1}}}, "changes the shower, which `resample: hadronisation`"),
    ],
)  # fmt: skip
def test_wrong_configurations_are_refused(
    test_values: dict[str, Any], variants: dict[str, Any], expected: str
) -> None:
    values = {**copy.deepcopy(test_values), "share_shower": True, "variants": {"nominal": {}, **variants}}
    values["evaluate"] = {"variants": ["nominal"], "pair": ["nominal", next(iter(variants))]}
    with pytest.raises(ConfigError, match=expected):
        parse_campaign(values)


def test_ready_variants_of_the_hadronisation_share_but_those_with_a_memory(test_values: dict[str, Any]) -> None:
    names = [name for name, entry in library("variants").items() if entry["resample"] == "hadronisation"]
    refused = []
    for name in names:
        values = {**copy.deepcopy(test_values), "share_shower": True}
        values["variants"][name] = {"like": name}
        try:
            parse_campaign(values)
        except ConfigError:
            refused.append(name)
    assert sorted(refused) == ["close_packing", "thermal"] and len(names) > 5


def test_without_the_key_every_variant_has_a_job_of_its_own(
    campaign: Campaign, test_values: dict[str, Any]
) -> None:
    assert blocks.shared_variants(campaign) == []
    with pytest.raises(ConfigError, match="share_shower is not set"):
        blocks.together(campaign, "qcd")
    assert blocks.own_variants(campaign) == list(campaign.variants)
    assert blocks.own_variants(sharing(test_values)) == ["seed"]
