"""What a process cannot do is found when the configuration is read: too little energy, too many events."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rs3l.config import parse_campaign
from rs3l.errors import ConfigError

Values = dict[str, Any]


def problems(values: Values, ecm: float = 13000.0, **process: Any) -> str:
    """Return what is said of the miniature configuration with another energy, or other keys of qcd."""
    changed = copy.deepcopy(values)
    changed["generator"]["ecm"] = ecm
    changed["processes"]["qcd"].update(process)
    with pytest.raises(ConfigError) as error:
        parse_campaign(changed)
    return str(error.value)


@pytest.mark.parametrize("ecm", [13.0, 0.9, 500.0, 600.0, 1.3e7])
def test_an_energy_in_another_unit_is_found_before_any_job(test_values: Values, ecm: float) -> None:
    found = problems(test_values, ecm)
    assert f"generator.ecm: {ecm:g} GeV" in found and "the key is in GeV: 13 TeV is 13000" in found


def test_every_process_has_a_threshold_of_its_own(test_values: Values) -> None:
    """Jets of 300 GeV: 600 GeV for a quark, 625 GeV for a Higgs boson."""
    found = problems(test_values, 615.0)
    assert "jets of processes.higgs_bb, which need more than 625 GeV" in found
    assert "processes.qcd" not in found
    values = copy.deepcopy(test_values)
    values["generator"]["ecm"] = 900.0
    assert parse_campaign(values).generator.ecm == 900.0


def test_more_events_than_pythia_knows_seeds_are_refused(test_values: Values) -> None:
    found = problems(test_values, events=900_000_001)
    assert "processes.qcd.events: 900000001 hard events, but Pythia knows 900,000,000 seeds" in found
    values = copy.deepcopy(test_values)
    values["processes"]["qcd"]["events"] = 900_000_000
    assert parse_campaign(values).processes["qcd"].events == 900_000_000
