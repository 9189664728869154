"""Anchors without transverse momentum, as at leading order in gg -> H and pp -> Z: no direction, and no jet."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rs3l.config import Campaign, blocks
from rs3l.config.blocks import LheBlock, ResimBlock
from rs3l.config.processes import PtHat
from rs3l.config.variants import GeneratorCommand
from rs3l.dataset.schema import Status
from rs3l.errors import DataError
from rs3l.hard.anchor import find_anchor
from rs3l.hard.external import external_shard, make_index
from rs3l.hard.hard import generate_shard
from rs3l.lhe.lhe import HardEvent, Particle, read_shard
from rs3l.resim.external.alternative import Alternative
from rs3l.resim.jets.matching import nearest
from rs3l.resim.resim import jet_tables, resimulate, resimulate_shard
from rs3l.resim.shower import Showerer
from support.lhe_writers import changed, lhe_source, write_lhe

Events = Callable[[str, int], list[HardEvent]]
MASS, BOTTOM = 125.0, 4.8
N = 6


def leading_order(index: int, rapidity: float = 0.4) -> HardEvent:
    """Return g g -> H -> b bbar with the Higgs boson along the beam."""
    pz, energy = MASS * math.sinh(rapidity), MASS * math.cosh(rapidity)
    across = (MASS**2 / 4 - BOTTOM**2) ** 0.5
    first, second = (energy + pz) / 2, (energy - pz) / 2
    bottom = (across, 0.0, pz / 2, energy / 2, BOTTOM, 0.0, 9.0)
    particles = [
        Particle(21, -1, 0, 0, 501, 502, 0.0, 0.0, first, first, 0.0, 0.0, 9.0),
        Particle(21, -1, 0, 0, 502, 501, 0.0, 0.0, -second, second, 0.0, 0.0, 9.0),
        Particle(25, 2, 1, 2, 0, 0, 0.0, 0.0, pz, energy, MASS, 0.0, 9.0),
        Particle(5, 1, 3, 3, 503, 0, *bottom),
        changed(Particle(-5, 1, 3, 3, 0, 503, *bottom), px=-across),
    ]
    return HardEvent(index, 1.0, MASS, 0.0078, 0.118, particles)


def mixed(events: list[HardEvent]) -> list[HardEvent]:
    """Return the events with every second one at leading order."""
    return [leading_order(e.index, 0.1 * i) if i % 2 else e for i, e in enumerate(events)]


@pytest.mark.parametrize(("rapidity", "eta"), [(0.4, math.inf), (-0.4, -math.inf), (0.0, math.inf)])
def test_an_anchor_along_the_beam_has_no_direction(rapidity: float, eta: float) -> None:
    anchor = find_anchor(leading_order(0, rapidity), [25], "unique")
    assert (anchor.pt, anchor.eta, anchor.has_direction) == (0.0, eta, False)
    jets = np.array([0.0, 4.5, -4.5])
    found = nearest(jets, np.zeros(3), np.zeros(3, np.int64), np.array([eta]), np.array([anchor.phi]), 10.0)
    assert found.tolist() == [-1]


def test_what_rounding_leaves_of_no_momentum_is_no_direction() -> None:
    event = leading_order(0)
    particles = [changed(p, px=1e-8) if p.pdg_id == 25 else p for p in event.particles]
    anchor = find_anchor(replace(event, particles=particles), [25], "unique")
    assert math.isfinite(anchor.eta)
    assert not anchor.has_direction


def test_a_sample_without_directions_is_refused_by_the_index(tmp_path: Path) -> None:
    path = write_lhe(tmp_path / "a.lhe", [leading_order(i, 0.1 * i) for i in range(N)])
    with pytest.raises(DataError, match=r"a.lhe: in all 6 events the anchor \[25\] moves along the beam"):
        make_index(lhe_source(path, events=N, anchor=[25]))
    assert make_index(lhe_source(path, events=N, anchor=[5], anchor_choice="alternate")).files[0].used == N


def test_events_without_a_direction_are_rows_without_a_jet(
    hard_events: Events, test_values: dict[str, Any], campaign: Campaign, tmp_path: Path, caplog: Any
) -> None:
    """The others are what they are in a sample without them."""
    events = hard_events("higgs_bb", N)
    path = write_lhe(tmp_path / "a.lhe", mixed(events), "pythia")
    with caplog.at_level(logging.WARNING):
        index = make_index(lhe_source(path, process="higgs_bb", events=N, anchor=[25]))
    assert "in 3 of 6 events the anchor moves along the beam: these have no jet" in caplog.text
    assert index.files[0].along_the_beam == 3
    block = LheBlock(seed=campaign.seed, process="higgs_bb", first=0, events=N, decays={}, source=index.source)
    external_shard(block, tmp_path / "0000.lhe.gz", index)
    resim = blocks.resim(campaign, "higgs_bb", "nominal")
    resimulate_shard(resim, tmp_path / "0000.lhe.gz", tmp_path / "x.parquet", 0)
    table, own = resimulate(resim, read_shard(tmp_path / "0000.lhe.gz")[1]), resimulate(resim, events)
    assert table["status"].to_pylist()[1::2] == [Status.NO_JET] * 3
    assert table["parton_pt"].to_pylist()[1::2] == [0.0] * 3
    assert table["parton_eta"].to_pylist()[1::2] == [math.inf] * 3
    for column in ("status", "jet_pt", "jet_mass", "cand_pt"):
        assert table[column].to_pylist()[::2] == own[column].to_pylist()[::2], column
    assert Status.OK in own["status"].to_pylist()[::2]


def test_views_that_share_a_shower(hard_events: Events, campaign: Campaign) -> None:
    names = blocks.shared_variants(campaign) or ["nominal"]
    views = [blocks.resim(campaign, "higgs_bb", name) for name in names]
    for table in next(jet_tables(views, mixed(hard_events("higgs_bb", N)))):
        assert table["status"].to_pylist()[1::2] == [Status.NO_JET] * 3


def test_gluons_along_the_beam_are_not_looked_for(hard_events: Events, campaign: Campaign) -> None:
    """The type of a gluon's jet needs a direction; without one it is g."""
    block = blocks.resim(campaign, "higgs_bb", "nominal").model_copy(update={"anchor": [21]})
    event = leading_order(0)
    gluon = [
        changed(p, pdg_id=21, colour=501, anticolour=502) if p.pdg_id == 25 else p for p in event.particles[:3]
    ]
    gluon = [
        *gluon,
        *(changed(p, colour=p.colour and 501, anticolour=p.anticolour and 502) for p in event.particles[3:]),
    ]
    table = resimulate(block, [replace(event, particles=gluon)])
    assert table["jet_type"].to_pylist() == ["g"]
    assert table["status"].to_pylist()[0] != Status.OK


