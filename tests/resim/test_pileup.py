"""Pile-up: the same for any shard, batch and order; drawn and subtracted as the slow reference does; refused if foreign."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rs3l import seeds
from rs3l.config import Campaign, blocks, parse_campaign
from rs3l.config.detector import Detector
from rs3l.config.pileup import PileupSettings
from rs3l.config.variants import GeneratorCommand
from rs3l.dataset import card
from rs3l.dataset.schema import band_column
from rs3l.errors import ConfigError, DataError
from rs3l.lhe.lhe import HardEvent
from rs3l.merge import merge as merge_module
from rs3l.merge.shards import _check_one_pool, read_header
from rs3l.paths import CampaignPaths
from rs3l.pythia import setting_line
from rs3l.resim import shower
from rs3l.resim.pileup import overlay as overlay_module
from rs3l.resim.pileup.minimum_bias import write_pool
from rs3l.resim.pileup.overlay import Drawn, draw, only, overlay
from rs3l.resim.pileup.pool import FilePool, MadePool
from rs3l.resim.pileup.reference import overlay_one, soft_killer_cut
from rs3l.resim.pileup.subtraction import soft_killer_cuts, subtract
from rs3l.resim.replay import replay
from rs3l.resim.resim import resimulate, resimulate_shard, resimulate_together
from rs3l.resim.shower import Particles, Showerer
from support.places import REPOSITORY
from support.workflow import run_script

Events = Callable[[str, int], list[HardEvent]]
Shard = Callable[[str, int, int], Path]
Values = dict[str, Any]
POOL = 60
QUICK = {"SoftQCD:inelastic": False, "SoftQCD:nonDiffractive": True}
"""A pool whose initialisation takes a second."""
VARIANTS = {
    "seed": {"resample": "shower"},
    "rehadron": {"resample": "hadronisation"},
    "repile": {"resample": "pileup"},
    "redetect": {"resample": "detector"},
    "clean": {"resample": "pileup", "pileup": {"mean": 0}},
}


def with_pileup(values: Values, **changes: Any) -> Campaign:
    """Return the miniature campaign with pile-up and a variant from each stage; ``changes`` are of the block."""
    values = copy.deepcopy(values)
    values["variants"] = {"nominal": {}, **copy.deepcopy(VARIANTS)}
    values["pileup"] = {"mean": 5, "events": POOL, "events_per_shard": POOL, "pythia": QUICK, **changes}
    return parse_campaign({**values, "detector": {"response": "cms"}})


@pytest.fixture(scope="module")
def files(test_values: Values, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the files of the pool, one by the command and one by the library, in shards of 45 and 15 events."""
    folder = tmp_path_factory.mktemp("pool")
    config = with_pileup(test_values, events_per_shard=45)
    assert list(blocks.pool_shards(config)) == [0, 1]
    paths = [folder / "0000.arrow", folder / "0001.arrow"]
    (folder / "block.json").write_text(blocks.pool_shard(config, 0).as_json(), encoding="utf-8")
    made = run_script("pileup.py", "--block", str(folder / "block.json"), "--out", str(paths[0]))
    assert made.returncode == 0, made.stderr
    write_pool(blocks.pool_shard(config, 1), paths[1])
    return paths


