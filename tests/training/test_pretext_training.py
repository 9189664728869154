"""Trainings with the pretext tasks: in every loop, stopped and resumed, on two ranks, in combinations."""

from __future__ import annotations

import copy
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_distributed import assert_same_training
from test_distributed import train as train_double
from test_resume_training import outputs, train_with_stops
from torch import Tensor

from rs3l.config import blocks, methods, parse_campaign
from rs3l.config.capacity import capacity_problems
from rs3l.config.detector import Detector
from rs3l.config.losses import loss_text
from rs3l.config.pretrain import HandMadeViews, Pretrain
from rs3l.errors import ConfigError, DataError
from rs3l.networks.model_file import load_encoder
from rs3l.pretrain.pretrain import Running, Trainer, chance_of, pretrain, signs_of_collapse
from rs3l.training.average import WeightAverage
from rs3l.training.checkpoint import Checkpoint
from support.changes import changed
from support.pretext_tasks import ENCODERS, TASKS
from support.pretraining import block, train

OWN = "support.pretext_tasks:Multiplicity"
LOOPS: list[dict[str, Any]] = [
    {},
    {"loop": {"stream": True, "bucket_pool": 2, "clip": 0.1}},
    {"loop": {"ema": 0.9}},
    {"augment": True, "hand_made": HandMadeViews(), "detector": Detector()},
    {"method": "jetclr", "hand_made": HandMadeViews(), "detector": Detector()},
]
BAD_LOSSES: list[tuple[Any, str]] = [
    ({"nt_xnt": 1.0}, "loss: no loss 'nt_xnt'; known: nt_xent, multi_view, sup_con, vicreg, multi_class, masked"),
    ({"nt_xent": 0}, "pretrain.loss.nt_xent: a number above 0 is expected, found 0"),
    ({"nt_xent": True}, "pretrain.loss.nt_xent: a number above 0 is expected, found true"),
    ({}, "loss: {} names none; give one or more with their weights"),
    ({"a.b:c": 1, "a.b:d": 1}, "loss: a.b:c and a.b:d are both one's own, with one `loss_options`; give one"),
]


def trainer_of(folder: Path, manifest: Path, **changes: Any) -> Trainer:
    settings = block(**changes)
    return Trainer(settings, manifest, Checkpoint(folder, settings, "a"))


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize("encoder", ENCODERS, ids=str)
@pytest.mark.parametrize("task", TASKS)
def test_a_miniature_training_learns(tmp_path: Path, manifest: Path, task: str, encoder: dict[str, Any]) -> None:
    trainer = trainer_of(tmp_path, manifest, **TASKS[task], **encoder, epochs=6)
    trainer.run()
    losses = [row["train_loss"] for row in trainer.rows]
    assert losses[-1] < losses[0] and all(math.isfinite(row["val_loss"]) for row in trainer.rows)


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize("loop", LOOPS, ids=str)
@pytest.mark.parametrize("task", ["masked", "together"])
def test_stopped_and_resumed_is_uninterrupted(
    tmp_path: Path, manifest: Path, loop: dict[str, Any], task: str
) -> None:
    """With the weights of heads, predictor and target, and with the random numbers of what is hidden."""
    own = block(**{**TASKS[task], **loop}, batch=16)
    whole = train(tmp_path / "whole", manifest, own)
    resumed = train_with_stops(tmp_path, manifest, own, (2, 7, 13))
    assert [path.read_bytes() for path in resumed[:2]] == [path.read_bytes() for path in whole[:2]]


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize("stream", [False, True])
def test_killed_within_a_step(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    """After the optimizer and before the target has followed: the state is that of the step before."""
    own = block(**TASKS["together"], batch=16, loop={"stream": stream})
    whole = train(tmp_path / "whole", manifest, own)
    original, taken = Trainer.step, []

    def step(self: Trainer, *arguments: Any) -> None:
        taken.append(self.done)
        if len(taken) % 5 == 0:
            self.objective.after_step = None
        original(self, *arguments)

    monkeypatch.setattr(Trainer, "step", step)
    for _ in range(3):
        with pytest.raises(TypeError, match="'NoneType' object is not callable"):
            pretrain(own, manifest, tmp_path / "state", *outputs(tmp_path), running=Running(checkpoint_minutes=0))
    assert taken[:10] == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8]
    monkeypatch.setattr(Trainer, "step", original)
    pretrain(own, manifest, tmp_path / "state", *outputs(tmp_path))
    assert [path.read_bytes() for path in outputs(tmp_path)[:2]] == [path.read_bytes() for path in whole[:2]]


