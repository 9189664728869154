"""The labelled jets: the same as with the whole split in memory, wherever they are held, however files are cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import Generator

from rs3l.config.blocks import FinetuneBlock
from rs3l.dataset.parquet import parquet_options
from rs3l.dataset.store import JetStore, load_views
from rs3l.errors import DataError
from rs3l.files import sha256
from rs3l.finetune import embedded as embedded_module
from rs3l.finetune import order as order_module
from rs3l.finetune import sources as sources_module
from rs3l.finetune.draws import Draw
from rs3l.finetune.finetune import TaskTraining, finetune
from rs3l.finetune.high_level import OBSERVABLES
from rs3l.finetune.order import Order, places
from rs3l.finetune.sample import Index, Wanted
from rs3l.finetune.sources import JetsInFile, JetsInMemory
from rs3l.networks.model_file import new_encoder, save_encoder
from rs3l.training.device import Placement
from support import toy
from support.columns import load_columns
from support.tuning import ENCODER, SETTINGS, block, task_training

SIDES = ("signal", "background")
VARIANTS = ["nominal", "seed", "fsr_hi"]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.write_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def whole(manifest: Path) -> JetStore:
    """The slow way: the whole split."""
    return load_views(manifest, "train", SIDES, VARIANTS, 16)


@pytest.fixture
def small_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pools of 16 jets in blocks of 4."""
    for module in (order_module, sources_module, embedded_module):
        monkeypatch.setattr(module, "BLOCK", 4)
        if hasattr(module, "POOL"):
            monkeypatch.setattr(module, "POOL", 16)


def with_settings(own: FinetuneBlock, **changes: object) -> FinetuneBlock:
    return own.model_copy(update={"finetune": own.finetune.model_copy(update=changes)})


