"""Azimuthal angles."""

from __future__ import annotations

import numpy as np

from rs3l.types import Floats64


def wrapped(angle: Floats64) -> Floats64:
    """Return angles in [-pi, pi)."""
    return np.remainder(angle + np.pi, 2 * np.pi) - np.pi
