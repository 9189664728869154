"""External hard events: what several generators write is read as it is, or refused with file, event and reason."""

from __future__ import annotations

import copy
import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pylhe
import pytest

from rs3l import seeds
from rs3l.config import Campaign, blocks, parse_campaign
from rs3l.config.blocks import LheBlock, LheSource, ResimBlock
from rs3l.dataset.schema import Status
from rs3l.errors import ConfigError, DataError, GeneratorError
from rs3l.hard.external import external_shard, index_files, make_index, read_index
from rs3l.lhe.checks import is_undecayed
from rs3l.lhe.cross_section import cross_section
from rs3l.lhe.inputs import find_files
from rs3l.lhe.lhe import HardEvent, Particle, read_shard
from rs3l.pythia import check_settings, installed_version
from rs3l.resim.resim import resimulate, resimulate_shard
from rs3l.resim.shower import Showerer
from support.lhe_writers import before_decays, lhe_source, write_lhe
from support.lhe_writers import changed as put

Events = Callable[[str, int], list[HardEvent]]
Edit = Callable[[str], str]
N = 12


def source(*patterns: Path | str, events: int = N, **changes: Any) -> LheSource:
    return lhe_source(*patterns, events=events, **changes)


def shard_block(of: LheSource, first: int, events: int) -> LheBlock:
    return LheBlock(seed=7, process="qcd", first=first, events=events, decays={}, source=of)


def external(values: dict[str, Any], patterns: Any, process: str = "qcd", **changes: Any) -> Campaign:
    """Return the miniature configuration with external hard events for a process."""
    values = copy.deepcopy(values)
    values["processes"][process].update(lhe=patterns, events=N, **changes)
    del values["processes"][process]["pythia"], values["processes"][process]["pt_hat"]
    return parse_campaign(values)


def changed(events: list[HardEvent], position: int, **changes: Any) -> list[HardEvent]:
    """Return the events with one of them changed."""
    return [HardEvent(**{**vars(e), **changes}) if i == position else e for i, e in enumerate(events)]


@pytest.mark.parametrize("style", ["madgraph", "powheg", "sherpa", "pythia"])
@pytest.mark.parametrize("suffix", [".lhe", ".lhe.gz"])
def test_what_generators_write_is_read(hard_events: Events, tmp_path: Path, style: str, suffix: str) -> None:
    """Weight, scale and couplings to the bit, momenta to the digits written, colours and mothers exactly."""
    events = hard_events("qcd", N)
    path = write_lhe(tmp_path / f"a{suffix}", events, style)
    block = shard_block(source(path, accept=("powheg",)), 0, N)
    info = external_shard(block, tmp_path / "0000.lhe.gz")
    again, found = read_shard(tmp_path / "0000.lhe.gz")
    assert (again.process, again.seed, again.first, again.events, again.pythia) == ("qcd", 7, 0, N, "")
    sigma = np.mean([event.weight for event in events]) if style == "powheg" else 6.5
    assert again.cross_section == info.cross_section == pytest.approx((sigma, 0.03))
    for expected, event in zip(events, found, strict=True):
        assert event.index == expected.index
        assert (event.weight, event.scale) == (expected.weight, expected.scale)
        assert (event.alpha_qed, event.alpha_qcd) == (expected.alpha_qed, expected.alpha_qcd)
        assert [p[:6] for p in event.particles] == [p[:6] for p in expected.particles]
        for p, q in zip(event.particles, expected.particles, strict=True):
            assert p[6:11] == pytest.approx(q[6:11], rel=1e-8, abs=1e-8)