def drawn_from_whole(job: TaskTraining, whole: JetStore, labels: int, repeat: int) -> np.ndarray:
    """Draw events from the whole split, as the documentation says."""
    rng = job._rng("labels", labels, repeat)
    ids = [np.sort(whole.event_id[whole.rows(side, "nominal")]) for side in SIDES]
    halves = (labels // 2, labels - labels // 2)
    return np.concatenate([rng.choice(own, n, replace=False) for own, n in zip(ids, halves, strict=True)])


@pytest.mark.parametrize("held", [100_000, 70, 0])
@pytest.mark.parametrize("every_view", [False, True])
def test_the_labelled_jets_are_those_of_the_whole_split(
    manifest: Path, whole: JetStore, held: int, every_view: bool
) -> None:
    job = task_training(with_settings(block(), held_jets=held), manifest)
    assert len(job.train.held) == {100_000: 4, 70: 1, 0: 0}[held]
    columns = load_columns(manifest, "train", whole, OBSERVABLES)
    for draw in job.draws:
        assert np.array_equal(draw.event_id, drawn_from_whole(job, whole, *draw.key))
        rows = whole.rows(variant=None if every_view else "nominal")
        rows = rows[np.isin(whole.event_id[rows], draw.event_id)]
        jets = job.train.jets(draw, every_view).part(None)
        assert np.array_equal(jets.y, whole.process[rows] == 0)
        assert isinstance(
            job.train.jets(draw, every_view), JetsInMemory if draw.key in job.train.held else JetsInFile
        )
        own = jets.store.batch(jets.rows)  # type: ignore[attr-defined]
        for one, other in zip(own, whole.batch(rows), strict=True):
            assert torch.equal(one, other)
        if not every_view:
            x, y = job.train.observables(draw)
            expected = np.column_stack([columns[name][rows].astype(float) for name in OBSERVABLES])
            np.testing.assert_array_equal(x, expected)
            assert np.array_equal(y, jets.y)


def test_a_variant_that_the_data_set_does_not_have_is_refused(manifest: Path) -> None:
    with pytest.raises(DataError, match="no variant unheard in the data set"):
        Index(manifest, "train", block().task, ["seed", "unheard"])


def test_inputs_are_standardised_by_the_nominal_jets_of_the_whole_split(manifest: Path, whole: JetStore) -> None:
    own = task_training(block(), manifest).fresh_encoder("x").norm
    expected = new_encoder(ENCODER, 16, 5)
    expected.fit_norm(whole, whole.rows(variant="nominal"))
    assert torch.equal(own.mean, expected.norm.mean) and torch.equal(own.std, expected.norm.std)


@pytest.mark.parametrize("jets", [10, 14, 1000])
def test_validation_jets_are_drawn_by_class_and_nested(manifest: Path, jets: int) -> None:
    job = task_training(with_settings(block(), validation=jets), manifest)
    val = load_views(manifest, "val", SIDES, ["nominal"], 16)
    rng = job._rng("validation")
    rows = np.sort(np.concatenate([rng.permutation(val.rows(side))[: jets // 2] for side in SIDES]))
    for one, other in zip(job.val.store.batch(job.val_rows), val.batch(rows), strict=True):
        assert torch.equal(one, other)
    assert job.val_y.sum() == min(jets // 2, len(val.rows("signal")))
    few = job.validation.first(8)
    assert len(few.rows) == 8 and few.y.sum() == 4 and set(few.rows) < set(job.val_rows)
    fewer = few.first(4)
    assert set(fewer.rows) < set(few.rows) and job.validation.first(10**6) is job.validation


def recut(manifest: Path, folder: Path, events: int) -> Path:
    """Write a data set again with row groups of so many events."""
    files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
    for entry in files:
        table, path = pq.read_table(manifest.parent / entry["path"]), folder / entry["path"]
        starts = np.unique(table["event_id"].to_numpy(), return_index=True)[1][::events].tolist()
        path.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(path, table.schema, **parquet_options(table.schema)) as writer:
            for start, stop in zip(starts, [*starts[1:], len(table)], strict=True):
                writer.write_table(table.slice(start, stop - start))
        entry["sha256"] = sha256(path)
    return toy.write_manifest(folder, files)


@pytest.mark.usefixtures("small_pools")
@pytest.mark.parametrize("run", ["none", "rs3l_s0"])
def test_neither_memory_nor_row_groups_change_a_classifier(tmp_path: Path, manifest: Path, run: str) -> None:
    """Of held and streamed jets, in pools smaller than the sets."""
    model = None
    if run != "none":
        model = tmp_path / "model.safetensors"
        save_encoder(task_training(block(), manifest).fresh_encoder("test"), model)
    modes = ["scratch_views", "random", "gbt"] if run == "none" else ["probe_z", "mlp_h", "tuned"]
    own = with_settings(
        block(run), labels=[20, 40], repeats=1, batch=4, modes=modes, max_epochs=12, on_undertrained="warn"
    )
    other = recut(manifest, tmp_path / "recut", 7)
    outputs = []
    for number, (held, data) in enumerate([(100_000, manifest), (0, manifest), (60, other)]):
        folder = tmp_path / str(number)
        outputs.append([folder / "classifiers.safetensors", folder / "history.csv"])
        finetune(with_settings(own, held_jets=held), data, model, *outputs[-1], folder / "state")
        assert not (folder / "state").exists()
    for found in outputs[1:]:
        assert [path.read_bytes() for path in found] == [path.read_bytes() for path in outputs[0]]


def test_a_wanted_event_is_read_from_its_row_groups_alone(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = task_training(block(), manifest)
    index = Index(manifest, "train", job.block.task, VARIANTS)
    chosen = index.event_id[[3, 40]]
    read: list[int] = []
    original = type(index.groups[0]).read

    def noted(self: object, *arguments: object) -> object:
        read.append(self.index)  # type: ignore[attr-defined]
        return original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(type(index.groups[0]), "read", noted)
    sample = index.read(Wanted(events=chosen[:1], nominal=chosen[1:]), 5)
    assert len(read) == 2 < len(index.groups)
    assert sample.store.event_id.tolist() == sorted([chosen[0]] * int(index.views[3]) + [chosen[1]])
    assert sample.store.count.max() <= 5
    assert index.jets(chosen) == index.views[[3, 40]].sum()


def test_a_damaged_file_of_jets_is_named(tmp_path: Path, manifest: Path) -> None:
    job = task_training(with_settings(block(), held_jets=0), manifest)
    draw: Draw = job.draws[0]
    source = job.train.jets(draw, every_view=False)
    assert isinstance(source, JetsInFile)
    source.path.write_bytes(b"PAR1" + b"\0" * 99)
    with pytest.raises(DataError, match=r"jets-20-0-nominal\.parquet: cannot be read .*delete it"):
        source.part(None)
    job.train.let_go(draw)
    assert not source.path.exists()


def all_of(order: Order, number: int) -> Iterator[np.ndarray]:
    for blocks, batches in order.pools(number, order.generator(number)):
        yield from batches if blocks is None else places(blocks, order.n)[batches]


@pytest.mark.usefixtures("small_pools")
@pytest.mark.parametrize("n", [17, 32, 50, 61, 64])
@pytest.mark.parametrize("batch", [3, 4])
def test_a_pass_in_pools_sees_each_jet_once(n: int, batch: int) -> None:
    order = Order(n, batch, 5, "x")
    passes = [np.array(list(all_of(order, number))) for number in (1, 2)]
    for found in passes:
        assert found.shape == (order.steps, batch)
        assert len(np.unique(found)) == found.size, "no jet is there twice"
        assert n - found.size < batch * -(-n // 16), "each pool leaves out less than a batch"
    assert not np.array_equal(*passes)
    assert np.array_equal(passes[0], list(all_of(Order(n, batch, 5, "x"), 1)))
    seen = [len(np.unique(np.concatenate([list(all_of(order, k)) for k in range(1, 12)])))]
    assert seen == [n], "what one pass leaves out, others see"


@pytest.mark.usefixtures("small_pools")
@pytest.mark.parametrize("n", [50, 61])
def test_pools_are_read_by_their_blocks(manifest: Path, n: int) -> None:
    job = task_training(with_settings(block(), labels=[n], repeats=1, held_jets=0), manifest)
    source = job.train.jets(job.draws[0], every_view=False)
    everything = source.part(None)
    for blocks in (np.array([3, 0]), np.array([n // 4, 5, 1])):
        part = source.part(blocks)
        index = places(blocks, n)
        assert np.array_equal(part.y, everything.y[index])
        of_all = everything.inputs(index, Generator().manual_seed(1), Placement())
        own = part.inputs(np.arange(len(index)), Generator().manual_seed(1), Placement())
        assert all(torch.equal(one, other) for one, other in zip(own, of_all, strict=True))


@pytest.mark.usefixtures("small_pools")
def test_a_batch_is_no_larger_than_a_pool() -> None:
    order = Order(18, 16, 5, "x")
    assert [len(batch) for batch in all_of(order, 1)] == [order.batch] * order.steps and order.steps >= 2


def test_few_jets_are_one_permutation() -> None:
    order = Order(50, 16, SETTINGS.batch, "x")
    batches = np.array(list(all_of(order, 1)))
    assert batches.shape == (10, 16) and sorted(batches[:3].flatten()) == sorted(set(batches[:3].flatten()))
    assert set(batches.flatten()) == set(range(50))
