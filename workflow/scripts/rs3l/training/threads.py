"""The one place that limits the threads of every library that starts its own."""

from __future__ import annotations

import pyarrow as pa
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]


def limit_threads(threads: int) -> None:
    """Let torch, BLAS, OpenMP and Arrow use at most ``threads`` threads for the rest of the process."""
    torch.set_num_threads(threads)
    threadpool_limits(threads)
    pa.set_cpu_count(threads)
