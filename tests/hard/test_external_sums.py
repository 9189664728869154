"""The cross-section by the meaning of IDWTUP, and weights that add up to nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rs3l.errors import DataError
from rs3l.hard.external import make_index
from rs3l.lhe.lhe import HardEvent
from support.lhe_writers import lhe_source, write_lhe

Events = Callable[[str, int], list[HardEvent]]
WEIGHTS = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0)
MEAN, ERROR = 45.0, 8.1009


def weighted(events: list[HardEvent], weights: tuple[float, ...]) -> list[HardEvent]:
    return [replace(event, weight=weight) for event, weight in zip(events, weights, strict=True)]


@pytest.mark.parametrize(
    ("strategy", "sigma", "expected"),
    [
        (1, 6.5, (MEAN, ERROR)),  # XSECUP is not used
        (-1, 6.5, (MEAN, ERROR)),
        (1, 0.0, (MEAN, ERROR)),
        (1, 46.0, (MEAN, ERROR)),
        (2, 6.5, (6.5, 0.03)),  # the weights have no unit
        (-2, 6.5, (6.5, 0.03)),
        (3, 6.5, (6.5, 0.03)),
        (-3, 6.5, (6.5, 0.03)),
        (4, 46.0, (46.0, 0.03)),  # the same as the mean, and more precise
        (-4, 46.0, (46.0, 0.03)),
        (-4, -1.0, (MEAN, ERROR)),
        (-4, 360.0, (360.0, 0.03)),  # weights that add up to it
    ],
)
def test_the_cross_section_is_what_the_strategy_says(
    hard_events: Events, tmp_path: Path, strategy: int, sigma: float, expected: tuple[float, float]
) -> None:
    events = weighted(hard_events("qcd", 8), WEIGHTS)
    path = write_lhe(tmp_path / "a.lhe", events, strategy=strategy, sigma=sigma)
    assert make_index(lhe_source(path, events=8)).cross_section == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("strategy", [4, -4])
def test_a_cross_section_against_the_weights_is_refused_with_both(
    hard_events: Events, tmp_path: Path, strategy: int
) -> None:
    events = weighted(hard_events("qcd", 8), WEIGHTS)
    path = write_lhe(tmp_path / "a.lhe", events, strategy=strategy, sigma=6.5)
    expected = (
        rf"a.lhe: the cross-section XSECUP is 6.5 pb, the mean .* 45 \+- 8.10093 pb, and IDWTUP = {strategy} says"
    )
    with pytest.raises(DataError, match=expected):
        make_index(lhe_source(path, events=8))


def test_another_cross_section_than_the_mean_is_mentioned(
    hard_events: Events, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    events = weighted(hard_events("qcd", 8), WEIGHTS)
    with caplog.at_level(logging.WARNING):
        make_index(lhe_source(write_lhe(tmp_path / "a.lhe", events, strategy=1, sigma=46.0), events=8))
        assert not caplog.messages
        make_index(lhe_source(write_lhe(tmp_path / "a.lhe", events, strategy=1, sigma=6.5), events=8))
    assert "XSECUP is 6.5 pb; used is the mean of the weights, 45 pb" in caplog.text


@pytest.mark.parametrize(
    ("weights", "strategy", "expected"),
    [
        ((0.0,) * 8, 3, "add up to 0: nothing can be normalised"),
        ((1.0, -1.0) * 4, -3, "add up to 0: nothing can be normalised"),
        ((0.1, 0.2, -0.3, 0.1, 0.2, -0.3, 0.1, -0.1), -3, "nothing can be normalised"),
        ((1.0, -1.0) * 4, -4, "nothing can be normalised"),
        ((1.0, -1.0, -1.0, -1.0) * 2, -3, "add up to -4, and the cross-section is 6.5 pb"),
    ],
)
def test_weights_that_add_up_to_nothing_are_refused(
    hard_events: Events, tmp_path: Path, weights: tuple[float, ...], strategy: int, expected: str
) -> None:
    events = weighted(hard_events("qcd", 8), weights)
    sigma = -1.0 if strategy == -4 else 6.5
    path = write_lhe(tmp_path / "a.lhe", events, strategy=strategy, sigma=sigma)
    with pytest.raises(DataError, match=f"a.lhe: .*{expected}"):
        make_index(lhe_source(path, events=8))


def test_the_sum_is_that_of_the_sample(hard_events: Events, tmp_path: Path) -> None:
    """One file of the sample may add up to nothing."""
    events = weighted(hard_events("qcd", 8), (1.0, -1.0, 1.0, -1.0, 1.0, 1.0, 1.0, -1.0))
    first = write_lhe(tmp_path / "a.lhe", events[:4], strategy=-3)
    second = write_lhe(tmp_path / "b.lhe", events[4:], strategy=-3)
    assert [f.sum_of_weights for f in make_index(lhe_source(first, second, events=8)).files] == [0.0, 2.0]


def test_negative_cross_sections_of_interference_are_kept(hard_events: Events, tmp_path: Path) -> None:
    """Weights and their mean are negative: the jets count negatively, as they should."""
    events = weighted(hard_events("qcd", 8), tuple(-w for w in WEIGHTS))
    path = write_lhe(tmp_path / "a.lhe", events, strategy=-4, sigma=-1.0)
    assert make_index(lhe_source(path, events=8)).cross_section == pytest.approx((-MEAN, ERROR), rel=1e-4)
