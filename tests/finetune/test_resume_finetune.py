"""A fine-tuning that was killed goes on to the files of one that was not, byte for byte."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from rs3l.config.blocks import FinetuneBlock
from rs3l.errors import DataError, StoppedError
from rs3l.finetune.finetune import Watch, finetune
from rs3l.finetune.state import State, data_digest
from rs3l.finetune.training import Batch, Fit, Training
from rs3l.networks.model_file import save_encoder
from rs3l.training.stop import Timer
from support import toy
from support.forked import start
from support.places import SCRIPTS
from support.ranks import FOLDER
from support.tuning import block, task_training

MODES = {"none": ["scratch_mlp", "random", "gbt", "n2"], "rs3l_s0": ["probe_z", "tuned_mlp", "tuned_views"]}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.write_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def model(manifest: Path) -> Path:
    path = manifest.parent / "model.safetensors"
    save_encoder(task_training(block(), manifest).fresh_encoder("test"), path)
    return path


def settings(run: str, **changes: Any) -> FinetuneBlock:
    own = block(run)
    small = {"modes": MODES[run], "labels": [20], "repeats": 2, "max_epochs": 4, "on_undertrained": "warn"}
    return own.model_copy(update={"finetune": own.finetune.model_copy(update={**small, **changes})})


def outputs(folder: Path) -> list[Path]:
    return [folder / name for name in ("classifiers.safetensors", "history.csv")]


def run(own: FinetuneBlock, manifest: Path, model: Path, folder: Path, watch: Watch | None = None) -> list[bytes]:
    """Fine-tune to the end and return the files."""
    given = None if own.run == "none" else model
    finetune(own, manifest, given, *outputs(folder), folder / "state", watch or Watch(save=Timer(1e9)))
    assert not (folder / "state").exists()
    return [path.read_bytes() for path in outputs(folder)]


def kill_in(monkeypatch: pytest.MonkeyPatch, error: type[BaseException] | None, every: int) -> list[int]:
    """End the process, or send it SIGTERM, in every so many steps; return the list of the steps taken."""
    original, taken = Training._take_step, []  # type: ignore[var-annotated]

    def take_step(self: Training, batch: Batch) -> None:
        taken.append(self.step)
        if error is not None and len(taken) % every == 0:
            raise error
        original(self, batch)
        if error is None and len(taken) % every == 0:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Training, "_take_step", take_step)
    return taken


@pytest.mark.parametrize(("name", "looks"), [("none", 5_000), ("rs3l_s0", 7), ("none", 1)])
def test_stopped_by_a_signal_again_and_again(
    tmp_path: Path, manifest: Path, model: Path, monkeypatch: pytest.MonkeyPatch, name: str, looks: int
) -> None:
    """With epochs of a pass (10 steps), 7 steps and 1 step."""
    own = settings(name, validate_every=looks)
    whole = run(own, manifest, model, tmp_path / "whole")
    kill_in(monkeypatch, None, 13 if looks > 1 else 3)
    stops = 0
    while True:
        try:
            found = run(own, manifest, model, tmp_path / "parts")
            break
        except StoppedError as error:
            assert "stopped by SIGTERM in epoch" in str(error) and "start the same command again" in str(error)
            assert not outputs(tmp_path / "parts")[0].exists()
            stops += 1
    assert found == whole and stops > 1
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "handlers are put back"


def test_killed_without_a_signal_it_goes_on_after_the_last_state(
    tmp_path: Path, manifest: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = settings("rs3l_s0")
    whole = run(own, manifest, model, tmp_path / "whole")
    taken = kill_in(monkeypatch, MemoryError, 17)
    found: list[bytes] = []
    while not found:
        try:
            found = run(own, manifest, model, tmp_path / "parts", Watch(save=Timer(0)))
        except MemoryError:
            assert (tmp_path / "parts" / "state").exists()
    assert found == whole
    assert taken[:18] == [*range(17), 16], "a state after every step: the end of one costs that step alone"


def test_a_finished_classifier_is_not_trained_again(
    tmp_path: Path, manifest: Path, model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    own = settings("none")
    kill_in(monkeypatch, MemoryError, 50)
    with pytest.raises(MemoryError):
        run(own, manifest, model, tmp_path)
    kept = State(tmp_path / "state", own, data_digest(manifest, own), "")
    assert sorted(path.stem for path in kept.folder.glob("*.safetensors")) == [
        "gbt-20-0", "random-20-0", "scratch_mlp-20-0",
    ]  # fmt: skip
    fit = kept.finished("scratch_mlp", 20, 0)
    assert fit is not None and isinstance(fit.fit, Fit) and fit.fit.steps == 40
    with caplog.at_level(logging.INFO):
        run(own, manifest, model, tmp_path)
    assert "scratch_mlp, 20 labels, repeat 0: finished before" in caplog.text
    assert "scratch_mlp, 20 labels, repeat 1: best epoch" in caplog.text
    assert "scratch_mlp, 20 labels, repeat 0: best epoch" not in caplog.text


def test_the_state_of_other_settings_or_data_is_left_alone(
    tmp_path: Path, manifest: Path, model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        kill_in(patch, MemoryError, 5)
        with pytest.raises(MemoryError):
            run(settings("none"), manifest, model, tmp_path, Watch(save=Timer(0)))
    [other] = (tmp_path / "state").iterdir()
    own = settings("none", batch=8)
    with caplog.at_level(logging.INFO):
        finetune(own, manifest, None, *outputs(tmp_path), tmp_path / "state")
    assert f"{other}: the state of other settings or data, which is not used" in caplog.text
    assert list((tmp_path / "state").iterdir()) == [other]
    whole = run(own, manifest, model, tmp_path / "whole")
    assert [path.read_bytes() for path in outputs(tmp_path)] == whole
    again = State(tmp_path / "state", settings("none", held_jets=3, on_undertrained="stop"), "a", "b")
    assert again.folder == State(tmp_path / "state", settings("none"), "a", "b").folder, (
        "no result depends on these"
    )


def test_a_damaged_state_is_named(tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = settings("none")
    kill_in(monkeypatch, MemoryError, 50)
    with pytest.raises(MemoryError):
        run(own, manifest, Path(), tmp_path, Watch(save=Timer(0)))
    [folder] = (tmp_path / "state").iterdir()
    for name in ("scratch_mlp-20-1.pt", "scratch_mlp-20-0.json", "scratch_mlp-20-0.safetensors"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-9])
        with pytest.raises(DataError, match=rf"{name}: cannot be .*delete"):
            run(own, manifest, Path(), tmp_path)
        (folder / name).write_bytes(content)
    state = torch.load(folder / "scratch_mlp-20-1.pt", weights_only=True)
    place = State(tmp_path / "state", own, data_digest(manifest, own), "").checkpoint("scratch_mlp", 20, 1)
    for change in ({"step": "a"}, {"best": {}}, {"classifier": {}}, {"optimizer": {}}, {"generator": 3}):
        place.save({**state, **change})
        with pytest.raises(DataError, match=r"scratch_mlp-20-1\.pt: cannot be resumed from .*delete it"):
            run(own, manifest, Path(), tmp_path)


def test_a_real_signal_to_a_real_process(tmp_path: Path, manifest: Path, model: Path) -> None:
    """SIGKILL after some classifiers, SIGTERM in another, SIGINT in a third one."""
    own = settings("rs3l_s0", held_jets=0)
    whole = run(own, manifest, model, tmp_path / "whole")
    arguments = [f"--block={own.model_dump_json()}", f"--manifest={manifest}", f"--model={model}", "--device=cpu"]
    names = [f"--state={tmp_path / 'state'}", *(f"--{p.stem}={p}" for p in outputs(tmp_path))]
    arguments += [*names, "--on-undertrained=warn", "--checkpoint-minutes=0"]
    for step, number in ((90, signal.SIGKILL), (25, signal.SIGTERM), (50, signal.SIGINT)):
        log = tmp_path / f"log_{number.name}"
        process = start(1, FOLDER / "stop_finetune_at.py", [str(step), number.name, *arguments], log)
        assert process.wait() == (-9 if number == signal.SIGKILL else 1), process.text()[-3000:]
        assert number == signal.SIGKILL or f"stopped by {number.name} in epoch" in process.text()
        assert not outputs(tmp_path)[0].exists() and any((tmp_path / "state").rglob("*.safetensors"))
    last = start(1, SCRIPTS / "finetune.py", arguments, tmp_path / "log")
    assert last.wait() == 0, last.text()[-3000:]
    assert "resuming after step" in last.text() and "finished before" in last.text()
    assert [path.read_bytes() for path in outputs(tmp_path)] == whole
    assert not (tmp_path / "state").exists()
