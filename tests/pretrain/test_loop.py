"""The loop: batches from memory and from a stream, buckets, schedules, precision, devices, live metrics."""

from __future__ import annotations

import json
import math
import shutil
import threading
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from rs3l.config.blocks import PretrainBlock
from rs3l.dataset.store import load_views
from rs3l.errors import ConfigError, DataError
from rs3l.pretrain import feed as module
from rs3l.pretrain.feed import Batch, Feed, open_data, streams
from rs3l.pretrain.pretrain import Running, Trainer, pretrain
from rs3l.pretrain.view_source import ViewSource
from rs3l.pretrain.views import buckets, epoch_batches, torch_generator
from rs3l.training.checkpoint import Checkpoint
from rs3l.training.distributed import Ranks
from rs3l.training.live import EPOCHS, STEPS, Folder
from rs3l.training.optimizer import new_optimizer, new_schedule
from rs3l.training.precision import check_precision, has_bf16
from rs3l.training.preflight import Found, check, preflight
from rs3l.types import Ints
from support.forked import start
from support.pretraining import block, train
from support.ranks import FOLDER
from support.workflow import HANGS

CPU = torch.device("cpu")
EVENTS, NOMINAL = 104, 82
"""Events of the toy's train split with two views, and those of them with a nominal jet."""


def loop(**values: Any) -> dict[str, Any]:
    return {"loop": values}


def opened(manifest: Path, settings: PretrainBlock, ranks: Ranks | None = None) -> Feed:
    return open_data(settings, manifest, partial(ViewSource, settings), ranks or Ranks(), 50).train


def events_of(batch: Batch) -> list[int]:
    """Return the events of the first slot of a rank's part of a batch."""
    keys: list[int] = batch.source.store.event_id[batch.rows[0, batch.part]].tolist()
    return keys


def epoch_of(feed: Feed, epoch: int) -> list[Batch]:
    return list(feed.batches(feed.generator(epoch), 0))


@pytest.mark.parametrize("pool", [0, 3])
@pytest.mark.parametrize(
    ("changes", "own"),
    [({}, EVENTS), ({"views": "nominal_and_one"}, NOMINAL), ({"method": "jetclr"}, NOMINAL)],
)
def test_a_stream_has_the_events_and_steps_of_the_memory(
    manifest: Path, changes: dict[str, Any], own: int, pool: int
) -> None:
    blocks = [block(batch=8, **changes, **loop(stream=s, bucket_pool=pool)) for s in (False, True)]
    memory, stream = (opened(manifest, settings) for settings in blocks)
    assert (
        (memory.total, memory.batch, memory.steps) == (stream.total, stream.batch, stream.steps) == (EVENTS, 8, 13)
    )
    seen: dict[int, int] = {}
    for epoch in range(4):
        for batch in epoch_of(stream, epoch):
            keys = events_of(batch)
            assert len(set(keys)) == len(keys) == 8, "a full batch, no event twice"
            for key in keys:
                seen[key] = seen.get(key, 0) + 1
    expected = {key for batch in epoch_of(memory, 0) for key in events_of(batch)}
    assert set(seen) == expected and len(expected) == own
    average = 4 * 13 * 8 / own
    assert max(seen.values()) <= math.ceil(average) + 2, "every event about as often as any other"


class TogetherRanks(Ranks):
    """Ranks as threads of this process: what `together` needs, and no more."""

    shared: ClassVar[dict[int, Ints]] = {}
    barrier = threading.Barrier(2)

    def together(self, own: Ints, events: int) -> Ints:
        """Exchange columns through a dictionary."""
        self.shared[self.rank] = own
        self.barrier.wait(HANGS)
        result: Ints = np.concatenate([self.shared[rank] for rank in range(self.size)], axis=1)
        self.barrier.wait(HANGS)
        return result