def test_external_events_are_resimulated_as_our_own_are(
    hard_events: Events, campaign: Campaign, test_values: dict[str, Any], tmp_path: Path
) -> None:
    """Our own events, written with all digits as another program would: the same jets to the bit."""
    events = hard_events("qcd", N)
    write_lhe(tmp_path / "a.lhe.gz", events[:5], "pythia")
    write_lhe(tmp_path / "b.lhe", events[5:], "pythia")
    config = external(test_values, [str(tmp_path / "b.lhe"), str(tmp_path / "*.gz")])
    block = blocks.hard(config, "qcd", 0)
    assert isinstance(block, LheBlock)
    shard = tmp_path / "out" / "0000.lhe.gz"
    external_shard(block, shard)
    own = resimulate(blocks.resim(campaign, "qcd", "fsr_hi"), events)
    resimulate_shard(blocks.resim(config, "qcd", "fsr_hi"), shard, tmp_path / "x.parquet", 0)
    other = pq.read_table(tmp_path / "x.parquet").replace_schema_metadata(None)
    assert other.equals(own)
    assert (own["status"].to_numpy() == Status.OK).any()
    assert own["event_id"].to_pylist() == [seeds.event_id("qcd", i) for i in range(N)]


@pytest.mark.parametrize("process", ["higgs_bb", "w_qq"])
def test_anchors_are_found(
    hard_events: Events, campaign: Campaign, test_values: dict[str, Any], tmp_path: Path, process: str
) -> None:
    """With the digits that MadGraph writes, weights are the same and anchors to these digits."""
    events = hard_events(process, N)
    path = write_lhe(tmp_path / "a.lhe", events)
    config = external(test_values, str(path), process)
    block = blocks.hard(config, process, 0)
    assert isinstance(block, LheBlock)
    external_shard(block, tmp_path / "0000.lhe.gz")
    resimulate_shard(blocks.resim(config, process, "nominal"), tmp_path / "0000.lhe.gz", tmp_path / "x.parquet")
    table = pq.read_table(tmp_path / "x.parquet")
    own = resimulate(blocks.resim(campaign, process, "nominal"), events)
    assert table["weight"].equals(own["weight"])
    for column in ("parton_pdg_id", "parton_pt", "parton_eta", "parton_phi"):
        assert table[column].to_pylist() == pytest.approx(own[column].to_pylist(), rel=1e-6), column


def test_shards_do_not_depend_on_how_the_events_are_cut(hard_events: Events, tmp_path: Path) -> None:
    """Keys are positions over the sorted files, and the cross-section is that of the files."""
    events = hard_events("qcd", 16)
    for name, (a, b) in {"a.lhe": (0, 3), "b.lhe.gz": (3, 9), "c.lhe": (9, 16)}.items():
        write_lhe(tmp_path / name, events[a:b], sigma=6.5 + a / 100)
    of = source(tmp_path / "*.lhe", tmp_path / "*.gz", events=14)
    index = index_files(of, tmp_path / "files.json")
    assert [(Path(f.path).name, f.events, f.used) for f in index.files] == [
        ("a.lhe", 3, 3), ("b.lhe.gz", 6, 6), ("c.lhe", 7, 5),
    ]  # fmt: skip
    found, infos = [], []
    for first, count in ((0, 5), (5, 8), (13, 1)):
        block, out = shard_block(of, first, count), tmp_path / "out" / f"{first}.lhe.gz"
        infos.append(external_shard(block, out, read_index(tmp_path / "files.json")))
        found += read_shard(out)[1]
    info = external_shard(shard_block(of, 0, 14), tmp_path / "whole.lhe.gz", index)
    _, whole = read_shard(tmp_path / "whole.lhe.gz")
    assert found == whole
    assert [event.index for event in whole] == list(range(14))
    assert [event.scale for event in whole] == [event.scale for event in events[:14]]
    sigma, error = cross_section([i.subprocesses for i in infos])
    assert sigma == pytest.approx((3 * 6.5 + 6 * 6.53 + 5 * 6.59) / 14)
    assert error == pytest.approx(0.03 * (3**2 + 6**2 + 5**2) ** 0.5 / 14)
    assert cross_section([info.subprocesses]) == pytest.approx((sigma, error))


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("madgraph", {"1001": 1.1, "1002": 0.9}),
        ("pythia", {"up": 1.25, "down": 0.75}),
        ("powheg", {"0": 1.0}),
        ("sherpa", {}),
    ],
)
def test_additional_weights_are_carried_in_the_shard(
    hard_events: Events, tmp_path: Path, style: str, expected: dict[str, float]
) -> None:
    events = hard_events("qcd", N)
    path = write_lhe(tmp_path / "a.lhe", events, style)
    external_shard(shard_block(source(path, accept=("powheg",)), 2, 5), tmp_path / "0000.lhe.gz")
    file = pylhe.LHEFile.fromfile(str(tmp_path / "0000.lhe.gz"))
    found = list(file.events)
    declared = file.header.initrwgt.list_weights_ids() if file.header else []
    assert declared == list(expected)
    for event, original in zip(found, events[2:7], strict=True):
        assert list(event.weights) == list(expected)
        assert event.weights == pytest.approx({k: f * original.weight for k, f in expected.items()}, rel=1e-5)
    if style == "pythia":  # all digits were written, and all are kept
        assert found[0].weights["up"] == events[2].weight * 1.25


