"""Hard events: the same in any shard, exact in the file, conserved, weighted; damaged files are refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rs3l.config import Campaign, blocks
from rs3l.errors import DataError, GeneratorError
from rs3l.hard.hard import generate_shard
from rs3l.lhe.cross_section import cross_section
from rs3l.lhe.lhe import FINAL, HardEvent, check_conservation, read_shard

Shard = Callable[[str, int, int], Path]
PROCESSES = ("higgs_bb", "qcd", "w_qq")


@pytest.mark.parametrize("process", PROCESSES)
def test_events_do_not_depend_on_their_shard(hard_shard: Shard, process: str) -> None:
    _, whole = read_shard(hard_shard(process, 0, 40))
    _, first = read_shard(hard_shard(process, 0, 15))
    _, second = read_shard(hard_shard(process, 15, 25))
    assert first + second == whole


def test_a_shard_has_the_same_bytes_each_time(hard_shard: Shard, campaign: Campaign, tmp_path: Path) -> None:
    block = blocks.hard(campaign, "qcd", 0).model_copy(update={"first": 15, "events": 25})
    generate_shard(block, tmp_path / "again.lhe.gz")
    assert (tmp_path / "again.lhe.gz").read_bytes() == hard_shard("qcd", 15, 25).read_bytes()


@pytest.mark.parametrize(
    ("process", "boson", "products"),
    [("higgs_bb", 25, {5}), ("w_qq", 24, {1, 2, 3, 4, 5}), ("qcd", 23, {12, 14, 16})],
)
def test_resonances_decay_in_the_hard_process(
    hard_shard: Shard, process: str, boson: int, products: set[int]
) -> None:
    _, events = read_shard(hard_shard(process, 0, 40))
    for event in events:
        position = next(i for i, p in enumerate(event.particles, start=1) if abs(p.pdg_id) == boson)
        decay = [p for p in event.particles if p.status == FINAL and p.mother1 == position]
        assert len(decay) == 2
        assert {abs(p.pdg_id) for p in decay} <= products


def test_weight_undoes_the_biased_sampling(hard_shard: Shard, campaign: Campaign) -> None:
    """Weight = (pT-hat min / pT-hat)^power; for 2->2, pT-hat is the boson's pT."""
    _, events = read_shard(hard_shard("higgs_bb", 0, 40))
    cut = campaign.processes["higgs_bb"].pt_hat
    for event in events:
        higgs = next(p for p in event.particles if p.pdg_id == 25)
        pt = (higgs[6] ** 2 + higgs[7] ** 2) ** 0.5
        assert event.weight == pytest.approx((cut.min / pt) ** cut.bias_power, rel=1e-3)
        assert cut.max is not None
        assert cut.min <= pt * 1.001
        assert pt <= cut.max * 1.001


def test_cross_section_is_mean_and_standard_error_over_all_points() -> None:
    points = {"1": [3.0, 5.0, 4.0, 8.0, 0.0, 7.0, 2.0, 9.0], "2": [1.0, 0.0, 2.0]}

    def sums(values: list[float]) -> tuple[int, float, float]:
        return len(values), sum(values), sum(x * x for x in values)

    sigma, error = cross_section([{code: sums(values) for code, values in points.items()}])
    assert sigma == pytest.approx(np.mean(points["1"]) + np.mean(points["2"]))
    expected = np.hypot(np.std(points["1"]) / 8**0.5, np.std(points["2"]) / 3**0.5)
    assert error == pytest.approx(expected)
    shards = [{"1": sums(points["1"][:3])}, {"1": sums(points["1"][3:]), "2": sums(points["2"])}]
    assert cross_section(shards) == pytest.approx((sigma, error))


@pytest.mark.parametrize("process", PROCESSES)
def test_cross_section_does_not_depend_on_the_shards(hard_shard: Shard, process: str) -> None:
    """Also with a shard so small that a subprocess has no event in it."""
    whole, *pieces = (read_shard(hard_shard(process, *r))[0] for r in ((0, 40), (0, 2), (2, 38)))
    sigma, error = whole.cross_section
    assert cross_section([p.subprocesses for p in pieces]) == pytest.approx((sigma, error), rel=1e-9)
    assert 0 < error < 0.3 * sigma


def test_cross_section_is_that_of_pythia(hard_shard: Shard) -> None:
    """Z -> nu nu + jet, 230 < pT-hat < 600 GeV: 6.5 pb from 20,000 events of Pythia alone."""
    sigma, error = read_shard(hard_shard("qcd", 0, 40))[0].cross_section
    assert abs(sigma - 6.5) < 4 * error


def test_conservation_is_checked(hard_shard: Shard) -> None:
    _, events = read_shard(hard_shard("qcd", 0, 15))
    event = events[0]
    check_conservation(event)
    *others, last = event.particles
    broken = HardEvent(**{**vars(event), "particles": [*others, last._replace(px=last.px + 1.0)]})
    with pytest.raises(DataError, match="hard event 0: px changes by 1"):
        check_conservation(broken)


def test_damaged_shards_are_refused_by_name(hard_shard: Shard, tmp_path: Path) -> None:
    whole = hard_shard("qcd", 0, 15).read_bytes()
    text = gzip.decompress(whole).decode()
    one_event_less = text[: text.rindex("<event")] + "</LesHouchesEvents>"
    damaged = {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "cut": gzip.compress(text[: len(text) // 2].encode()),
        "short": gzip.compress(one_event_less.encode()),
        "foreign": gzip.compress(text.replace("rs3l {", "other {", 1).encode()),
        "flipped": whole[:2000] + bytes([whole[2000] ^ 16]) + whole[2001:],
    }
    for name, content in damaged.items():
        path = tmp_path / f"{name}.lhe.gz"
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"{name}.lhe.gz"):
            read_shard(path)
    with pytest.raises(DataError, match="no such file"):
        read_shard(tmp_path / "missing.lhe.gz")


def test_settings_that_pythia_refuses_leave_no_file(campaign: Campaign, tmp_path: Path) -> None:
    block = blocks.hard(campaign, "qcd", 0)
    with pytest.raises(GeneratorError, match="does not accept `HardQCD:nothing"):
        generate_shard(block.model_copy(update={"pythia": {"HardQCD:nothing": True}}), tmp_path / "x.lhe.gz")
    with pytest.raises(GeneratorError, match="cannot initialise"):
        generate_shard(
            block.model_copy(update={"pythia": {"ParticleDecays:limitTau0": True}}), tmp_path / "x.lhe.gz"
        )
    assert list(tmp_path.iterdir()) == []
