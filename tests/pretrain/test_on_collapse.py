"""A collapse and an under-trained classifier: they stop, or they are used and said so by every file that follows."""

from __future__ import annotations

import copy
import csv
import json
import logging
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from rs3l.config import Campaign, blocks, parse_campaign
from rs3l.config.blocks import FinetuneBlock, PretrainBlock
from rs3l.config.encoders import DeepSets
from rs3l.config.finetune import Finetune
from rs3l.config.reads import TRAINING
from rs3l.config.tasks import Task
from rs3l.dataset.manifest import read_manifest
from rs3l.embed.latents import write_latents
from rs3l.embed.quality import write_quality
from rs3l.errors import ConfigError, TrainingError
from rs3l.evaluate.evaluate import Evaluation, evaluate
from rs3l.evaluate.measure import measure
from rs3l.finetune.finetune import finetune
from rs3l.finetune.score import score
from rs3l.networks.model_file import new_encoder, save_encoder, signs_in
from rs3l.pretrain.pretrain import Trainer, pretrain
from rs3l.runs import is_baseline
from rs3l.training.checkpoint import Checkpoint
from rs3l.training.stop import StopRequest
from support import toy
from support.places import REPOSITORY
from support.pretraining import block, train

Values = dict[str, Any]
FLAT = 1e-12
"""A learning rate that leaves the loss at chance."""


def test_with_warn_a_collapsed_model_is_written_and_says_so(tmp_path: Path, manifest: Path) -> None:
    model, metrics, provenance = train(tmp_path, manifest, block(epochs=7, learning_rate=FLAT, on_collapse="warn"))
    signs = signs_in(model)
    assert "is chance" in signs[0] and len(signs) == 3
    assert json.loads(provenance.read_text(encoding="utf-8"))["collapsed"] == signs
    rows = list(csv.DictReader(metrics.open(encoding="utf-8")))
    assert [(row["epoch"], row["collapsed"]) for row in rows] == [(str(n), "3") for n in range(1, 8)]
    assert not (tmp_path / "state").exists()


def test_a_healthy_model_has_no_mark(tmp_path: Path, manifest: Path) -> None:
    small = DeepSets(hidden=32, representation=32, latent=4)
    model, metrics, provenance = train(tmp_path, manifest, block(epochs=20, encoder=small, on_collapse="warn"))
    assert signs_in(model) == [] == json.loads(provenance.read_text(encoding="utf-8"))["collapsed"]
    assert list(csv.DictReader(metrics.open(encoding="utf-8")))[-1]["collapsed"] == "0"


