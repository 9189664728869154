"""The ready variants do what their names say: a half is a half, and every key changes something."""

from __future__ import annotations

from typing import Any

import pytest

from rs3l.config.library import library, tunes
from rs3l.pythia import apply_settings, new_pythia

FACTORS = {"half": 0.5, "double": 2.0, "quarter": 0.25, "quadruple": 4.0}
NAMED = [name for name in library("variants") if name.rpartition("_")[2] in FACTORS]


def value(pythia: Any, key: str) -> Any:
    """Return the value of a setting, whatever its type."""
    settings = pythia.settings
    for kind in ("Flag", "Mode", "Parm", "Word"):
        if getattr(settings, f"is{kind}")(key):
            return getattr(settings, kind.lower())(key)
    raise AssertionError(f"{key} is no setting")


def test_a_half_is_a_half_of_the_default() -> None:
    pythia = new_pythia()
    assert "vincia_half" in NAMED and len(NAMED) > 6
    for name in NAMED:
        factor = FACTORS[name.rpartition("_")[2]]
        for key, new in library("variants")[name]["pythia"].items():
            if key != "PartonShowers:model":
                assert new == pytest.approx(factor * value(pythia, key), rel=0.02), (name, key)


def test_every_key_of_a_variant_has_another_value_than_pythias_default() -> None:
    default, changed = new_pythia(), new_pythia()
    for name, entry in library("variants").items():
        for key, new in entry.get("pythia", {}).items():
            apply_settings(changed, {key: new})
            assert value(changed, key) != value(default, key), (name, key)


def test_cp5_is_that_of_cms_in_tune_and_variants() -> None:
    """Keys and values of CMS's own settings (CMSSW, MCTunes2017) but for the choice of the PDF's source."""
    cms = {
        "MultipartonInteractions:ecmPow": 0.03344, "MultipartonInteractions:bProfile": 2,
        "MultipartonInteractions:pT0Ref": 1.41, "MultipartonInteractions:coreRadius": 0.7634,
        "MultipartonInteractions:coreFraction": 0.63, "ColourReconnection:range": 5.176,
        "SigmaTotal:zeroAXB": False, "SpaceShower:alphaSorder": 2, "SpaceShower:alphaSvalue": 0.118,
        "MultipartonInteractions:alphaSvalue": 0.118, "MultipartonInteractions:alphaSorder": 2,
        "TimeShower:alphaSorder": 2, "TimeShower:alphaSvalue": 0.118, "PDF:pSet": 20,
    }  # fmt: skip
    hard = {"Tune:pp": 14, "Tune:ee": 7, "SigmaProcess:alphaSvalue": 0.118, "SigmaProcess:alphaSorder": 2}
    assert tunes()["cp5"] == {**cms, **hard}
    for name in ("cp5", "cp5_up", "cp5_down"):
        own = library("variants")[name]["pythia"]
        assert set(own) == set(cms)
        changed = {key for key in cms if own[key] != cms[key]}
        assert changed <= {
            "MultipartonInteractions:pT0Ref", "MultipartonInteractions:coreRadius",
            "MultipartonInteractions:coreFraction", "ColourReconnection:range",
        }  # fmt: skip
