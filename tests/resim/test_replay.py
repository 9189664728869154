"""An event alone is the event of the campaign, to the bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from rs3l import seeds
from rs3l.config import Campaign, blocks
from rs3l.errors import DataError
from rs3l.hard.hard import generate_shard
from rs3l.paths import CampaignPaths
from rs3l.resim.replay import locate, replay
from rs3l.resim.resim import resimulate_shard
from support.places import REPOSITORY

EVENTS = 8
ID = seeds.event_id("qcd", 5)


@pytest.fixture(scope="module")
def folder(campaign: Campaign, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one short shard of the campaign under one variant."""
    result = tmp_path_factory.mktemp("replay")
    paths = CampaignPaths(str(result / campaign.root))
    hard, jets = paths.hard("qcd", "0000"), paths.jets("qcd", "rehadron", "0000")
    generate_shard(blocks.hard(campaign, "qcd", 0).model_copy(update={"events": EVENTS}), hard)
    resimulate_shard(blocks.resim(campaign, "qcd", "rehadron"), hard, jets)
    return result


def test_the_event_is_that_of_the_campaign(campaign: Campaign, folder: Path) -> None:
    result = replay(campaign, ID, "rehadron", folder)
    assert (result.process, result.index, result.shard) == ("qcd", 5, "0000")
    assert result.identical is True and result.row["event_id"].to_pylist() == [ID]


def test_without_a_shard_the_hard_event_is_generated(campaign: Campaign, folder: Path, tmp_path: Path) -> None:
    alone = replay(campaign, ID, "rehadron", tmp_path)
    assert alone.identical is None and alone.row.equals(replay(campaign, ID, "rehadron", folder).row)


def test_an_id_of_another_campaign_is_refused(campaign: Campaign) -> None:
    for key in (seeds.event_id("no_such", 0), seeds.event_id("qcd", campaign.processes["qcd"].events)):
        with pytest.raises(DataError, match="no hard event of the campaign"):
            locate(campaign, key)


def run(folder: Path, values: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    """Run the tool on the campaign in ``folder``."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    command = [sys.executable, "tools/replay.py", "--config", str(path), "--directory", str(folder), *options]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)


def test_the_tool_prints_record_and_row(folder: Path, test_values: dict[str, Any]) -> None:
    result = run(folder, test_values, "--event", str(ID), "--variant", "rehadron")
    assert result.returncode == 0, result.stderr
    assert "PYTHIA Event Listing" in result.stdout and "(hard process)" not in result.stderr
    assert f"event_id: {ID}" in result.stdout and "the same, to the bit" in result.stdout


def test_the_tool_tells_of_a_row_that_differs(
    campaign: Campaign, folder: Path, tmp_path: Path, test_values: dict[str, Any]
) -> None:
    stored = pq.read_table(CampaignPaths(str(folder / campaign.root)).jets("qcd", "rehadron", "0000"))
    weight = stored.schema.get_field_index("weight")
    changed = stored.set_column(weight, stored.schema.field("weight"), pa.array([2.0] * EVENTS))
    path = Path(CampaignPaths(str(tmp_path / campaign.root)).jets("qcd", "rehadron", "0000"))
    path.parent.mkdir(parents=True)
    pq.write_table(changed, path)
    result = run(tmp_path, test_values, "--event", str(ID), "--variant", "rehadron")
    assert result.returncode == 1 and "DIFFERS" in result.stdout
    result = run(tmp_path, test_values, "--event", "12", "--variant", "rehadron")
    assert result.returncode == 1 and result.stderr.startswith("error: 12: no hard event")
