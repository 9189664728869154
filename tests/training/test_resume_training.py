"""A training that was stopped within an epoch goes on to the weights of one that was not, bit for bit."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from rs3l.config.blocks import PretrainBlock
from rs3l.errors import DataError, StoppedError
from rs3l.pretrain.pretrain import Running, Trainer, pretrain
from rs3l.training.checkpoint import Checkpoint
from rs3l.training.distributed import Ranks
from rs3l.training.live import EPOCHS, STEPS, NullMetrics
from support.forked import start
from support.places import SCRIPTS
from support.pretraining import block, train
from support.ranks import FOLDER, launch

LOOPS: dict[str, dict[str, Any]] = {
    "in memory": {"stream": False},
    "buckets": {"stream": False, "bucket_pool": 3, "clip": 0.1},
    "stream": {"stream": True, "schedule": "cosine"},
    "stream, buckets": {"stream": True, "bucket_pool": 3, "schedule": "step", "optimizer": "adam"},
}


class KillAt(NullMetrics):
    """Sends this process a signal within a step."""

    def __init__(self, step: int, number: signal.Signals = signal.SIGTERM) -> None:
        self.at, self.number = step, number

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Send it."""
        if step == self.at:
            os.kill(os.getpid(), self.number)


def settings(loop: str, **changes: Any) -> PretrainBlock:
    return block(**{"epochs": 3, "loop": LOOPS[loop], "batch": 16, **changes})


def outputs(folder: Path) -> list[Path]:
    return [folder / name for name in ("model.safetensors", "metrics.csv", "provenance.json")]


def train_with_stops(folder: Path, manifest: Path, own: PretrainBlock, stops: Sequence[int]) -> list[Path]:
    """Train to the end in ``folder`` with a stop after each of these steps; return the outputs."""
    for at in stops:
        with pytest.raises(StoppedError, match="the state is saved"):
            pretrain(own, manifest, folder / "state", *outputs(folder), running=Running(live=KillAt(at)))
    pretrain(own, manifest, folder / "state", *outputs(folder))
    return outputs(folder)


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize("loop", list(LOOPS))
@pytest.mark.parametrize("method", ["rs3l", "jetclr"])
def test_stopped_within_an_epoch(tmp_path: Path, manifest: Path, loop: str, method: str) -> None:
    own = settings(loop, method=method)
    whole = train(tmp_path / "whole", manifest, own)
    parts = tmp_path / "parts"
    for at in (2, 9, 16):
        with pytest.raises(StoppedError, match=rf"stopped by SIGTERM in epoch {1 + at // 7}, after step \d of 7;"):
            pretrain(own, manifest, parts / "state", *outputs(parts), running=Running(live=KillAt(at)))
        assert not outputs(parts)[0].exists() and len(list((parts / "state").iterdir())) == 1
    pretrain(own, manifest, parts / "state", *outputs(parts))
    assert [p.read_bytes() for p in outputs(parts)[:2]] == [p.read_bytes() for p in whole[:2]]
    assert not (parts / "state").exists()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "handlers are put back"


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize("loop", ["in memory", "stream, buckets"])
@pytest.mark.parametrize("first", [1, 2])
def test_stopped_after_every_step(tmp_path: Path, manifest: Path, loop: str, first: int) -> None:
    """From 2 or 3 on, every other one: also after the last step of an epoch, and of the training.

    A signal within one step stops the training after the next.
    """
    own = settings(loop)
    whole = train(tmp_path / "whole", manifest, own)
    for at in range(first, 21, 2):
        epoch, step = divmod(at, 7)
        with pytest.raises(StoppedError, match=f"in epoch {epoch + 1}, after step {step + 1} of 7;"):
            pretrain(own, manifest, tmp_path / "state", *outputs(tmp_path), running=Running(live=KillAt(at)))
    pretrain(own, manifest, tmp_path / "state", *outputs(tmp_path))
    assert [p.read_bytes() for p in outputs(tmp_path)[:2]] == [p.read_bytes() for p in whole[:2]]
    assert not (tmp_path / "state").exists()


@pytest.mark.usefixtures("no_alarm")
def test_a_terminal_that_closes_stops_a_training_unless_that_is_ignored(tmp_path: Path, manifest: Path) -> None:
    own, running = settings("in memory", epochs=1), Running(live=KillAt(2, signal.SIGHUP))
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with pytest.raises(StoppedError, match="stopped by SIGHUP in epoch 1, after step 3 of 7"):
            pretrain(own, manifest, tmp_path / "state", *outputs(tmp_path), running=running)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
        shutil.rmtree(tmp_path / "state")
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        pretrain(own, manifest, tmp_path / "state", *outputs(tmp_path), running=running)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert outputs(tmp_path)[0].exists()


MALFORMED: list[Callable[[dict[str, Any]], dict[str, Any]]] = [
    lambda state: {},
    lambda state: {**state, "rows": None},
    lambda state: {**state, "rows": [1]},
    lambda state: {**state, "losses": "ab"},
    lambda state: {**state, "places": []},
    lambda state: {**state, "places": [{"generator": None}]},
    lambda state: {**state, "places": [{"generator": None, "feed": {}}]},
    lambda state: {**state, "encoder": {}},
    lambda state: {**state, "optimizer": {"state": {}}},
    lambda state: {**state, "schedule": None},
    lambda state: {name: value for name, value in state.items() if name != "schedule"},
]


