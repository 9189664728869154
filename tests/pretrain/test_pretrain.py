"""Pre-training: resumes to the bit, the same budget for both methods, alarms, and it learns."""

from __future__ import annotations

import csv
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from rs3l.config.detector import Detector
from rs3l.config.encoders import DeepSets
from rs3l.dataset.store import load_views
from rs3l.errors import ConfigError, DataError, TrainingError
from rs3l.files import sha256
from rs3l.networks.model_file import load_encoder, new_encoder
from rs3l.pretrain import pretrain as module
from rs3l.pretrain.pretrain import Trainer, refuse_collapse
from rs3l.pretrain.subset import subset
from rs3l.pretrain.view_source import ViewSource
from rs3l.pretrain.views import torch_generator
from rs3l.training.stop import StopRequest
from support.pretraining import VIEWS, block, train


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize("method", ["rs3l", "jetclr"])
def test_interrupted_and_resumed_is_uninterrupted(
    tmp_path: Path, manifest: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tmp_path / "whole", manifest, block(method))
    original = Trainer._epoch

    def interrupted(self: Trainer, epoch: int, stop: StopRequest) -> dict[str, float]:
        if epoch == 2:
            raise KeyboardInterrupt
        return original(self, epoch, stop)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "parts", manifest, block(method))
    assert len(list((tmp_path / "parts" / "state").iterdir())) == 1
    started: list[int] = []
    monkeypatch.setattr(
        Trainer, "_epoch", lambda self, epoch, stop: started.append(epoch) or original(self, epoch, stop)
    )
    parts = train(tmp_path / "parts", manifest, block(method))
    assert started == [2], "only the epoch that was missing is trained"
    assert [p.read_bytes() for p in parts[:2]] == [p.read_bytes() for p in whole[:2]]
    assert not (tmp_path / "parts" / "state").exists()


@pytest.mark.usefixtures("no_alarm")
def test_a_state_of_other_settings_is_not_resumed(tmp_path: Path, manifest: Path) -> None:
    trainer = Trainer(block(), manifest, module.Checkpoint(tmp_path, block(), "a"))
    trainer.run()
    assert len(Trainer(block(), manifest, module.Checkpoint(tmp_path, block(), "a")).rows) == 3
    assert not Trainer(block(), manifest, module.Checkpoint(tmp_path, block(), "b")).rows
    other = block(learning_rate=1e-3)
    assert not Trainer(other, manifest, module.Checkpoint(tmp_path, other, "a")).rows


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    checkpoint = module.Checkpoint(tmp_path, block(), "a")
    checkpoint.path.write_bytes(b"junk")
    with pytest.raises(DataError, match=rf"{checkpoint.path.name}: cannot be resumed from"):
        checkpoint.load()