def test_memory_does_not_grow_with_the_number_of_events(hard_events: Events, tmp_path: Path) -> None:
    events = hard_events("qcd", 80 * N)
    peaks = []
    for number in (10 * N, 80 * N):
        path = write_lhe(tmp_path / f"{number}.lhe.gz", events[:number])
        tracemalloc.start()
        index = make_index(source(path, events=number))
        external_shard(shard_block(index.source, number - N, N), tmp_path / "0000.lhe.gz", index)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def replaced(old: str, new: str, count: int = -1) -> Edit:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, count)

    return edit


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({"ickkw": 1}, "merged", "a sample of several multiplicities"),
        ({"ickkw": 3}, "merged", "a sample of several multiplicities"),
        ({"ktdurham": "30.0"}, "merged", "a sample of several multiplicities"),
        ({"more": "nqmatch = 5 ! Max Jet Flavor"}, "merged", "a sample of several multiplicities"),
        ({"more": "PYTHIA8   = parton_shower"}, "mcatnlo", "MC@NLO events"),
        ({"declared": 100}, "short", "fewer events than its header declares"),
        ({"style": "powheg"}, "powheg", "start the showers at SCALUP"),
        ({"style": "powheg", "declared": 13}, "short", "fewer events than its header declares"),
    ],
)
def test_kinds_that_a_shower_cannot_continue_are_refused_unless_accepted(
    hard_events: Events, tmp_path: Path, changes: dict[str, Any], kind: str, reason: str
) -> None:
    path = write_lhe(tmp_path / "a.lhe", hard_events("qcd", N), **changes)
    others = ("powheg",) if changes.get("style") == "powheg" and kind != "powheg" else ()
    with pytest.raises(DataError, match=rf"a.lhe: .*{reason}.*`lhe_accept: \[{kind}\]`"):
        make_index(source(path, accept=others))
    assert kind in make_index(source(path, accept=(kind, *others))).files[0].kinds


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ('npLO=" 1 " npNLO=" -1 "', 'npLO=" 1 " npNLO=" -1 "', ["merged"]),
        ("npLO=' 0 '", "npLO=' 1 '", ["merged"]),
        ('npLO="-1" npNLO="1"', 'npLO="-1" npNLO="2"', ["merged", "mcatnlo"]),
        ('npLO=" -1 " npNLO=" 1 "', 'npLO=" -1 " npNLO=" 1 "', ["mcatnlo"]),
        ("", "", []),
    ],
)
def test_multiplicities_at_the_events_tell_a_merged_sample(
    hard_events: Events, tmp_path: Path, first: str, second: str, expected: list[str]
) -> None:
    """MC@NLO writes the multiplicity at the events of a single one, too."""

    def edit(text: str) -> str:
        return text.replace("<event>", f"<event {first}>", 6).replace("<event>", f"<event {second}>")

    path = write_lhe(tmp_path / "a.lhe", hard_events("qcd", N), edit=edit)
    assert make_index(source(path, accept=("merged", "mcatnlo"))).files[0].kinds == expected
    if expected:
        with pytest.raises(DataError, match=rf"`lhe_accept: \[{expected[0]}\]`"):
            make_index(source(path))


