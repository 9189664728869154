"""Counter-based seeds, with which a random number belongs to a stage of one event and is addressed, not drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

Stage = Literal["init", "hard", "shower", "hadronisation", "pileup", "detector", "external"]
STAGES: tuple[str, ...] = get_args(Stage)

Resampled = Literal["shower", "hadronisation", "pileup", "detector"]
RESAMPLED: tuple[Resampled, ...] = get_args(Resampled)
"""The stages after the hard process in their order, from each of which a variant can be resampled."""

PYTHIA_MAX_SEED = 900_000_000
"""Largest seed that Pythia 8 accepts (``Random:seed``)."""

_INDEX_BITS = 40
_ROUNDS = 6
_HALF = 15
"""Bits of half a word of the Feistel network, where 2^30 words are the fewest that hold all seeds."""
_WORD = (1 << 64) - 1
Words = npt.NDArray[np.uint64]


def keyed_hash(key: int, *words: str | int) -> int:
    """Return a stable 64-bit hash of ``words`` under ``key``, equal on every machine and Python version."""
    digest = hashlib.blake2b("\x1f".join(map(str, words)).encode(), key=str(key).encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


def seed(campaign_seed: int, process: str, event: int, stage: Stage, stream: str) -> int:
    """Return the Pythia seed, in 1 ... 900 000 000, of one stage of one hard event.

    ``event`` is the index of the hard event within its process, ``stream`` the name of the variant whose random
    numbers are used (``"nominal"`` for the stages that a variant shares with the nominal one).

    The seed of the stage ``hard`` *is* the event. It is a permutation of the index, so that no two events of a
    process have the same; there are 900 000 000, and :class:`ValueError` is raised beyond. The seeds of the other
    stages are hashes, which collide as birthdays do. Of 100,000 events, about 6 pairs share the seed of their
    shower. That is harmless, because the two are different hard events, so that the same random numbers are
    compared with other probabilities and lead to another shower. No event is there twice.
    """
    if stage not in STAGES:
        raise ValueError(f"unknown stage {stage!r}; known: {', '.join(STAGES)}")
    if stage == "hard":
        _check_range(event, event)
        return 1 + permuted(_round_keys(campaign_seed, process, stream), event, PYTHIA_MAX_SEED, _HALF)
    return 1 + keyed_hash(campaign_seed, process, event, stage, stream) % PYTHIA_MAX_SEED


def hard_seeds(campaign_seed: int, process: str, first: int, events: int, stream: str = "nominal") -> Words:
    """Return the seeds [E] of the stage ``hard`` of consecutive events, which are those of :func:`seed`."""
    _check_range(first, first + events - 1)
    keys, result = _round_keys(campaign_seed, process, stream), np.arange(first, first + events, dtype=np.uint64)
    outside = np.ones(events, bool)
    while outside.any():
        result[outside] = _network(keys, result[outside], _HALF)
        outside = result >= PYTHIA_MAX_SEED
    return result + np.uint64(1)


def permuted(keys: Sequence[int], index: int, size: int, half: int) -> int:
    """Return the place of ``index`` in a permutation of 0 ... ``size`` - 1, at most 4^``half`` (cycle walking).

    The network permutes all words of 2 ``half`` bits. From an index below ``size``, it is followed to the next
    word below ``size``. There is one, because the cycle of words comes back to the index itself at last, and no
    other index leads to that word (J. Black and P. Rogaway, CT-RSA 2002).
    """
    index = _network(keys, index, half)
    while index >= size:
        index = _network(keys, index, half)
    return index


def _network(keys: Sequence[int], word: Any, half: int) -> Any:
    """Permute words of 2 ``half`` bits, one or an array, because any Feistel network can be run backwards."""
    mask = (1 << half) - 1
    left, right = word >> half, word & mask
    for key in keys:
        left, right = right, left ^ mixed_bits(right ^ key, half)
    return (left << half) | right


def mixed_bits(word: Any, bits: int) -> Any:
    """Return ``bits`` bits that depend on all bits of ``word`` (the finaliser of SplitMix64), one or an array."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD
    return (word ^ (word >> 31)) >> (64 - bits)


@lru_cache(maxsize=64)
def _round_keys(campaign_seed: int, process: str, stream: str) -> tuple[int, ...]:
    return tuple(keyed_hash(campaign_seed, process, "hard", stream, number) for number in range(_ROUNDS))


def _check_range(first: int, last: int) -> None:
    if not 0 <= first <= last + 1 <= PYTHIA_MAX_SEED:
        raise ValueError(f"hard events {first} ... {last}: there are seeds for 0 ... {PYTHIA_MAX_SEED - 1}")


def process_code(process: str) -> int:
    """Return a 22-bit code of the process name, which is stable when processes are added or reordered."""
    return keyed_hash(0, "process", process) >> 42


def event_id(process: str, event: int) -> int:
    """Return the int64 key of a hard event, with the code of its process (22 bits), then its index (40 bits)."""
    if not 0 <= event < 1 << _INDEX_BITS:
        raise ValueError(f"event index {event} is outside 0 ... 2^{_INDEX_BITS} - 1")
    return (process_code(process) << _INDEX_BITS) | event


def event_index(key: int) -> int:
    """Return the index of a hard event within its process, as the inverse of :func:`event_id`."""
    return key & ((1 << _INDEX_BITS) - 1)


def uniform(campaign_seed: int, *words: str | int) -> float:
    """Return a number in [0, 1) that belongs to ``words``, for example to the split of one hard event."""
    return keyed_hash(campaign_seed, *words) / 2.0**64