@pytest.mark.usefixtures("no_alarm")
def test_a_state_without_the_tasks_is_refused(tmp_path: Path, manifest: Path) -> None:
    trainer = trainer_of(tmp_path, manifest, **TASKS["jepa"], epochs=1)
    trainer.run()
    state = trainer.checkpoint.load()
    assert state is not None
    assert any("target" in name for name in state["tasks"]), "the target is in the state"
    trainer.checkpoint.save({name: value for name, value in state.items() if name != "tasks"})
    with pytest.raises(DataError, match=r"cannot be resumed from \(no 'tasks'\)"):
        trainer_of(tmp_path, manifest, **TASKS["jepa"], epochs=1)


@pytest.mark.parametrize("task", TASKS)
def test_two_ranks_train_the_model_of_one_process(tmp_path: Path, manifest: Path, task: str) -> None:
    """In double precision, with slices of 15 and 16 events and views of other lengths in each."""
    changes = {**TASKS[task], "batch": 31, "epochs": 2}
    plain = {
        name: value.model_dump() if hasattr(value, "model_dump") else value for name, value in changes.items()
    }
    train_double(tmp_path / "one", 1, manifest, **plain)
    train_double(tmp_path / "two", 2, manifest, **plain)
    assert_same_training(tmp_path / "two", tmp_path / "one")


def test_hand_made_views_with_hidden_candidates_too(tmp_path: Path, manifest: Path) -> None:
    for ranks in (1, 2):
        train_double(
            tmp_path / str(ranks), ranks, manifest, "jetclr", loss="masked", masked={"hidden": 8}, epochs=2
        )
    assert_same_training(tmp_path / "2", tmp_path / "1")


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize("task", TASKS)
def test_the_model_file_has_the_encoder_alone(tmp_path: Path, manifest: Path, task: str) -> None:
    model = train(tmp_path / task, manifest, block(**TASKS[task], epochs=1))[0]
    plain = train(tmp_path / "plain", manifest, block(epochs=1))[0]
    assert load_file(model).keys() == load_file(plain).keys()
    assert load_encoder(model).config == block().encoder


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize(("task", "acts"), [("masked", False), ("multi_class", False), ("jepa", True)])
def test_the_projection_is_trained_if_a_loss_acts_on_it(
    tmp_path: Path, manifest: Path, task: str, acts: bool
) -> None:
    trainer = trainer_of(tmp_path, manifest, **TASKS[task], epochs=1)
    before = [weight.detach().clone() for weight in trainer.encoder.projector.parameters()]
    backbone = [weight.detach().clone() for weight in trainer.encoder.backbone()]
    trainer.run()
    after = list(trainer.encoder.projector.parameters())
    assert [not torch.equal(old, new) for old, new in zip(before, after, strict=True)] == [acts] * len(after)
    assert not any(torch.equal(old, new) for old, new in zip(backbone, trainer.encoder.backbone(), strict=True))


def gradients(trainer: Trainer) -> dict[str, Tensor]:
    """Return the gradient of each weight of the encoder in the first step."""
    generator = trainer.train.generator(0)
    trainer.objective.train()
    batch = next(iter(trainer.train.batches(generator, 0)))
    jets = batch.source.load(batch.rows, batch.part, trainer.place)
    share = trainer._share(trainer._outputs(batch.source, jets, batch.rows, generator, batch.part), batch.codes)
    share.backward()  # type: ignore[no-untyped-call]
    found = {"loss": share.detach()}
    return found | {name: w.grad for name, w in trainer.encoder.named_parameters() if w.grad is not None}