def test_events_with_and_without_another_parton_are_a_merged_sample(hard_events: Events, tmp_path: Path) -> None:
    """Nothing in the head says so, e.g. in MadGraph's files for CKKW-L; POWHEG writes such events itself."""
    events = [*hard_events("qcd", 6), *hard_events("higgs_bb", 6)]
    path = write_lhe(tmp_path / "a.lhe", events)
    with pytest.raises(DataError, match=r"a sample of several multiplicities .*`lhe_accept: \[merged\]`"):
        make_index(source(path, anchor=[23]))
    assert make_index(source(path, events=6, anchor=[23])).files[0].kinds == []
    powheg = write_lhe(tmp_path / "b.lhe", events, "powheg")
    assert make_index(source(powheg, accept=("powheg",), anchor=[23])).files[0].kinds == ["powheg"]


@pytest.mark.parametrize("style", ["powheg", "madgraph"])
def test_a_cross_section_left_to_the_weights(hard_events: Events, tmp_path: Path, style: str) -> None:
    """POWHEG writes -1 for some processes, and weights in pb; with unit weights there is nothing to take it from."""
    events = hard_events("qcd", N)
    path = write_lhe(tmp_path / "a.lhe", events, style, sigma=-1.0)
    of = source(path, accept=("powheg",))
    if style == "madgraph":
        with pytest.raises(DataError, match="XSECUP is -1 pb"):
            make_index(of)
        return
    sigma, error = make_index(of).cross_section
    weights = [event.weight for event in events]
    assert sigma == pytest.approx(np.mean(weights))
    assert error == pytest.approx(np.std(weights) / N**0.5)


def test_events_for_another_shower_are_refused_in_any_case(hard_events: Events, tmp_path: Path) -> None:
    path = write_lhe(tmp_path / "a.lhe", hard_events("qcd", N), more="HERWIGPP   = parton_shower")
    with pytest.raises(DataError, match="MC@NLO events for the shower HERWIGPP"):
        make_index(source(path, accept=("mcatnlo",)))


def test_powheg_events_are_showered_from_their_scale(test_values: dict[str, Any]) -> None:
    config = external(test_values, "a.lhe", lhe_accept=["powheg"])
    for variant in config.variants:
        settings = blocks.resim(config, "qcd", variant).pythia
        assert settings["SpaceShower:pTmaxMatch"] == settings["TimeShower:pTmaxMatch"] == 1
        assert settings["Vincia:pTmaxMatch"] == 1
        assert "SpaceShower:pTmaxMatch" not in blocks.resim(config, "higgs_bb", variant).pythia
    check_settings(config)
    with pytest.raises(ConfigError, match="generator.pythia.POWHEG:veto: has no effect"):
        check_settings(external({**test_values, "generator": {"pythia": {"POWHEG:veto": 1}}}, "a.lhe"))


def recoil(block: ResimBlock, events: list[HardEvent]) -> list[float]:
    """Return the pT of H + Z at the end of the shower: what the initial-state radiation recoils against."""
    found = []

    def record(position: int, event: Any) -> None:
        last = {event[i].id(): event[i] for i in range(event.size()) if event[i].id() in (23, 25)}
        found.append(math.hypot(sum(p.px() for p in last.values()), sum(p.py() for p in last.values())))

    Showerer(block).shower(events, record)
    return found


