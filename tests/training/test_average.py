"""The average of the weights: against a slow reference, in the model file and validation, stopped, on ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_distributed import assert_same_training
from test_distributed import train as train_double
from test_resume_training import train_with_stops
from torch import Tensor, nn

from rs3l.config.blocks import PretrainBlock
from rs3l.errors import DataError
from rs3l.pretrain.pretrain import Trainer
from rs3l.training.average import WeightAverage
from rs3l.training.checkpoint import Checkpoint
from support.pretraining import block, train

DECAY = 0.9


def ema(decay: float = DECAY, **changes: Any) -> PretrainBlock:
    loop = {"ema": decay, **changes.pop("loop", {})}
    return block(loop=loop, **changes)


def reference(history: list[Tensor], decay: float) -> Tensor:
    """Return the weighted mean of all weights, the last one with weight 1, the one before with d, then d² ..."""
    shares = [decay ** (len(history) - 1 - i) for i in range(len(history))]
    weighted = [share * weight.double() for share, weight in zip(shares, history, strict=True)]
    return torch.stack(weighted).sum(0) / sum(shares)


@pytest.mark.parametrize("decay", [0.1, 0.9, 0.9999])
def test_the_average_is_the_weighted_mean_of_all_steps(decay: float) -> None:
    generator = torch.Generator().manual_seed(1)
    network = nn.Linear(3, 2)
    average, history = WeightAverage(network, decay), []
    for step in range(1, 40):
        with torch.no_grad():
            network.weight.copy_(torch.randn(2, 3, generator=generator))
        history.append(network.weight.detach().clone())
        average.update(step)
        torch.testing.assert_close(
            average.state_dict()["weight"], reference(history, decay), rtol=1e-10, atol=1e-12
        )
        if step == 1:
            assert torch.equal(average.state_dict()["weight"], history[0].double()), "no part of the first weights"


def test_the_weights_come_back_bit_for_bit_also_after_an_error() -> None:
    network = nn.Linear(3, 2)
    average = WeightAverage(network, DECAY)
    average.update(1)
    with torch.no_grad():
        network.weight.add_(1 / 3)
    average.update(2)
    before = network.weight.detach().clone()
    with pytest.raises(ZeroDivisionError), average.applied():
        assert torch.equal(network.weight, average.state_dict()["weight"].float())
        assert not torch.equal(network.weight, before)
        _ = 1 / 0
    assert torch.equal(network.weight, before)


class Recorder(Trainer):
    """Notes the weights after every step."""

    history: list[dict[str, Tensor]]

    def step(self, *arguments: Any) -> None:
        """Take the step and note the weights."""
        super().step(*arguments)
        self.history.append({name: weight.detach().clone() for name, weight in self.encoder.named_parameters()})


def recorded(folder: Path, manifest: Path, settings: PretrainBlock) -> Recorder:
    trainer = Recorder(settings, manifest, Checkpoint(folder, settings, "a"))
    trainer.history = []
    trainer.run()
    return trainer


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_validation_and_the_model_have_the_average(tmp_path: Path, manifest: Path, precision: str) -> None:
    settings = ema(loop={"precision": precision})
    trainer = recorded(tmp_path / "a", manifest, settings)
    expected = {
        name: reference([weights[name] for weights in trainer.history], DECAY) for name in trainer.history[0]
    }
    model = load_file(train(tmp_path, manifest, settings)[0])
    for name, weight in expected.items():
        torch.testing.assert_close(model[name], weight.float(), rtol=1e-6, atol=1e-7)
        assert not torch.equal(model[name], trainer.history[-1][name]), "not the last weights"
        assert torch.equal(dict(trainer.encoder.named_parameters())[name], trainer.history[-1][name])
    with trainer.averaged():
        row = trainer._validate()
    assert {name: trainer.rows[-1][name] for name in row} == row
    assert trainer._validate()["val_loss"] != row["val_loss"], "that of the last weights"


@pytest.mark.usefixtures("no_alarm")
def test_the_training_itself_does_not_change(tmp_path: Path, manifest: Path) -> None:
    plain, averaged = (recorded(tmp_path, manifest, settings) for settings in (block(), ema()))
    assert [row["train_loss"] for row in plain.rows] == [row["train_loss"] for row in averaged.rows]
    for weights, others in zip(plain.history, averaged.history, strict=True):
        assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert plain.average is None and "ema" not in block().model_dump_json()
    state = plain.checkpoint.load()
    assert state is not None and "average" not in state, "off: the state is as it was"


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize("loop", [{"stream": False}, {"stream": True, "bucket_pool": 3}], ids=str)
def test_stopped_and_resumed_is_uninterrupted(tmp_path: Path, manifest: Path, loop: dict[str, Any]) -> None:
    own = ema(batch=16, loop=loop)
    whole = train(tmp_path / "whole", manifest, own)
    resumed = train_with_stops(tmp_path, manifest, own, (2, 7, 13))
    assert [path.read_bytes() for path in resumed[:2]] == [path.read_bytes() for path in whole[:2]]


@pytest.mark.usefixtures("no_alarm")
def test_a_state_without_the_average_is_refused(tmp_path: Path, manifest: Path) -> None:
    settings = ema(epochs=1)
    trainer = recorded(tmp_path, manifest, settings)
    state = trainer.checkpoint.load()
    assert state is not None
    trainer.checkpoint.save({name: value for name, value in state.items() if name != "average"})
    with pytest.raises(DataError, match=r"cannot be resumed from \(no 'average'\)"):
        Trainer(settings, manifest, trainer.checkpoint)


def test_two_ranks_have_the_average_of_one_process(tmp_path: Path, manifest: Path) -> None:
    changes = {"loop": {"ema": DECAY}, "epochs": 2}
    train_double(tmp_path / "one", 1, manifest, **changes)
    train_double(tmp_path / "two", 2, manifest, **changes)
    assert_same_training(tmp_path / "two", tmp_path / "one")