@pytest.mark.parametrize(
    "weights", [{"nt_xent": 1.0, "masked": 0.5}, {"jepa": 2.0, "vicreg": 0.1, "multi_class": 1.0}]
)
def test_a_combination_is_the_sum_by_weight(tmp_path: Path, manifest: Path, weights: dict[str, float]) -> None:
    settings = {**TASKS["together"], "vicreg": {}}
    expected: dict[str, Tensor] = {}
    for name, weight in weights.items():
        alone = gradients(trainer_of(tmp_path, manifest, **{**settings, "loss": name}))
        expected |= {key: expected.get(key, 0.0) + weight * value for key, value in alone.items()}
    found = gradients(trainer_of(tmp_path, manifest, **{**settings, "loss": weights}))
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("no_alarm")
def test_one_loss_of_weight_one_is_that_loss_to_the_bit(tmp_path: Path, manifest: Path) -> None:
    alone, named = (
        train(tmp_path / name, manifest, block(loss=loss))
        for name, loss in (("alone", "nt_xent"), ("named", {"nt_xent": 1.0}))
    )
    assert [path.read_bytes() for path in alone[:2]] == [path.read_bytes() for path in named[:2]]


@pytest.mark.usefixtures("no_alarm")
def test_the_average_is_of_heads_too(tmp_path: Path, manifest: Path) -> None:
    trainer = trainer_of(tmp_path, manifest, **TASKS["masked"], loop={"ema": 0.9})
    trainer.run()
    head = trainer.objective.by_name["masked"].head[1].weight
    last = head.detach().clone()
    with trainer.averaged():
        assert not torch.equal(head, last)
        row = trainer._validate()
    assert torch.equal(head, last) and trainer.rows[-1]["val_loss"] == row["val_loss"]
    assert isinstance(trainer.average, WeightAverage)


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize("loss", [OWN, {"nt_xent": 1.0, OWN: 0.1}])
def test_a_task_of_another_package(tmp_path: Path, manifest: Path, loss: Any) -> None:
    trainer = trainer_of(tmp_path, manifest, loss=loss, loss_options={"scale": 4.0}, epochs=6)
    trainer.run()
    assert trainer.rows[-1]["train_loss"] < trainer.rows[0]["train_loss"]
    state = trainer.checkpoint.load()
    assert state is not None and set(state["tasks"]) == {"0.head.weight", "0.head.bias"}


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        (OWN, {}, "TypeError: Multiplicity.__init__() missing 1 required positional argument: 'scale'"),
        ("support.pretext_tasks:NoTerms", {"scale": 1.0}, "does not return a tensor with one term per view"),
    ],
)
def test_a_task_that_is_not_as_it_must_be(
    tmp_path: Path, manifest: Path, loss: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"pretrain.loss: {loss}.*{re.escape(message)}"):
        trainer_of(tmp_path, manifest, loss=loss, loss_options=options).run()


def test_alarms_of_each_loss() -> None:
    row = {"train_loss": 9.0, "spread": 0.1, "rank": 1.0}
    guess, classes = math.log(63), math.log(2)
    chances = {
        "nt_xent": guess, "multi_class": classes, "masked": None, "jepa": None,
        "together": None,
    }  # fmt: skip
    for name, expected in chances.items():
        found = chance_of(block(**TASKS.get(name, {"loss": name})), 32)
        assert (found and found.loss) == (expected and pytest.approx(expected))
    both = chance_of(block(loss={"nt_xent": 2.0, "multi_class": 1.0}), 32)
    assert both and both.loss == pytest.approx(2 * guess + classes) and both.text == "2 ln(2B - 1) + ln(processes)"
    assert [sign.split()[0] for sign in signs_of_collapse(block(**TASKS["jepa"]), row, 32)] == ["spread", "RankMe"]
    assert signs_of_collapse(block(**TASKS["masked"]), row, 32) == [], "nothing trains z"
    assert len(signs_of_collapse(block(**TASKS["multi_class"]), row, 32)) == 1
    assert signs_of_collapse(block(**TASKS["multi_class"]), {**row, "train_loss": 0.2}, 32) == []
    assert len(signs_of_collapse(block(**TASKS["together"]), row, 32)) == 2
    assert signs_of_collapse(block(loss=OWN), row, 32) == [], "it says so itself"
    assert len(signs_of_collapse(block(loss="support.own_parts:Distance"), row, 32)) == 1