def test_what_was_stopped_goes_on_with_warn(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is no part of what a result depends on: the state is that of the same training."""
    settings = block(epochs=7, learning_rate=FLAT)
    with pytest.raises(TrainingError, match=r"collapsed in epoch 4 of 7.*pretrain\.on_collapse: warn"):
        train(tmp_path / "stopped", manifest, settings)
    warned = settings.model_copy(update={"on_collapse": "warn"})
    whole = train(tmp_path / "whole", manifest, warned)
    original, begun = Trainer._epoch, []

    def noted(self: Trainer, epoch: int, stop: StopRequest) -> dict[str, float]:
        begun.append(epoch)
        return original(self, epoch, stop)

    monkeypatch.setattr(Trainer, "_epoch", noted)
    resumed = train(tmp_path / "stopped", manifest, warned)
    assert begun == [4, 5, 6]
    assert [path.read_bytes() for path in resumed[:2]] == [path.read_bytes() for path in whole[:2]]


def test_what_collapsed_in_its_last_epoch_is_not_trained_again(tmp_path: Path, manifest: Path) -> None:
    settings = block(epochs=1, learning_rate=FLAT)
    with pytest.raises(TrainingError, match="collapsed in epoch 1 of 1"):
        train(tmp_path, manifest, settings)
    assert len(Trainer(settings, manifest, state(tmp_path, manifest, settings)).rows) == 1
    assert signs_in(train(tmp_path, manifest, settings.model_copy(update={"on_collapse": "warn"}))[0])


def state(folder: Path, manifest: Path, settings: PretrainBlock) -> Checkpoint:
    """Return the state that a stopped training has left."""
    files = read_manifest(manifest).files_sha256(TRAINING, settings.processes)
    return Checkpoint(folder / "state", settings, files)


def test_a_loss_that_is_not_finite_stops_all_the_same(tmp_path: Path, manifest: Path) -> None:
    with pytest.raises(TrainingError, match="loss is nan"):
        train(tmp_path, manifest, block(learning_rate=1e30, on_collapse="warn"))


def test_a_validation_loss_that_is_not_finite_stops_too(tmp_path: Path, manifest: Path) -> None:
    """The last step of a training can spoil its weights, and no further step tells."""
    settings = block(on_collapse="warn")
    trainer = Trainer(settings, manifest, Checkpoint(tmp_path, settings, "x"))
    for weight in trainer.encoder.parameters():
        weight.data.fill_(float("nan"))
    with pytest.raises(TrainingError, match="the validation loss is nan after epoch 1"):
        trainer._validate()


def values(test_values: Values, **more: Any) -> Values:
    return {**copy.deepcopy(test_values), **more}


def test_what_happens_is_no_part_of_a_job(test_values: Values) -> None:
    """Else a change would train again what is finished."""
    warned = values(test_values)
    warned["pretrain"]["on_collapse"] = warned["finetune"]["on_undertrained"] = "warn"
    before, after = parse_campaign(test_values), parse_campaign(warned)
    jobs = [
        (blocks.pretrain(config, "rs3l_s0"), blocks.finetune(config, "h_vs_qcd", "rs3l_s0"))
        for config in (before, after)
    ]
    assert [job.on_collapse for job, _ in jobs] == ["stop", "warn"]
    assert [job.finetune.on_undertrained for _, job in jobs] == ["stop", "warn"]
    for first, second in zip(*jobs, strict=True):
        assert first.model_dump_json() == second.model_dump_json()
        assert "on_" not in first.model_dump_json()
        assert type(first).model_validate_json(second.model_dump_json()) == first


def test_ablations_always_warn_and_methods_may(test_values: Values) -> None:
    config = parse_campaign(values(test_values, ablations={"blind": {"displacement": False}}))
    assert blocks.on_collapse(config, "rs3l_s0") == "stop"
    assert blocks.on_collapse(config, "blind_s0") == "warn"
    judged = {run: blocks.on_undertrained(config, run) for run in blocks.every_run(config)}
    own = dict.fromkeys(("rs3l_s0", "jetclr_s0", "none"), "stop")
    assert judged == {**own, "blind_s0": "warn", "none_blind_s0": "warn"}
    changed = values(test_values)
    changed["pretrain"]["methods"] = {"rs3l": {}, "bold": {"on_collapse": "warn"}}
    config = parse_campaign(changed)
    assert [blocks.on_collapse(config, run) for run in ("rs3l_s0", "bold_s0")] == ["stop", "warn"]


def test_an_ablation_cannot_stop_the_others(test_values: Values) -> None:
    with pytest.raises(ConfigError, match=r"ablations\.blind.*always warns"):
        parse_campaign(values(test_values, ablations={"blind": {"on_collapse": "stop"}}))


def job(run: str, **settings: Any) -> FinetuneBlock:
    modes = ["scratch", "random"] if run == "none" else ["probe_h", "probe_z", "mlp_z", "tuned", "tuned_z"]
    return FinetuneBlock(
        seed=5, name="toy_task", task=Task(signal="signal", background="background"), run=run,
        variants=["nominal", "seed"], encoder=DeepSets(hidden=16, representation=16, latent=4), constituents=16,
        finetune=Finetune(modes=modes, labels=[20], repeats=1, batch=16, **settings),
    )  # fmt: skip


def history_of(folder: Path, manifest: Path, model: Path | None, settings: FinetuneBlock) -> list[dict[str, str]]:
    """Train the classifiers; return the lines of the history."""
    finetune(settings, manifest, model, folder / "classifiers.safetensors", folder / "history.csv")
    score(folder / "classifiers.safetensors", model, manifest, None, None, folder / "predictions.parquet")
    return list(csv.DictReader((folder / "history.csv").open(encoding="utf-8")))


def test_an_undertrained_classifier_stops_or_is_marked(
    tmp_path: Path, manifest: Path, caplog: pytest.LogCaptureFixture
) -> None:
    short = {"patience": 5, "max_epochs": 2, "min_steps": 0}
    with pytest.raises(TrainingError, match=r"under-trained.*finetune\.on_undertrained: warn"):
        history_of(tmp_path, manifest, None, job("none", **short))
    with caplog.at_level(logging.WARNING):
        lines = history_of(tmp_path, manifest, None, job("none", **short, on_undertrained="warn"))
    assert {line["mode"]: line["converged"] for line in lines} == {"scratch": "False", "random": "True"}
    assert {line["collapsed"] for line in lines} == {""}
    assert "under-trained" in caplog.text


def test_a_dead_encoder_is_embedded_and_tested(tmp_path: Path, manifest: Path) -> None:
    """The worst collapse, all latents in one point: whatever follows can live with it, and says it."""
    settings = job("rs3l_s0", patience=3, min_steps=0, max_epochs=50)
    assert settings.encoder is not None
    encoder = new_encoder(settings.encoder, 16, 1, "dead")
    for weight in encoder.parameters():
        weight.data.zero_()
    model = tmp_path / "model.safetensors"
    save_encoder(encoder, model, collapsed=["RankMe 1.00 < 1.50"])
    latents, quality = tmp_path / "latents.parquet", tmp_path / "quality.parquet"
    write_latents(manifest, model, None, None, latents)
    write_quality(manifest, model, quality, 1, 5, 100)
    lines = history_of(tmp_path, manifest, model, settings)
    assert {line["collapsed"] for line in lines} == {"RankMe 1.00 < 1.50"}
    for path in (latents, tmp_path / "predictions.parquet"):
        assert pq.read_metadata(path).metadata[b"rs3l.collapsed"] == b"RankMe 1.00 < 1.50"
    assert {line["val_auc"] for line in lines if line["mode"].startswith("probe")} == {"0.5"}


def smoke() -> Values:
    """Return the keys that docs/pretrain.md gives for a smoke run."""
    text = (REPOSITORY / "docs" / "pretrain.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"cat > smoke\.yaml <<END\n(.+?)\nEND\n", text, re.S)
    keys = yaml.safe_load(found)
    assert keys["pretrain"]["epochs"] == 2
    return dict(keys)


def toy_campaign(test_values: Values, manifest: Path, changes: Values) -> tuple[Campaign, Path]:
    """Return a campaign on the toy data set, and a manifest that says of it what summaries need."""
    changed = values(test_values)
    known = changed["processes"]
    changed["processes"] = {"signal": known["higgs_bb"], "background": known["qcd"]}
    held_out = {"resample": "shower", "pythia": {"PartonShowers:model": 2}, "use": "held_out"}
    changed["variants"] = {name: changed["variants"][name] for name in ("nominal", "seed", "fsr_hi")}
    changed["variants"]["vincia"] = held_out
    changed["tasks"] = {"toy_task": {"signal": "signal", "background": "background"}}
    changed["evaluate"] = {"variants": ["nominal", "seed"], "bootstrap": 5}
    changed["pretrain"]["methods"] = ["rs3l"]
    for name, block_changes in changes.items():
        changed[name] = {**changed.get(name, {}), **block_changes}
    contents = json.loads(manifest.read_text(encoding="utf-8"))
    for process in contents["processes"].values():
        process |= {"hard_events": 108, "matching_efficiency": {"nominal": 0.8}}
    renewed = manifest.parent / "summarised.json"
    renewed.write_text(json.dumps(contents), encoding="utf-8")
    return parse_campaign(changed), renewed


def campaign_of(config: Campaign, manifest: Path, root: Path, settings: blocks.EvaluateBlock) -> Evaluation:
    """Run stages 4 to 6 as the rules do: blocks as JSON, and what happens as an option beside them."""
    measures, histories, qualities = [], [], []
    for run in settings.runs:
        model = None
        if not is_baseline(run):
            (root / run).mkdir(parents=True)
            outputs = [root / run / name for name in ("model.safetensors", "metrics.csv", "provenance.json")]
            judged = {"on_collapse": blocks.on_collapse(config, run)}
            settled = PretrainBlock.model_validate_json(blocks.pretrain(config, run).model_dump_json())
            pretrain(settled.model_copy(update=judged), manifest, root / run / "state", *outputs)
            model = outputs[0]
            qualities.append(root / run / "quality.parquet")
            write_quality(manifest, model, qualities[-1], 1, 5, 100)
        folder = root / "toy_task" / run
        folder.mkdir(parents=True)
        history_of(folder, manifest, model, blocks.finetune(config, "toy_task", run))
        measures.append(folder / "measures.parquet")
        measure(blocks.measure(config, "toy_task", run), [folder / "predictions.parquet"], measures[-1])
        histories.append(folder / "history.csv")
    return evaluate(settings, manifest, measures, histories, qualities)


def test_the_smoke_run_of_the_documentation_reaches_the_summary(
    tmp_path: Path, test_values: Values, toy_manifest: Path
) -> None:
    config, manifest = toy_campaign(test_values, toy_manifest, smoke())
    result = campaign_of(config, manifest, tmp_path, blocks.evaluate(config))
    assert len(result.summary["headline"]) == 3
    short = {name.split()[1] for name in result.summary["undertrained"]}
    assert short == {"tuned,", "scratch,", "scratch_views,"}
    metrics = result.tables["metrics"]
    assert (metrics.loc[metrics["mode"] == "scratch", "undertrained"] == 2).all()
    assert (metrics.loc[metrics["mode"] == "probe_h", "undertrained"] == 0).all()


def test_a_collapsed_ablation_keeps_the_tables_of_the_others(
    tmp_path: Path, test_values: Values, toy_manifest: Path
) -> None:
    changes = {
        "ablations": {"flat": {"learning_rate": FLAT}, "cold": {"temperature": 0.2}},
        "finetune": {"modes": ["probe_h", "random"], "labels": [20], "repeats": 1},
    }
    config, manifest = toy_campaign(test_values, toy_manifest, changes)
    result = campaign_of(config, manifest, tmp_path, blocks.evaluate_ablations(config))
    assert list(result.summary["collapsed"]) == ["flat_s0"]
    collapsed = result.tables["metrics"].groupby("method")["collapsed"].max()
    assert collapsed.to_dict() == {"cold": 0, "flat": 1, "none": 0, "rs3l": 0}


@pytest.fixture(scope="module")
def toy_manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.write_dataset(tmp_path_factory.mktemp("toy_campaign"))
