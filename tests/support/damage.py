"""Damaged copies of files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def flips(content: bytes, count: int, start: int = 0) -> Iterator[bytes]:
    """Yield copies with one bit flipped, at random places from the byte ``start`` on."""
    rng = np.random.default_rng(start)
    for bit in rng.integers(8 * start, 8 * len(content), count).tolist():
        yield content[: bit // 8] + bytes([content[bit // 8] ^ (1 << bit % 8)]) + content[bit // 8 + 1 :]