def test_blocks_hold_what_their_losses_use(test_values: dict[str, Any]) -> None:
    values = copy.deepcopy(test_values)
    values["pretrain"]["methods"] = {
        "rs3l": {}, "mpm": {}, "jepa": {}, "multiclass": {}, "supcon": {},
        "both": {"loss": {"nt_xent": 1, "masked": 0.5}, "masked": {"fraction": 0.5}},
    }  # fmt: skip
    config = parse_campaign(values)
    found = {name: blocks.pretrain(config, f"{name}_s0").model_dump() for name in methods.methods(config)}
    assert {name: {"masked", "jepa"} & set(dump) for name, dump in found.items()} == {
        "rs3l": set(), "mpm": {"masked"}, "jepa": {"jepa"}, "multiclass": set(), "supcon": set(), "both": {"masked"},
    }  # fmt: skip
    assert found["rs3l"]["loss"] == "nt_xent" and found["both"]["loss"] == {"nt_xent": 1.0, "masked": 0.5}
    assert found["both"]["masked"] == {"fraction": 0.5, "hidden": 128}
    assert loss_text(found["both"]["loss"]) == "nt_xent + 0.5 masked"


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize("name", ["mpm", "multiclass", "jepa", "jetclr_paper"])
def test_ready_methods_train(tmp_path: Path, manifest: Path, name: str) -> None:
    """A few steps with all settings of the method but for the batch, which the toy does not fill."""
    ready = methods.overridden(Pretrain(batch=32, constituents=16, epochs=1), methods.READY[name])
    settings = blocks.pretrain_block(
        ready, 5, ["signal", "background"], ["nominal", "seed", "fsr_hi"], Detector()
    ).model_copy(update={"batch": 32})
    trainer = Trainer(settings, manifest, Checkpoint(tmp_path, settings, "a"))
    trainer.run()
    assert settings.on_collapse == ("warn" if name == "jepa" else "stop")
    assert math.isfinite(trainer.rows[-1]["val_loss"]) and settings.displacement == (name != "jetclr_paper")


def test_losses_of_a_method_replace_those_of_the_block(test_values: dict[str, Any]) -> None:
    values = changed(test_values, "pretrain/loss", {"nt_xent": 1.0, "masked": 0.5})
    values["pretrain"]["methods"] = {"rs3l": {}, "other": {"loss": {"jepa": 1.0}}}
    config = parse_campaign(values)
    assert blocks.pretrain(config, "other_s0").loss == {"jepa": 1.0}
    assert methods.own_parts(config) == []
    own = changed(values, "pretrain/loss", {"nt_xent": 1.0, OWN: 0.5})
    assert methods.own_parts(parse_campaign(own)) == [OWN]


@pytest.mark.parametrize(("loss", "message"), BAD_LOSSES)
def test_losses_that_cannot_be(test_values: dict[str, Any], loss: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_campaign(changed(test_values, "pretrain/loss", loss))


@pytest.mark.parametrize("loss", ["jepa", {"masked": 1.0, "jepa": 1.0}])
def test_a_loss_of_pairs_takes_no_more_views(test_values: dict[str, Any], loss: Any) -> None:
    values = changed(changed(test_values, "pretrain/loss", loss), "pretrain/views", "all")
    with pytest.raises(ConfigError, match="loss: jepa compares two; use loss: multi_view"):
        parse_campaign(values)


def test_classes_need_two_processes(test_values: dict[str, Any]) -> None:
    values = changed(test_values, "processes/higgs_bb/use", "downstream")
    values = changed(values, "pretrain/methods", ["rs3l", "multiclass"])
    problems = "\n".join(capacity_problems(parse_campaign(values)))
    assert (
        "methods.multiclass.loss: multi_class tells processes apart, and only qcd has `use: pretrain`" in problems
    )


def test_all_views_are_masked_and_classified(tmp_path: Path, manifest: Path) -> None:
    """Events have different numbers of views; the loss is the mean over all of them."""
    changes = {"views": "all", "loss": {"masked": 1.0, "multi_class": 1.0, "multi_view": 1.0}, "epochs": 2}
    plain = {**changes, "masked": {"hidden": 8}}
    train_double(tmp_path / "one", 1, manifest, **plain)
    train_double(tmp_path / "two", 2, manifest, **plain)
    assert_same_training(tmp_path / "two", tmp_path / "one")