@pytest.mark.usefixtures("no_alarm")
def test_outputs_say_what_was_trained(tmp_path: Path, manifest: Path) -> None:
    _, metrics, provenance = train(tmp_path, manifest, block())
    rows = list(csv.DictReader(metrics.open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert all(math.isfinite(float(value)) for row in rows for value in row.values())
    record = json.loads(provenance.read_text(encoding="utf-8"))
    assert record["block"] == block().model_dump(mode="json")
    assert record["manifest_sha256"] == sha256(manifest)
    assert "torch" in record["versions"]


def test_both_methods_have_the_same_steps(tmp_path: Path, manifest: Path) -> None:
    rs3l, jetclr = (
        Trainer(block(method), manifest, module.Checkpoint(tmp_path, block(method), "a"))
        for method in ("rs3l", "jetclr")
    )
    assert (rs3l.steps, rs3l.batch) == (jetclr.steps, jetclr.batch)
    two_views = [e for e in range(60) if e % 7 != 6]
    assert rs3l.train.total == jetclr.train.total == 2 * len(two_views)
    assert rs3l.steps == math.ceil(2 * len(two_views) / 32)
    assert len(jetclr.train.source.events.count) == 2 * sum(e % 5 != 4 for e in two_views)


def test_pairs_are_views_of_one_event(manifest: Path) -> None:
    store = load_views(manifest, "train", ["signal", "background"], VIEWS, 16)
    pairs = ViewSource(block(), store).draw(torch_generator(1, "a"))
    assert (store.event_id[pairs[0]] == store.event_id[pairs[1]]).all()
    assert (store.variant[pairs[0]] != store.variant[pairs[1]]).all()
    nominal = ViewSource(block("jetclr"), store)
    pairs = nominal.draw(torch_generator(1, "a"))
    assert (pairs[0] == pairs[1]).all()
    assert {store.variant_names[v] for v in store.variant[pairs[0]]} == {"nominal"}
    views = nominal.views(pairs[:, :4], torch_generator(1, "b"))
    assert not np.allclose(views.candidates[:4], views.candidates[4:]), "each view is augmented on its own"


def test_nominal_and_one_other(manifest: Path) -> None:
    store = load_views(manifest, "train", ["signal", "background"], VIEWS, 16)
    source = ViewSource(block(views="nominal_and_one"), store)
    pairs = source.draw(torch_generator(1, "a"))
    assert (store.event_id[pairs[0]] == store.event_id[pairs[1]]).all()
    names = np.array(store.variant_names)[store.variant[pairs]]
    assert set(names[0]) == {"nominal"} and set(names[1]) == {"seed", "fsr_hi"}
    with_nominal = [e for e in range(60) if e % 7 != 6 and e % 5 != 4]
    assert pairs.shape[1] == 2 * len(with_nominal) < source.total


def test_all_views_of_an_event(manifest: Path) -> None:
    store = load_views(manifest, "train", ["signal", "background"], VIEWS, 16)
    source = ViewSource(block(views="all", loss="multi_view"), store)
    rows = source.draw(torch_generator(1, "a"))
    counts = (rows >= 0).sum(axis=0)
    assert rows.shape[0] == 3 and set(counts) == {2, 3}
    two = [e for e in range(60) if e % 7 != 6 and e % 5 == 4]
    assert (counts == 2).sum() == 2 * len(two)
    for column, event in zip(rows.T, source.events.event_id, strict=True):
        assert (store.event_id[column[column >= 0]] == event).all()
    chosen = rows[:, :8]
    jets, groups = source.views(chosen, torch_generator(1, "b")), source.groups(chosen, "multi_view")
    assert len(jets.mask) == len(groups) == (chosen >= 0).sum()
    pt = store.jet_pt[chosen[chosen >= 0]]
    assert np.array_equal(jets.jet_pt.numpy(), pt)
    assert np.array_equal(groups.numpy(), np.nonzero(chosen >= 0)[1])


def test_sup_con_compares_processes(manifest: Path) -> None:
    store = load_views(manifest, "train", ["signal", "background"], VIEWS, 16)
    source = ViewSource(block(loss="sup_con"), store)
    pairs = source.draw(torch_generator(1, "a"))
    assert np.array_equal(source.groups(pairs, "sup_con").numpy(), store.process[pairs].ravel())
    assert set(source.groups(pairs, "sup_con").tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("views", "loss"),
    [("nominal_and_one", "nt_xent"), ("all", "multi_view"), ("all", "sup_con"), ("any_two", "vicreg")],
)
def test_every_loss_falls(tmp_path: Path, manifest: Path, views: str, loss: str) -> None:
    settings = block(views=views, loss=loss, epochs=12)
    trainer = Trainer(settings, manifest, module.Checkpoint(tmp_path, settings, "a"))
    trainer.run()
    first, last = trainer.rows[0], trainer.rows[-1]
    assert last["train_loss"] < first["train_loss"] and last["val_loss"] < first["val_loss"]


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize("kind", ["edgeconv", "transformer"])
def test_other_encoders_are_trained_saved_and_resumed(
    tmp_path: Path, manifest: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = block(epochs=2, encoder={"kind": kind, "hidden": 16, "latent": 4})
    whole = train(tmp_path / "whole", manifest, settings)
    encoder = load_encoder(whole[0])
    assert encoder.config == settings.encoder and encoder.config.kind == kind
    fresh = new_encoder(settings.encoder, settings.constituents, settings.seed, "pretrain").state_dict()
    changed = {name for name, value in encoder.state_dict().items() if not torch.equal(value, fresh[name])}
    assert changed >= {name for name, _ in encoder.named_parameters()}, "every weight is trained"
    original = Trainer._epoch

    def interrupted(self: Trainer, epoch: int, stop: StopRequest) -> dict[str, float]:
        if epoch == 1:
            raise KeyboardInterrupt
        return original(self, epoch, stop)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "_epoch", interrupted)
        train(tmp_path / "parts", manifest, settings)
    parts = train(tmp_path / "parts", manifest, settings)
    assert [p.read_bytes() for p in parts[:2]] == [p.read_bytes() for p in whole[:2]]


def test_it_learns_without_collapse(tmp_path: Path, manifest: Path) -> None:
    settings = block(epochs=30, encoder=DeepSets(hidden=32, representation=32, latent=4))
    _, metrics, _ = train(tmp_path, manifest, settings)
    rows = list(csv.DictReader(metrics.open()))
    assert float(rows[-1]["val_loss"]) < float(rows[0]["val_loss"]) - 0.1


def test_a_collapse_ends_the_training_half_way(tmp_path: Path, manifest: Path) -> None:
    """A learning rate of nothing leaves the loss at chance; what follows would be hours of the same."""
    settings = block(epochs=7, learning_rate=1e-12)
    with pytest.raises(TrainingError, match="collapsed in epoch 4 of 7"):
        train(tmp_path, manifest, settings)
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_loss": math.log(63) - 0.05}, "is chance"),
        ({"train_loss": math.nan}, "is chance"),
        ({"spread": 0.2}, "spread of the latents"),
        ({"rank": 2.9}, r"RankMe 2\.90 < 3\.00"),
    ],
)
def test_alarms(change: dict[str, float], message: str) -> None:
    healthy = {"train_loss": 2.0, "spread": 0.9, "rank": 7.0}
    settings = block(encoder=DeepSets(latent=8))
    refuse_collapse(settings, healthy, 32)
    with pytest.raises(TrainingError, match=message):
        refuse_collapse(settings, {**healthy, **change}, 32)


