"""Arrays named by their content, with 32 bits for what networks see and 64 for everything else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]
Floats64 = NDArray[np.float64]
Ints = NDArray[np.int64]
Counts = NDArray[np.integer[Any]]
"""Integers of any size, such as those of bootstrap replicas."""
Bools = NDArray[np.bool_]
Array = NDArray[Any]
