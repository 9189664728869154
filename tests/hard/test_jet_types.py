"""Jet types on constructed events, and the first splitting of gluons in real showers, found another way."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from rs3l.config import Campaign, blocks
from rs3l.hard.anchor import find_anchor
from rs3l.hard.jet_types import GluonSplittings, first_splitting, hard_type
from rs3l.lhe.lhe import HardEvent
from rs3l.pythia import new_pythia, pythia_module
from rs3l.resim.resim import resimulate
from rs3l.resim.shower import Showerer


@pytest.mark.parametrize(
    ("code", "daughters", "expected"),
    [
        (1, (), "q"), (-2, (), "q"), (3, (), "q"), (-4, (), "c"), (5, (), "b"), (21, (), "g"),
        (25, (5, -5), "H"), (25, (4, -4), "H"), (-24, (3, -4), "W"), (6, (24, 5), "top"), (-6, (), "top"),
        (23, (1, -1), "Z_qq"), (23, (3, -3), "Z_qq"), (23, (4, -4), "Z_cc"), (23, (-5, 5), "Z_bb"),
        (23, (12, -12), "Z"), (23, (), "Z"), (1000021, (), "1000021"),
    ],
)  # fmt: skip
def test_the_hard_event_gives_the_type(code: int, daughters: tuple[int, ...], expected: str) -> None:
    assert hard_type(code, daughters) == expected


PYTHIA = new_pythia()  # the constructed records point to its particle data
Entry = tuple[int, int, int, int]
"""PDG code, status, first and last daughter."""


def record(*entries: Entry) -> Any:
    """Return a record of Pythia with these entries from position 5 on, all along x."""
    event = pythia_module().Event()
    event.init("constructed", PYTHIA.particleData)
    for code, status, first, last in [(90, -11, 0, 0)] * 5 + list(entries):
        event.append(code, status, 0, 0, first, last, 0, 0, 100.0, 0.0, 0.0, 100.0, 0.0)
    return event


RECOIL = (21, -44, 7, 7)  # a copy at 6; its own daughter is at 7


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([(21, -23, 6, 7), (21, -51, 0, 0), (21, -51, 0, 0)], "g_gg"),
        ([(21, -23, 6, 7), (1, -51, 0, 0), (-1, -51, 0, 0)], "g_qq"),
        ([(21, -23, 6, 6), RECOIL, (21, -52, 8, 9), (-4, -51, 0, 0), (4, -51, 0, 0)], "g_cc"),
        ([(21, -23, 6, 0), RECOIL, (21, -52, 8, 9), (5, -51, 10, 11), (-5, -51, 0, 0)], "g_bb"),
        # the first splitting counts, not a later one
        ([(21, -23, 6, 7), (21, -51, 8, 9), (21, -51, 0, 0), (5, -51, 0, 0), (-5, -51, 0, 0)], "g_gg"),
        ([(21, -23, 6, 6), (21, -52, 0, 0)], "g"),  # no splitting
        ([(21, -23, 6, 6), (21, -71, 7, 12), *[(211, 83, 0, 0)] * 6], "g"),  # a string, not a splitting
    ],
)
def test_the_first_splitting_gives_the_type_of_a_gluon(entries: list[Entry], expected: str) -> None:
    assert first_splitting(record(*entries), 5) == expected
    recorder = GluonSplittings({4: (0.0, 0.0)})
    recorder(4, record(*entries))
    recorder(3, record((21, -23, 0, 0)))
    assert recorder.types == {4: expected}


def test_of_two_outgoing_gluons_the_anchor_counts() -> None:
    event = record((21, -23, 7, 8), (21, -23, 9, 10), *[(21, -51, 0, 0)] * 2, (5, -51, 0, 0), (-5, -51, 0, 0))
    event[6].p(pythia_module().Vec4(0.0, 100.0, 0.0, 100.0))
    recorder = GluonSplittings({0: (0.0, 0.0), 1: (0.0, math.pi / 2), 2: (0.0, 0.0)})
    recorder(0, event)
    recorder(1, event)
    recorder(2, record((1, -23, 0, 0)))
    assert recorder.types == {0: "g_gg", 1: "g_bb", 2: "g"}


def by_mothers(event: Any, eta: float, phi: float) -> str:
    """Follow the gluon by who names it as mother, in the order of the record."""
    start = [i for i in range(event.size()) if event[i].id() == 21 and event[i].status() == -23]
    (current,) = [i for i in start if math.hypot(event[i].eta() - eta, event[i].phi() - phi) < 1e-6]
    while True:
        parton = (event[i].statusAbs() < 70 for i in range(event.size()))
        children = [i for i, is_parton in enumerate(parton) if is_parton and event[i].mother1() == current]
        if len(children) != 1:
            break
        current = children[0]
    codes = sorted(abs(event[i].id()) for i in children)
    return {"21": "g_gg", "4": "g_cc", "5": "g_bb", "": "g"}.get("".join(map(str, sorted(set(codes)))), "g_qq")


def test_gluons_of_real_showers_are_typed_in_the_nominal_alone(
    campaign: Campaign, hard_events: Callable[[str, int], list[HardEvent]]
) -> None:
    events = hard_events("qcd", 120)
    nominal = blocks.resim(campaign, "qcd", "nominal")
    anchors = [find_anchor(event, nominal.anchor, nominal.anchor_choice) for event in events]
    expected = [anchor.jet_type for anchor in anchors]

    def look(position: int, event: Any) -> None:
        anchor = anchors[position]
        if anchor.pdg_id == 21:
            expected[position] = by_mothers(event, anchor.eta, anchor.phi)

    Showerer(nominal).shower(events, look)
    assert resimulate(nominal, events)["jet_type"].to_pylist() == expected
    assert expected.count("g_gg") > 10
    assert {"q", "g_qq"} < set(expected)
    seed = resimulate(blocks.resim(campaign, "qcd", "seed"), events[:30])["jet_type"].to_pylist()
    assert seed == [anchor.jet_type for anchor in anchors[:30]]
