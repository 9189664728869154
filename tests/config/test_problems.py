"""A table of wrong configurations: what people read is the key's path, what it may hold, what was found, the remedy."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rs3l.config import parse_campaign
from rs3l.errors import ConfigError
from support.changes import changed

Values = dict[str, Any]
NAME = "a name (small letters, digits and _, 40 at most; the first is a letter)"


def message(values: Values) -> str:
    with pytest.raises(ConfigError) as error:
        parse_campaign(values)
    return str(error.value)


WRONG = [
    ("jets", "x", "jets: a block of keys is expected, found 'x'"),
    ("jets", None, "jets: a block of keys is expected, found nothing; give it, or remove the key"),
    ("jets/algorithm", "anti-kt", "jets.algorithm: `antikt`, `cambridge` or `kt` is expected, found 'anti-kt'; did you mean `antikt`?"),
    ("jets/pt_min", "300 GeV", "jets.pt_min: a number above 0 [GeV] is expected, found '300 GeV'; write the number alone, e.g. 300, 0.5 or 1.2e2"),
    ("jets/pt_min", True, "jets.pt_min: a number above 0 [GeV] is expected, found true"),
    ("jets/pt_min", float("inf"), "jets.pt_min: a number above 0 [GeV] is expected, found inf"),
    ("jets/radius", 3, "jets.radius: a number above 0 and at most 2 is expected, found 3"),
    ("processes/qcd/events", 12.5, "processes.qcd.events: a whole number above 0 and at most 900,000,000 is expected, found 12.5"),
    ("processes/qcd/events", "1.85e1", "processes.qcd.events: a whole number above 0 and at most 900,000,000 is expected, found 18.5"),
    ("processes/qcd/events", True, "processes.qcd.events: a whole number above 0 and at most 900,000,000 is expected, found true"),
    ("processes/qcd/label", False, "processes.qcd.label: text that is not empty is expected, found false"),
    ("processes/qcd/anchor", "outgoing", "processes.qcd.anchor: `outgoing_parton` or a list (each a whole number) is expected, found 'outgoing'; did you mean `outgoing_parton`?"),
    ("processes/qcd/anchor", 25, "processes.qcd.anchor: `outgoing_parton` or a list (each a whole number) is expected, found 25; write it as a list: [25]"),
    ("processes/qcd/anchor", [25, "x"], "processes.qcd.anchor.1: a whole number is expected, found 'x'"),
    ("processes/qcd/lhe", 3, "processes.qcd.lhe: text or a list (each text) is expected, found 3; write it as a list: [3]"),
    ("processes/qcd/pythia", {"HardQCD": 1}, "processes.qcd.pythia.HardQCD: a setting of Pythia (Group:name) is expected as a key, found 'HardQCD'"),
    ("processes/qcd/pythia", {"HardQCD:all": [1]}, "processes.qcd.pythia.HardQCD:all: true or false, a whole number, a number or text is expected, found [1]"),
    ("processes", {}, "processes: a block of keys that is not empty is expected, found an empty block"),
    ("processes/x", {"like": ["a"]}, "processes.x.like: the name of an entry of config/processes is expected, found ['a']"),
    ("variants/seed/use", "held-out", "variants.seed.use: `train` or `held_out` is expected, found 'held-out'; did you mean `held_out`?"),
    ("variants/seed/splits", [], "variants.seed.splits: a list that is not empty (each `train`, `label`, `val` or `test`) is expected, found []"),
    ("pretrain/encoder", 3, "pretrain.encoder: a block of keys is expected, found 3"),
    ("pretrain/encoder", {"kind": "edgeconv", "hidden": 2}, "pretrain.encoder.hidden: a whole number at least 4 is expected, found 2"),
    ("pretrain/methods", {"Foo": {}}, f"pretrain.methods.Foo: {NAME} is expected as a key, found 'Foo'"),
    ("pretrain/methods", {"foo": 3}, "pretrain.methods.foo: a block of keys is expected, found 3"),
    ("pretrain/methods", ["Foo"], f"pretrain.methods.0: {NAME} is expected, found 'Foo'"),
    ("pretrain/methods", 3, f"pretrain.methods: a list (each {NAME}) or a block of keys is expected, found 3; write it as a list: [3]"),
    ("pretrain/methods", {"rs3l": {"loop": {"clip": "x"}}}, "pretrain.methods.rs3l.loop.clip: a number above 0 is expected, found 'x'"),
    ("pretrain/events", 1.5, "pretrain.events: a whole number at least 2 or a number above 0 and at most 1 is expected, found 1.5"),
    ("pretrain/loop", {"stream": "aut"}, "pretrain.loop.stream: `auto` or true or false is expected, found 'aut'; did you mean `auto`?"),
    ("finetune/labels", 20, "finetune.labels: a list that is not empty (each a whole number at least 10) is expected, found 20; write it as a list: [20]"),
    ("finetune/labels", [5], "finetune.labels.0: a whole number at least 10 is expected, found 5"),
    ("evaluate/pair", ["nominal"], "evaluate.pair.1: required, and missing"),
    ("evaluate/efficiencies", [1.5], "evaluate.efficiencies.0: a number above 0 and below 1 is expected, found 1.5"),
    ("campaign", "My Campaign", f"campaign: {NAME} is expected, found 'My Campaign'"),
    ("results", "a b", "results: the path of a folder (letters, digits and . / _ + @ = , -) is expected, found 'a b'"),
    ("ablations/x", {"model": "a.pt"}, "ablations.x.model: the path of a .safetensors file (letters, digits and . / _ + @ = , -) is expected, found 'a.pt'"),
    ("ablations", {"X": {}}, f"ablations.X: {NAME} is expected as a key, found 'X'"),
    ("generator", {"tune": {}}, "generator.tune: the name of an entry of config/tunes is expected, found {}"),
    ("share_shower", "maybe", "share_shower: true or false is expected, found 'maybe'"),
    ("seed", -1, "seed: a whole number at least 0 and below 2^63 is expected, found -1"),
    ("pt_min", 3, "pt_min: unknown key; it is a key of `jets`"),
    ("tasks", {"t": {"signal": "higgs_bb"}}, "tasks.t.background: required, and missing"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "expected"), WRONG, ids=[f"{path}={value}" for path, value, _ in WRONG])
def test_each_mistake_is_one_line_in_words(test_values: Values, path: str, value: Any, expected: str) -> None:
    lines = message(changed(test_values, path, value)).splitlines()
    assert [line.strip() for line in lines[1:]] in ([expected], []) and expected in "\n".join(lines)


def test_no_word_of_pydantic_or_of_a_pattern_is_left(test_values: Values) -> None:
    for path, value, _ in WRONG:
        text = message(changed(test_values, path, value))
        assert not re.search(
            r"Input|should|literal\[|constrained|valid (string|dict|int)|\^\[|pydantic|__", text
        ), text


@pytest.mark.parametrize("text", ["1.2e2", "1.2E+2", "12e1", "120", "1200e-1", 120, 120.0])
def test_a_number_may_be_written_in_any_form(test_values: Values, text: Any) -> None:
    """YAML 1.1, which Snakemake reads, takes 1.2e2 for text."""
    values = changed(test_values, "processes/qcd/events", text)
    values = changed(changed(values, "jets/mass_min", text), "finetune/labels", [text])
    values = changed(values, "pretrain/methods", {"rs3l": {"events": text, "temperature": text}})
    values = changed(values, "variants/seed/pythia", {"TimeShower:renormMultFac": text})
    config = parse_campaign(values)
    found = config.processes["qcd"].events, config.jets.mass_min, config.finetune.labels[0]
    assert found == (120, 120.0, 120) and isinstance(found[0], int) and isinstance(found[2], int)
    assert float(config.variants["seed"].pythia["TimeShower:renormMultFac"]) == 120.0


def test_text_that_looks_like_a_number_stays_text(test_values: Values) -> None:
    config = parse_campaign(changed(test_values, "processes/qcd/label", "1e2"))
    assert config.processes["qcd"].label == "1e2"


def test_an_unknown_key_of_an_alternative_gets_one_line(test_values: Values) -> None:
    text = message(changed(test_values, "pretrain/encoder", {"kind": "edgeconv", "neigbours": 3, "hidden": "x"}))
    assert text.splitlines()[1:] == [
        "  pretrain.encoder.hidden: a whole number at least 4 is expected, found 'x'",
        "  pretrain.encoder.neigbours: unknown key; did you mean `neighbours`?",
    ]


def test_a_key_that_yaml_reads_as_a_number_is_named(test_values: Values) -> None:
    assert "write it in quotes" in message({**test_values, True: 3})  # `on: 3`
