"""Weights of external files and bands of showers, from the file to the columns of the data set."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from rs3l.config import Campaign, blocks, parse_campaign
from rs3l.dataset.card import card_text
from rs3l.dataset.schema import dataset_schema
from rs3l.errors import DataError
from rs3l.hard.external import external_shard, index_files, read_index
from rs3l.lhe.lhe import HardEvent, read_shard
from rs3l.merge.further import columns
from rs3l.merge.merge import merge
from rs3l.merge.shards import Shard, find_shards
from rs3l.paths import SPLITS, CampaignPaths, shard_name
from rs3l.resim.resim import resimulate_shard, resimulate_together
from support.lhe_writers import write_lhe
from support.merging import rewrite

Events = Callable[[str, int], list[HardEvent]]
Made = tuple[Campaign, CampaignPaths]
N, SHARD = 20, 12
BANDS = {"fsr_half": "fsr:muRfac=0.7071", "isr_double": "isr:muRfac=1.4142"}
FURTHER = ["weight_1001", "weight_1002", "weight_fsr_half", "weight_isr_double"]


def configuration(values: dict[str, Any], lhe: str) -> Campaign:
    """Return a campaign of external dijets with two weights, and Higgs bosons, whose nominal has two bands."""
    values = copy.deepcopy(values)
    qcd = values["processes"]["qcd"]
    del qcd["pythia"], qcd["pt_hat"]
    qcd.update(lhe=lhe, events=N, lhe_weights=["100*"])
    values["processes"] = {"higgs_bb": {**values["processes"]["higgs_bb"], "events": N}, "qcd": qcd}
    values["variants"] = {
        "nominal": {"bands": BANDS},
        "seed": {"resample": "shower"},
        "rehadron": {"resample": "hadronisation"},
    }
    values["evaluate"] = {"variants": ["nominal"], "pair": ["nominal", "seed"]}
    values["tasks"] = {"h_vs_qcd": values["tasks"]["h_vs_qcd"]}
    values["dataset"] = {**values["dataset"], "events_per_part": 10, "events_per_row_group": 4}
    return parse_campaign({**values, "events_per_shard": SHARD})


@pytest.fixture(scope="module")
def made(
    test_values: dict[str, Any],
    hard_events: Events,
    hard_shard: Callable[[str, int, int], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Made:
    """Return a campaign with hard events and jets."""
    root = tmp_path_factory.mktemp("further")
    write_lhe(root / "a.lhe", hard_events("qcd", N), sigma=6.5)
    config, paths = configuration(test_values, str(root / "a.lhe")), CampaignPaths(str(root / "campaign"))
    index_files(blocks.lhe_source(config, "qcd"), root / "files.json")
    for process in config.processes:
        for number in blocks.shards(config, process):
            block = blocks.hard(config, process, number)
            hard = Path(paths.hard(process, shard_name(number)))
            if isinstance(block, blocks.LheBlock):
                external_shard(block, hard, read_index(root / "files.json"))
            else:
                hard = hard_shard(process, block.first, block.events)
            for variant in config.variants:
                out = Path(paths.jets(process, variant, shard_name(number)))
                resimulate_shard(blocks.resim(config, process, variant), hard, out)
    return config, paths


@pytest.fixture(scope="module")
def manifest(made: Made) -> dict[str, Any]:
    """Return the manifest of the merged campaign."""
    return merge(blocks.merge(made[0]), made[1].root, workers=1)


def rows(paths: CampaignPaths) -> list[dict[str, Any]]:
    """Return all rows of the data set."""
    files = [file for split in SPLITS for file in sorted(Path(paths.split(split)).glob("*.parquet"))]
    assert all(pq.read_schema(file).remove_metadata() == dataset_schema(FURTHER) for file in files)
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_every_row_has_the_weights_of_its_event_and_shower(
    made: Made, manifest: dict[str, Any], hard_events: Events
) -> None:
    """Against the events that were written, and against the factors in the files of jets."""
    config, paths = made
    factors = {}
    for process in config.processes:
        for variant in ("nominal", "rehadron"):
            for number in blocks.shards(config, process):
                for row in pq.read_table(paths.jets(process, variant, shard_name(number))).to_pylist():
                    factors[row["event_id"], variant] = [row[f"shower_weight_{name}"] for name in BANDS]
    found = rows(paths)
    assert {row["process"] for row in found} == {"qcd", "higgs_bb"} and len(found) > 50
    for row in found:
        up, down, *bands = (row[name] for name in FURTHER)
        if row["process"] == "qcd":
            assert (up, down) == pytest.approx((1.1 * row["weight"], 0.9 * row["weight"]), rel=1e-6)
        else:
            assert np.isnan([up, down]).all()
        if row["variant"] == "seed":
            assert np.isnan(bands).all()
        else:
            expected = [row["weight"] * f for f in factors[row["event_id"], row["variant"]]]
            assert bands == expected
    assert [event.weight for event in hard_events("qcd", N)] != [1.0] * N


def test_views_that_share_the_shower_share_its_bands(made: Made) -> None:
    _, paths = made
    for number in range(2):
        one, other = (
            pq.read_table(paths.jets("qcd", name, shard_name(number))) for name in ("nominal", "rehadron")
        )
        for name in BANDS:
            values = one[f"shower_weight_{name}"].to_numpy()
            assert (values == other[f"shower_weight_{name}"].to_numpy()).all() and len(np.unique(values)) > 5
        assert one["jet_pt"].to_pylist() != other["jet_pt"].to_pylist()


def test_the_manifest_says_what_they_add_up_to(made: Made, manifest: dict[str, Any]) -> None:
    """The cross-section with a weight is that of the file times the ratio of the sums."""
    assert [name for name in manifest["schema"] if name.startswith("weight_")] == FURTHER
    entry = manifest["processes"]["qcd"]
    sigma = entry["cross_section_pb"]
    assert sigma == pytest.approx(6.5)
    for name, factor in (("weight_1001", 1.1), ("weight_1002", 0.9)):
        own = entry["weights"][name]
        assert own["lhe"] == name.removeprefix("weight_") and list(own["variants"]) == ["nominal"]
        numbers = own["variants"]["nominal"]
        assert numbers["events"] == N and numbers["effective"] == pytest.approx(1, abs=1e-3)
        assert numbers["ratio"][0] == pytest.approx(factor, rel=1e-5)
        assert numbers["cross_section_pb"] == pytest.approx(6.5 * factor, rel=1e-5)
    for process in ("qcd", "higgs_bb"):
        band = manifest["processes"][process]["weights"]["weight_fsr_half"]
        assert band["bands"] == dict.fromkeys(("nominal", "rehadron"), BANDS["fsr_half"])
        assert band["variants"]["nominal"]["effective"] < 0.99
    assert "weight_1001" not in manifest["processes"]["higgs_bb"]["weights"]
    text = card_text(manifest)
    assert "| `weight_1001` | qcd | nominal | weight 1001 of the files | 1.1 ± " in text
    assert "| `weight_fsr_half` | higgs_bb | rehadron | fsr:muRfac=0.7071 | " in text


def test_shards_and_parts_play_no_role(made: Made, manifest: dict[str, Any], tmp_path: Path) -> None:
    """One shard and one part: the same rows, weights and sums."""
    config, paths = made
    merged = merge(blocks.merge(config), paths.root, workers=1)
    assert merged == manifest
    whole = config.model_copy(update={"events_per_shard": N})
    other = CampaignPaths(str(tmp_path))
    source = Path(paths.root).parent
    external_shard(blocks.hard(whole, "qcd", 0), tmp_path / "qcd.lhe.gz", read_index(source / "files.json"))  # type: ignore[arg-type]
    only = whole.model_copy(update={"processes": {"qcd": config.processes["qcd"]}})
    for variant in only.variants:
        block = blocks.resim(only, "qcd", variant)
        resimulate_shard(block, tmp_path / "qcd.lhe.gz", other.jets("qcd", variant, "0000"))
    alone = merge(blocks.merge(only), other.root, workers=1)
    assert alone["processes"]["qcd"] == manifest["processes"]["qcd"]
    assert str([r for r in rows(paths) if r["process"] == "qcd"]) == str(rows(other))  # NaN is not NaN


def test_one_job_for_several_views_makes_the_same_files(made: Made, tmp_path: Path) -> None:
    config, paths = made
    views = [blocks.resim(config, "qcd", name) for name in ("nominal", "rehadron")]
    outs = [tmp_path / f"{view.variant}.parquet" for view in views]
    resimulate_together(views, paths.hard("qcd", "0000"), outs, 0)
    for view, out in zip(views, outs, strict=True):
        assert out.read_bytes() == Path(paths.jets("qcd", view.variant, "0000")).read_bytes()


def test_shards_must_agree(made: Made, tmp_path: Path) -> None:
    """A shard of other weights is named, and so is a name that is both a weight and a band."""
    config, paths = made
    block = blocks.merge(config)
    shards = find_shards(block, paths)
    assert columns(shards) == FURTHER
    path = paths.jets("qcd", "seed", "0001")
    original = Path(path).read_bytes()
    rewrite(path, weights=json.dumps({"weight_1001": "1001"}))
    with pytest.raises(
        DataError, match=f"{path}: its hard events have other weights than those of .*0000.parquet"
    ):
        find_shards(block, paths)
    Path(path).write_bytes(original)
    other = Shard(**{**vars(shards["qcd"]["seed"][0]), "weights": {}})
    with pytest.raises(DataError, match="other weights than those of .*nominal"):
        columns({"qcd": {**shards["qcd"], "seed": [other]}})
    clash = Shard(**{**vars(shards["qcd"]["nominal"][0]), "weights": {"weight_fsr_half": "x"}})
    with pytest.raises(DataError, match="its band fsr_half and the weight 'x' of .* both be the column"):
        columns({"qcd": {"nominal": [clash]}})


def test_a_band_with_the_name_of_a_weight_is_refused_before_it_is_simulated(made: Made, tmp_path: Path) -> None:
    config, paths = made
    block = blocks.resim(config, "qcd", "nominal").model_copy(update={"bands": {"1001": "fsr:muRfac=2.0"}})
    with pytest.raises(
        DataError, match="its weight '1001' and the band 1001 would both be the column weight_1001"
    ):
        resimulate_shard(block, paths.hard("qcd", "0000"), tmp_path / "x.parquet")


def test_the_shard_gives_back_what_is_asked_for(made: Made, hard_events: Events) -> None:
    _, paths = made
    info, events = read_shard(paths.hard("qcd", "0000"))
    assert info.weights == {"weight_1001": "1001", "weight_1002": "1002"}
    for event, original in zip(events, hard_events("qcd", SHARD), strict=True):
        assert event.columns == pytest.approx(
            {"weight_1001": 1.1 * original.weight, "weight_1002": 0.9 * original.weight}, rel=1e-6
        )


def test_the_card_says_what_is_missing(made: Made, manifest: dict[str, Any]) -> None:
    """Of POWHEG events the veto; the kind is known from what the process accepts."""
    config, _ = made
    accepting = config.processes["qcd"].model_copy(update={"lhe_accept": ["powheg", "short"]})
    block = blocks.merge(config.model_copy(update={"processes": {**config.processes, "qcd": accepting}}))
    assert (
        block.processes["qcd"].accepted == ["powheg", "short"] and "accepted" not in manifest["processes"]["qcd"]
    )
    accepted = {**manifest["processes"]["qcd"], "accepted": ["powheg", "short"]}
    text = card_text({**manifest, "processes": {**manifest["processes"], "qcd": accepted}})
    assert "- qcd: its POWHEG events are showered from SCALUP on (pTmaxMatch = 1), without the veto" in text
    assert (
        "Beware" in text
        and "Beware" not in card_text(manifest)
        and '"accepted"' not in blocks.merge(config).as_json()
    )
