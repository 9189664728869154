"""What a campaign asks for and cannot have is found before anything is simulated."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from rs3l.config import load_campaign, parse_campaign
from rs3l.config.capacity import EXACT, anchor_types, check_capacity, most_events
from rs3l.config.dataset import Splits
from rs3l.dataset.splits import split_of
from rs3l.errors import ConfigError
from rs3l.hard.jet_types import hard_type
from rs3l.lhe.inputs import check_inputs
from rs3l.paths import SPLITS
from support.places import REPOSITORY, SIMULATED

Values = dict[str, Any]


def changed(values: Values, changes: Values) -> Values:
    """Return a copy of ``values`` with the keys at paths like ``jets/pt_min`` set."""
    result = copy.deepcopy(values)
    for path, value in changes.items():
        target = result
        *parents, last = path.split("/")
        for key in parents:
            target = target.setdefault(key, {})
        target[last] = value
    return result


DIJETS = {"like": "dijets", "events": 100}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"finetune/labels": [2000]}, "finetune.labels: 2000 labels of the task h_vs_qcd need 1000 events of higgs_bb, and at most 87 of its 180 are in the train split; lower it, or raise processes.higgs_bb.events or dataset.splits.train"),
        ({"tasks/w_vs_qcd/labels": [20, 400]}, "tasks.w_vs_qcd.labels: 400 labels of the task w_vs_qcd need 200 events of w_qq, and at most"),
        ({"processes/qcd/events": 10**6, "processes/higgs_bb/events": 10**6, "finetune/labels": [1_020_000]}, "need 510000 events of higgs_bb, and at most 503000 of its 1000000"),
        ({"dataset/splits": {"train": 0.75, "val": 0.25, "test": 0}}, "dataset.splits.test: 0 leaves it empty, and every campaign needs it; raise it"),
        ({"processes/qcd/events": 1}, "dataset.splits.train: none of the 1 events of qcd is in it; raise it, or processes.qcd.events"),
        ({"dataset/min_views": 5}, "dataset.min_views: 5 of 4 variants; lower it"),
        ({"pretrain/batch": 256}, "pretrain.batch: 256 of at most"),
        ({"pretrain/methods": {"rs3l": {"batch": 500}}}, "pretrain.methods.rs3l.batch: 500 of at most"),
        ({"pretrain/events": 300}, "pretrain.events: 300 of at most"),
        ({"ablations": {"few": {"events": 1000}}}, "ablations.few.events: 1000 of at most"),
        ({"processes/higgs_bb/use": "downstream", "pretrain/methods": ["supcon"]}, "pretrain.methods.supcon.loss: sup_con tells processes apart, and only qcd has `use: pretrain`"),
        ({"variants/seed": {"resample": "shower", "use": "held_out", "splits": ["train"]}}, "evaluate.pair: seed has no events of the test split; add test to variants.seed.splits"),
        ({"finetune/labels": [20, 20]}, "finetune.labels: 20 is there twice; name it once"),
        ({"pretrain/methods": ["rs3l", "rs3l"]}, "pretrain.methods: rs3l is there twice"),
        ({"evaluate/efficiencies": [0.5, 0.3, 0.50000001]}, "evaluate.efficiencies: 0.5 is there twice"),
        ({"processes/qcd2046": DIJETS, "processes/qcd2692": DIJETS}, "processes.qcd2692: its events would have the keys of those of qcd2046; rename one of them"),
        ({"generator/pythia": {"beams:ecm": 900}}, "generator.pythia.beams:ecm: the workflow sets this by itself; set generator.ecm instead"),
        ({"processes/qcd/pythia": {"HardQCD:all": True, "PhaseSpace:pTHatMin": 50}}, "processes.qcd.pythia.PhaseSpace:pTHatMin: the workflow sets this by itself; set processes.<name>.pt_hat.min instead"),
        ({"variants/fsr_hi/pythia": {"Random:seed": 5}}, "variants.fsr_hi.pythia.Random:seed: the workflow sets this by itself; set `seed` instead"),
        ({"tasks/w_vs_qcd/signal_types": ["H"]}, "tasks.w_vs_qcd.signal_types: no jet of w_qq has the type H, by its anchor; possible are W"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_named(test_values: Values, changes: Values, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_capacity(parse_campaign(changed(test_values, changes)))
    assert expected in str(error.value)


def test_what_can_just_be_had_is_accepted(test_values: Values) -> None:
    """All training events of the smaller class, and a batch of all training events."""
    there = {
        p: most_events(7, Splits(train=0.5, val=0.25, test=0.25), p, 180, "train") for p in ("higgs_bb", "qcd")
    }
    labels, batch = 2 * min(there.values()), sum(there.values())
    tasks = {"h_vs_qcd": test_values["tasks"]["h_vs_qcd"]}
    changes = {"finetune/labels": [labels], "pretrain/batch": batch, "tasks": tasks}
    check_capacity(parse_campaign(changed(test_values, changes)))
    for path, more in (("finetune/labels", [labels + 2]), ("pretrain/batch", batch + 1)):
        with pytest.raises(ConfigError, match=path.replace("/", r"\.")):
            check_capacity(parse_campaign(changed(test_values, {**changes, path: more})))


@pytest.mark.parametrize("events", [1, 64, 1000, EXACT + 1000])
def test_the_events_of_a_split_are_those_of_the_data_set_or_a_bound(events: int) -> None:
    splits = Splits(train=0.5, val=0.2, test=0.3)
    for split in SPLITS:
        counted = sum(split_of(3, splits, "qcd", event) == split for event in range(events))
        found = most_events(3, splits, "qcd", events, split)
        assert counted == found if events <= EXACT else counted <= found < 1.2 * counted


def test_an_anchor_has_the_types_that_the_simulation_gives() -> None:
    daughters = ([], [5, -5], [4, -4], [1, -1], [11, -11])
    for code in (1, -2, 3, 4, -5, 6, 21, 23, 24, -24, 25, 32, -9000001):
        assert {hard_type(code, d) for d in daughters} <= set(anchor_types([code])), code
    assert {hard_type(code, []) for code in (1, 4, 5, 21)} <= set(anchor_types("outgoing_parton"))


def test_a_finished_model_that_is_not_there_is_named(test_values: Values, tmp_path: Path) -> None:
    model = tmp_path / "m.safetensors"
    config = parse_campaign(changed(test_values, {"pretrain/methods": {"rs3l": {}, "own": {"model": str(model)}}}))
    with pytest.raises(ConfigError, match=rf"pretrain\.methods\.own\.model: there is no file {model}; make it"):
        check_inputs(config)
    model.write_bytes(b"")
    check_inputs(config)


def test_the_shipped_campaigns_have_what_they_ask_for() -> None:
    for name in SIMULATED:
        check_inputs(load_campaign(REPOSITORY / "config" / name))


def test_a_file_in_two_processes_is_refused(test_values: Values, tmp_path: Path) -> None:
    """Unless they make other jets of its events: of another anchor, or after other decays."""
    (tmp_path / "a.lhe").touch()
    (tmp_path / "b.lhe").symlink_to(tmp_path / "a.lhe")
    one, other = (
        {"label": "X", "events": 10, "lhe": str(tmp_path / n), "anchor": [25]} for n in ("a.lhe", "b.lhe")
    )
    processes = {**test_values["processes"], "one": one}
    with pytest.raises(ConfigError) as error:
        check_inputs(parse_campaign({**test_values, "processes": {**processes, "two": other}}))
    for part in ("processes.two.lhe: ", "b.lhe is ", "a.lhe of one, with the same anchor", "take it out of one"):
        assert part in str(error.value)
    for difference in ({"anchor": [5], "anchor_choice": "alternate"}, {"pythia": {"25:onIfMatch": "4 -4"}}):
        check_inputs(parse_campaign({**test_values, "processes": {**processes, "two": {**other, **difference}}}))
