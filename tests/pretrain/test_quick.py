"""Pre-training in one call gives what the command gives, and leaves no file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rs3l.dataset.store import load_views
from rs3l.errors import ConfigError
from rs3l.networks.model_file import embed, load_encoder
from rs3l.pretrain.quick import pretrain_encoder
from support.own_parts import Sums
from support.pretraining import VIEWS, block, train

SETTINGS = {
    "encoder": {"hidden": 16, "representation": 16, "latent": 4},
    "batch": 32, "epochs": 3, "learning_rate": 3e-3, "constituents": 16,
}  # fmt: skip


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize("method", ["rs3l", "jetclr"])
def test_it_is_that_of_the_command(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    changes = {"views": "hand_made"} if method == "jetclr" else {}
    own = pretrain_encoder(manifest, seed=5, **SETTINGS, **changes)
    model, metrics = train(tmp_path, manifest, block(method))[:2]
    jets = load_views(manifest, "test", ["signal", "background"], VIEWS, 16)
    for mine, expected in zip(
        embed(own.encoder, jets, jets.rows()), embed(load_encoder(model), jets, jets.rows()), strict=True
    ):
        np.testing.assert_array_equal(mine, expected)
    pd.testing.assert_frame_equal(own.metrics, pd.read_csv(metrics))
    assert list((tmp_path / "temporary").glob("rs3l-*")) == []


@pytest.mark.usefixtures("no_alarm")
def test_an_encoder_and_a_loss_of_ones_own(manifest: Path) -> None:
    sums = {"kind": "support.own_parts:Sums", "representation": 12, "latent": 4, "options": {"width": 8}}
    settings = {**SETTINGS, "encoder": sums, "loss": "support.own_parts:Distance", "loss_options": {"weight": 2.0}}
    found = pretrain_encoder(manifest, **settings, variants=["nominal", "seed"])
    assert isinstance(found.encoder, Sums) and not found.encoder.training and len(found.metrics) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 3}, "pretrain.epoch: "),
        ({"epochs": 0}, "pretrain.epochs: .*greater than or equal to 1"),
        ({"encoder": {"kind": "none"}}, "pretrain.encoder: kind must be deepsets"),
        ({"views": "all"}, "views: all gives an event more than two views"),
    ],
)
def test_settings_that_are_wrong(manifest: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pretrain_encoder(manifest, **{**SETTINGS, **changes})
