"""The random numbers of an event begin as those after Pythia's own initialisation, to the bit, in each way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rs3l.pythia import new_pythia
from rs3l.resim import reseed
from rs3l.resim.reseed import STATE, Reseeder, state_in_memory, states
from rs3l.seeds import PYTHIA_MAX_SEED


@pytest.fixture(scope="module")
def pythia() -> Any:
    return new_pythia()


def draws(pythia: Any) -> list[float]:
    return [*(pythia.rndm.flat() for _ in range(300)), pythia.rndm.gauss(), pythia.rndm.flat()]


def after_init(pythia: Any, seed: int) -> list[float]:
    pythia.rndm.init(seed)
    return draws(pythia)


def test_states_are_those_of_pythia(pythia: Any) -> None:
    """The whole memory of a state, of seeds at the borders of the two small generators too."""
    seeds = [1, 2, 30081, 30082, 30083, 177 * 30082, PYTHIA_MAX_SEED]
    seeds += np.random.default_rng(1).integers(1, PYTHIA_MAX_SEED, 300).tolist()
    for seed, state in zip(seeds, states(np.array(seeds)), strict=True):
        pythia.rndm.init(seed)
        kept = pythia.rndm.getState()
        found = state_in_memory(kept)[0]
        assert all(np.array_equal(found[name], state[name]) for name in STATE.names or ()), seed


@pytest.mark.parametrize("expected_layout", [True, False])
def test_events_begin_as_after_an_initialisation(
    pythia: Any, monkeypatch: pytest.MonkeyPatch, expected_layout: bool
) -> None:
    """Prepared or not, in any order, twice, and where the memory is not as expected."""
    assert reseed.is_as_expected(pythia)
    if not expected_layout:
        monkeypatch.setattr(reseed, "is_as_expected", lambda _: False)
    one, other = Reseeder(pythia, lambda index: 7 + index), Reseeder(pythia, lambda index: 900 + index)
    one.prepare([3, 4])
    other.prepare([4, 5])
    calls = [(one, 7, 4), (one, 7, 3), (other, 900, 4), (one, 7, 9), (one, 7, 4), (other, 900, 5)]
    for reseeder, first, index in calls:
        reseeder(index)
        assert draws(pythia) == after_init(pythia, first + index)


def test_another_layout_is_noticed(pythia: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reseed, "_CD", 0.5)
    assert not reseed.is_as_expected(pythia)
    monkeypatch.undo()
    monkeypatch.setattr(reseed, "_congruential", lambda: np.zeros((169, 97 * 48), np.uint8))
    assert not reseed.is_as_expected(pythia)


def test_no_seeds() -> None:
    assert len(states(np.zeros(0, np.int64))) == 0
