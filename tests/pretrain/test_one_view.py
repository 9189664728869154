"""Events with one view each: hand-made views can be made of them, in memory and from a stream, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from rs3l.config.pretrain import Loop
from rs3l.errors import DataError
from rs3l.pretrain.view_source import least_views
from support import pretraining, toy

ONE = {"variants": ["nominal"], "epochs": 2, "on_collapse": "warn"}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("loss", ["nt_xent", "sup_con"])
def test_hand_made_views_need_one(tmp_path: Path, manifest: Path, stream: bool, loss: str) -> None:
    block = pretraining.block("jetclr", **ONE, loss=loss, loop=Loop(stream=stream))
    assert least_views(block) == 1 and least_views(pretraining.block("jetclr")) == 2
    _, metrics, _ = pretraining.train(tmp_path, manifest, block)
    assert len(pd.read_csv(metrics)) == 2


@pytest.mark.parametrize("stream", [True, False])
def test_other_views_need_two(tmp_path: Path, manifest: Path, stream: bool) -> None:
    block = pretraining.block(**ONE, loop=Loop(stream=stream))
    with pytest.raises(DataError, match="fewer than two events have the views"):
        pretraining.train(tmp_path, manifest, block)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.write_dataset(tmp_path_factory.mktemp("dataset"))
