"""Seeds are addresses: stable, in Pythia's range, different for every stage of every event."""

import numpy as np
import pytest

from rs3l import seeds


def test_seeds_never_change() -> None:
    """A change here makes every campaign's events irreproducible."""
    assert seeds.seed(20240311, "higgs_bb", 0, "hard", "nominal") == 303770528
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
        seeds.seed(1, "qcd", 0, "trigger", "nominal")  # type: ignore[arg-type]


def test_uniform_is_flat() -> None:
    values = sorted(seeds.uniform(1, "qcd", event, "split") for event in range(4000))
    assert values[0] >= 0
    assert values[-1] < 1
    largest = max(abs(value - i / 4000) for i, value in enumerate(values))
    assert largest < 1.63 / 4000**0.5  # Kolmogorov-Smirnov, 1 %


def test_the_hard_seeds_of_ten_million_events_all_differ() -> None:
    """Hashes gave 11 pairs of identical events in 140,000, and 55,000 in so many."""
    chunk, chunks = 2**18, 39
    values = np.concatenate([seeds.hard_seeds(20240311, "qcd", i * chunk, chunk) for i in range(chunks)])
    values.sort()
    assert len(values) > 10**7
    assert values[0] >= 1 and values[-1] <= seeds.PYTHIA_MAX_SEED
    assert (np.diff(values) > 0).all()


@pytest.mark.parametrize(("first", "events"), [(0, 500), (123_456_789, 500), (seeds.PYTHIA_MAX_SEED - 500, 500)])
def test_hard_seeds_at_once_are_those_one_by_one(first: int, events: int) -> None:
    one_by_one = [seeds.seed(7, "qcd", i, "hard", "nominal") for i in range(first, first + events)]
    assert seeds.hard_seeds(7, "qcd", first, events).tolist() == one_by_one


@pytest.mark.parametrize(("size", "half"), [(1, 3), (40, 3), (64, 3), (50_000, 8)])
def test_every_index_has_its_place_and_every_place_its_index(size: int, half: int) -> None:
    keys = [seeds.keyed_hash(7, i) for i in range(6)]
    assert sorted(seeds.permuted(keys, i, size, half) for i in range(size)) == list(range(size))


def test_the_permutation_can_be_undone() -> None:
    """The rounds backwards, written out, on the words of the real size."""
    keys, half, size = [seeds.keyed_hash(9, i) for i in range(6)], 15, seeds.PYTHIA_MAX_SEED

    def backwards(word: int) -> int:
        left, right = divmod(word, 1 << half)
        for key in reversed(keys):
            left, right = right ^ seeds.mixed_bits(left ^ key, half), left
        return left << half | right

    for index in (0, 1, 2, 899_999_999, *range(10**6, 10**8, 10**6)):
        word = backwards(seeds.permuted(keys, index, size, half))
        while word >= size:
            word = backwards(word)
        assert word == index


def test_hard_seeds_are_flat_and_do_not_follow_the_index() -> None:
    values = seeds.hard_seeds(3, "qcd", 0, 4000) / seeds.PYTHIA_MAX_SEED
    assert np.abs(np.sort(values) - np.arange(4000) / 4000).max() < 1.63 / 4000**0.5  # Kolmogorov-Smirnov, 1 %
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 4 / 4000**0.5


def test_there_is_no_hard_event_beyond_the_last_seed() -> None:
    assert seeds.seed(1, "qcd", seeds.PYTHIA_MAX_SEED - 1, "hard", "nominal") >= 1
    for event in (-1, seeds.PYTHIA_MAX_SEED):
        with pytest.raises(ValueError, match="there are seeds for 0 ... 899999999"):
            seeds.seed(1, "qcd", event, "hard", "nominal")
    with pytest.raises(ValueError, match="there are seeds for"):
        seeds.hard_seeds(1, "qcd", seeds.PYTHIA_MAX_SEED - 10, 11)
