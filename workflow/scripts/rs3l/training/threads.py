"""The one place that limits the threads of every library that starts its own, and that sets the allocator."""

from __future__ import annotations

import ctypes

import pyarrow as pa
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

KEPT, MAPPED = 256 << 20, 32 << 20
"""The allocator keeps this number of free bytes, and maps arrays singly from this size on."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt."""


def limit_threads(threads: int) -> None:
    """Let torch, BLAS, OpenMP and Arrow use at most ``threads`` threads for the rest of the process."""
    torch.set_num_threads(threads)
    threadpool_limits(threads)
    pa.set_cpu_count(threads)
    keep_freed_memory()


def keep_freed_memory() -> None:
    """Let the process keep memory that it frees, because each batch would otherwise fault its pages in again.

    The activations of a batch are some megabytes, which glibc gives back to the system by default. A C library
    without its ``mallopt`` is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, KEPT)
        mallopt(_MMAP_THRESHOLD, MAPPED)
