"""Compile functions of numbers and arrays with Numba, once per machine if there is a folder for the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar, cast

import numba
from numba.core import entrypoints

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function, which is compiled at its first call.

    The machine code is kept beside the source, or in the user's cache, or in ``NUMBA_CACHE_DIR``. Where none of
    these can be written, each job compiles, which takes two seconds.
    """
    try:
        return cast(Callable[P, R], numba.njit(cache=True)(function))
    except RuntimeError:  # there is no such folder
        return cast(Callable[P, R], numba.njit(function))


@contextmanager
def without_extensions() -> Iterator[None]:
    """Keep other packages from teaching Numba their types at a first call, which takes longer than the call.

    Whoever uses Numba afterwards finds it as it was.
    """
    done = getattr(entrypoints, "_already_initialized", True)
    entrypoints._already_initialized = True
    try:
        yield
    finally:
        entrypoints._already_initialized = done