@pytest.mark.parametrize("views", ["any_two", "all"])
def test_ranks_of_a_stream_share_a_batch(manifest: Path, views: str) -> None:
    """Seven events per batch: slices of three and four, with different numbers of views."""
    settings = block(batch=7, views=views, loss="sup_con", **loop(stream=True))
    found: dict[int, list[Batch]] = {}

    def read(rank: int) -> None:
        ranks = TogetherRanks(rank, 2)
        found[rank] = epoch_of(opened(manifest, settings, ranks), 0)

    threads = [threading.Thread(target=read, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANGS)
    assert len(found[0]) == len(found[1]) == -(-EVENTS // 7)
    for batches in zip(found[0], found[1], strict=True):
        codes = batches[0].codes
        assert np.array_equal(codes, batches[1].codes) and codes.shape[1] == 7
        assert not set(events_of(batches[0])) & set(events_of(batches[1]))
        numbers = []
        for rank, batch in enumerate(batches):
            jets = batch.source.views(batch.rows, torch_generator(1), batch.part)
            rows = Ranks(rank, 2).rows(codes >= 0)
            assert len(rows) == len(jets.mask), "a latent for each row"
            own = batch.source.store.process[batch.rows[batch.rows >= 0]]
            assert np.array_equal(codes[codes >= 0][rows.numpy()], own)
            numbers += rows.tolist()
        assert sorted(numbers) == list(range((codes >= 0).sum()))


def test_auto_streams_large_sets(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = sum(
        f["rows"] for f in json.loads(manifest.read_text(encoding="utf-8"))["files"] if f["split"] == "train"
    )
    monkeypatch.setattr(module, "IN_MEMORY", rows)
    assert not streams(block(), manifest) and streams(block(**loop(stream=True)), manifest)
    monkeypatch.setattr(module, "IN_MEMORY", rows - 1)
    assert streams(block(), manifest) and not streams(block(**loop(stream=False)), manifest)
    assert not streams(block(processes=["signal"]), manifest), "only what is trained on counts"


def test_more_ranks_than_row_groups_are_refused(manifest: Path) -> None:
    with pytest.raises(DataError, match=r"row groups for 60 readers"):
        opened(manifest, block(batch=60, **loop(stream=True)), Ranks(0, 60))


def test_events_that_need_a_variant(manifest: Path) -> None:
    with pytest.raises(ConfigError, match="need the variant nominal: it is not among seed"):
        opened(manifest, block("jetclr", variants=["seed", "fsr_hi"], **loop(stream=True)))


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize(("views", "loss"), [("any_two", "nt_xent"), ("all", "multi_view"), ("all", "sup_con")])
def test_training_from_a_stream_learns(tmp_path: Path, manifest: Path, views: str, loss: str) -> None:
    settings = block(views=views, loss=loss, epochs=12, **loop(stream=True, bucket_pool=2))
    trainer = Trainer(settings, manifest, Checkpoint(tmp_path, settings, "a"))
    trainer.run()
    assert trainer.rows[-1]["train_loss"] < trainer.rows[0]["train_loss"]
    assert trainer.rows[-1]["val_loss"] < trainer.rows[0]["val_loss"]


def test_buckets_sort_by_length_and_keep_the_events() -> None:
    lengths = np.random.default_rng(0).integers(3, 100, 103)
    batches = epoch_batches(103, 10, 11, torch_generator(1, "a"))
    result = buckets(batches, lengths, 5, torch_generator(1, "b"))
    for pool in (slice(0, 5), slice(5, 10)):
        assert sorted(result[pool].ravel()) == sorted(batches[pool].ravel())
        spans = sorted((lengths[row].min(), lengths[row].max()) for row in result[pool])
        assert all(one[1] <= other[0] for one, other in pairwise(spans)), "no overlap"
        first = [lengths[row].min() for row in result[pool]]
        assert first != sorted(first), "short and long batches take turns"
    assert np.array_equal(result[10], batches[10]), "the batch that holds events again stays"
    assert np.array_equal(result, buckets(batches, lengths, 5, torch_generator(1, "b")))


def test_buckets_leave_less_padding(manifest: Path) -> None:
    store = load_views(manifest, "train", ["signal", "background"], ["nominal", "seed"], 100)

    def slots(pool: int) -> int:
        settings = block(batch=8, variants=["nominal", "seed"], constituents=100, **loop(bucket_pool=pool))
        feed = opened(manifest, settings)
        generator = torch_generator(1)
        batches = list(feed.batches(feed.generator(0), 0))
        return sum(b.source.views(b.rows, generator, b.part).mask.numel() for b in batches)

    assert store.lengths.std() > 1 and slots(13) < 0.9 * slots(0)


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_the_optimizer(kind: str) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = new_optimizer(block(weight_decay=0.5, **loop(optimizer=kind)), [weight])
    assert type(optimizer).__name__.lower() == kind and optimizer.param_groups[0]["weight_decay"] == 0.5


def rates(schedule: str, epochs: int, steps: int, **values: Any) -> list[float]:
    settings = block(epochs=epochs, learning_rate=0.8, **loop(schedule=schedule, **values))
    optimizer = new_optimizer(settings, [torch.nn.Parameter(torch.ones(1))])
    scheduler = new_schedule(settings, optimizer, steps)
    found = []
    for _ in range(epochs * steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_schedules_against_their_formulas() -> None:
    assert rates("step", 7, 3, step_epochs=2) == pytest.approx([0.8 * 0.5 ** (i // 3 // 2) for i in range(21)])
    assert rates("cosine", 5, 4) == pytest.approx([0.4 * (1 + math.cos(math.pi * i / 20)) for i in range(20)])
    cycle = rates("one_cycle", 5, 4)
    assert max(cycle) == pytest.approx(0.8) and 3 <= cycle.index(max(cycle)) <= 7 and cycle[-1] < 1e-3


@pytest.mark.usefixtures("no_alarm")
def test_clipping_bounds_the_gradient(tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    norms: list[float] = []
    original = torch.optim.AdamW.step

    def step(self: torch.optim.AdamW, *arguments: Any) -> Any:
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        norms.append(math.sqrt(sum(float(g.square().sum()) for g in gradients)))
        return original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", step)
        train(tmp_path, manifest, block(epochs=1))
        free, norms[:] = max(norms), []
        train(tmp_path, manifest, block(epochs=1, **loop(clip=free / 2)))
    assert max(norms) == pytest.approx(free / 2, rel=1e-3)


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_or_not_it_is_the_same_network(tmp_path: Path, manifest: Path) -> None:
    ranks = start(1, FOLDER / "train_compiled.py", [str(manifest), str(tmp_path)], tmp_path / "log")
    assert ranks.wait() == 0, ranks.text()[-4000:]
    plain, compiled = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert compiled["loss"] == pytest.approx(plain["loss"], rel=1e-4)
    assert compiled["weights"] == plain["weights"], "saved under plain names"


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize("kind", ["deepsets", "edgeconv", "transformer"])
def test_bf16_trains_every_network(
    tmp_path: Path, manifest: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = block(epochs=6, encoder={"kind": kind, "hidden": 16, "latent": 4}, **loop(precision="bf16"))
    trainer = Trainer(settings, manifest, Checkpoint(tmp_path, settings, "a"))
    trainer.run()
    assert trainer.rows[-1]["train_loss"] < trainer.rows[0]["train_loss"]
    assert {value.dtype for value in trainer.encoder.state_dict().values()} == {torch.float32}
    exact = block(epochs=6, encoder={"kind": kind, "hidden": 16, "latent": 4})
    other = Trainer(exact, manifest, Checkpoint(tmp_path, exact, "a"))
    other.run()
    assert trainer.rows[0]["train_loss"] == pytest.approx(other.rows[0]["train_loss"], rel=0.02)
    assert trainer.rows[0]["train_loss"] != other.rows[0]["train_loss"]
    assert ("this CPU has no bf16 and emulates it" in caplog.text) == (not has_bf16(CPU))


def test_float32_warns_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    check_precision("float32", CPU)
    assert not caplog.text


def test_preflight_names_the_device(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        preflight(Ranks())
    assert "rank 0 of 1: " in caplog.text and f"{torch.get_num_threads()} threads" in caplog.text


def test_preflight_refuses_what_cannot_train_together() -> None:
    check([Found("a", "cuda:0", "u0", ""), Found("a", "cuda:1", "u1", ""), Found("b", "cuda:0", "u0", "")])
    with pytest.raises(ConfigError, match="2 ranks share the GPU u0 of a; ask for one GPU per rank"):
        check([Found("a", "cuda:0", "u0", ""), Found("a", "cuda:0", "u0", "")])
    with pytest.raises(ConfigError, match="some ranks have a GPU and others none"):
        check([Found("a", "cuda:0", "u0", ""), Found("a", "cpu", "", "")])


@pytest.mark.usefixtures("no_alarm")
def test_live_metrics(tmp_path: Path, manifest: Path) -> None:
    settings, live = block(), tmp_path / "live"
    outputs = [tmp_path / name for name in ("model", "metrics", "provenance")]
    pretrain(
        settings, manifest, tmp_path / "state", *outputs, running=Running(live=Folder(live, tensorboard=True))
    )
    steps, epochs = (
        [json.loads(line) for line in (live / name).read_text(encoding="utf-8").splitlines()]
        for name in (STEPS, EPOCHS)
    )
    assert [row["steps"] for row in steps] == list(range(1, 13)) and [row["steps"] for row in epochs] == [4, 8, 12]
    for i, row in enumerate(epochs):
        own = [step["loss"] for step in steps[4 * i : 4 * i + 4]]
        assert row["train_loss"] == pytest.approx(np.mean(own)) and row["events_per_second"] > 0
    (events,) = live.glob("events.out.tfevents.*")
    assert b"step/loss" in events.read_bytes() and b"epoch/val_loss" in events.read_bytes()


def test_live_metrics_forget_steps_that_are_taken_again(tmp_path: Path) -> None:
    live = Folder(tmp_path)
    live.begin(0)
    for step in range(1, 6):
        live.step(step, {"loss": 1.0})
    live.epoch(4, {"epoch": 1})
    with (tmp_path / STEPS).open("a") as stream:
        stream.write('{"steps": 6, "lo')
    live.begin(3)
    assert [json.loads(line)["steps"] for line in (tmp_path / STEPS).read_text(encoding="utf-8").splitlines()] == [
        1,
        2,
        3,
    ]
    assert not (tmp_path / EPOCHS).read_text(encoding="utf-8")


def test_the_defaults_are_the_loop_that_has_always_been(tmp_path: Path, manifest: Path) -> None:
    """The first steps by hand: AdamW, one cycle, permutations and rotations of (seed, method, epoch)."""
    settings = block(epochs=1)
    trainer = Trainer(settings, manifest, Checkpoint(tmp_path, settings, "a"))
    store = load_views(manifest, "train", settings.processes, settings.variants, settings.constituents)
    source = ViewSource(settings, store)
    generator = torch_generator(settings.seed, "pretrain", settings.method, 0)
    views = source.draw(generator)
    batches = epoch_batches(views.shape[1], 32, 4, generator)
    for own, events in zip(epoch_of(trainer.train, 0), batches, strict=True):
        assert np.array_equal(own.rows, views[:, events])
    assert isinstance(trainer.optimizer, torch.optim.AdamW)
    assert isinstance(trainer.schedule, torch.optim.lr_scheduler.OneCycleLR)
