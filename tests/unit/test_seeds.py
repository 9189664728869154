"""Seeds are addresses: stable, in Pythia's range, different for every stage of every event."""

import pytest

from rs3l import seeds


def test_seeds_never_change() -> None:
    """A change here makes every campaign's events irreproducible."""
    assert seeds.seed(20240311, "higgs_bb", 0, "hard", "nominal") == 161246761
    assert seeds.seed(20240311, "qcd", 17, "shower", "seed") == 793152419
    assert seeds.seed(7, "qcd", 10**9, "detector", "rehadron") == 369427209
    assert seeds.event_id("qcd", 0) == 3408232058919583744


def test_every_address_has_its_own_seed_in_pythias_range() -> None:
    values = [
        seeds.seed(campaign, process, event, stage, stream)
        for campaign in (1, 2)
        for process in ("higgs_bb", "qcd")
        for event in range(50)
        for stage in ("hard", "shower", "hadronisation", "detector")
        for stream in ("nominal", "seed")
    ]
    assert len(set(values)) == len(values)
    assert min(values) >= 1
    assert max(values) <= seeds.PYTHIA_MAX_SEED


def test_event_id_is_a_positive_int64_that_gives_the_index_back() -> None:
    for event in (0, 1, 12345, 2**40 - 1):
        key = seeds.event_id("w_qq", event)
        assert 0 <= key < 2**63
        assert seeds.event_index(key) == event
    with pytest.raises(ValueError, match="outside"):
        seeds.event_id("w_qq", 2**40)


def test_unknown_stage_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown stage"):
        seeds.seed(1, "qcd", 0, "pileup", "nominal")  # type: ignore[arg-type]


def test_uniform_is_flat() -> None:
    values = sorted(seeds.uniform(1, "qcd", event, "split") for event in range(4000))
    assert values[0] >= 0
    assert values[-1] < 1
    largest = max(abs(value - i / 4000) for i, value in enumerate(values))
    assert largest < 1.63 / 4000**0.5  # Kolmogorov-Smirnov, 1 %
