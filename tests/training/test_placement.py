"""Every step stays on its device, and the host never waits for it: shown on torch's device ``meta``."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from rs3l.config.detector import Detector
from rs3l.config.losses import VicReg
from rs3l.config.pretrain import HandMadeViews
from rs3l.dataset.features import features
from rs3l.dataset.store import FlatJets, load_views, pad
from rs3l.errors import DataError, TrainingError
from rs3l.networks import base
from rs3l.networks.base import InputNorm
from rs3l.networks.model_file import new_encoder
from rs3l.pretrain import pretrain
from rs3l.pretrain.loader import loaded
from rs3l.pretrain.losses import Loss
from rs3l.pretrain.pretrain import Trainer
from rs3l.training import device
from rs3l.training.checkpoint import Checkpoint
from rs3l.training.device import COMPILE_STEPS, Placement, place
from rs3l.training.distributed import Ranks
from support import toy
from support.one_device import META, MisplacedError, OneDevice
from support.pretext_tasks import TASKS
from support.pretraining import VIEWS, block

ENCODERS: list[dict[str, Any]] = [
    {"kind": "deepsets", "hidden": 16, "latent": 4},
    {"kind": "edgeconv", "hidden": 16, "latent": 4},
    {"kind": "transformer", "hidden": 16, "latent": 4},
    {"kind": "transformer", "hidden": 16, "latent": 4, "pairwise": True},
]
LOSSES: list[dict[str, Any]] = [
    {"loss": "nt_xent"},
    {"loss": "multi_view", "views": "all"},
    {"loss": "sup_con"},
    {"loss": "vicreg", "vicreg": VicReg()},
    *TASKS.values(),
]


def meta_steps(folder: Path, manifest: Path, ranks: Ranks, method: str = "rs3l", **changes: Any) -> Trainer:
    """Take two steps of a training on ``meta``, each watched."""
    settings = block(method, **changes)
    trainer = Trainer(settings, manifest, Checkpoint(folder, settings, "none"), ranks)
    generator = trainer.train.generator(0)
    for batch, jets in islice(loaded(trainer.train.batches(generator, 0), trainer.place), 2):
        with OneDevice():
            trainer.step(batch, jets, generator)
    return trainer


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_a_step_of_pre_training(
    tmp_path: Path, manifest: Path, encoder: dict[str, Any], loss: dict[str, Any]
) -> None:
    """From jets of the host to the step of the optimizer."""
    trainer = meta_steps(tmp_path, manifest, Ranks(device=META), encoder=encoder, **loss)
    assert [each.share.device for each in trainer.waiting] == [META, META]
    trained = [p for p in trainer.objective.parameters() if p.requires_grad]
    assert trained and all(p.grad is not None and p.grad.device == META for p in trained)


@pytest.mark.parametrize(
    "loop", [{"optimizer": "adam", "clip": 1.0}, {"stream": True, "bucket_pool": 2}, {"ema": 0.9}], ids=str
)
def test_a_step_of_other_loops(tmp_path: Path, manifest: Path, loop: dict[str, Any]) -> None:
    assert len(meta_steps(tmp_path, manifest, Ranks(device=META), loop=loop).waiting) == 2


def test_a_step_with_hand_made_views(tmp_path: Path, manifest: Path) -> None:
    views = {"hand_made": HandMadeViews(), "detector": Detector()}
    assert len(meta_steps(tmp_path, manifest, Ranks(device=META), "jetclr", **views).waiting) == 2


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_a_step_of_one_of_two_ranks(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch, loss: dict[str, Any]
) -> None:
    """The sums over the ranks themselves are left out, because ``meta`` has nothing to send."""
    monkeypatch.setattr(dist, "all_reduce", lambda values: None)
    monkeypatch.setattr(Ranks, "averaging", lambda self, network: network)
    monkeypatch.setattr(Ranks, "agree", lambda self, value: True)
    trainer = meta_steps(tmp_path, manifest, Ranks(1, 2, META), **loss)
    assert [each.share.device for each in trainer.waiting] == [META, META]


class Wrong(nn.Module):
    """A network that does one thing that it must not, after its own work."""

    def __init__(self, network: nn.Module, fault: str) -> None:
        super().__init__()
        self.network, self.fault = network, fault
        self.forgotten = torch.ones(4, 4)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return h and the latents, or fail."""
        h, latents = self.network(x, mask)
        return h, self.spoilt(latents)

    def spoilt(self, latents: Tensor) -> Tensor:
        """Return the latents, or fail."""
        match self.fault:
            case "matrix of the host":
                return latents @ self.forgotten
            case "value":
                return latents * float(latents.sum())
            case "shape":
                return latents + latents[latents > 0].sum()
            case "list":
                return latents + torch.tensor([1.0, 2.0, 3.0, 4.0]).to(latents.device)
            case "back":
                return latents + latents.detach().cpu().to(latents.device, non_blocking=True)
            case "backward":
                latents.register_hook(lambda gradient: gradient @ self.forgotten)
        return latents


