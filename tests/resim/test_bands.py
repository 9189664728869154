"""Bands of showers: weights of Pythia that turn one shower into another, on average, and what they cost."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rs3l.config import Campaign, blocks, parse_campaign
from rs3l.dataset.schema import Status, jets_schema
from rs3l.errors import ConfigError
from rs3l.lhe.lhe import HardEvent
from rs3l.pythia import check_settings
from rs3l.resim.resim import check_effect, resimulate
from rs3l.resim.shared import SharedShower
from rs3l.resim.shower import Particles, Showerer

Events = Callable[[str, int], list[HardEvent]]
Values = dict[str, Any]
Floats = npt.NDArray[np.float64]
BANDS = {"fsr_hi": "fsr:muRfac=0.8409", "both": "fsr:muRfac=0.8409 isr:muRfac=1.2"}
"""The first is μR² × 0.707."""
SHORT = {"HadronLevel:all": False, "PartonLevel:ISR": False}


def showered(campaign: Campaign, events: list[HardEvent], bands: Values, **settings: Any) -> Particles:
    block = blocks.resim(campaign, "higgs_bb", "seed")
    update = {"pythia": {**block.pythia, **SHORT, **settings}, "bands": bands}
    return Showerer(block.model_copy(update=update)).shower(events)


def with_bands(values: Values, **variants: Any) -> Campaign:
    values = copy.deepcopy(values)
    values["variants"] = {"nominal": {"bands": BANDS}, **variants}
    first = next(iter(variants))
    values["evaluate"] = {"variants": ["nominal"], "pair": ["nominal", first]}
    return parse_campaign(values)


def test_weighted_events_are_those_of_the_other_scale(campaign: Campaign, hard_events: Events) -> None:
    """The mean number of partons of H -> bb with a weight is that of a shower with that scale; weights have mean 1.

    Without the compensation for soft emissions, the cap on alpha_s and the cut on the pT of emissions, by which the
    bands are narrower than the variants by default.
    """
    events = [HardEvent(**{**vars(e), "index": i}) for i, e in enumerate(hard_events("higgs_bb", 40) * 25)]
    group = "UncertaintyBands"
    whole = {f"{group}:muSoftCorr": False, f"{group}:deltaAlphaSmax": 1.0, f"{group}:FSRpTmin2Fac": 0.0}
    plain, banded = showered(campaign, events, {}), showered(campaign, events, BANDS, **whole)
    other = showered(campaign, events, {}, **{"TimeShower:renormMultFac": 0.8409**2})
    assert plain.bands.shape == (1000, 0) and banded.bands.shape == (1000, 2)
    counts = [np.diff(p.offsets).astype(float) for p in (plain, banded, other)]
    weights = banded.bands[:, 0]
    error = np.sqrt((weights**2 * (counts[1] - counts[2].mean()) ** 2).sum()) / weights.sum()
    assert abs(np.average(counts[1], weights=weights) - counts[2].mean()) < 4 * np.hypot(
        error, mean_error(counts[2])
    )
    assert abs(weights.mean() - 1) < 4 * mean_error(weights)
    assert counts[2].mean() - counts[0].mean() > 3 * np.hypot(mean_error(counts[0]), mean_error(counts[2]))
    assert (banded.weight == 1).all() and weights.sum() ** 2 / (weights**2).sum() < 0.95 * len(weights)


def mean_error(values: Floats) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def test_bands_change_the_random_numbers_but_not_the_physics(campaign: Campaign, hard_events: Events) -> None:
    """Pythia draws more trial emissions: with the same seeds, the events are others of the same distribution."""
    events = [HardEvent(**{**vars(e), "index": i}) for i, e in enumerate(hard_events("higgs_bb", 40) * 10)]
    plain, banded = showered(campaign, events, {}), showered(campaign, events, BANDS)
    counts = [np.diff(p.offsets).astype(float) for p in (plain, banded)]
    assert (counts[0] != counts[1]).mean() > 0.5
    assert abs(counts[0].mean() - counts[1].mean()) < 4 * np.hypot(*map(mean_error, counts))
    again = showered(campaign, events[17:30], BANDS)
    assert (again.bands == banded.bands[17:30]).all()  # each event is addressed, as ever
    assert again.energy.tolist() == banded.energy[banded.offsets[17] : banded.offsets[30]].tolist()


def test_bands_reach_the_rows(test_values: Values, hard_events: Events) -> None:
    """1 for an event that failed; none in a view with a shower of its own; the others' rows are untouched."""
    config = with_bands(test_values, seed={"resample": "shower"}, redetect={"resample": "detector"})
    events = hard_events("higgs_bb", 12)
    broken = [p._replace(colour=901, anticolour=902) if p.pdg_id == 5 else p for p in events[2].particles]
    events[2] = HardEvent(**{**vars(events[2]), "particles": broken})
    table = resimulate(blocks.resim(config, "higgs_bb", "nominal"), events)
    assert table.schema == jets_schema(bands=list(BANDS))
    values = table["shower_weight_fsr_hi"].to_numpy()
    assert table["status"][2].as_py() == Status.FAILED and values[2] == 1 and (np.delete(values, 2) != 1).all()
    assert (table["shower_weight"].to_numpy() == 1).all()
    redetected = resimulate(blocks.resim(config, "higgs_bb", "redetect"), events)
    assert redetected["shower_weight_fsr_hi"].to_numpy().tolist() == values.tolist()
    plain = parse_campaign(test_values)
    seeds = [blocks.resim(own, "higgs_bb", "seed") for own in (config, plain)]
    assert seeds[0] == seeds[1] and "bands" not in seeds[0].model_dump_json()


