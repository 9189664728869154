"""Encoders, losses and augmentations of another package: named by their import path, checked, recorded, used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from rs3l.config import blocks, parse_campaign
from rs3l.config.detector import Detector
from rs3l.config.encoders import DeepSets, OwnEncoder
from rs3l.config.pretrain import HandMadeViews
from rs3l.dataset.store import load_views
from rs3l.errors import CampaignError, ConfigError
from rs3l.networks.build import build
from rs3l.networks.model_file import embed, load_encoder
from rs3l.plan import network_work
from rs3l.pretrain.losses import Loss
from rs3l.pretrain.pretrain import Trainer
from rs3l.pretrain.view_source import ViewSource
from rs3l.pretrain.views import hand_made
from support import own_parts, toy
from support.places import REPOSITORY
from support.pretraining import VIEWS, block, train

SUMS = {"kind": "support.own_parts:Sums", "representation": 12, "latent": 4, "options": {"width": 8}}
DISTANCE = "support.own_parts:Distance"


@pytest.mark.usefixtures("no_alarm")
def test_an_encoder_and_a_loss_are_trained_recorded_and_loaded(tmp_path: Path, manifest: Path) -> None:
    settings = block(encoder=SUMS, loss=DISTANCE, loss_options={"weight": 2.0})
    model = train(tmp_path, manifest, settings)[0]
    encoder = load_encoder(model)
    assert isinstance(encoder, own_parts.Sums) and encoder.config == OwnEncoder(**SUMS)
    jets = load_views(manifest, "test", ["signal", "background"], VIEWS, encoder.constituents)
    h, z = embed(encoder, jets, jets.rows())
    assert h.shape[1] == 12 and z.shape[1] == 4
    assert settings.model_dump()["loss_options"] == {"weight": 2.0}


def test_a_block_without_own_parts_is_what_it_was() -> None:
    assert "loss_options" not in block().model_dump()
    assert "own" not in HandMadeViews().model_dump()


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ({**SUMS, "kind": "no_such_package.here:Net"}, "No module named 'no_such_package'; install the package"),
        ({**SUMS, "kind": "support.own_parts:Sum"}, "the module support.own_parts has no Sum; correct the name"),
        ({**SUMS, "kind": "support.own_parts:mirrored"}, "is no subclass of rs3l.networks.JetEncoder"),
        ({**SUMS, "kind": "support.own_parts:Leaks"}, "h depends on what is at padding"),
        ({**SUMS, "kind": "support.own_parts:Narrow"}, "z of 2 jets is [2, 3], not [2, 4]"),
        ({**SUMS, "kind": "support.own_parts:Tied"}, "Some tensors share memory"),
        ({**SUMS, "kind": "support.own_parts:FixedLength"}, "FixedLength: RuntimeError: "),
        (
            {**SUMS, "kind": "support.own_parts:Forgetful", "options": {}},
            "KeyError: 'width'; the log has the traceback",
        ),
    ],
)
def test_an_encoder_that_is_not_as_it_must_be(encoder: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        build(OwnEncoder(**encoder), 16)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("support.own_parts:no_loss", {}, "returns no scalar tensor that depends on the latents"),
        ("support.own_parts:per_event", {}, "TypeError: per_event() missing 2 required positional arguments"),
        (DISTANCE, {}, "TypeError: Distance.__init__() missing 1 required positional argument: 'weight'"),
        (DISTANCE, {"weight": "much"}, "TypeError: "),
    ],
)
def test_a_loss_that_is_not_as_it_must_be(kind: str, options: dict[str, Any], message: str) -> None:
    latents = torch.randn(4, 3, requires_grad=True)
    with pytest.raises(ConfigError, match=re.escape(f"pretrain.loss: {kind}") + ".*" + re.escape(message)):
        Loss(kind, 0.1, options=options)(latents, torch.arange(4))


@pytest.mark.parametrize(
    ("own", "message"),
    [("nothing", "does not return a JetBatch"), ("infinite", "makes candidates that are not finite")],
)
def test_an_augmentation_that_is_not_as_it_must_be(own: str, message: str) -> None:
    jets = toy.store([3, 5]).batch(np.arange(2))
    views = HandMadeViews(own=f"support.own_parts:{own}")
    with pytest.raises(ConfigError, match=f"pretrain.hand_made.own: support.own_parts:{own} {message}"):
        hand_made(jets, views, Detector(), torch.Generator().manual_seed(1))


@pytest.mark.usefixtures("no_alarm")
def test_dropout_goes_on_with_the_same_numbers(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = block(encoder={**SUMS, "kind": "support.own_parts:Forgetful"})
    whole = train(tmp_path / "whole", manifest, settings)[0]
    original = Trainer.step

    def interrupted(self: Trainer, *arguments: Any) -> None:
        if len(self.rows) == 1:
            raise KeyboardInterrupt
        original(self, *arguments)

    monkeypatch.setattr(Trainer, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", manifest, settings)
    monkeypatch.setattr(Trainer, "step", original)
    torch.manual_seed(1)  # whatever else has drawn numbers
    assert train(tmp_path / "parts", manifest, settings)[0].read_bytes() == whole.read_bytes()


def test_the_shares_of_the_ranks_add_up_to_the_loss() -> None:
    latents, loss = torch.randn(8, 3), Loss(DISTANCE, 0.1, options={"weight": 1.0})
    rows = [torch.tensor([0, 1, 4, 5]), torch.tensor([2, 3, 6, 7])]
    shares = [loss.share(latents[own], own, latents, torch.arange(8)) for own in rows]
    assert sum(shares).item() == pytest.approx(loss(latents, torch.arange(8)).item())


def test_an_augmentation_comes_after_the_others(manifest: Path) -> None:
    views = {"drop": 0.0, "soft_smearing": 0.0, "collinear_splits": 0, "pt_jitter": 0.0, "charge_flip": False}
    settings = block("jetclr", hand_made={**views, "own": "support.own_parts:mirrored"}, detector=Detector())
    store = load_views(manifest, "train", ["signal", "background"], VIEWS, 16)
    source = ViewSource(settings, store)
    rows = source.draw(torch.Generator().manual_seed(1))[:, :6]
    jets = source.views(rows, torch.Generator().manual_seed(2), slice(None))
    plain = store.batch(rows.reshape(-1))
    radius = jets.candidates[..., 1:3].norm(dim=-1)
    assert torch.allclose(radius[:, : plain.mask.shape[1]], plain.candidates[..., 1:3].norm(dim=-1), atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": {"kind": "no path"}}, "kind must be deepsets, edgeconv, transformer or package.module:Class"),
        ({"encoder": {**SUMS, "kind": "a:"}}, "the import path of one's own (package.module:Name) is expected"),
        ({"loss": "nt_xnt"}, "`masked` or `jepa`, the import path of one's own (package.module:Name) or a block"),
        ({"loss_options": {"a": 1}}, "loss_options: the loss nt_xent takes none"),
    ],
)
def test_mistakes_in_the_configuration(test_values: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    pretrain = {key: value for key, value in test_values["pretrain"].items() if key not in changes}
    with pytest.raises(CampaignError, match=re.escape(message)):
        parse_campaign({**test_values, "pretrain": {**pretrain, **changes}})


def test_it_is_planned_with_the_cost_that_it_names(test_values: dict[str, Any]) -> None:
    own = OwnEncoder(**SUMS, cost=3.0)
    assert network_work(own, 64) == 3.0 * network_work(DeepSets(), 64)
    values = {**test_values, "pretrain": {**test_values["pretrain"], "encoder": SUMS, "loss": DISTANCE}}
    assert blocks.pretrain(parse_campaign(values), "rs3l_s0").encoder == OwnEncoder(**SUMS)


@pytest.mark.usefixtures("no_alarm")
def test_the_examples_of_the_page(tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The four modules that docs/extend.md shows, with the settings that it shows, train."""
    page = (REPOSITORY / "docs" / "extend.md").read_text(encoding="utf-8")
    (tmp_path / "my_package").mkdir()
    modules = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    for name, code in zip(("nets", "losses", "tasks", "views"), modules, strict=True):
        (tmp_path / "my_package" / f"{name}.py").write_text(code, encoding="utf-8")
        assert len(code.splitlines()) <= 20
    monkeypatch.syspath_prepend(str(tmp_path))
    encoder, loss, task, views = (
        yaml.safe_load(text)["pretrain"]
        for text in re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    )
    train(tmp_path / "a", manifest, block(**encoder, **loss, epochs=2))
    train(tmp_path / "c", manifest, block(**task, epochs=2))
    own = HandMadeViews(**views["methods"]["mine"]["hand_made"])
    train(tmp_path / "b", manifest, block("jetclr", hand_made=own, epochs=2))
