"""Weights that Pythia gives to showers: they reach the data set, or the settings are refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rs3l.config import Campaign, blocks, parse_campaign
from rs3l.dataset.schema import Status
from rs3l.errors import ConfigError, DataError, GeneratorError
from rs3l.hdf5.export_hdf5 import ExportOptions, _block
from rs3l.lhe.lhe import HardEvent
from rs3l.merge.exact import rounded
from rs3l.merge.ranges import Range, merge_range
from rs3l.merge.shards import read_header
from rs3l.paths import SPLITS, CampaignPaths
from rs3l.pythia import check_settings
from rs3l.resim.resim import resimulate, resimulate_shard
from rs3l.resim.shared import SharedShower
from rs3l.resim.shower import Particles, Showerer

Events = Callable[[str, int], list[HardEvent]]
Values = dict[str, Any]
Floats = npt.NDArray[np.float64]
ENHANCED = {"Enhancements:doEnhance": True, "EnhancedSplittings:List": "{fsr:Q2QG=1.5}"}
SHORT = {"HadronLevel:all": False, "PartonLevel:ISR": False}


def partons(campaign: Campaign, events: list[HardEvent], **settings: Any) -> tuple[Floats, Floats]:
    """Return the number of partons of each event, and its weight."""
    block = blocks.resim(campaign, "higgs_bb", "seed")
    particles = Showerer(block.model_copy(update={"pythia": {**block.pythia, **SHORT, **settings}})).shower(events)
    assert len(particles.position) == len(events)
    return np.diff(particles.offsets).astype(float), particles.weight


def test_the_weighted_mean_is_that_of_the_plain_shower(campaign: Campaign, hard_events: Events) -> None:
    """H -> bb radiates more partons where the branching is enhanced; their weights undo it."""
    events = hard_events("higgs_bb", 40) * 20
    events = [HardEvent(**{**vars(event), "index": i}) for i, event in enumerate(events)]
    plain, ones = partons(campaign, events)
    number, weight = partons(campaign, events, **ENHANCED)
    assert (ones == 1).all() and weight.std() > 0.3
    error = (
        np.sqrt((weight**2 * (number - plain.mean()) ** 2).sum()) / weight.sum() + plain.std() / len(events) ** 0.5
    )
    assert abs(np.average(number, weights=weight) - plain.mean()) < 3 * error
    assert abs(weight.mean() - 1) < 3 * weight.std() / len(events) ** 0.5
    assert number.mean() - plain.mean() > 4 * error


def test_weights_reach_the_rows(campaign: Campaign, hard_events: Events) -> None:
    """Beside the weight of the hard event, which all variants have; 1 for an event that failed."""
    events = hard_events("higgs_bb", 12)
    broken = [p._replace(colour=901, anticolour=902) if p.pdg_id == 5 else p for p in events[2].particles]
    events[2] = HardEvent(**{**vars(events[2]), "particles": broken})
    block = blocks.resim(campaign, "higgs_bb", "seed")
    enhanced = block.model_copy(update={"pythia": {**block.pythia, **ENHANCED}})
    table, particles = resimulate(enhanced, events), Showerer(enhanced).shower(events)
    assert table["weight"].to_pylist() == [event.weight for event in events]
    expected = np.ones(12)
    expected[particles.position] = particles.weight
    assert table["shower_weight"].to_numpy().tolist() == expected.tolist()
    assert table["status"][2].as_py() == Status.FAILED and (np.delete(expected, 2) != 1).all()
    assert set(resimulate(block, events)["shower_weight"].to_pylist()) == {1.0}


def test_the_data_set_has_the_product(
    test_values: Values, hard_shard: Callable[[str, int, int], Path], tmp_path: Path
) -> None:
    """The cross-section is that of the hard events, whose weights the manifest adds up."""
    values = copy.deepcopy(test_values)
    values["variants"] = {"nominal": {}, "enhanced": {"resample": "shower", "pythia": ENHANCED}}
    values["evaluate"] = {"variants": ["nominal"], "pair": ["nominal", "enhanced"]}
    values["processes"]["higgs_bb"]["events"] = 15
    config, paths = parse_campaign(values), CampaignPaths(str(tmp_path))
    expected, shards = {}, {}
    for variant in config.variants:
        out = paths.jets("higgs_bb", variant, "0000")
        resimulate_shard(blocks.resim(config, "higgs_bb", variant), hard_shard("higgs_bb", 0, 15), out)
        shards[variant] = [read_header(out)]
        for row in pq.read_table(out).to_pylist():
            expected[row["event_id"], variant] = row["weight"] * row["shower_weight"]
    result = merge_range(blocks.merge(config), paths.root, "higgs_bb", Range(0, 15, 15), shards)
    files = [file for split in SPLITS for file in Path(paths.dataset, split).glob("*.parquet")]
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert all(row["weight"] == expected[row["event_id"], row["variant"]] for row in rows)
    assert len({row["weight"] / expected[row["event_id"], "nominal"] for row in rows}) > 5
    nominal = sum(w for (_, v), w in expected.items() if v == "nominal")
    assert rounded(result.counts.weights) == pytest.approx(nominal)


def test_views_that_share_a_shower_share_its_weight(test_values: Values, hard_events: Events) -> None:
    """Also where the nominal needs a second attempt: rounding errors fail Pythia's check of the momentum."""
    values = copy.deepcopy(test_values)
    values["generator"]["pythia"] |= {**ENHANCED, "Check:epTolErr": 3e-12, "Check:epTolWarn": 1e-12}
    values["variants"] = {"nominal": {}, "seed": {"resample": "shower"}, "rehadron": {"resample": "hadronisation"}}
    views = blocks.together(parse_campaign({**values, "share_shower": True}), "qcd").views
    events = hard_events("qcd", 40)
    nominal, other = (by_position(batches) for batches in SharedShower(views).shower(events))
    assert other == by_position([Showerer(views[1]).shower(events)])
    assert nominal == by_position([Showerer(views[0]).shower(events)])
    weights = [(nominal[i][0], other[i][0]) for i in nominal if i in other]
    assert len(weights) > 30 and any(a != b for a, b in weights) and sum(a == b for a, b in weights) > 10