FAULTS = {
    "matrix of the host": "mm takes tensors of the host",
    "value": "_local_scalar_dense makes the host wait",
    "shape": "index makes the host wait",
    "list": "_to_copy copies to the device and waits",
    "back": "_to_copy brings a tensor back",
    "backward": "mm takes tensors of the host",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_misplaced_tensor_is_found(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(Placement, "compile", lambda self, network: Wrong(network, fault))
    with pytest.raises(MisplacedError, match=FAULTS[fault]):
        meta_steps(tmp_path, manifest, Ranks(device=META))


@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
def test_padding_is_computed_or_left_out(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, encoder: dict[str, Any]
) -> None:
    """A GPU computes padding, a CPU leaves it out: h and all gradients are the same."""
    settings = block(encoder=encoder)
    jets = load_views(manifest, "val", ["signal", "background"], VIEWS, 16).batch(np.arange(40))
    x, found = features(jets).double(), []
    x[~jets.mask] = 3.0
    for packs in (True, False):
        monkeypatch.setattr(base, "packs", lambda mask, packs=packs: packs)
        monkeypatch.setattr("rs3l.networks.edgeconv.packs", lambda mask, packs=packs: packs)
        network = new_encoder(settings.encoder, 16, 1).double()
        h = network(x, jets.mask)
        h.square().sum().backward()
        found.append([h, *(p.grad for p in network.backbone())])
    for packed, padded in zip(*found, strict=True):
        torch.testing.assert_close(padded, packed, rtol=1e-10, atol=1e-12)


def test_jets_are_padded_on_the_device_as_on_the_host(manifest: Path) -> None:
    store = load_views(manifest, "val", ["signal", "background"], VIEWS, 9)
    for rows in (np.array([3, 0, 8, 3]), np.array([], dtype=np.int64), np.arange(len(store))):
        for ours, theirs in zip(pad(store.flat(rows)), store.batch(rows), strict=True):
            assert torch.equal(ours, theirs)


def test_empty_jets_are_padded_too() -> None:
    store = toy.store([0, 3, 0])
    for rows in ([0], [0, 2], [2, 1, 0]):
        flat = store.flat(np.array(rows))
        assert flat.slots == max(1, *store.lengths[rows])
        for ours, theirs in zip(pad(flat), store.batch(np.array(rows)), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize("stream", [False, True])
def test_loading_threads_change_nothing(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    settings = block(epochs=2, loop={"stream": stream})
    losses = []
    for threads in (0, 3):
        monkeypatch.setattr(pretrain, "place", lambda *_, threads=threads: Placement(threads=threads))
        trainer = Trainer(settings, manifest, Checkpoint(tmp_path, settings, "none"))
        trainer.run()
        trainer.checkpoint.delete()
        losses.append([row["train_loss"] for row in trainer.rows])
    assert losses[0] == losses[1]


def test_a_late_look_names_the_step(tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses that nobody looks at for a while still say in which step the first one was not finite."""
    original, calls = Loss.__call__, iter(range(100))

    def spoilt(self: Loss, latents: Tensor, groups: Tensor) -> Tensor:
        return original(self, latents, groups) * (torch.nan if next(calls) == 2 else 1.0)

    monkeypatch.setattr(Loss, "__call__", spoilt)
    settings = block(check_every=4, batch=8)
    trainer = Trainer(settings, manifest, Checkpoint(tmp_path, settings, "none"))
    trainer.check_every = settings.check_every  # as on a GPU
    with pytest.raises(TrainingError, match="the loss is nan in epoch 1, step 3;"):
        trainer.run()
    assert next(calls) == 4, "it looked after the fourth step"


def test_a_gpu_notes_inputs_that_are_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    """On ``meta`` nothing has a value, so that the note is written here by hand."""
    norm = InputNorm()
    norm.check()
    norm.bad[3] = True
    with pytest.raises(DataError, match="NaN or infinite: dphi;"):
        norm.check()
    assert "bad" not in norm.state_dict()


def test_auto_is_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """The precision and compilation of `auto`, with a GPU that is only said to be there."""
    assert place(precision="auto", compiled="auto", steps=10**6, threads=8) == Placement()
    monkeypatch.setattr(device, "has_bf16", lambda device: True)
    monkeypatch.setattr(device, "_can_compile", lambda: True)
    gpu = torch.device("cuda", 0)
    assert place(gpu, "auto", "auto", COMPILE_STEPS, 8) == Placement(gpu, True, True, 7)
    assert place(gpu, "auto", "auto", COMPILE_STEPS - 1, 1) == Placement(gpu, True, False, 1)
    assert place(gpu, "float32", True, 1, 2) == Placement(gpu, False, True, 1)


def test_a_batch_is_put_value_by_value() -> None:
    jets = FlatJets(*(torch.zeros(2) for _ in range(5)), slots=7)
    put = Placement(META).put(jets)
    assert isinstance(put, FlatJets) and put.slots == 7
    assert {each.device for each in put[:5]} == {META}
    rows, [mask] = Placement(META).put((np.arange(3), (torch.ones(2),)))
    assert isinstance(rows, Tensor) and rows.device == mask.device == META