def test_showers_of_powheg_events_stay_below_their_scale(hard_events: Events, test_values: dict[str, Any]) -> None:
    """HZ has no coloured particle, so that Pythia would radiate up to the kinematic limit; SCALUP = 5 GeV here."""
    events = [HardEvent(**{**vars(e), "scale": 5.0}) for e in hard_events("higgs_bb", 30)]
    soft, hard = (
        max(
            recoil(
                blocks.resim(external(test_values, "a", "higgs_bb", lhe_accept=accept), "higgs_bb", "nominal"),
                events,
            )
        )
        for accept in (["powheg"], [])
    )
    assert soft < 20 < hard


Change = Callable[[HardEvent], dict[str, Any]]


def particles(change: Callable[[Particle], Any]) -> Change:
    """Change every particle of an event."""
    return lambda event: {"particles": [change(p) for p in event.particles]}


def undecayed(event: HardEvent) -> dict[str, Any]:
    """Return the event with the Z boson as it was before its decay."""
    return {
        "particles": [
            put(p, status=1) if p.pdg_id == 23 else p for p in event.particles if abs(p.pdg_id) not in (12, 14, 16)
        ]
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda e: {"scale": 0.0}, "SCALUP is 0"),
        (lambda e: {"weight": float("nan")}, "infinite or not a number"),
        (particles(lambda p: put(p, colour=0, anticolour=0)), "no complete colour flow"),
        (particles(lambda p: put(p, colour=909) if p.colour and p.status == 1 else put(p, anticolour=909) if p.anticolour and p.status == 1 else p), "one end only"),
        (lambda e: {"particles": [p for i, p in enumerate(e.particles) if i]}, "1 incoming particles"),
        (particles(lambda p: put(p, mother1=99) if p.status == 1 else p), "mother of a particle"),
        (particles(lambda p: put(p, px=p.px + 5) if p.status == 1 else p), "px changes by"),
        (particles(lambda p: put(p, energy=7000.0) if p.status == -1 else p), "more energy"),
        (undecayed, "a resonance is not decayed: .* name its decays in `pythia` of the process"),
    ],
)  # fmt: skip
def test_events_that_cannot_be_showered_are_named(
    hard_events: Events, tmp_path: Path, change: Change, expected: str
) -> None:
    events = hard_events("qcd", N)
    path = write_lhe(tmp_path / "a.lhe", changed(events, 7, **change(events[7])))
    with pytest.raises(DataError, match=f"a.lhe: event 7: .*{expected}"):
        index_files(source(path), tmp_path / "files.json")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("process", ["higgs_bb", "w_qq"])
def test_undecayed_resonances_are_decayed_once(
    hard_events: Events, test_values: dict[str, Any], tmp_path: Path, process: str
) -> None:
    """As the process says, the same in any shard; production, weight and keys stay."""
    events = [before_decays(event) for event in hard_events(process, N)]
    assert all(len(event.particles) == 4 for event in events)
    path = write_lhe(tmp_path / "a.lhe", events)
    values = copy.deepcopy(test_values)
    of_process = values["processes"][process]
    of_process.update(lhe=str(path), events=N)
    del of_process["pt_hat"]
    with pytest.raises(GeneratorError, match=f"processes.{process}.pythia selects hard processes"):
        external_shard(lhe_block(values, process), tmp_path / "x.lhe.gz")
    of_process["pythia"] = {k: v for k, v in of_process["pythia"].items() if k[:2].isdigit()}
    block = lhe_block(values, process)
    pieces = []
    for first, count in ((0, N), (0, 5), (5, N - 5)):
        out = tmp_path / "out" / f"{first}_{count}.lhe.gz"
        info = external_shard(block.model_copy(update={"first": first, "events": count}), out)
        assert info.pythia == installed_version()
        pieces.append(read_shard(out)[1])
    whole, first_part, second_part = pieces
    assert first_part + second_part == whole
    boson, products = {"higgs_bb": (25, {5}), "w_qq": (24, {1, 2, 3, 4, 5})}[process]
    for event, original in zip(whole, events, strict=True):
        assert (event.index, event.weight, event.scale) == (original.index, original.weight, original.scale)
        assert not is_undecayed(event)
        for p, q in zip(event.particles[:4], original.particles, strict=True):
            assert p.pdg_id == q.pdg_id
            assert p.momentum == pytest.approx(q.momentum, rel=1e-5, abs=1e-4)
        position = next(i for i, p in enumerate(event.particles, 1) if abs(p.pdg_id) == boson)
        assert {abs(p.pdg_id) for p in event.particles if p.mother1 == position} <= products
    resim = blocks.resim(parse_campaign(values), process, "nominal")
    resimulate_shard(resim, tmp_path / "out" / f"0_{N}.lhe.gz", tmp_path / "x.parquet", 0)
    table = pq.read_table(tmp_path / "x.parquet")
    assert (table["status"].to_numpy() == Status.OK).any()


