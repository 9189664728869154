"""What the tests of the merge share: re-simulated jets, and copies that a test may damage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rs3l.config import blocks
from rs3l.config.blocks import MergeBlock
from rs3l.paths import CampaignPaths, shard_name
from rs3l.resim.resim import resimulate_shard
from support.merging import small


@pytest.fixture(scope="module")
def jets(
    test_values: dict[str, Any],
    hard_shard: Callable[[str, int, int], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[int], tuple[MergeBlock, CampaignPaths]]:
    """Return a function that re-simulates everything in shards of a given size."""

    def make(shard: int) -> tuple[MergeBlock, CampaignPaths]:
        config = small(test_values, shard)
        paths = CampaignPaths(str(tmp_path_factory.getbasetemp() / f"merge{shard}"))
        for process in config.processes:
            for number in blocks.shards(config, process):
                block = blocks.hard(config, process, number)
                for variant in config.variants:
                    out = Path(paths.jets(process, variant, shard_name(number)))
                    if not out.exists():
                        hard = hard_shard(process, block.first, block.events)
                        resimulate_shard(blocks.resim(config, process, variant), hard, out)
        return blocks.merge(config), paths

    return make


@pytest.fixture
def copied(
    jets: Callable[[int], tuple[MergeBlock, CampaignPaths]], tmp_path: Path
) -> tuple[MergeBlock, CampaignPaths]:
    """Return a copy of the jets that a test may damage."""
    block, paths = jets(16)
    shutil.copytree(paths.root, tmp_path / "copy", ignore=shutil.ignore_patterns("dataset"))
    return block, CampaignPaths(str(tmp_path / "copy"))
