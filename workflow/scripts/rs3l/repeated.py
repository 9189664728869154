"""Find values that occur twice, such as fingerprints of hard events (no physics, so that the merge may ask)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def first_repeated(values: npt.NDArray[np.uint64]) -> tuple[int, int, int] | None:
    """Return the places of the earliest of ``values`` [N] that comes again and of its copy, and how many copies.

    Returns None if all differ. This takes the memory of a copy of ``values``.
    """
    ordered = np.sort(values)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(again):
        return None
    earliest = values[np.isin(values, again).argmax()]
    first, second = np.flatnonzero(values == earliest)[:2].tolist()
    return first, second, len(again)
