"""Columns of the particles of the pool."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

ETA_MAX = 6.0
"""Largest abs(eta) of the particles in the pool; the calorimeters end at 5, the jets' axes at 5 or before."""

KINDS: Mapping[str, type[np.generic]] = MappingProxyType(
    {
        "pdg_id": np.int32,
        "charge": np.int8,
        **dict.fromkeys(("px", "py", "pz", "mass", "vx", "vy", "vz"), np.float32),
    }
)
"""Columns of a particle with their types: GeV, mm."""

Columns = Mapping[str, npt.NDArray[Any]]
"""Particles by column."""
