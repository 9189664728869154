"""The ready processes, variants and tunes: complete, known to Pythia, and each of them does something."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import yaml

from rs3l.config import Campaign, blocks, load_campaign, parse_campaign
from rs3l.config import library as module
from rs3l.config.library import library, tunes
from rs3l.config.variants import Variant
from rs3l.errors import ConfigError, GeneratorError
from rs3l.hard.anchor import find_anchor
from rs3l.hard.hard import generate_shard
from rs3l.lhe.lhe import HardEvent, read_shard
from rs3l.pythia import apply_settings, check_settings, new_pythia
from rs3l.resim import resim
from rs3l.resim.resim import check_effect, resimulate, resimulate_shard
from rs3l.resim.shower import Showerer
from support.places import REPOSITORY

Values = dict[str, Any]
Events = Callable[[str, int], list[HardEvent]]
ANCHORS = {
    "hz_bb": {25}, "hz_cc": {25}, "ggh_bb": {25}, "ggh_cc": {25}, "wz_qq": {24, -24}, "z_qq": {23}, "z_bb": {23},
    "top_hadronic": {6, -6}, "z_gluon": {21},
}  # fmt: skip
DECAYS = {"hz_bb": {5}, "hz_cc": {4}, "ggh_bb": {5}, "ggh_cc": {4}, "z_qq": {1, 2, 3, 4}, "z_bb": {5}}


def with_entries(values: Values, kind: str, entries: Values) -> Values:
    """Return a configuration with more processes or variants."""
    result = copy.deepcopy(values)
    result[kind].update(entries)
    return result


def test_an_entry_is_followed_by_what_it_stands_for(test_values: Values) -> None:
    entries = {"mine": {"like": "vincia", "use": "train", "pythia": {"Vincia:renormMultFacEmitF": 0.7}}}
    variant = parse_campaign(with_entries(test_values, "variants", entries)).variants["mine"]
    assert variant.use == "train" and variant.resample == "shower" and variant.reference
    assert variant.pythia == {"PartonShowers:model": 2, "Vincia:renormMultFacEmitF": 0.7}
    entry = {"top": {"like": "top_hadronic", "events": 10, "pt_hat": {"min": 150}}}
    process = parse_campaign(with_entries(test_values, "processes", entry)).processes["top"]
    assert (process.pt_hat.min, process.pt_hat.bias_power, process.anchor_choice) == (150, 5, "alternate")


def test_a_tune_comes_before_the_settings_of_the_campaign(test_values: Values) -> None:
    values = {**test_values, "generator": {"tune": "cp5", "pythia": {"PDF:pSet": 13}}}
    settings = parse_campaign(values).generator.pythia
    assert settings == {**tunes()["cp5"], "PDF:pSet": 13} and next(iter(settings)) == "Tune:pp"
    settings = parse_campaign({**test_values, "generator": {"tune": "a14"}}).generator.pythia
    assert settings["Tune:pp"] == 21 and settings["ParticleDecays:limitTau0"] is True


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"variants": {"x": {"like": "vinciaa"}}},
            "variants.x.like: config/variants has no `vinciaa`; did you mean",
        ),
        ({"processes": {"x": {"like": "zz"}}}, "processes.x.like: config/processes has no `zz`; "),
        ({"generator": {"tune": "cp9"}}, "generator.tune: config/tunes has no `cp9`; did you mean `cp5`"),
        ({"processes": {"x": {"like": "hz_bb"}}}, "processes.x.events: required"),
    ],
)
def test_an_unknown_name_is_refused(test_values: Values, change: Values, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_campaign({**test_values, **change})


def test_a_name_in_two_files_is_refused(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "variants"
    folder.mkdir()
    for name in ("a.yaml", "b.yaml"):
        (folder / name).write_text(yaml.safe_dump({"twice": {}}), encoding="utf-8")
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    with pytest.raises(ConfigError, match="b.yaml: twice is in another file"):
        library.__wrapped__("variants")


def test_every_entry_says_what_it_is() -> None:
    assert len(library("variants")) > 40 and len(library("processes")) > 10
    assert all(entry["about"] for kind in module.KINDS for entry in library(kind).values())


def test_pythia_knows_every_setting(test_values: Values) -> None:
    everything = copy.deepcopy(test_values)
    everything["processes"] |= {name: {"like": name, "events": 10} for name in library("processes")}
    everything["variants"] |= {name: {"like": name} for name in library("variants")}
    everything["pileup"] = {"mean": 1}
    for tune in tunes():
        everything["generator"] = {"tune": tune}
        check_settings(parse_campaign(everything))


@pytest.mark.parametrize("name", sorted(library("processes")))
def test_every_process_makes_anchored_hard_events(test_values: Values, name: str, tmp_path: Any) -> None:
    config = parse_campaign(with_entries(test_values, "processes", {name: {"like": name, "events": 12}}))
    block = blocks.resim(config, name, "nominal")
    generate_shard(blocks.hard(config, name, 0), tmp_path / "hard.lhe.gz")
    events = read_shard(tmp_path / "hard.lhe.gz")[1]
    found = {find_anchor(event, block.anchor, block.anchor_choice).pdg_id for event in events}
    assert found <= ANCHORS.get(name, {-5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 21})
    if block.anchor_choice == "alternate" and name == "top_hadronic":
        assert found == {6, -6}
    for event in events:
        decays = {
            abs(p.pdg_id)
            for p in event.particles
            if p.mother1 and abs(event.particles[p.mother1 - 1].pdg_id) == 25
        }
        decays |= {
            abs(p.pdg_id) for p in event.particles if p.mother1 and event.particles[p.mother1 - 1].pdg_id == 23
        }
        assert decays <= DECAYS.get(name, set()) | {12, 14, 16} or name not in DECAYS
    table = resimulate(block, events)
    assert table.num_rows == 12 and (table["status"].to_numpy() == 0).any()


EIGENTUNES = {f"a14_var{name}_{way}" for name in ("1", "2", "3a", "3b", "3c") for way in ("up", "down")}
SETTINGS = sorted(name for name, entry in library("variants").items() if entry.get("pythia"))


@cache
def showerer_of(block: str) -> Showerer:
    """Return the generator of a block; most variants share that of the nominal."""
    return Showerer(blocks.ResimBlock.model_validate_json(block))


@pytest.mark.parametrize("name", [name for name in SETTINGS if name not in EIGENTUNES])
def test_every_variant_does_something(hard_events: Events, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With multi-parton interactions, which the miniature campaign does without."""
    monkeypatch.setattr(resim, "Showerer", lambda block: showerer_of(named_nominal(block).model_dump_json()))
    config = load_campaign(REPOSITORY / "config" / "config.yaml")
    config = config.model_copy(
        update={"variants": {**config.variants, name: Variant(**library("variants")[name])}}
    )
    check_effect(blocks.resim(config, "higgs_bb", name), hard_events("higgs_bb", 24))


