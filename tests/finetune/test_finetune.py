"""Fine-tuning: the same labels everywhere, honest stopping, all modes of a run."""

from __future__ import annotations

import copy
import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from pydantic import TypeAdapter

from rs3l.config.encoders import DeepSets, Encoder
from rs3l.config.tasks import Task
from rs3l.dataset.features import features
from rs3l.dataset.store import RAW, load_views
from rs3l.errors import ConfigError, DataError, TrainingError
from rs3l.files import sha256
from rs3l.finetune import probe as probe_module
from rs3l.finetune.classifier import new_head, supervised, tuned
from rs3l.finetune.classifiers import OnFrozen, load
from rs3l.finetune.draws import Draw
from rs3l.finetune.finetune import HISTORY, Frozen, TaskTraining, finetune
from rs3l.finetune.high_level import fit_trees
from rs3l.finetune.probe import C_GRID, balanced_loss, fit_probe
from rs3l.finetune.sources import JetsInMemory, Labelled
from rs3l.finetune.training import Fit, FrozenValidation, Training
from rs3l.finetune.trees import BoostedTrees
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import embed, load_encoder, new_encoder, save_encoder
from support import toy
from support.tuning import BASELINE, ENCODER, PRETRAINED, SETTINGS, block, task_training


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.write_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def job(manifest: Path) -> TaskTraining:
    return task_training(block(), manifest)


@pytest.fixture
def encoder(job: TaskTraining) -> JetEncoder:
    return job.fresh_encoder("test")