def test_alarms_know_the_loss() -> None:
    row = {"train_loss": 40.0, "spread": 0.9, "rank": 7.0}
    refuse_collapse(block(loss="vicreg", encoder=DeepSets(latent=8)), row, 32)
    refuse_collapse(block(loss="sup_con", encoder=DeepSets(latent=8)), {**row, "train_loss": 3.0, "rank": 1.2}, 32)
    with pytest.raises(TrainingError, match="spread"):
        refuse_collapse(block(loss="vicreg"), {**row, "spread": 0.1}, 32)


def test_the_rank_alarm_knows_small_latents() -> None:
    row = {"train_loss": 2.0, "spread": 0.9, "rank": 1.6}
    refuse_collapse(block(encoder=DeepSets(latent=4)), row, 32)
    with pytest.raises(TrainingError, match=r"RankMe 1\.60 < 3\.00"):
        refuse_collapse(block(encoder=DeepSets(latent=128)), row, 32)


def test_divergence_stops_the_training(tmp_path: Path, manifest: Path) -> None:
    with pytest.raises(TrainingError, match=r"the loss is nan .* lower\s+pretrain\.learning_rate"):
        train(tmp_path, manifest, block(learning_rate=1e30))
    assert not (tmp_path / "model.safetensors").exists()


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.json: no such manifest"):
        train(tmp_path, tmp_path / "nowhere.json", block())