@pytest.fixture(scope="module")
def whole(test_values: Values, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same pool in one file."""
    path = tmp_path_factory.mktemp("whole") / "0000.arrow"
    write_pool(blocks.pool_shard(with_pileup(test_values), 0), path)
    return path


def of(config: Campaign, variant: str, process: str = "qcd", **changes: Any) -> blocks.ResimBlock:
    return blocks.resim(config, process, variant).model_copy(update=changes)


def opened(config: Campaign, files: list[Path]) -> FilePool:
    return FilePool(files, blocks.pool(config))


def test_the_pool_does_not_depend_on_its_shards(test_values: Values, files: list[Path], whole: Path) -> None:
    """Nor on the order of its files, nor on whether events are made when they are asked for."""
    config = with_pileup(test_values)
    indices = np.array([44, 3, 59, 45, 3, 0], np.int64)
    sizes, found = opened(config, files).take(indices)
    for pool in (opened(config, files[::-1]), opened(config, [whole]), MadePool(blocks.pool(config))):
        again, same = pool.take(indices)
        assert np.array_equal(again, sizes)
        assert all(np.array_equal(same[name], found[name]) for name in found)
    assert opened(config, files).digest == opened(config, [whole]).digest
    assert (sizes > 0).all() and np.array_equal(
        *(found["px"][a : a + sizes[1]] for a in (sizes[0], sizes[:4].sum()))
    )


def test_minimum_bias_events_are_physical(test_values: Values, whole: Path) -> None:
    """Charge is conserved up to what leaves along the beam; transverse momentum is small; no neutrinos."""
    sizes, found = opened(with_pileup(test_values), [whole]).take(np.arange(POOL))
    pt = np.hypot(found["px"], found["py"])
    assert 30 < sizes.mean() < 300 and 0.3 < pt.mean() < 1.0
    assert not set(np.abs(found["pdg_id"]).tolist()) & {12, 14, 16}
    assert (found["mass"] >= 0).all() and np.abs(np.arcsinh(found["pz"] / pt)).max() < 6.001


def test_overlay_is_that_of_the_reference(test_values: Values, files: list[Path], hard_events: Events) -> None:
    config = with_pileup(test_values, vertex_efficiency=0.5)
    block, pool = of(config, "nominal"), opened(config, files)
    assert block.pileup is not None
    particles = Showerer(block).shower(hard_events("qcd", 5))
    drawn = [draw(block.pileup, seed) for seed in (11, 12, 13, 14, 15)]
    drawn[1] = Drawn(*(values[:0] for values in vars(drawn[1]).values()))  # an event without pile-up
    result = overlay(particles, drawn, pool)
    names = ("pdg_id", "charge", "px", "py", "pz", "energy", "vx", "vy", "vz")
    for i in range(5):
        hard, mine = (slice(p.offsets[i], p.offsets[i + 1]) for p in (particles, result.particles))
        rows = list(zip(*(getattr(particles, name)[hard].tolist() for name in names), strict=True))
        expected = overlay_one([(*row, False) for row in rows], drawn[i], pool)
        found = zip(*(getattr(result.particles, name)[mine].tolist() for name in names), strict=True)
        assert [(*row, apart) for row, apart in zip(found, result.apart[mine].tolist(), strict=True)] == expected
    assert result.apart.any() and not result.apart.all()


def test_numbers_and_vertices_are_distributed_as_they_should(test_values: Values) -> None:
    """Poisson number, and differences of Gaussian vertices: all within five standard errors."""
    config = with_pileup(test_values, mean=20, events=400, vertex_sigma=30)
    pileup = of(config, "nominal").pileup
    assert pileup is not None
    drawn = [draw(pileup, seeds.seed(7, "qcd", i, "pileup", "nominal")) for i in range(1500)]
    numbers = np.array([len(one.event) for one in drawn])
    assert abs(numbers.mean() - 20) < 5 * np.sqrt(20 / 1500)
    assert abs(numbers.var() / 20 - 1) < 5 * np.sqrt(2 / 1500)
    assert all(len(set(one.event.tolist())) == len(one.event) for one in drawn)
    first = np.array([one.z[0] for one in drawn if len(one.z)])
    assert abs(first.var() / (2 * 30**2) - 1) < 5 * np.sqrt(2 / len(first))
    used = np.bincount(np.concatenate([one.event for one in drawn]), minlength=400)
    assert abs(used.mean() - 75) < 5 and used.min() > 20


def numbers_of(block: blocks.ResimBlock, event: int) -> list[Any]:
    assert block.pileup is not None
    seed = seeds.seed(block.seed, block.process, event, "pileup", block.stream("pileup"))
    return [values.tolist() for values in vars(draw(block.pileup, seed)).values()]


def test_views_share_what_comes_before_their_stage(
    test_values: Values, files: list[Path], hard_events: Events
) -> None:
    """To the bit: `repile` the hadrons, `redetect` hadrons and pile-up; from an earlier stage, all is new."""
    config, events = with_pileup(test_values), hard_events("qcd", 4)
    nominal = of(config, "nominal")
    hadrons = Showerer(nominal).shower(events)
    for name, shares_hadrons, shares_pileup in (
        ("rehadron", False, False), ("repile", True, False), ("redetect", True, True)
    ):  # fmt: skip
        view = of(config, name)
        assert Showerer(view).shower(events).same_as(hadrons) == shares_hadrons, name
        assert [numbers_of(view, i) == numbers_of(nominal, i) for i in range(4)] == [shares_pileup] * 4, name
    pool = opened(config, files)
    tables = {name: resimulate(of(config, name), events, pool) for name in ("nominal", "repile", "redetect")}
    assert not tables["repile"].equals(tables["nominal"]) and not tables["redetect"].equals(tables["nominal"])
    assert of(config, "clean").pileup is None, "a view without pile-up does not depend on the pool"


@pytest.mark.parametrize("subtraction", ["none", "chs", "chs_softkiller"])
def test_jets_depend_neither_on_shards_nor_on_batches(
    test_values: Values, files: list[Path], whole: Path, hard_events: Events, monkeypatch: pytest.MonkeyPatch,
    subtraction: str,
) -> None:  # fmt: skip
    config, events = with_pileup(test_values, subtraction=subtraction), hard_events("qcd", 12)
    block, pool = of(config, "repile"), opened(config, files)
    expected = resimulate(block, events, pool).combine_chunks()
    assert 0 in expected["status"].to_pylist()
    halves = [resimulate(block, some, opened(config, [whole])) for some in (events[7:], events[:7])]
    assert pa.concat_tables(halves[::-1]).combine_chunks().equals(expected)
    monkeypatch.setattr(shower, "BATCH", 5)
    monkeypatch.setattr(overlay_module, "INTERACTIONS", 13)
    assert resimulate(block, events, pool).combine_chunks().equals(expected)


def test_weights_of_the_shower_are_those_of_the_same_shower_without_pile_up(
    test_values: Values, files: list[Path], hard_events: Events
) -> None:
    config, events = with_pileup(test_values), hard_events("qcd", 8)
    block = of(config, "nominal", bands={"half": "fsr:muRfac=0.7071"})
    piled = resimulate(block, events, opened(config, files))
    alone = resimulate(block.model_copy(update={"pileup": None}), events)
    weights = [table[band_column("half")].to_numpy(zero_copy_only=False) for table in (piled, alone)]
    assert len(set(weights[0].tolist())) > 4
    np.testing.assert_array_equal(*weights)


def test_files_are_the_same_with_other_shards_of_the_pool_and_with_a_shared_shower(
    test_values: Values, files: list[Path], whole: Path, hard_shard: Shard, tmp_path: Path
) -> None:
    """Byte by byte."""
    values = copy.deepcopy(test_values) | {"share_shower": True}
    config, hard = with_pileup(values), hard_shard("higgs_bb", 0, 20)
    views = blocks.together(config, "higgs_bb").views
    assert [view.variant for view in views] == ["nominal", "rehadron", "repile", "redetect", "clean"]
    outs = [tmp_path / f"{view.variant}.parquet" for view in views]
    resimulate_together(views, hard, outs, 0, files)
    for view, out in zip(views, outs, strict=True):
        resimulate_shard(view, hard, tmp_path / "alone.parquet", 0, [whole])
        assert out.read_bytes() == (tmp_path / "alone.parquet").read_bytes(), view.variant
    assert len({out.read_bytes() for out in outs}) == len(outs)
    found = {view.variant: read_header(str(out)).pileup for view, out in zip(views, outs, strict=True)}
    assert found.pop("clean") == "" and set(found.values()) == {opened(config, [whole]).digest}


def test_without_pile_up_everything_is_as_if_it_were_not_there(
    test_values: Values, hard_shard: Shard, tmp_path: Path
) -> None:
    without = parse_campaign(test_values)
    off = parse_campaign({**test_values, "pileup": {"mean": 0, "events": 10, "subtraction": "softkiller"}})
    for variant in without.variants:
        assert of(off, variant).as_json() == of(without, variant).as_json()
    assert "pileup" not in of(without, "nominal").as_json() and "pileup" not in without.model_dump_json()
    assert "pileup" not in blocks.figures(without).as_json() and list(blocks.pool_shards(off)) == []
    for config, name in ((without, "a"), (off, "b")):
        resimulate_shard(of(config, "seed"), hard_shard("qcd", 0, 10), tmp_path / f"{name}.parquet", 0)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def candidates(*events: list[tuple[float, float, float, float]]) -> Particles:
    """Return events of massless candidates from (pT, eta, phi, charge)."""
    pt, eta, phi, charge = (np.array(x) for x in zip(*(row for event in events for row in event), strict=True))
    zero = np.zeros(len(pt))
    return Particles(
        position=np.arange(len(events)), offsets=np.cumsum([0, *map(len, events)]), pdg_id=np.full(len(pt), 22),
        charge=charge, px=pt * np.cos(phi), py=pt * np.sin(phi), pz=pt * np.sinh(eta), energy=pt * np.cosh(eta),
        vx=zero, vy=zero, vz=zero, weight=np.ones(len(events)),
    )  # fmt: skip


def test_soft_killer_is_that_of_the_reference() -> None:
    """With dense and sparse events, in an event of its own each."""
    generator = np.random.default_rng(5)
    events = [
        list(zip(generator.exponential(1.0, n), generator.uniform(-3, 3, n), generator.uniform(-3.1, 3.1, n),
                 np.zeros(n), strict=True))
        for n in (2000, 3, 500, 250)
    ]  # fmt: skip
    flat = candidates(*events)
    found = soft_killer_cuts(flat, np.ones(len(flat.px), bool), 0.4, 2.5)
    rows = np.stack([flat.px, flat.py, flat.pz, flat.energy], axis=1).tolist()
    bounds = zip(flat.offsets[:-1].tolist(), flat.offsets[1:].tolist(), strict=True)
    assert found.tolist() == [soft_killer_cut([tuple(r) for r in rows[a:b]], 0.4, 2.5) for a, b in bounds]
    assert found[0] > found[3] > found[1] == 0.0


def test_soft_killer_empties_half_of_the_cells() -> None:
    """Six cells with the largest pT from 1 to 6: the upper of the two in the middle, 4, is the cut everywhere."""
    rows = [(1.0 + i, (-1.0, 1.0)[i // 3], (-2.0, 0.0, 2.0)[i % 3], 0.0) for i in range(6)]
    event = candidates([*rows, (0.5, 1.0, 1.9, 0.0), (9.0, 3.0, 0.0, 0.0), (3.0, -3.0, 0.0, 0.0)])
    settings = PileupSettings(subtraction="softkiller", cell=2.0, cell_rapidity_max=2.0)
    assert soft_killer_cuts(event, np.ones(9, bool), 2.0, 2.0) == pytest.approx([4.0])
    left = subtract(event, np.zeros(9, bool), settings)
    assert np.hypot(left.px, left.py) == pytest.approx([5.0, 6.0, 9.0]) and left.offsets.tolist() == [0, 3]


def test_after_the_tracks_soft_killer_looks_at_neutral_candidates_alone() -> None:
    """The track of the hard vertex, hard as it is, neither counts nor goes."""
    rows = [(2.0 + i, (-1.0, 1.0)[i // 3], (-2.0, 0.0, 2.0)[i % 3], 0.0) for i in range(6)]
    event = candidates([*rows, (9.0, -1.0, -2.0, 1.0), (0.3, 1.0, 1.9, -1.0), (8.0, 1.0, 1.9, -1.0)])
    settings = PileupSettings(subtraction="chs_softkiller", cell=2.0, cell_rapidity_max=2.0)
    left = subtract(event, np.arange(9) == 8, settings)
    assert np.hypot(left.px, left.py) == pytest.approx([6.0, 7.0, 9.0, 0.3])


def test_tracks_are_removed_by_their_vertex() -> None:
    """Charged candidates from a vertex apart go, neutral ones stay; the rest is as it was."""
    event = candidates([(1.0, 0.0, 0.0, 1.0), (2.0, 0.5, 1.0, -1.0), (3.0, 1.0, 2.0, 0.0)], [(4.0, 0.1, 0.1, 1.0)])
    apart = np.array([False, True, True, True])
    left = subtract(event, apart, PileupSettings(subtraction="chs"))
    assert left.offsets.tolist() == [0, 2, 2] and np.hypot(left.px, left.py) == pytest.approx([1.0, 3.0])
    assert subtract(event, apart, PileupSettings(subtraction="none")).same_as(event)
    assert only(event, np.ones(4, bool)).same_as(event)


def test_ideal_subtraction_leaves_the_charged_particles_of_the_hard_vertex(
    test_values: Values, files: list[Path], hard_events: Events
) -> None:
    """Without the response of a detector, they are those without pile-up; with it, none is nearer than it is."""
    config = with_pileup(test_values)
    block = of(config, "nominal", detector=Detector())
    assert block.pileup is not None
    particles = Showerer(block).shower(hard_events("qcd", 3))
    found = overlay(particles, [draw(block.pileup, seed) for seed in (1, 2, 3)], opened(config, files))
    left = subtract(found.particles, found.apart, block.pileup.settings)
    assert only(left, left.charge != 0).same_as(only(particles, particles.charge != 0))
    assert (left.charge == 0).sum() > (particles.charge == 0).sum()
    for blind in ({"vertex_efficiency": 0.0}, {"vertex_separation": 1e4}):
        settings = block.pileup.settings.model_copy(update=blind)
        pileup = block.pileup.model_copy(update={"settings": settings})
        assert not draw(pileup, 1).found.any(), blind
        assert draw(pileup, 1).z.tolist() == draw(block.pileup, 1).z.tolist(), "the same pile-up"


def test_tracks_of_pile_up_come_from_their_vertices(
    test_values: Values, files: list[Path], hard_events: Events
) -> None:
    """In dz, which is measured from the hard vertex; in d0 they are like the others."""
    wide, narrow = (with_pileup(test_values, subtraction="none", mean=12, vertex_sigma=s) for s in (60, 0))
    spread = []
    for config in (wide, narrow):
        jets = resimulate(of(config, "nominal"), hard_events("qcd", 30), opened(config, files))
        dz = np.concatenate([row for row in jets["cand_dz"].to_pylist() if row])
        spread.append(np.count_nonzero(np.abs(dz) > 10) / len(dz))
    assert spread[0] > 0.02 > 4 * spread[1]


def test_another_pool_is_refused(
    test_values: Values, files: list[Path], whole: Path, hard_events: Events, tmp_path: Path
) -> None:
    config = with_pileup(test_values)
    with pytest.raises(DataError, match="a pool of minimum-bias events made with other settings"):
        opened(with_pileup({**test_values, "seed": 8}), files)
    with pytest.raises(DataError, match="do not hold its 60 events"):
        opened(config, files[:1])
    with pytest.raises(DataError, match="do not hold its 60 events"):
        opened(config, [*files, whole])
    with pytest.raises(DataError, match=r"no.arrow: missing; run the rule pileup"):
        opened(config, [tmp_path / "no.arrow"])
    with pytest.raises(DataError, match="variants.nominal: has pile-up, and no files of its pool are given"):
        resimulate(of(config, "nominal"), hard_events("qcd", 1))
    (tmp_path / "cut.arrow").write_bytes(whole.read_bytes()[:5000])
    with pytest.raises(DataError, match="cut.arrow: not a whole shard of the pile-up pool"):
        opened(config, [tmp_path / "cut.arrow"])


def test_a_damaged_event_is_found_when_it_is_drawn(test_values: Values, whole: Path, tmp_path: Path) -> None:
    config = with_pileup(test_values)
    _, found = opened(config, [whole]).take(np.array([30], np.int64))
    content = bytearray(whole.read_bytes())
    content[content.index(found["px"].tobytes()) + 2] ^= 1
    (tmp_path / "bad.arrow").write_bytes(bytes(content))
    pool = opened(config, [tmp_path / "bad.arrow"])
    assert pool.take(np.array([29, 31], np.int64))[0].min() > 0
    with pytest.raises(DataError, match="bad.arrow: its event 30 is damaged"):
        pool.take(np.array([31, 30], np.int64))


def test_the_merge_writes_down_the_pile_up_and_refuses_shards_of_two_pools(
    test_values: Values, files: list[Path], hard_shard: Shard, tmp_path: Path
) -> None:
    config = with_pileup(test_values)
    resimulate_shard(of(config, "nominal"), hard_shard("qcd", 0, 5), tmp_path / "a.parquet", 0, files)
    shard = read_header(str(tmp_path / "a.parquet"))
    without = replace(shard, variant="clean", resimulation=of(config, "clean").as_json(), pileup="")
    _check_one_pool([shard, shard, without])
    manifest = merge_module._pileup({"qcd": {"nominal": [shard], "clean": [without]}})
    assert manifest["pileup"]["pool_sha256"] == shard.pileup and manifest["pileup"]["uses"] == pytest.approx(
        5 * 5 / POOL, 1e-5
    )
    assert list(manifest["pileup"]["variants"]) == ["nominal"]
    section = card._pileup(manifest)
    assert "one pool of 60 minimum-bias events" in section[1] and "| nominal | 5 | chs |" in section[2]
    assert merge_module._pileup({"qcd": {"clean": [without]}}) == {} and card._pileup({}) == []
    with pytest.raises(DataError, match="made with different pools of pile-up"):
        _check_one_pool([shard, replace(shard, pileup="another", path="b.parquet")])


def test_one_event_is_replayed_with_or_without_the_pool(
    test_values: Values, files: list[Path], hard_shard: Shard, tmp_path: Path
) -> None:
    config = with_pileup(test_values, events_per_shard=45)
    paths = CampaignPaths(str(tmp_path / config.root))
    resimulate_shard(of(config, "repile"), hard_shard("qcd", 0, 5), paths.jets("qcd", "repile", "0000"), 0, files)
    event = seeds.event_id("qcd", 3)
    assert replay(config, event, "repile", tmp_path).identical is True
    for shard, path in zip(("0000", "0001"), files, strict=True):
        Path(paths.pool(shard)).parent.mkdir(exist_ok=True)
        Path(paths.pool(shard)).symlink_to(path)
    assert replay(config, event, "repile", tmp_path).identical is True


def test_another_generators_events_get_the_same_pile_up(
    test_values: Values, files: list[Path], hard_events: Events
) -> None:
    """Pythia in a process of its own, with the seeds of ours, gives the particles of ours in another order."""
    config, events = with_pileup(test_values), hard_events("qcd", 6)
    lines = [setting_line(*item).replace(" ", "") for item in of(config, "seed").pythia.items()]
    program = f"'{sys.executable}' '{REPOSITORY / 'config' / 'generators' / 'pythia_hepmc.py'}'"
    command = f"{program} {{lhe}} {{out}} --seed {{init_seed}} --seeds {{seeds}} --set {' '.join(lines)}"
    other = of(config, "seed", detector=Detector(), generator=GeneratorCommand(command=command))
    tables = [
        resimulate(b, events, opened(config, files)) for b in (other, of(config, "seed", detector=Detector()))
    ]
    found, expected = (table["jet_pt"].to_pylist() for table in tables)
    assert [pt is None for pt in found] == [pt is None for pt in expected]
    assert [pt for pt in found if pt] == pytest.approx([pt for pt in expected if pt]) and any(found)


@pytest.mark.parametrize(
    ("pileup", "variant", "message"),
    [
        ({}, {"resample": "pileup"}, "variants.x.resample: there is no pile-up"),
        ({"mean": 0}, {"resample": "pileup", "pileup": {"subtraction": "none"}}, "variants.x.resample: there is no"),
        ({}, {"resample": "shower", "pileup": {"cell": 0.5}}, "variants.x.pileup: has no effect without pile-up"),
        ({"mean": 60, "events": 100}, {"resample": "pileup"}, "pileup.mean: 60 interactions can be up to 148 in one"),
        ({"events": 20}, {"resample": "pileup", "pileup": {"mean": 9}}, "variants.x.pileup.mean: 9 interactions can be"),
        ({"mean": 9}, {"resample": "detector", "pileup": {"mean": 20}}, "pileup.mean changes the pile-up"),
        ({"mean": 9}, {"resample": "pileup", "pythia": {"StringZ:aLund": 0.4}}, "pythia settings need `resample"),
        ({"mean": -1}, {"resample": "shower"}, "pileup.mean: a number at least 0"),
        ({"subtraction": "puppi"}, {"resample": "shower"}, "pileup.subtraction: `none`, `chs`, `softkiller` or"),
    ],
)  # fmt: skip
def test_settings_without_sense_are_refused(
    test_values: Values, pileup: Values, variant: Values, message: str
) -> None:
    values = copy.deepcopy(test_values)
    values["variants"]["x"] = variant
    with pytest.raises(ConfigError, match=message):
        parse_campaign({**values, "pileup": pileup})


def test_a_variant_changes_the_pile_up(test_values: Values) -> None:
    values = copy.deepcopy(test_values)
    values["pileup"] = {"mean": 20, "vertex_sigma": 30}
    values["variants"]["dense"] = {"resample": "pileup", "pileup": {"mean": 60}}
    values["variants"]["softer"] = {"resample": "detector", "pileup": {"subtraction": "softkiller"}}
    config = parse_campaign(values)
    found = {name: config.pileup_of(name) for name in config.variants}
    assert (found["dense"].mean, found["dense"].vertex_sigma) == (60, 30)
    assert found["softer"].subtraction == "softkiller" and found["softer"].mean == found["nominal"].mean == 20
    assert of(config, "softer").stream("pileup") == "nominal"
    assert blocks.figures(config).interventions["dense"].changes == ["pileup.mean = 60.0"]
    events = sum(process.events for process in config.processes.values())
    assert blocks.pool_uses(config) == pytest.approx(events * (5 * 20 + 60) / 20_000)