A14 = {
    "TimeShower:alphaSvalue": (0.127, {"2": (0.139, 0.111), "3a": (0.136, 0.124), "3b": (0.114, 0.138)}),
    "SpaceShower:alphaSvalue": (0.127, {"3b": (0.129, 0.126), "3c": (0.140, 0.115)}),
    "SpaceShower:pT0Ref": (1.56, {"2": (1.60, 1.50), "3a": (1.67, 1.51)}),
    "SpaceShower:pTmaxFudge": (0.91, {"3a": (0.98, 0.88), "3b": (1.00, 0.83)}),
    "SpaceShower:pTdampFudge": (1.05, {"2": (1.04, 1.08), "3a": (1.36, 0.93), "3b": (1.04, 1.07)}),
    "MultipartonInteractions:alphaSvalue": (0.126, {"1": (0.131, 0.121), "3a": (0.125, 0.127)}),
    "ColourReconnection:range": (1.71, {"1": (1.73, 1.69)}),
}
"""Settings of A14, and of its eigentunes up and down where they differ (ATL-PHYS-PUB-2014-021, table 3)."""


def test_eigentunes_of_a14_are_those_of_atlas() -> None:
    """Ten of them, numbers 23 to 32 of Pythia; what they do not change is that of A14."""
    tuned = {name: library("variants")[name] for name in EIGENTUNES}
    assert {entry["pythia"]["Tune:pp"] for entry in tuned.values()} == set(range(23, 33))
    for name, entry in {**tuned, "a14": library("variants")["a14"]}.items():
        variation, _, way = name.removeprefix("a14_var").partition("_")
        pythia = new_pythia()
        apply_settings(pythia, entry["pythia"])
        for key, (central, changes) in A14.items():
            expected = changes[variation][way == "down"] if variation in changes else central
            assert pythia.settings.parm(key) == expected, (name, key)
        assert pythia.settings.parm("MultipartonInteractions:pT0Ref") == 2.09


