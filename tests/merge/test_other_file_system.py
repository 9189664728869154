"""Results on another file system than the checkout: by a link, or by the key `results`."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest

from rs3l.config.blocks import MergeBlock
from rs3l.merge import merge as module
from rs3l.merge.merge import merge
from rs3l.paths import CampaignPaths
from support import instant
from support.workflow import Snakemake

MEMORY = Path("/dev/shm")  # a file system of its own on Linux


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on another file system than ``tmp_path``."""
    if not MEMORY.is_dir() or MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs /dev/shm as a file system of its own")
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_data_set_behind_a_link_is_replaced_there(
    copied: tuple[MergeBlock, CampaignPaths], elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is renamed from one file system to the other, which would be an error."""
    monkeypatch.setattr(module, "compute", lambda tasks, *_: list(dask.compute(*tasks, scheduler="sync")))
    block, paths = copied
    merge(block, paths.root, 1)
    expected = {name: (Path(paths.dataset) / name).read_bytes() for name in names(Path(paths.dataset))}
    Path(paths.dataset).rename(tmp_path / "kept")
    Path(paths.dataset).symlink_to(elsewhere / "dataset")
    (elsewhere / "dataset").mkdir()
    for smaller in (5, block.events_per_part):
        merge(block.model_copy(update={"events_per_part": smaller}), paths.root, 1)
    assert Path(paths.dataset).is_symlink()
    assert names(elsewhere / "dataset") == set(expected)
    for name in expected.keys() - {"provenance.json"}:
        assert (elsewhere / "dataset" / name).read_bytes() == expected[name], name


@pytest.mark.parametrize("by", ["link", "key"])
def test_a_campaign_keeps_its_results_elsewhere(
    test_values: dict[str, Any], elsewhere: Path, tmp_path: Path, by: str
) -> None:
    values = copy.deepcopy(test_values)
    snakemake = Snakemake(tmp_path, values)
    if by == "link":
        (tmp_path / "results").symlink_to(elsewhere)
    else:
        snakemake.configure({**values, "results": str(elsewhere)})
    instant.run(snakemake, "models")
    assert snakemake.planned("models") == {}
    assert (elsewhere / "test" / "models" / "rs3l_s0" / "model.safetensors").is_file()
    own = {path.name for path in tmp_path.iterdir()}
    assert own - {".snakemake", ".java", ".cache"} == {"config.yaml", *(["results"] if by == "link" else [])}