def test_a_process_of_pythia_without_directions_is_refused(campaign: Campaign, tmp_path: Path) -> None:
    """For gg -> H there is no cut on the transverse momentum that could help."""
    hard = blocks.hard(campaign, "higgs_bb", 0)
    settings = {"HiggsSM:gg2H": True, "25:onMode": False, "25:onIfMatch": "5 -5"}
    update = {"pythia": settings, "first": 0, "events": 8, "pt_hat": PtHat(min=100.0, max=None, bias_power=0.0)}
    own = hard.model_copy(update=update)
    generate_shard(own, tmp_path / "0000.lhe.gz")  # type: ignore[arg-type]
    block = blocks.resim(campaign, "higgs_bb", "nominal")
    with pytest.raises(
        DataError, match=r"processes.higgs_bb: in the first 8 hard events the anchor \[25\] moves along"
    ):
        resimulate_shard(block, tmp_path / "0000.lhe.gz", tmp_path / "x.parquet", 0)
    assert not (tmp_path / "x.parquet").exists()


def with_generator(block: ResimBlock) -> ResimBlock:
    return block.model_copy(update={"generator": GeneratorCommand(command="shower {lhe} {out} {seed}")})


def test_alternative_generators_are_not_judged_by_them(hard_events: Events, campaign: Campaign) -> None:
    """An event without a direction says nothing of whether a command showered the right events."""
    block = blocks.resim(campaign, "higgs_bb", "nominal")
    events = mixed(hard_events("higgs_bb", N))
    particles = Showerer(block).shower(events)
    whole = Alternative(with_generator(block), events)._aligned(particles)
    wrong = Alternative(with_generator(block), events[::-1])._aligned(particles)
    assert whole == N
    assert wrong < N