@pytest.fixture(scope="module")
def model(job: TaskTraining, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_encoder(job.fresh_encoder("test"), path)
    return path


def draw_of(job: TaskTraining, labels: int) -> Draw:
    return next(draw for draw in job.draws if draw.key == (labels, 0))


def labelled(job: TaskTraining, draw: Draw, every_view: bool = False) -> Labelled:
    source = job.train.jets(draw, every_view)
    assert isinstance(source, JetsInMemory)
    return source.jets


def one_epoch(network: torch.nn.Module, data: Labelled) -> None:
    training = Training(network, JetsInMemory(data), SETTINGS, 1e-3, 5, "x")
    batches = training._batches()
    network.train()
    for _ in range(training.steps_per_epoch):
        training._take_step(next(batches))


@pytest.mark.parametrize("kind", ["edgeconv", "transformer"])
def test_all_weights_of_other_encoders_are_tuned(manifest: Path, kind: str) -> None:
    config = TypeAdapter(Encoder).validate_python({"kind": kind, "hidden": 16, "latent": 4})
    other = task_training(block().model_copy(update={"encoder": config}), manifest)
    encoder = other.fresh_encoder("test")
    network = tuned(encoder, Frozen(other, encoder).probe("h", other.draws[0]))
    before = copy.deepcopy(network.state_dict())
    one_epoch(network, labelled(other, other.draws[0]))
    moved = {n for n, p in network.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {n for n, _ in network.named_parameters() if "projector" not in n}


@pytest.mark.parametrize("run", ["rs3l_s0", "none"])
def test_every_mode_has_a_classifier_of_each_draw(tmp_path: Path, manifest: Path, model: Path, run: str) -> None:
    outputs = tmp_path / "classifiers.safetensors", tmp_path / "history.csv"
    finetune(block(run), manifest, None if run == "none" else model, *outputs)
    modes = BASELINE if run == "none" else PRETRAINED
    expected = [
        (mode, labels, repeat)
        for mode in modes
        for labels in (20, 40)
        for repeat in range(1 if mode == "n2" else 2)
    ]
    found = load(outputs[0])
    assert [(each.mode, each.labels, each.repeat) for each in found.trained] == expected
    lines = list(csv.DictReader(outputs[1].open()))
    assert tuple(lines[0]) == HISTORY
    assert [(line["mode"], int(line["labels"]), int(line["repeat"])) for line in lines] == expected
    assert {line["task"] for line in lines} == {"toy_task"} and {line["run"] for line in lines} == {run}


def test_classifiers_separate_the_toy_classes(tmp_path: Path, manifest: Path) -> None:
    history = tmp_path / "history.csv"
    finetune(block(), manifest, None, tmp_path / "classifiers.safetensors", history)
    auc = [
        float(line["val_auc"]) for line in csv.DictReader(history.open()) if line["mode"] not in ("random", "n2")
    ]
    assert min(auc) > 0.75


def test_all_runs_and_modes_see_the_same_events(manifest: Path, job: TaskTraining) -> None:
    other = task_training(block("rs3l_s1"), manifest)
    for draw, again in zip(job.draws, other.draws, strict=True):
        assert (draw.event_id == again.event_id).all()
        nominal, views = labelled(job, draw), labelled(job, draw, every_view=True)
        ids = job.train.store.event_id
        assert set(ids[nominal.rows]) == set(draw.event_id) == set(ids[views.rows])
        assert len(nominal.rows) == draw.labels < len(views.rows)
        assert nominal.y.sum() == draw.labels // 2
        others = labelled(other, draw)
        assert (others.store.event_id[others.rows] == ids[nominal.rows]).all()


def test_draws_differ_and_do_not_depend_on_the_grid(manifest: Path, job: TaskTraining) -> None:
    first, second = job.draw_events(20, 0), job.draw_events(20, 1)
    assert set(first) != set(second)
    alone = task_training(block(settings=SETTINGS.model_copy(update={"labels": [20], "repeats": 1})), manifest)
    assert (alone.draws[0].event_id == first).all()


def test_labels_are_of_train_variants_and_the_train_split(job: TaskTraining) -> None:
    train, val = job.train.store, job.val.store
    assert train.variant_names == ("nominal", "seed", "fsr_hi"), "held-out variants are never a label"
    assert val.variant_names == ("nominal",)
    assert not set(train.event_id) & set(val.event_id)


def test_too_few_events_name_the_key(manifest: Path) -> None:
    available = sum(e % 5 != 4 and e % 7 != 6 for e in range(60))
    with pytest.raises(ConfigError, match=rf"finetune\.labels: 500 .* than the {available} .* processes\.signal"):
        task_training(block(settings=SETTINGS.model_copy(update={"labels": [20, 500]})), manifest)


def test_model_and_run_must_agree(tmp_path: Path, manifest: Path, model: Path, encoder: JetEncoder) -> None:
    outputs = tmp_path / "c.safetensors", tmp_path / "h.csv"
    with pytest.raises(ConfigError, match="'none' needs no --model"):
        finetune(block(), manifest, model, *outputs)
    with pytest.raises(ConfigError, match="'rs3l_s0' needs a --model"):
        finetune(block("rs3l_s0"), manifest, None, *outputs)
    save_encoder(new_encoder(DeepSets(), 16, 1), tmp_path / "other.safetensors")
    with pytest.raises(DataError, match=r"another pretrain\.encoder"):
        finetune(block("rs3l_s0"), manifest, tmp_path / "other.safetensors", *outputs)


def test_the_probe_is_a_logistic_regression_on_standardised_features() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    x = (rng.normal(size=(200, 5)) * [1, 10, 100, 1, 0] + np.outer(y, [1, 5, 0, 0, 0])).astype(np.float32)
    probe = fit_probe(x[:100], y[:100], x[100:], y[100:])
    assert probe.c in C_GRID
    mean, std = x[:100].mean(axis=0), x[:100].std(axis=0)
    weight = probe.weight[:4] * std[:4]
    gradient_part = (y[:100] - 1 / (1 + np.exp(-probe.logits(x[:100])))) @ ((x[:100] - mean)[:, :4] / std[:4])
    np.testing.assert_allclose(weight, probe.c * gradient_part, atol=2e-2 * np.abs(weight).max())
    assert probe.val_loss == pytest.approx(balanced_loss(probe.logits(x[100:]), y[100:]), rel=1e-4)


def test_a_probe_that_does_not_converge_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "MAX_ITERATIONS", 1)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 5)).astype(np.float32), np.arange(40) % 2
    with pytest.raises(TrainingError, match="did not converge"):
        fit_probe(x, y, x, y)


