"""Where Pythia fails, the message has Pythia's own words."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rs3l.config import Campaign, blocks, parse_campaign
from rs3l.config.blocks import LheBlock
from rs3l.errors import ConfigError, GeneratorError
from rs3l.hard.decays import decayed
from rs3l.hard.hard import generate_shard
from rs3l.lhe.lhe import HardEvent, read_shard, write_shard
from rs3l.pythia import apply_settings, check_settings, new_pythia
from rs3l.pythia_reason import reason, said
from rs3l.resim.resim import resimulate_shard
from rs3l.resim.shower import Showerer
from support.places import SCRIPTS

Events = Callable[[str, int], list[HardEvent]]
Shard = Callable[[str, int, int], Path]


@pytest.fixture
def silent(capfd: pytest.CaptureFixture[str]) -> Any:
    """Nothing of what Pythia says may reach the terminal, or the log of a job."""
    yield
    assert "PYTHIA" not in capfd.readouterr().out


def failing(events: list[HardEvent], *positions: int) -> list[HardEvent]:
    """Return events of H -> bb of which some have colours that go nowhere."""
    return [
        HardEvent(**{**vars(event), "particles": [p._replace(colour=901, anticolour=902) if p.pdg_id == 5 else p for p in event.particles]})
        if i in positions
        else event
        for i, event in enumerate(events)
    ]  # fmt: skip


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("failed", [(2,), (1, 3, 4)])
def test_events_that_fail_say_why(
    campaign: Campaign,
    hard_shard: Shard,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    failed: tuple[int, ...],
) -> None:
    """In the error, and in the warning if they are few."""
    info, events = read_shard(hard_shard("higgs_bb", 0, 40))
    write_shard(tmp_path / "hard.lhe.gz", info, failing(events, *failed), 13000.0)
    block = blocks.resim(campaign, "higgs_bb", "seed")
    expected = rf"Pythia failed on {len(failed)} of 40 events.*hard event {failed[0]}: Pythia says: Error in Pro"
    if len(failed) > 2:
        with pytest.raises(GeneratorError, match=f"{expected}.*; check variants.seed.pythia$"):
            resimulate_shard(block, tmp_path / "hard.lhe.gz", tmp_path / "out.parquet")
        assert not (tmp_path / "out.parquet").exists()
    else:
        resimulate_shard(block, tmp_path / "hard.lhe.gz", tmp_path / "out.parquet")
        assert "unphysical colour flow" in caplog.text and "hard event 2: Pythia says" in caplog.text


@pytest.mark.usefixtures("silent")
def test_decays_in_the_wrong_order_say_that_no_channel_is_open(campaign: Campaign, hard_events: Events) -> None:
    """`onMode` after `onIfAny` closes what was opened."""
    event = hard_events("higgs_bb", 1)[0]
    higgs = next(i for i, p in enumerate(event.particles, start=1) if p.pdg_id == 25)
    kept = [p if p.pdg_id != 25 else p._replace(status=1) for p in event.particles if p.mother1 != higgs]
    event = HardEvent(**{**vars(event), "particles": kept})
    source = blocks.LheSource(
        process="x", patterns=["x.lhe"], accept=[], undecayed=True, events=1, ecm=campaign.generator.ecm,
        anchor=[25], anchor_choice="unique", declared=[],
    )  # fmt: skip
    right = {"25:onMode": False, "25:onIfAny": "5"}
    block = LheBlock(seed=1, process="x", first=0, events=1, decays=right, source=source)
    assert len(list(decayed(block, [event]))) == 1
    wrong = block.model_copy(update={"decays": dict(reversed(right.items()))})
    with pytest.raises(GeneratorError, match="Pythia says: .*no open decay channel.* = 25.*The order of its"):
        list(decayed(wrong, [event]))


@pytest.mark.usefixtures("silent")
def test_a_hard_process_that_cannot_begin_says_why(campaign: Campaign, tmp_path: Path) -> None:
    block = blocks.hard(campaign, "qcd", 0)
    closed = {"Top:gg2ttbar": True, "6:onMode": False}
    with pytest.raises(GeneratorError, match="vanishing cross sections.*check processes.qcd.pythia"):
        generate_shard(block.model_copy(update={"pythia": closed}), tmp_path / "x.lhe.gz")


@pytest.mark.usefixtures("silent")
def test_a_variant_that_cannot_begin_says_why(campaign: Campaign) -> None:
    block = blocks.resim(campaign, "qcd", "seed")
    with pytest.raises(GeneratorError, match="Pythia says: .*PDF.*check variants.seed.pythia"):
        Showerer(block.model_copy(update={"pythia": {"PDF:pSet": "LHAPDF6:none"}}))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("TimeShower:renormMultFac", 99, "its value is out of range"),
        ("TimeShower:renormMultFac", "much", "its value not meaningful"),
        ("TimeShower:renormMultFact", 0.5, "not found in settings databases"),
        ("25:onMod", False, "not found in Particle Data Table"),
    ],
)
def test_a_setting_that_is_refused_says_why(test_values: dict[str, Any], key: str, value: Any, words: str) -> None:
    with pytest.raises(GeneratorError, match=f"does not accept .*{words}"):
        apply_settings(new_pythia(), {key: value})
    values = copy.deepcopy(test_values)
    values["generator"]["pythia"][key] = value
    with pytest.raises(ConfigError, match=f"generator.pythia.{key}: .*{words}.*; see the Pythia manual"):
        check_settings(parse_campaign(values))


def test_what_is_said_is_short_and_ends_with_the_last_word() -> None:
    lines = [f" PYTHIA Error in A: {i}" for i in range(20)]
    text = "\n".join(
        ["something else", lines[0], *lines, " PYTHIA Warning in B: twice", " PYTHIA Abort: gave up:"]
    )
    assert said(text) == "Pythia says: Error in A: 0; Error in A: 1; Error in A: 2; Error in A: 3; Error in A: 4; Abort: gave up"  # fmt: skip
    assert said(" PYTHIA Warning in B: twice") == "Pythia says: Warning in B: twice"
    assert said("") == "Pythia gives no reason"


def test_what_others_print_comes_before_and_after(capfd: pytest.CaptureFixture[str]) -> None:
    print("before")
    assert "Abort" in reason(lambda: new_pythia().init())
    print("after")
    assert capfd.readouterr().out == "before\nafter\n"


def test_a_closed_standard_output_is_no_obstacle() -> None:
    code = "import sys; from rs3l.pythia_reason import reason; sys.stderr.write(reason(lambda: 1 / 0))"
    done = subprocess.run(
        ["bash", "-c", 'exec "$@" >&-', "-", sys.executable, "-c", code],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr.startswith("Pythia's reason cannot be read")