def test_subsets_are_nested_and_of_the_size_asked_for() -> None:
    event_id = np.arange(1000, 1200)
    chosen = [subset(event_id, n, 7) for n in (0.1, 50, 0.5, 200, 1.0)]
    assert [int(each.sum()) for each in chosen] == [20, 50, 100, 200, 200]
    for small, large in itertools.pairwise(chosen):
        assert not (small & ~large).any()
    assert (subset(event_id, 50, 8) != chosen[1]).any(), "another seed chooses others"
    shuffled = np.random.default_rng(0).permutation(200)
    assert np.array_equal(subset(event_id[shuffled], 50, 7), chosen[1][shuffled]), "order plays no role"
    with pytest.raises(ConfigError, match=r"pretrain\.events: 201 of 200 training events"):
        subset(event_id, 201, 7)


def test_fewer_events_take_the_same_number_of_steps(tmp_path: Path, manifest: Path) -> None:
    whole, part = (
        Trainer(settings, manifest, module.Checkpoint(tmp_path, settings, "x"))
        for settings in (block(), block(events=0.5))
    )
    assert part.steps == whole.steps
    assert len(part.train.source.events.count) == round(0.5 * len(whole.train.source.events.count))
    assert len(part.val.events.count) == len(whole.val.events.count), "validation keeps all of its events"


def source_of(manifest: Path, **changes: object) -> ViewSource:
    """Return the views of the train split with hand-made augmentations, which have no randomness of their own."""
    off = {"soft_smearing": 0, "collinear_splits": 0, "drop": 0, "pt_jitter": 0, "charge_flip": False}
    of = changes.pop("of", "nominal")
    made = {"hand_made": {**off, "smear_displacement": False, "of": of}, "detector": Detector(), **changes}
    settings = block("jetclr", **made)
    return ViewSource(settings, load_views(manifest, "train", settings.processes, settings.variants, 16))


def test_augmentations_of_any_jet_are_two_of_the_same(manifest: Path) -> None:
    source = source_of(manifest, of="any")
    rows = source.draw(torch_generator(1))
    assert np.array_equal(rows[0], rows[1])
    assert np.array_equal(source.store.event_id[rows[0]], source.events.event_id)
    drawn = {source.store.variant_names[code] for code in source.store.variant[rows[0]]}
    assert drawn == set(VIEWS), "jets of every variant"
    assert len(source.events.count) > len(source_of(manifest).events.count), "events without a nominal jet, too"


@pytest.mark.parametrize("views", ["any_two", "nominal_and_one", "all"])
def test_re_simulations_are_augmented_on_top(manifest: Path, views: str) -> None:
    source = source_of(manifest, augment=True, views=views)
    plain = ViewSource(block(views=views), source.store)
    rows = source.draw(torch_generator(1))
    assert np.array_equal(rows, plain.draw(torch_generator(1))), "the jets are those of re-simulation"
    made, expected = (each.views(rows, torch_generator(2)) for each in (source, plain))
    assert torch.equal(made.jet_pt, expected.jet_pt)
    radius = [torch.hypot(jets.candidates[..., 1], jets.candidates[..., 2]) for jets in (made, expected)]
    torch.testing.assert_close(*radius, msg="augmentations that do nothing, and a rotation")


@pytest.mark.parametrize("changes", [{"of": "any"}, {"augment": True}, {"augment": True, "views": "all"}])
def test_a_part_of_augmented_views_is_that_of_the_whole(manifest: Path, changes: dict[str, object]) -> None:
    source = source_of(manifest, **changes)
    rows = source.draw(torch_generator(1))[:, :10]
    whole = source.views(rows, torch_generator(2))
    events = np.broadcast_to(np.arange(10), rows.shape)[rows >= 0]
    for part in (slice(0, 4), slice(4, 10)):
        own = source.views(rows, torch_generator(2), part)
        chosen = torch.from_numpy((events >= part.start) & (events < part.stop))
        assert torch.equal(own.candidates, whole.candidates[chosen])