def test_a_probe_at_the_edge_of_the_grid_is_noted(job: TaskTraining, encoder: JetEncoder) -> None:
    frozen = Frozen(job, encoder)
    draw = draw_of(job, 20)
    probe = frozen.probe("h", draw)
    edge = probe_module.Probe(probe.weight, 0.0, C_GRID[-1], 1, 0.5, 0.5)
    inside = probe_module.Probe(probe.weight, 0.0, C_GRID[1], 1, 0.5, 0.5)
    assert "edge" in frozen.result("probe_h", draw, edge).fit.note
    assert frozen.result("probe_h", draw, inside).fit.note == ""


def test_balanced_loss_counts_both_classes_the_same() -> None:
    logits, y = np.array([2.0, -1.0, 0.5, 3.0]), np.array([1, 0, 0, 0])
    sigma = 1 / (1 + np.exp(-logits))
    expected = (-np.log(sigma[0]) - np.log(1 - sigma[1:]).mean()) / 2
    assert balanced_loss(logits, y) == pytest.approx(expected)
    assert balanced_loss(np.array([1e4, -1e4]), np.array([0, 1])) == pytest.approx(1e4)


def test_tuning_starts_at_the_probe_and_leaves_the_encoder_alone(job: TaskTraining, encoder: JetEncoder) -> None:
    probe = Frozen(job, encoder).probe("h", draw_of(job, 20))
    network = tuned(encoder, probe)
    h, _ = embed(encoder, job.val.store, job.val_rows)
    np.testing.assert_allclose(job.validation.logits(network), probe.logits(h), rtol=1e-3, atol=1e-4)
    before = copy.deepcopy(encoder.state_dict())
    with torch.no_grad():
        network.encoder.phi[0].weight.add_(1.0)
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())


def test_a_fresh_network_knows_nothing(job: TaskTraining, encoder: JetEncoder) -> None:
    assert not job.validation.logits(supervised(encoder)).any()


def test_the_best_epoch_is_kept_and_never_the_last(job: TaskTraining, encoder: JetEncoder) -> None:
    network = supervised(encoder)
    data = job.train.jets(draw_of(job, 40), every_view=False)
    fit = Training(network, data, SETTINGS, 1e-3, 5, "test").run(job.validation)
    assert fit.epochs - fit.best_epoch >= SETTINGS.patience
    assert fit.steps == fit.epochs * 10 >= SETTINGS.min_steps
    assert job.validation.metrics(network) == (fit.val_loss, fit.val_auc)


def test_training_is_reproducible(job: TaskTraining) -> None:
    data = job.train.jets(draw_of(job, 20), every_view=False)
    networks = [supervised(job.fresh_encoder("x")) for _ in range(2)]
    fits = [Training(network, data, SETTINGS, 1e-3, 5, "a").run(job.validation) for network in networks]
    assert fits[0] == fits[1]
    first, second = (network.state_dict() for network in networks)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_training_cut_short_is_an_error(job: TaskTraining, encoder: JetEncoder) -> None:
    data = job.train.jets(draw_of(job, 40), every_view=False)
    short = SETTINGS.model_copy(update={"max_epochs": 3})
    with pytest.raises(TrainingError, match=r"after 3 epochs .* raise finetune\.max_epochs"):
        Training(supervised(encoder), data, short, 1e-4, 5, "short").run(job.validation)


@pytest.mark.parametrize("kind", ["deepsets", "edgeconv", "transformer"])
@torch.no_grad()
def test_a_blind_network_does_not_see_displacements(job: TaskTraining, kind: str) -> None:
    config = TypeAdapter(Encoder).validate_python({"kind": kind, "hidden": 16, "latent": 4})
    jets = job.val.store.batch(np.arange(12))
    moved = jets.candidates.clone()
    moved[..., [RAW.index("d0"), RAW.index("dz")]] += 0.3
    other = jets._replace(candidates=moved)
    for displacement in (True, False):
        encoder = new_encoder(config, 16, 3, displacement=displacement)
        encoder.fit_norm(job.train.store, job.train.store.rows())
        h = [encoder(features(each), jets.mask) for each in (jets, other)]
        assert torch.isfinite(h[0]).all() and encoder.displacement is displacement
        assert torch.equal(*h) is not displacement