def lhe_block(values: dict[str, Any], process: str) -> LheBlock:
    block = blocks.hard(parse_campaign(values), process, 0)
    assert isinstance(block, LheBlock)
    return block


def test_an_anchor_that_is_not_there_names_file_and_event(hard_events: Events, tmp_path: Path) -> None:
    path = write_lhe(tmp_path / "a.lhe", hard_events("qcd", N))
    with pytest.raises(
        DataError, match=r"a.lhe: event 0: hard event 0 has 0 particles that match the anchor \[25\]"
    ):
        external_shard(shard_block(source(path, anchor=[25]), 3, 4), tmp_path / "0000.lhe.gz")
    assert list(tmp_path.iterdir()) == [path]


def cut_after(events: int) -> Edit:
    def edit(text: str) -> str:
        pieces = text.split("</event>\n")
        return "</event>\n".join(pieces[:events]) + "</event>\n" + pieces[events][:40]

    return edit


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (cut_after(4), "truncated: no </LesHouchesEvents> after event 4"),
        (replaced("</LesHouchesEvents>", ""), "truncated: no </LesHouchesEvents> after event 11"),
        (replaced("</event>\n", "", 1), "a new event begins inside event 0"),
        (lambda text: text + text, "a new event begins after the end"),
        (replaced("<LesHouchesEvents", "<other"), "not a Les Houches file"),
        (lambda text: "", "not a Les Houches file"),
        (replaced('version="3.0"', 'version="4.0"'), "Les Houches version 4;"),
        (replaced("</init>", "</other>"), "no usable <init> block"),
        (replaced("2212 2212", "2212 x"), "no usable <init> block"),
        (replaced("247000 3 1", "247000 3 2"), "no usable <init> block"),
        (replaced("247000 3 1", "247000 7 1"), "IDWTUP is 7"),
        (replaced("2212 2212", "11 -11"), "beams 11 and -11"),
        (replaced("2212 2212 6.5", "2212 2212 3.5"), "set generator.ecm"),
        (replaced("6.50000000e+00 3.0e-02", "0.0 0.0"), "XSECUP is 0 pb"),
        (replaced("<event>\n ", "<event>\n 99 "), "event 0 announces 99 particles|event 0 cannot be read"),
        (replaced("<event>\n ", "<event>\n five "), "event 0 cannot be read"),
    ],
)
def test_files_that_cannot_be_used_are_refused_by_name(
    hard_events: Events, tmp_path: Path, edit: Edit, expected: str
) -> None:
    path = write_lhe(tmp_path / "a.lhe", hard_events("qcd", N), edit=edit)
    with pytest.raises(DataError, match=f"a.lhe: .*({expected})"):
        make_index(source(path))


