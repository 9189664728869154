"""Several ranks train the model of one: the same random numbers, loss and gradients."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rs3l.dataset.store import load_views
from rs3l.errors import ConfigError, TrainingError
from rs3l.pretrain.pretrain import Checkpoint, Trainer
from rs3l.pretrain.view_source import ViewSource
from rs3l.pretrain.views import torch_generator
from rs3l.training.distributed import PORTS, Place, Ranks, choose_device, find_place, join, meet_in_slurm
from support import toy
from support.forked import start
from support.places import SCRIPTS
from support.pretraining import VIEWS, block
from support.ranks import FOLDER, launch

TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
STEP = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "2", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "12"}


@pytest.fixture(scope="module")
def alone(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an rs3l training by one process."""
    folder = tmp_path_factory.mktemp("alone")
    train(folder, 1, manifest)
    return folder


def train(
    folder: Path, ranks: int, manifest: Path, method: str = "rs3l", stop: int = 0, **changes: object
) -> None:
    """Pre-train in double precision; with ``stop``, interrupted after so many epochs."""
    arguments = [str(manifest), str(folder), method, str(stop), json.dumps(changes)]
    processes = start(ranks, FOLDER / "train_double.py", arguments, folder.with_suffix(f".log{stop}"))
    assert (processes.wait() == 0) == (stop == 0), processes.text()[-4000:]


def metrics(folder: Path) -> list[dict[str, float]]:
    """Return the rows of the metrics."""
    with (folder / "metrics.csv").open() as stream:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)]


def assert_same_training(folder: Path, other: Path) -> None:
    for row, expected in zip(metrics(folder), metrics(other), strict=True):
        assert row == pytest.approx(expected, rel=1e-8, abs=1e-8)
    models = [load_file(path / "model.safetensors") for path in (folder, other)]
    assert models[0].keys() == models[1].keys()
    for name, value in models[0].items():
        assert value.dtype == torch.float64
        torch.testing.assert_close(value, models[1][name], rtol=1e-7, atol=1e-8)


def test_three_ranks_train_the_model_of_one_process(tmp_path: Path, manifest: Path, alone: Path) -> None:
    """32 pairs do not divide by three: slices of unequal size."""
    train(tmp_path, 3, manifest)
    assert_same_training(tmp_path, alone)
    record = json.loads((tmp_path / "provenance.json").read_text(encoding="utf-8"))
    assert (record["ranks"], record["device"]) == (3, "cpu")


def test_hand_made_views_too(tmp_path: Path, manifest: Path) -> None:
    train(tmp_path / "one", 1, manifest, "jetclr")
    train(tmp_path / "two", 2, manifest, "jetclr")
    assert_same_training(tmp_path / "two", tmp_path / "one")


def test_all_views_too(tmp_path: Path, manifest: Path) -> None:
    """Events have different numbers of views, so that the ranks do too."""
    changes = {"views": "all", "loss": "multi_view"}
    train(tmp_path / "one", 1, manifest, **changes)
    train(tmp_path / "two", 2, manifest, **changes)
    assert_same_training(tmp_path / "two", tmp_path / "one")


def test_gradients_of_every_loss_through_gloo(tmp_path: Path) -> None:
    """Two processes that share a batch, against one that has all of it."""
    for ranks in (1, 2):
        processes = start(ranks, FOLDER / "loss_gradients.py", [str(tmp_path / f"{ranks}.pt")], tmp_path / "log")
        assert processes.wait() == 0, processes.text()[-4000:]
    one, two = (torch.load(tmp_path / f"{ranks}.pt", weights_only=True) for ranks in (1, 2))
    assert len(one) == 2 * len(toy.LOSSES)
    for name, gradient in one.items():
        assert gradient.norm() > 0
        tolerance = 1e-12 if gradient.dtype == torch.float64 else 1e-6
        assert (two[name] - gradient).norm() <= tolerance * gradient.norm(), name


@pytest.mark.parametrize("end", ["done", "stop"])
def test_no_thread_of_the_group_outlives_it(tmp_path: Path, end: str) -> None:
    """One that does may drop a tensor while Python ends, which aborts the process."""
    result = launch(2, FOLDER / "leave_group.py", str(tmp_path), end)
    assert (result.returncode == 0) == (end == "done"), result.stderr[-4000:]
    assert "gloo" in (tmp_path / "training").read_text(encoding="utf-8")
    assert (tmp_path / "left").read_text(encoding="utf-8") == ""


def test_a_training_goes_on_with_another_number_of_ranks(tmp_path: Path, manifest: Path, alone: Path) -> None:
    train(tmp_path, 2, manifest, stop=2)
    assert len(list((tmp_path / "state").iterdir())) == 1
    assert not (tmp_path / "model.safetensors").exists()
    train(tmp_path, 1, manifest)
    assert_same_training(tmp_path, alone)
    assert not (tmp_path / "state").exists()


def test_the_script_under_torchrun(tmp_path: Path, manifest: Path) -> None:
    outputs = [f"--{name}={tmp_path / name}" for name in ("state", "model", "metrics", "provenance")]
    settings = block(epochs=4).model_dump_json()
    arguments = [f"--block={settings}", f"--manifest={manifest}", "--on-collapse=warn", *outputs]
    result = launch(2, SCRIPTS / "pretrain.py", *arguments)
    assert result.returncode == 0, result.stderr[-4000:]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics", "metrics.sha256", "model", "provenance"]
    assert result.stderr.count("epoch 4/4") == 1, "the first rank alone reports"