def test_blindness_is_in_the_model_file_and_compared(tmp_path: Path, manifest: Path) -> None:
    blind = block("rs3l_s0").model_copy(update={"displacement": False})
    path, outputs = tmp_path / "model.safetensors", (tmp_path / "c.safetensors", tmp_path / "h.csv")
    save_encoder(new_encoder(ENCODER, 16, 3, displacement=False), path)
    assert not load_encoder(path).displacement
    with pytest.raises(DataError, match="constituents or displacement"):
        finetune(block("rs3l_s0"), manifest, path, *outputs)
    settings = blind.finetune.model_copy(update={"modes": ["probe_h"], "labels": [20], "repeats": 1})
    finetune(blind.model_copy(update={"finetune": settings}), manifest, path, *outputs)
    assert outputs[0].is_file()


def test_a_finished_model_brings_its_own_network(tmp_path: Path, manifest: Path) -> None:
    path, outputs = tmp_path / "model.safetensors", (tmp_path / "c.safetensors", tmp_path / "h.csv")
    encoder = new_encoder(DeepSets(hidden=8, representation=8, latent=3), 7, 3)
    train = task_training(block(), manifest).train.store
    encoder.fit_norm(train, train.rows())
    save_encoder(encoder, path)
    settings = block("rs3l_s0").finetune.model_copy(update={"modes": ["probe_z"], "labels": [20], "repeats": 1})
    finished = {"encoder": None, "constituents": None, "finetune": settings}
    finetune(block("published_s0").model_copy(update=finished), manifest, path, *outputs)
    assert [each.name for each in load(outputs[0]).trained] == ["probe_z/20/0"]


def test_a_deep_head_has_five_layers_and_starts_at_zero(job: TaskTraining, encoder: JetEncoder) -> None:
    frozen = Frozen(job, encoder)
    head = new_head(16, 1, "x")
    assert sum(isinstance(layer, torch.nn.Linear) for layer in head.layers) == 5
    validation = FrozenValidation(frozen.val["h"], job.val_y)
    assert not validation.logits(head).any()
    found = frozen.head("mlp_h", draw_of(job, 40))
    assert found.fit.best_epoch < found.fit.epochs
    assert isinstance(found.model, OnFrozen) and isinstance(found.model.head, torch.nn.Module)
    assert validation.metrics(found.model.head) == (found.fit.val_loss, found.fit.val_auc)


@pytest.mark.parametrize(("mode", "space"), [("gbt_h", "h"), ("gbt_z", "z")])
def test_trees_see_the_space_and_then_the_observables(
    job: TaskTraining, encoder: JetEncoder, mode: str, space: str
) -> None:
    frozen, draw = Frozen(job, encoder), draw_of(job, 40)
    found = frozen.classifier(mode, draw)
    observables, y = job.train.observables(draw)
    x = np.column_stack([frozen.embedded(draw)[space].rows(0, 40), observables])
    x_val = np.column_stack([frozen.val[space], job.val.observables])
    expected = fit_trees(x, y, x_val, job.val_y, job.block.seed)
    assert isinstance(found.model, OnFrozen) and isinstance(found.model.head, BoostedTrees)
    np.testing.assert_array_equal(found.model.head.logits(x_val), expected.logits(x_val))
    assert (found.fit.val_loss, found.fit.val_auc) == (expected.val_loss, expected.val_auc)
    assert found.model.space == space and found.model.encoder is None, "the run's own encoder"


@pytest.mark.parametrize(("mode", "space"), [("tuned_z", "z"), ("tuned_mlp", "h")])
def test_each_tuning_starts_at_its_frozen_classifier(
    job: TaskTraining, encoder: JetEncoder, mode: str, space: str
) -> None:
    draw = draw_of(job, 20)
    frozen = Frozen(job, encoder)
    logits = job.validation.logits(frozen.start(mode, draw))
    if space == "z":
        expected = frozen.probe("z", draw).logits(frozen.val["z"])
    else:
        model = frozen.head("mlp_h", draw).model
        assert isinstance(model, OnFrozen) and isinstance(model.head, torch.nn.Module)
        expected = FrozenValidation(frozen.val["h"], job.val_y).logits(model.head)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)


