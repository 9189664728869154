"""A shard read by the fast parser is what pylhe reads; what a text lacks is named."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pylhe
import pytest

from rs3l.errors import DataError
from rs3l.lhe import lhe
from rs3l.lhe.lhe import HardEvent, Particle, ShardInfo, read_shard, write_shard

FIRST = 7


def events(count: int, seed: int) -> list[HardEvent]:
    """Numbers of all sizes and signs, in as many digits as they have; the odd events have weights."""
    rng = np.random.default_rng(seed)
    return [event(rng, FIRST + i) for i in range(count)]


def event(rng: np.random.Generator, index: int) -> HardEvent:
    def numbers(n: int) -> list[float]:
        return (rng.normal(size=n) * 10.0 ** rng.integers(-300, 300, n)).tolist()  # type: ignore[no-any-return]

    particles = [Particle(*rng.integers(-600, 600, 6).tolist(), *numbers(7)) for _ in range(rng.integers(1, 9))]
    weights = {f'<event> & "{i}"': value for i, value in enumerate(numbers(index % 2 * 40))}
    return HardEvent(index, *numbers(4), particles, weights)


def info(count: int) -> ShardInfo:
    return ShardInfo("qcd", 1, FIRST, count, "8.317", {"1": [2, 3.0, 4.0]}, {"path": "a -- b <event> -->.lhe"})


def slow(path: Path) -> list[HardEvent]:
    """Read with pylhe."""
    found = []
    for e in pylhe.LHEFile.fromfile(str(path)).events:
        head = e.eventinfo
        particles = [lhe.particle(p) for p in e.particles]
        index = int(e.attributes["evtkey"])
        found.append(HardEvent(index, head.weight, head.scale, head.aqed, head.aqcd, particles))
    return found


@pytest.mark.parametrize("block", [1, 17, 1000, 2**18])
def test_a_shard_is_what_pylhe_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """However much is read at a time."""
    monkeypatch.setattr(lhe, "_BLOCK", block)
    path = tmp_path / "hard.lhe.gz"
    written = events(9, seed=3)
    write_shard(path, info(9), written, 13000.0)
    found_info, found = read_shard(path)
    assert found_info == info(9)
    assert found == slow(path)
    assert [(e.index, e.weight, e.particles) for e in found] == [(e.index, e.weight, e.particles) for e in written]


def test_a_shard_without_events(tmp_path: Path) -> None:
    write_shard(tmp_path / "hard.lhe.gz", info(0), [], 13000.0)
    assert read_shard(tmp_path / "hard.lhe.gz") == (info(0), [])


def without_a_line(text: str) -> str:
    lines = text.split("\n")
    return "\n".join(lines[:8] + lines[9:])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (without_a_line, "announces"),
        (lambda text: text.replace('evtkey="7"', 'evtkey="8"'), "differ from these"),
        (lambda text: text.replace('evtkey="7"', 'key="7"'), "without its number"),
        (lambda text: text.replace("</event>\n", " 1\n</event>\n", 1), "announces"),
        (lambda text: text.replace("\n</event>", " 1\n</event>", 1), "a particle has 14 numbers"),
        (lambda text: text.replace("\n</event>", "x\n</event>", 1), "could not convert"),
        (lambda text: text.replace("</LesHouchesEvents>", ""), "no </LesHouchesEvents> after the last event"),
        (lambda text: text[: text.index("<event")], "no event and no end"),
        (lambda text: text.replace("rs3l", "made", 1), "its first comment is missing"),
        (lambda text: text.replace('"pythia"', '"sherpa"', 1), "another version of this workflow"),
    ],
)
def test_what_a_text_lacks_is_named(tmp_path: Path, change: Callable[[str], str], why: str) -> None:
    path = tmp_path / "hard.lhe.gz"
    bare = [HardEvent(e.index, *[1.0] * 4, e.particles) for e in events(3, seed=4)]
    write_shard(path, info(3), bare, 13000.0)
    text = gzip.decompress(path.read_bytes()).decode()
    assert change(text) != text
    path.write_bytes(gzip.compress(change(text).encode()))
    with pytest.raises(DataError, match=f"hard.lhe.gz.*{why}"):
        read_shard(path)
