"""Reseeding of Pythia's random numbers for many events, as its own initialisation would, in a tenth of the time.

Pythia's generator is RANMAR (G. Marsaglia, A. Zaman and W.-W. Tsang, Stat. Prob. Lett. 9 (1990) 35; F. James,
Comput. Phys. Commun. 60 (1990) 329). Its 97 numbers are made bit by bit from two small generators, of which one
multiplies its last three numbers modulo 179. As 179 is prime, these are powers of a primitive root: the exponents
add up, so that those of all bits are known in advance as functions of the first three. Each state can then be made
without a chain of 4,656 divisions. It is handed over in Pythia's own ``RndmState``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from rs3l.resim.compiled import compiled, without_extensions
from rs3l.types import Ints

NUMBERS, BITS = 97, 48
STATE = np.dtype(
    [
        ("i97", "i4"), ("j97", "i4"), ("seed", "i4"), ("sequence", "i8"),
        ("u", "f8", NUMBERS), ("c", "f8"), ("cd", "f8"), ("cm", "f8"),
    ],
    align=True,
)  # fmt: skip
"""Layout of Pythia's ``RndmState`` (include/Pythia8/Basics.h)."""

_PRIME, _ROOT = 179, 2
_C, _CD, _CM = 362436 / 2**24, 7654321 / 2**24, 16777213 / 2**24
_TRIED = (1, 20240311)
"""Seeds with which the states are compared with Pythia's before they are used."""


class Reseeder:
    """A callable that sets Pythia's generator for the event with an index, as ``rndm.init(seed_of(index))`` does.

    ``prepare`` makes it fast for the events that come next. Where Python's or Pythia's memory is not laid out as
    expected, which is tried in the beginning, Pythia's own initialisation is called.
    """

    def __init__(self, pythia: Any, seed_of: Callable[[int], int]) -> None:
        """Set the generator of ``pythia``, which must live as long as this."""
        self._pythia, self._seed_of = pythia, seed_of
        self._state = pythia.rndm.getState()
        self._view = state_in_memory(self._state) if is_as_expected(pythia) else None
        self._prepared: dict[int, Any] = {}

    def prepare(self, indices: Sequence[int]) -> None:
        """Make the states for the events with these indices."""
        if self._view is not None:
            made = states(np.array([self._seed_of(index) for index in indices], np.int64))
            self._prepared = dict(zip(indices, made, strict=True))

    def __call__(self, index: int) -> None:
        """Set the generator."""
        state = self._prepared.get(index)
        if self._view is None or state is None:
            self._pythia.rndm.init(self._seed_of(index))
        else:
            self._view[0] = state
            self._pythia.rndm.setState(self._state)


def state_in_memory(state: Any) -> npt.NDArray[np.void]:
    """Return the memory [1] of a ``RndmState``, whose binding shows all of it but the 97 numbers.

    An object of pybind11 holds the address of its C++ object right after Python's own header.
    """
    address = ctypes.c_void_p.from_address(id(state) + object.__basicsize__).value
    assert address is not None
    memory = (ctypes.c_char * STATE.itemsize).from_address(address)
    return np.frombuffer(memoryview(memory), STATE)


def is_as_expected(pythia: Any) -> bool:
    """Return whether the states made here are those of Pythia, which is left with another seed."""
    kind = type(pythia.rndm.getState())
    if type(kind).__module__ != "pybind11_builtins" or kind.__basicsize__ <= object.__basicsize__:
        return False
    return all(_same(pythia, state) for state in states(np.array(_TRIED, np.int64)))


def _same(pythia: Any, expected: npt.NDArray[np.void]) -> bool:
    pythia.rndm.init(int(expected["seed"]))
    state = pythia.rndm.getState()
    shown = (name for name in STATE.names or () if name != "u")
    if any(getattr(state, name) != expected[name] for name in shown):
        return False
    return all(np.array_equal(state_in_memory(state)[0][name], expected[name]) for name in STATE.names or ())


def states(seeds: Ints) -> npt.NDArray[np.void]:
    """Return the states [S] of Pythia's generator after ``init`` with each of these seeds [S], from 1 on."""
    result = np.zeros(len(seeds), STATE)
    result["i97"], result["j97"], result["seed"] = NUMBERS - 1, 32, seeds
    result["c"], result["cd"], result["cm"] = _C, _CD, _CM
    high, low = (seeds // 30082) % 31329, seeds % 30082
    factors = [_logarithms()[x] for x in (high // 177 % 177 + 2, high % 177 + 2, low // 169 % 178 + 1)]
    numbers = np.zeros((len(seeds), NUMBERS))
    with without_extensions():
        _fill(_exponents(), _powers(), _congruential(), np.stack([*factors, low % 169], axis=1), numbers)
    result["u"] = numbers
    return result


@cache
def _powers() -> Ints:
    """Return the powers of the root, by exponents up to three times the largest."""
    return np.array([pow(_ROOT, i, _PRIME) for i in range(3 * (_PRIME - 1))], np.int64)


@cache
def _logarithms() -> Ints:
    """Return the exponents of the root, by number; 0 has none."""
    result = np.zeros(_PRIME, np.int64)
    result[_powers()[: _PRIME - 1]] = np.arange(_PRIME - 1)
    return result


@cache
def _exponents() -> npt.NDArray[np.uint8]:
    """Return what each of the first three numbers adds to the exponent of each bit [3, exponent, bits]."""
    rows = [np.eye(3, dtype=np.int32)[i] for i in range(3)]
    for _ in range(NUMBERS * BITS):
        rows.append((rows[-1] + rows[-2] + rows[-3]) % (_PRIME - 1))
    times = np.array(rows[3:]).T[:, None, :] * np.arange(_PRIME - 1)[:, None]
    return (times % (_PRIME - 1)).astype(np.uint8)


@cache
def _congruential() -> npt.NDArray[np.uint8]:
    """Return the numbers of the other generator for each bit [first number, bits]."""
    rows = [np.arange(169)]
    for _ in range(NUMBERS * BITS):
        rows.append((53 * rows[-1] + 1) % 169)
    return np.array(rows[1:]).T.astype(np.uint8).copy()


@compiled
def _fill(
    exponents: npt.NDArray[np.uint8],
    powers: Ints,
    congruential: npt.NDArray[np.uint8],
    first: Ints,
    numbers: npt.NDArray[np.float64],
) -> None:
    """Write the numbers [S, 97], from the exponents of the first three numbers and the first other one [S, 4]."""
    for s in range(len(numbers)):
        a, b, c = exponents[0, first[s, 0]], exponents[1, first[s, 1]], exponents[2, first[s, 2]]
        other = congruential[first[s, 3]]
        for i in range(NUMBERS):
            bits = 0
            for n in range(i * BITS, (i + 1) * BITS):
                product = other[n] * powers[np.int64(a[n]) + b[n] + c[n]]
                bits = 2 * bits + ((product >> 5) & 1)
            numbers[s, i] = bits / 2.0**BITS