def test_tuning_on_all_views_sees_them(
    job: TaskTraining, encoder: JetEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = draw_of(job, 20)
    seen: list[np.ndarray] = []

    def run(self: Training, validation: object) -> Fit:
        assert isinstance(self.data, JetsInMemory)
        seen.append(self.data.jets.rows)
        return Fit(1, 2, 3, 0.5, 0.5)

    monkeypatch.setattr(Training, "run", run)
    for mode in ("tuned", "tuned_views"):
        job.train_network(mode, draw, Frozen(job, encoder).start(mode, draw))
    store = job.train.store
    names = [set(np.array(store.variant_names)[store.variant[rows]]) for rows in seen]
    assert names == [{"nominal"}, {"nominal", "seed", "fsr_hi"}]
    assert all(set(store.event_id[rows]) == set(draw.event_id) for rows in seen)


def test_tuning_through_the_latent_trains_the_projection(job: TaskTraining, encoder: JetEncoder) -> None:
    draw = draw_of(job, 20)
    network = Frozen(job, encoder).start("tuned_z", draw)
    before = copy.deepcopy(network.state_dict())
    one_epoch(network, labelled(job, draw))
    moved = {n for n, p in network.named_parameters() if not torch.equal(p, before[n])}
    assert any(name.startswith("encoder.projector.") for name in moved)


def typed_dataset(folder: Path) -> Path:
    """Write the toy data set with quark and gluon jets in both processes, by the parity of the event."""
    manifest = toy.write_dataset(folder, parts=1)
    files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
    for entry in files:
        path = folder / entry["path"]
        table = pq.read_table(path).to_pylist()
        for view in table:
            view["jet_type"] = ("q", "g", "other")[view["event_id"] % 2**40 % 3]
        toy.write_part(path, table)
        entry["sha256"] = sha256(path)
    toy.write_manifest(folder, files)
    return manifest


@pytest.mark.parametrize("background", ["background", "signal"])
def test_jet_types_are_the_classes_of_a_task(tmp_path: Path, background: str) -> None:
    manifest = typed_dataset(tmp_path)
    types = {"signal_types": ["q"], "background_types": ["g", "g_bb"]}
    task = Task(signal="signal", background=background, **types)
    few = SETTINGS.model_copy(update={"labels": [20]})
    job = task_training(block(settings=few).model_copy(update={"task": task}), manifest)
    for store in (job.train.store, job.val.store):
        kind = np.array(["q", "g", "other"])[store.event_id % 2**40 % 3]
        assert (kind == np.where(store.process == 0, "q", "g")).all()
    data = labelled(job, draw_of(job, 20))
    assert data.y.sum() == 10 and len(data.rows) == 20
    whole = load_views(manifest, "train", ["signal"], job.block.variants, 16)
    for row in job.train.store.rows("signal")[:5]:
        same = (whole.event_id == job.train.store.event_id[row]) & (whole.variant == job.train.store.variant[row])
        other = whole.batch(np.flatnonzero(same))
        assert torch.equal(other.candidates, job.train.store.batch(np.array([row])).candidates)


def test_a_type_without_jets_is_named(tmp_path: Path) -> None:
    task = Task(signal="signal", background="background", signal_types=["top"])
    with pytest.raises(DataError, match=r"no jet of the signal signal \(top\) .* types are g, other, q"):
        task_training(block().model_copy(update={"task": task}), typed_dataset(tmp_path))


def test_equal_processes_need_disjoint_types() -> None:
    with pytest.raises(ValueError, match="name the jet types of both"):
        Task(signal="qcd", background="qcd", signal_types=["q"])
    with pytest.raises(ValueError, match="jet types q are signal and background"):
        Task(signal="qcd", background="qcd", signal_types=["q"], background_types=["g", "q"])
