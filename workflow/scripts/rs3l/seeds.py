"""Counter-based seeds: a random number belongs to a stage of one event and is addressed, not drawn."""

from __future__ import annotations

import hashlib
from typing import Literal, get_args

Stage = Literal["init", "hard", "shower", "hadronisation", "detector", "external"]
STAGES: tuple[str, ...] = get_args(Stage)

PYTHIA_MAX_SEED = 900_000_000
"""Largest seed that Pythia 8 accepts (``Random:seed``)."""

_INDEX_BITS = 40


def keyed_hash(key: int, *words: str | int) -> int:
    """Return a stable 64-bit hash of ``words`` under ``key``, equal on every machine and Python version."""
    digest = hashlib.blake2b("\x1f".join(map(str, words)).encode(), key=str(key).encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


def seed(campaign_seed: int, process: str, event: int, stage: Stage, stream: str) -> int:
    """Return the Pythia seed, in 1 ... 900 000 000, of one stage of one hard event.

    ``event`` is the index of the hard event within its process, ``stream`` the name of the variant whose
    random numbers are used (``"nominal"`` for the stages that a variant shares with the nominal one).
    """
    if stage not in STAGES:
        raise ValueError(f"unknown stage {stage!r}; known: {', '.join(STAGES)}")
    return 1 + keyed_hash(campaign_seed, process, event, stage, stream) % PYTHIA_MAX_SEED


def process_code(process: str) -> int:
    """Return a 22-bit code of the process name: stable when processes are added or reordered."""
    return keyed_hash(0, "process", process) >> 42


def event_id(process: str, event: int) -> int:
    """Return the int64 key of a hard event: the code of its process (22 bits), then its index (40 bits)."""
    if not 0 <= event < 1 << _INDEX_BITS:
        raise ValueError(f"event index {event} is outside 0 ... 2^{_INDEX_BITS} - 1")
    return (process_code(process) << _INDEX_BITS) | event


def event_index(key: int) -> int:
    """Return the index of a hard event within its process: the inverse of :func:`event_id`."""
    return key & ((1 << _INDEX_BITS) - 1)


def uniform(campaign_seed: int, *words: str | int) -> float:
    """Return a number in [0, 1) that belongs to ``words``, e.g. to the split of one hard event."""
    return keyed_hash(campaign_seed, *words) / 2.0**64