def test_a_malformed_state_is_named(tmp_path: Path, manifest: Path) -> None:
    own = settings("stream")
    checkpoint = Checkpoint(tmp_path, own, "a")
    trainer = Trainer(own, manifest, checkpoint)
    trainer._save()
    state = checkpoint.load()
    assert state is not None
    trainer._resume()
    for change in MALFORMED:
        checkpoint.save(change(state))
        with pytest.raises(DataError, match=r"\.pt: cannot be resumed from .*delete it"):
            trainer._resume()


def test_a_state_of_an_older_version_is_named(tmp_path: Path, manifest: Path) -> None:
    """It has no checksum at its end."""
    checkpoint = Checkpoint(tmp_path, settings("stream"), "a")
    torch.save({"rows": [], "losses": []}, checkpoint.path)
    with pytest.raises(DataError, match=r"\.pt: cannot be resumed from .*another version.*delete it"):
        checkpoint.load()


@pytest.mark.usefixtures("no_alarm")
def test_a_training_killed_without_a_signal_goes_on_after_the_last_state(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a state after every step, an end in the middle of any step costs that step alone."""
    own = settings("stream, buckets")
    whole = train(tmp_path / "whole", manifest, own)
    original, taken = Trainer._share, []

    def share(self: Trainer, *arguments: Any) -> Any:
        taken.append(self.done)
        if len(taken) % 6 == 0:
            raise MemoryError
        return original(self, *arguments)

    monkeypatch.setattr(Trainer, "_share", share)
    for _ in range(4):
        with pytest.raises(MemoryError):
            pretrain(own, manifest, tmp_path / "state", *outputs(tmp_path), running=Running(checkpoint_minutes=0))
    assert taken[:12] == [0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10]
    monkeypatch.setattr(Trainer, "_share", original)
    pretrain(own, manifest, tmp_path / "state", *outputs(tmp_path))
    assert [p.read_bytes() for p in outputs(tmp_path)[:2]] == [p.read_bytes() for p in whole[:2]]


def test_a_stream_goes_on_with_the_same_ranks_only(tmp_path: Path, manifest: Path) -> None:
    own = settings("stream")
    checkpoint = Checkpoint(tmp_path, own, "a")
    trainer = Trainer(own, manifest, checkpoint)
    trainer._save()
    places = checkpoint.load()
    assert places is not None
    place = places["places"][0]
    place["feed"]["stream"]["made_of"]["ranks"] = 2
    checkpoint.save({**places, "places": [place, place]})
    with pytest.raises(DataError, match=r"\.pt: cannot be resumed from .*another ranks.* go on with 2 ranks"):
        Trainer(own, manifest, checkpoint, Ranks())


class Script:
    """The script, as one process or several, in a folder of its own."""

    def __init__(self, folder: Path, own: PretrainBlock, manifest: Path, ranks: int) -> None:
        names = ("state", "model", "metrics", "provenance", "live")
        self.folder, self.ranks = folder, ranks
        arguments = [f"--block={own.model_dump_json()}", f"--manifest={manifest}", "--device=cpu"]
        arguments.append("--on-collapse=warn")
        self.arguments = [*arguments, *(f"--{name}={folder / name}" for name in names)]
        folder.mkdir()

    def finish(self) -> None:
        """Run it to its end."""
        ranks = start(self.ranks, SCRIPTS / "pretrain.py", self.arguments, self.folder / "log")
        assert ranks.wait() == 0, ranks.text()[-4000:]

    def stop_at(self, step: int, number: signal.Signals) -> int:
        """Run it until it gets a signal in a step of its first rank; return the step of its epoch."""
        log = self.folder / f"log_{step}"
        ranks = start(self.ranks, FOLDER / "stop_at.py", [str(step), number.name, "self", *self.arguments], log)
        assert ranks.wait() == 1
        return self.stopped(ranks.text())

    def stop_torchrun_at(self, step: int) -> int:
        """The same, and it is torchrun that gets SIGTERM."""
        result = launch(self.ranks, FOLDER / "stop_at.py", str(step), "SIGTERM", "parent", *self.arguments)
        assert result.returncode != 0
        return self.stopped(result.stderr)

    def stopped(self, text: str) -> int:
        """Return the step of the epoch after which it says that it has stopped."""
        assert not (self.folder / "model").exists()
        found = re.search(r"stopped by .* in epoch \d+, after step (\d+) of (\d+); the state is saved", text)
        assert found, text[-4000:]
        return int(found[1]) % int(found[2])


@pytest.mark.parametrize(("loop", "ranks"), [("stream, buckets", 1), ("in memory", 2), ("stream, buckets", 2)])
def test_a_real_signal_to_a_real_process(tmp_path: Path, manifest: Path, loop: str, ranks: int) -> None:
    """Of two ranks, one gets it, or torchrun, which passes it on."""
    own = settings(loop, batch=8, epochs=8)
    whole, parts = (Script(tmp_path / name, own, manifest, ranks) for name in ("whole", "parts"))
    whole.finish()
    within = [parts.stop_at(20, signal.SIGTERM), parts.stop_at(41, signal.SIGINT)]
    if loop == "in memory":
        within.append(parts.stop_torchrun_at(61))
    assert all(within), "within an epoch"
    parts.finish()
    for name in ("model", "metrics", f"live/{STEPS}"):
        assert (parts.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
    epochs = [
        json.loads(line) for line in (parts.folder / "live" / EPOCHS).read_text(encoding="utf-8").splitlines()
    ]
    assert [row["epoch"] for row in epochs] == list(range(1, 9))
    assert not (parts.folder / "state").exists()
