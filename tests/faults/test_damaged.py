"""Shards that were damaged or exchanged after they were written: found before training, repaired as the message says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from disturb import AFTER_SIMULATION, ROOT, copy_of, results
from rs3l.dataset.checksum import sealed
from rs3l.lhe.lhe import read_shard, write_shard
from support.workflow import Snakemake

pytestmark = pytest.mark.faults
Values = dict[str, Any]


@pytest.fixture
def simulated(undisturbed: Snakemake, tiny_values: Values, tmp_path: Path) -> Snakemake:
    """Return a copy of the campaign as it is between re-simulation and merge."""
    return copy_of(undisturbed, tmp_path, tiny_values, AFTER_SIMULATION)


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def swap(a: Path, b: Path) -> None:
    """Exchange two files; they keep their times."""
    shutil.move(a, a.with_suffix(".x"))
    shutil.move(b, a)
    shutil.move(a.with_suffix(".x"), b)


def test_damaged_shards_are_found_and_the_remedy_repairs_them(
    undisturbed: Snakemake, simulated: Snakemake
) -> None:
    """Every kind of damage at once. Each run stops with one file named; deleting it, and no other, is the remedy."""
    root = simulated.folder / ROOT
    damaged = [
        f"jets/higgs_bb/{variant}/{shard}.parquet" for variant in ("nominal", "seed") for shard in ("0000", "0001")
    ]
    damaged += ["jets/qcd/nominal/0000.parquet", "jets/qcd/seed/0000.parquet", "hard/qcd/0001.lhe.gz"]
    truncated, emptied, flipped, foreign, one, other, lhe = (root / name for name in damaged)
    truncated.write_bytes(truncated.read_bytes()[:-50])
    emptied.write_bytes(b"")
    flip(flipped)
    shutil.copy(root / "jets/qcd/seed/0001.parquet", foreign)
    swap(one, other)
    flip(lhe)
    named = []
    while (result := simulated("evaluation", check=False)).returncode:
        assert not (root / "dataset" / "manifest.json").exists()
        assert not (root / "models").exists()
        output = result.stdout + result.stderr
        for path in set(re.findall(r"error: (\S+?): .*; delete it and run again", output)):
            named.append(str(Path(path).relative_to(ROOT)))
            (simulated.folder / path).unlink()
        assert len(named) <= len(damaged), output[-3000:]
    assert sorted(named) == sorted(damaged)
    assert results(simulated) == results(undisturbed)


def test_swapped_hard_events_are_found(undisturbed: Snakemake, simulated: Snakemake) -> None:
    """Both shards are whole, and lie in each other's place."""
    root = simulated.folder / ROOT
    swap(root / "hard/qcd/0000.lhe.gz", root / "hard/qcd/0001.lhe.gz")
    shutil.rmtree(root / "jets/qcd/seed")
    result = simulated("dataset", "--keep-going", check=False)
    output = result.stdout + result.stderr
    assert result.returncode != 0
    assert f"{ROOT}/hard/qcd/0000.lhe.gz: begins with hard event 60, not 0; delete it" in output
    assert f"{ROOT}/hard/qcd/0001.lhe.gz: begins with hard event 0, not 60; delete it" in output
    shutil.rmtree(root / "hard/qcd")
    simulated("evaluation")
    assert results(simulated) == results(undisturbed)


def test_a_changed_part_of_the_data_set_is_found_before_training(
    undisturbed: Snakemake, tiny_values: Values, tmp_path: Path
) -> None:
    campaign = copy_of(undisturbed, tmp_path, tiny_values, ("models", "downstream", "evaluation", "summary.json"))
    part = tmp_path / ROOT / "dataset/train/qcd-0000.parquet"
    flip(part)
    result = campaign("models", check=False)
    assert result.returncode != 0
    assert (
        "qcd-0000.parquet: its SHA-256 is not the manifest's; delete the manifest and run again"
        in result.stdout + result.stderr
    )
    assert not list(tmp_path.glob(f"{ROOT}/models/*/*.safetensors"))
    (tmp_path / ROOT / "dataset/manifest.json").unlink()
    campaign("evaluation")
    assert results(campaign) == results(undisturbed)


def test_jets_of_another_version_of_pythia_are_not_mixed_in(simulated: Snakemake) -> None:
    """One shard says that it was made with another version: the merge refuses."""
    path = simulated.folder / ROOT / "jets/qcd/seed/0001.parquet"
    table = pq.read_table(path)
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    pq.write_table(table.replace_schema_metadata(sealed({**metadata, "rs3l.pythia": "8.316"})), path)
    result = simulated("dataset", check=False)
    assert result.returncode != 0
    assert "different versions of Pythia (8.316: " in result.stdout + result.stderr
    assert not (simulated.folder / ROOT / "dataset" / "manifest.json").exists()


def test_hard_events_of_another_version_of_pythia_are_not_showered(simulated: Snakemake) -> None:
    """A campaign begun with another version than the one that is installed: the re-simulation refuses."""
    path = simulated.folder / ROOT / "hard/qcd/0001.lhe.gz"
    info, events = read_shard(path)
    write_shard(path, type(info)(**{**vars(info), "pythia": "8.316"}), events, 13000.0)
    result = simulated("dataset", check=False)
    output = result.stdout + result.stderr
    assert result.returncode != 0
    assert f"{ROOT}/hard/qcd/0001.lhe.gz: made with Pythia 8.316, but {info.pythia} is installed" in output
    assert "install Pythia 8.316 again, or start another campaign" in output