@pytest.mark.parametrize("name", sorted(EIGENTUNES))
def test_no_eigentune_is_a14(hard_events: Events, name: str) -> None:
    """With the same random numbers, other events; Pythia initialises each, and completes what it is given."""
    config = load_campaign(REPOSITORY / "config" / "config.yaml")
    tuned = {key: Variant(**library("variants")[key]) for key in ("a14", name)}
    config = config.model_copy(update={"variants": {**config.variants, **tuned}})
    event = hard_events("higgs_bb", 24)[:2]
    central, own = (
        blocks.resim(config, "higgs_bb", key).model_copy(update={"variant": "nominal", "baseline": None})
        for key in ("a14", name)
    )
    ours, theirs = Showerer(own).shower(event), showerer_of(central.model_dump_json()).shower(event)
    assert len(ours.position) == len(theirs.position) == 2 and not ours.same_as(theirs)


def named_nominal(block: blocks.ResimBlock) -> blocks.ResimBlock:
    """Return a block of the nominal without the name and the baseline of the variant that it is compared with."""
    if block.pythia != block.baseline:
        return block
    return block.model_copy(update={"variant": "nominal", "baseline": None})


def test_settings_without_effect_are_refused(
    test_values: Values, hard_shard: Callable[[str, int, int], Any], tmp_path: Any
) -> None:
    """VINCIA does not know the scale of the default shower: with VINCIA as the nominal, nothing changes."""
    settings = {"PartonShowers:model": 2, "PartonLevel:MPI": False}
    config = parse_campaign({**test_values, "generator": {"pythia": settings}})
    out = tmp_path / "jets.parquet"
    with pytest.raises(GeneratorError, match="variants.fsr_hi.pythia: these settings change none of the first 5"):
        resimulate_shard(blocks.resim(config, "higgs_bb", "fsr_hi"), hard_shard("higgs_bb", 0, 5), out)
    assert not out.exists()


def hadrons_and_partons(config: Campaign, events: list[HardEvent], variant: str) -> tuple[list[Any], list[float]]:
    """Return the momenta of all final particles, and of all partons, of each event."""
    partons: list[Any] = []

    def record(position: int, event: Any) -> None:
        partons.append([(event[i].id(), event[i].px(), event[i].e()) for i in range(event.size())])

    hadrons = Showerer(blocks.resim(config, "qcd", variant)).shower(events, record)
    return partons, hadrons.px.tolist()


@pytest.mark.parametrize(
    "name", sorted(name for name in SETTINGS if library("variants")[name]["resample"] == "hadronisation")
)
def test_other_hadronisation_shares_the_partons_to_the_bit(
    test_values: Values, hard_events: Events, name: str
) -> None:
    config = parse_campaign(with_entries(test_values, "variants", {name: {"like": name}}))
    events = hard_events("qcd", 6)
    partons, hadrons = hadrons_and_partons(config, events, "nominal")
    other_partons, other_hadrons = hadrons_and_partons(config, events, name)
    assert other_partons == partons and other_hadrons != hadrons