@pytest.mark.parametrize(("pairs", "size"), [(32, 3), (5, 5), (7, 1), (512, 16)])
def test_parts_cover_the_batch(pairs: int, size: int) -> None:
    parts = [Ranks(rank, size).part(pairs) for rank in range(size)]
    assert [i for part in parts for i in range(pairs)[part]] == list(range(pairs))
    lengths = [len(range(pairs)[part]) for part in parts]
    assert max(lengths) - min(lengths) <= 1
    rows = torch.cat([Ranks(rank, size).rows(np.ones((2, pairs), dtype=bool)) for rank in range(size)])
    assert sorted(rows.tolist()) == list(range(2 * pairs))


def test_empty_slots_have_no_rows() -> None:
    present = np.array([[True, True, True], [True, False, True], [False, False, True]])
    assert [Ranks(rank, 3).rows(present).tolist() for rank in range(3)] == [[0, 3], [1], [2, 4, 5]]


@pytest.mark.parametrize(("method", "policy"), [("rs3l", "any_two"), ("rs3l", "all"), ("jetclr", "any_two")])
def test_views_do_not_depend_on_the_part(manifest: Path, method: str, policy: str) -> None:
    settings = block(method, views=policy, loss="multi_view")
    source = ViewSource(settings, load_views(manifest, "train", ["signal", "background"], VIEWS, 16))
    events = source.draw(torch_generator(1, "a"))[:, :10]
    assert (events < 0).any() == (policy == "all"), "some events have fewer views"
    whole = source.views(events, torch_generator(1, "b"))
    for rank in range(3):
        ranks, generator = Ranks(rank, 3), torch_generator(1, "b")
        own = source.views(events, generator, ranks.part(10))
        rows, slots = ranks.rows(events >= 0), own.mask.shape[1]
        for values, expected in zip(own, whole, strict=True):
            expected = expected[rows]
            assert torch.equal(values, expected[:, :slots] if expected.ndim > 1 else expected)
        assert not whole.mask[rows, slots:].any()
        following = torch_generator(1, "b")
        source.views(events, following)
        assert torch.equal(torch.rand(3, generator=generator), torch.rand(3, generator=following))


def test_more_ranks_than_pairs_are_refused(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ranks, "averaging", lambda self, network: network)
    with pytest.raises(TrainingError, match=r"33 ranks for batches of 32 pairs.* use\s+fewer ranks"):
        Trainer(block(), manifest, Checkpoint(tmp_path, block(), "a"), Ranks(0, 33))


def test_places() -> None:
    assert find_place({}) == Place(0, 1, 0, 1)
    assert find_place(TORCHRUN) == Place(3, 4, 1, 2)
    assert find_place(STEP) == Place(2, 4, 1, 1)
    assert find_place({**STEP, **TORCHRUN}) == Place(3, 4, 1, 2), "torchrun inside a task of Slurm"
    allocation = {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_ID": "12"}
    assert find_place(allocation).size == 1, "a plain python in an allocation of four tasks is one process"
    assert find_place({**STEP, "SLURM_STEP_NUM_TASKS": "1"}).size == 1


def test_one_process_joins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*TORCHRUN, *STEP]:
        monkeypatch.delenv(name, raising=False)
    with join("cpu") as ranks:
        assert ranks == Ranks() and ranks.first
        assert not torch.distributed.is_initialized()


def test_the_meeting_point_of_slurm_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {**STEP, "MASTER_ADDR": "10.0.0.1"}
    meet_in_slurm(variables)
    assert variables["MASTER_PORT"] == str(PORTS[12])
    variables |= {"SLURM_JOB_ID": "4000000000", "MASTER_PORT": "1234"}
    meet_in_slurm(variables)
    assert variables["MASTER_PORT"] == "1234"
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="set MASTER_ADDR"):
        meet_in_slurm({**STEP, "SLURM_STEP_NODELIST": "n[1-2]"})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there() -> None:
    assert choose_device(None, 0).type == choose_device("cpu", 0).type == "cpu"
    with pytest.raises(ConfigError, match="--device cuda: .* sees no GPU"):
        choose_device("cuda", 0)
    with pytest.raises(ConfigError, match=r"resource gpu=2 of the rule: torch .* sees 0 GPUs on .*gpu=0"):
        choose_device(None, 0, 2, 2)
    assert choose_device("cpu", 0, 2, 2).type == "cpu", "on purpose"


def test_fewer_gpus_than_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of two may be hidden or broken: torchrun's ranks would share the other."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match=r"resource gpu=2 .* sees 1 GPUs on .*, and 2 are needed there"):
        choose_device(None, 1, 2, 2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_the_script_refuses_gpus_that_are_not_there(tmp_path: Path, manifest: Path) -> None:
    outputs = [f"--{name}={tmp_path / name}" for name in ("state", "model", "metrics", "provenance")]
    arguments = [f"--block={block(epochs=4).model_dump_json()}", f"--manifest={manifest}", "--on-collapse=warn"]
    script = SCRIPTS / "pretrain.py"
    result = launch(1, script, *arguments, *outputs, "--gpus=1")
    assert result.returncode == 1 and "error: resource gpu=1 of the rule" in result.stderr
    assert list(tmp_path.iterdir()) == []
    result = launch(1, script, *arguments, *outputs, "--gpus=1", "--device=cpu")
    assert result.returncode == 0, result.stderr[-4000:]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_fine_tuning_refuses_them_as_well(tmp_path: Path, manifest: Path) -> None:
    config = ["--config", str(SCRIPTS.parents[1] / "config" / "test.yaml"), "--task", "h_vs_qcd"]
    outputs = [f"--{name}={tmp_path / name}" for name in ("state", "classifiers", "history")]
    result = launch(1, SCRIPTS / "finetune.py", *config, f"--manifest={manifest}", *outputs, "--gpus=1")
    assert result.returncode == 1 and "error: resource gpu=1 of the rule" in result.stderr
    assert list(tmp_path.iterdir()) == []
