"""The fast read-out of a batch of events, against a loop over the record of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest

from rs3l.config import Campaign, blocks
from rs3l.lhe.lhe import HardEvent
from rs3l.resim.shower import Showerer, flatten

Events = Callable[[str, int], list[HardEvent]]
NEUTRINOS = {12, 14, 16}


def read_literally(batch: ak.Array) -> list[list[tuple[Any, ...]]]:
    """Return the visible stable particles of each completed event, one by one."""
    return [
        [
            (
                p["id"],
                p["p"]["px"],
                p["p"]["py"],
                p["p"]["pz"],
                p["p"]["e"],
                vertex["px"],
                vertex["py"],
                vertex["pz"],
            )
            for p in event["prt"]
            for vertex in [p["vProd"] or {"px": 0.0, "py": 0.0, "pz": 0.0}]
            if p["status"] > 0 and abs(p["id"]) not in NEUTRINOS
        ]
        for event in batch.to_list()
        if event is not None
    ]


def broken(event: HardEvent) -> HardEvent:
    """Return an event whose colours make no sense."""
    particles = [p._replace(colour=901, anticolour=902) if p.pdg_id == 5 else p for p in event.particles]
    return HardEvent(**{**vars(event), "particles": particles})


@pytest.mark.parametrize("failing", [None, 2])
def test_the_read_out_is_that_of_a_loop(campaign: Campaign, hard_events: Events, failing: int | None) -> None:
    events = hard_events("higgs_bb", 6)
    if failing is not None:
        events[failing] = broken(events[failing])
    showerer = Showerer(blocks.resim(campaign, "higgs_bb", "nominal"))
    showerer._source.load(events)
    batch = showerer._pythia.nextBatch(len(events), "none")
    expected, fast = read_literally(batch), flatten(batch, showerer._charge)
    assert fast.position.tolist() == [i for i in range(6) if i != failing]
    assert np.diff(fast.offsets).tolist() == [len(event) for event in expected]
    columns = (fast.pdg_id, fast.px, fast.py, fast.pz, fast.energy, fast.vx, fast.vy, fast.vz)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == [p for e in expected for p in e]
    assert (fast.vx != 0).any(), "displaced vertices are among them"


def test_the_charge_is_pythias(campaign: Campaign, hard_events: Events) -> None:
    particles = Showerer(blocks.resim(campaign, "higgs_bb", "nominal")).shower(hard_events("higgs_bb", 3))
    known = {22: 0, 211: 1, -211: -1, 321: 1, -321: -1, 2212: 1, 130: 0, 11: -1, -11: 1}
    found = dict(zip(particles.pdg_id.tolist(), particles.charge.tolist(), strict=True))
    assert {code: found[code] for code in known.keys() & found} == {
        code: known[code] for code in known.keys() & found
    }
    assert {22, 211, -211} <= found.keys()