def test_damaged_gzip_is_refused_by_name(hard_events: Events, tmp_path: Path) -> None:
    whole = write_lhe(tmp_path / "whole.lhe.gz", hard_events("qcd", N)).read_bytes()
    middle = len(whole) // 2
    damaged = {
        "cut": whole[:middle],
        "flipped": whole[:middle] + bytes([whole[middle] ^ 16]) + whole[middle + 1 :],
    }
    for name, data in damaged.items():
        (tmp_path / f"{name}.lhe.gz").write_bytes(data)
        with pytest.raises(DataError, match=f"{name}.lhe.gz"):
            make_index(source(tmp_path / f"{name}.lhe.gz"))


def test_files_must_be_one_sample(hard_events: Events, tmp_path: Path) -> None:
    events = hard_events("qcd", N)
    first = write_lhe(tmp_path / "a.lhe", events[:6])
    other_process = replaced("6.5e+00 1\n", "6.5e+00 2\n")
    cases: dict[str, tuple[list[HardEvent], dict[str, Any], str]] = {
        "same.lhe": (events[:6], {}, "the same bytes as"),
        "sigma.lhe": (events[6:], {"sigma": 8.0}, "cross-sections 8 and 6.5 pb"),
        "strategy.lhe": (events[6:], {"strategy": -2}, "weighting strategies -2 and 3"),
        "process.lhe": (events[6:], {"edit": other_process}, r"subprocesses \[2\] and \[1\]"),
    }
    for name, (some, changes, expected) in cases.items():
        path = write_lhe(tmp_path / name, some, **changes)
        with pytest.raises(DataError, match=f"{name}: .*{expected}"):
            make_index(source(first, path))
    one, two = ([HardEvent(**{**vars(e), "weight": w}) for e in events[6:]] for w in (1.0, 2.0))
    paths = [write_lhe(tmp_path / "d.lhe", one), write_lhe(tmp_path / "e.lhe", two)]
    with pytest.raises(DataError, match="e.lhe: .*weights of 2 and 1"):
        make_index(source(*paths))


def test_missing_files_and_events(hard_events: Events, tmp_path: Path) -> None:
    path = write_lhe(tmp_path / "a.lhe", hard_events("qcd", N))
    with pytest.raises(DataError, match="a.lhe: 12 events in all, and processes.qcd.events asks for 13"):
        make_index(source(path, events=13))
    with pytest.raises(ConfigError, match="processes.qcd.lhe: there is no file .*no.lhe"):
        make_index(source(tmp_path / "no.lhe"))
    with pytest.raises(ConfigError, match=r"processes.qcd.lhe: no file matches .*\*.lhe.gz"):
        find_files("qcd", [str(path), str(tmp_path / "*.lhe.gz")])
    index = make_index(source(path))
    write_lhe(path, hard_events("qcd", N)[:9])
    with pytest.raises(DataError, match="a.lhe: changed, replaced or removed since its index"):
        external_shard(shard_block(source(path), 0, 5), tmp_path / "0000.lhe.gz", index)
    other = write_lhe(path, hard_events("qcd", N)).read_bytes().replace(b"nevents ! Number", b"nevents ! number")
    path.write_bytes(other)  # of the same size
    with pytest.raises(DataError, match="a.lhe: changed, replaced or removed since its index .*`touch` this one"):
        external_shard(shard_block(source(path), 0, 5), tmp_path / "0000.lhe.gz", index)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lhe": "x.lhe"}, "processes.qcd: `lhe` replaces `pt_hat`"),
        ({"pt_hat": None}, "processes.qcd: needs `pt_hat` and `pythia`"),
        ({"lhe_accept": ["powheg"]}, "processes.qcd: `lhe_accept` belongs to `lhe`"),
        ({"lhe_accept": ["all"]}, "processes.qcd.lhe_accept.0"),
    ],
)
def test_wrong_blocks_are_refused(test_values: dict[str, Any], changes: dict[str, Any], expected: str) -> None:
    values = copy.deepcopy(test_values)
    values["processes"]["qcd"].update(changes)
    with pytest.raises(ConfigError, match=expected):
        parse_campaign(values)