def by_position(batches: list[Particles]) -> dict[int, tuple[float, list[float]]]:
    """Return weight and energies of each event."""
    return {
        position: (batch.weight[i], batch.energy[batch.offsets[i] : batch.offsets[i + 1]].tolist())
        for batch in batches
        for i, position in enumerate(batch.position.tolist())
    }


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("UncertaintyBands:doVariations", True, "further weights, which are not kept; make a variant"),
        ("uncertaintybands:dovariations", "on", "further weights, which are not kept"),
        ("VariationFrag:List", "{kappa frag:kappa=1.1}", "further weights, which are not kept"),
        ("Merging:doKTMerging", True, "not part of the re-simulation"),
        ("JetMatching:merge", True, "has no effect: Pythia's JetMatching"),
        ("Vincia:enhanceFacBottom", 3.0, "weights that Pythia 8.317 gives for VINCIA's enhanced branchings are wrong"),
    ],
)  # fmt: skip
def test_settings_whose_weights_would_be_lost_are_refused(
    test_values: Values, key: str, value: Any, why: str
) -> None:
    for path in ("generator", "variants.seed"):
        values = copy.deepcopy(test_values)
        (values["generator"] if path == "generator" else values["variants"]["seed"]).setdefault("pythia", {})[
            key
        ] = value
        with pytest.raises(ConfigError, match=f"{path}.pythia.{key}: .*{why}"):
            check_settings(parse_campaign(values))


def test_settings_that_are_off_are_no_matter(test_values: Values) -> None:
    values = copy.deepcopy(test_values)
    values["generator"]["pythia"] |= {"UncertaintyBands:doVariations": False, "Merging:doKTMerging": "off"}
    check_settings(parse_campaign(values))


def test_further_weights_are_refused_where_they_come(campaign: Campaign, hard_events: Events) -> None:
    block = blocks.resim(campaign, "qcd", "seed")
    varied = block.model_copy(update={"pythia": {**block.pythia, "UncertaintyBands:doVariations": True}})
    with pytest.raises(GeneratorError, match="several weights per event"):
        Showerer(varied).shower(hard_events("qcd", 2))


def test_a_layout_with_one_weight_per_event_takes_no_others(manifest: Path) -> None:
    table = pq.read_table(next((manifest.parent / "train").glob("*.parquet")))
    event = np.unique(table["event_id"].to_numpy(), return_inverse=True)[1]
    slot = np.zeros(table.num_rows, np.int64)
    _block(table, event, slot, 0, ExportOptions())
    row = np.flatnonzero(event[1:] == event[:-1])[0]
    weight = table["weight"].to_numpy() + np.where(np.arange(len(event)) == row, 0.5, 0.0)
    changed = table.set_column(table.schema.get_field_index("weight"), "weight", pa.array(weight))
    with pytest.raises(DataError, match=f"hard event {table['event_id'][row]} have different weights"):
        _block(changed, event, slot, 0, ExportOptions())