def test_second_attempts_have_the_bands_of_a_job_alone(test_values: Values, hard_events: Events) -> None:
    values = copy.deepcopy(test_values)
    values["generator"]["pythia"] |= {"Check:epTolErr": 3e-12, "Check:epTolWarn": 1e-12}
    config = with_bands({**values, "share_shower": True}, rehadron={"resample": "hadronisation"})
    views, events = blocks.together(config, "qcd").views, hard_events("qcd", 30)
    both = SharedShower(views).shower(events)
    for view, batches in zip(views, both, strict=True):
        alone = Showerer(view).shower(events)
        expected = dict(zip(alone.position.tolist(), alone.bands.tolist(), strict=True))
        found = {
            position: row
            for batch in batches
            for position, row in zip(batch.position.tolist(), batch.bands.tolist(), strict=True)
        }
        assert found == expected
    assert len(both[1]) == 2 and len(both[1][1].position) > 2


def test_bands_are_no_effect_of_a_variant(test_values: Values, hard_events: Events) -> None:
    """A variant with settings is compared with the nominal without the bands of either."""
    variant = {"resample": "hadronisation", "pythia": {"StringZ:aLund": 0.4}}
    config = with_bands(test_values, lund=variant)
    check_effect(blocks.resim(config, "qcd", "lund"), hard_events("qcd", 3))
    assert blocks.resim(config, "qcd", "lund").bands == BANDS


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        (
            {"rehadron": {"resample": "hadronisation", "bands": BANDS}},
            "shares the nominal's shower, and with it the",
        ),
        (
            {"vincia": {"like": "vincia", "bands": BANDS, "use": "train"}},
            "variants.vincia.bands: Pythia's weights",
        ),
        (
            {"x": {"resample": "shower", "bands": {"a": "fsr:muRfac"}}},
            "variants.x.bands.a: variations of Pythia's",
        ),
        ({"x": {"resample": "shower", "bands": {"a": "isr:PDF:plus=1"}}}, "variants.x.bands.a: variations of"),
        (
            {"x": {"resample": "shower", "bands": BANDS, "pythia": {"Enhancements:doEnhance": True}}},
            "variants.x.bands: not together with Enhancements:doEnhance",
        ),
    ],
)
def test_bands_that_cannot_be_had_are_refused(test_values: Values, variants: Values, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_bands(test_values, **variants)


def test_a_list_of_variations_alone_is_refused(test_values: Values) -> None:
    values = copy.deepcopy(test_values)
    values["generator"]["pythia"]["UncertaintyBands:List"] = "{a fsr:muRfac=2.0}"
    with pytest.raises(
        ConfigError, match="generator.pythia.UncertaintyBands:List: has no effect: name the variat"
    ):
        check_settings(parse_campaign(values))
