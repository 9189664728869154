"""Classifiers that were written and read again score every test jet, whoever scores which part."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.nn.functional import normalize

from rs3l.config.blocks import FinetuneBlock
from rs3l.config.encoders import OwnEncoder
from rs3l.config.tasks import Task
from rs3l.dataset.checksum import COLLAPSED, intact_parquet
from rs3l.dataset.features import features
from rs3l.dataset.store import load_views
from rs3l.errors import ConfigError, DataError, TrainingError
from rs3l.finetune.classifier import Classifier, DeepHead, new_head
from rs3l.finetune.classifiers import Classifiers, LinearHead, OnFrozen, Trained, load, save
from rs3l.finetune.finetune import finetune
from rs3l.finetune.high_level import N2, OBSERVABLES, Cut
from rs3l.finetune.score import JET_COLUMNS, predictions_schema, score
from rs3l.finetune.trees import BoostedTrees
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import load_encoder, new_encoder, save_encoder
from rs3l.types import Floats32, Floats64
from support import toy
from support.columns import load_columns
from support.tuning import BASELINE, ENCODER, PRETRAINED, block
from support.workflow import run_script

CONSTITUENTS = 16
PARTS = 3


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.write_dataset(tmp_path_factory.mktemp("dataset"), parts=PARTS)


@pytest.fixture(scope="module")
def model(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    encoder = new_encoder(ENCODER, CONSTITUENTS, 1)
    store = load_views(manifest, "train", [*toy.MULTIPLICITY], ["nominal"], CONSTITUENTS)
    encoder.fit_norm(store, store.rows())
    save_encoder(encoder, path, collapsed=["rank 1.1 < 2"])
    return path


def small(run: str) -> FinetuneBlock:
    """Return a block with all modes of a run, and few labels."""
    own = block(run)
    return own.model_copy(update={"finetune": own.finetune.model_copy(update={"labels": [20], "repeats": 2})})


@pytest.fixture(scope="module", params=["rs3l_s0", "none"])
def trained(request: pytest.FixtureRequest, manifest: Path, model: Path) -> tuple[Path, Path | None]:
    """Return the classifiers of a run, and its model."""
    path = model.parent / request.param / "classifiers.safetensors"
    own = None if request.param == "none" else model
    finetune(small(request.param), manifest, own, path, path.with_name("history.csv"))
    return path, own


def one_by_one(
    classifiers: Path, model: Path | None, manifest: Path, constituents: int = CONSTITUENTS
) -> dict[str, Floats32]:
    """Return the scores of all test jets by each classifier, from the whole split, jet by jet."""
    store = load_views(manifest, "test", [*toy.MULTIPLICITY], [*toy.VARIANTS], constituents)
    columns = load_columns(manifest, "test", store, OBSERVABLES)
    x = np.column_stack([columns[name].astype(np.float64) for name in OBSERVABLES])
    own = load_encoder(model) if model else None
    jets = [store.batch(np.array([row])) for row in range(len(store))]

    @torch.no_grad()
    def logits(found: Trained) -> list[float]:
        if isinstance(found.model, BoostedTrees):
            return [float(found.model.logits(each[None])[0]) for each in x]
        if isinstance(found.model, Cut):
            return [float(found.model.logits(each[None, N2])[0]) for each in x]
        if isinstance(found.model, Classifier):
            return [float(found.model(features(jet), jet.mask)) for jet in jets]
        return [frozen(found.model, found.model.encoder or own, *each) for each in zip(jets, x, strict=True)]

    def frozen(head: OnFrozen, encoder: JetEncoder | None, jet: object, observables: Floats64) -> float:
        assert encoder is not None
        h = encoder(features(jet), jet.mask)  # type: ignore[arg-type, attr-defined]
        space = h if head.space == "h" else normalize(encoder.project(h), dim=1)
        if isinstance(head.head, LinearHead):
            return float(space.numpy()[0] @ head.head.weight + np.float32(head.head.bias))
        if isinstance(head.head, BoostedTrees):
            return float(head.head.logits(np.append(space.numpy()[0], observables)[None])[0])
        return float(head.head(space))

    return {found.name: np.array(logits(found), np.float32) for found in load(classifiers).trained}


def test_scores_are_those_of_each_classifier_and_jet(
    tmp_path: Path, manifest: Path, trained: tuple[Path, Path | None]
) -> None:
    path = tmp_path / "predictions.parquet"
    score(*trained, manifest, None, None, path)
    expected = one_by_one(*trained, manifest)
    modes = PRETRAINED if trained[1] else BASELINE
    assert {name.split("/")[0] for name in expected} == set(modes)
    table = pq.read_table(intact_parquet(path))
    assert table.schema.remove_metadata().equals(predictions_schema([*expected]))
    store = load_views(manifest, "test", [*toy.MULTIPLICITY], [*toy.VARIANTS], CONSTITUENTS)
    assert np.array_equal(table["event_id"].to_numpy(), store.event_id)
    assert np.array_equal(table["weight"].to_numpy(), store.weight)
    names = np.array(store.variant_names)[store.variant]
    assert table["variant"].to_pylist() == [*names]
    assert table["is_signal"].to_pylist() == [name == "signal" for name in table["process"].to_pylist()]
    for name, scores in expected.items():
        assert np.ptp(scores) > 0
        close = np.isclose(table[name].to_numpy(), scores, rtol=1e-3, atol=1e-3)
        # Trees on a network's output jump where it is rounded to the other side of a threshold, which is rare.
        assert close.mean() > 0.9 if name.startswith("gbt_") else close.all(), name
    marked = COLLAPSED.encode() in pq.read_metadata(path).metadata
    assert marked == (trained[1] is not None), "a collapse of the encoder is marked"


def contents(paths: Sequence[Path]) -> dict[str, bytes]:
    """Return the bytes of each column of some files, one after the other."""
    table = pa.concat_tables(pq.read_table(path) for path in paths)
    return {name: table[name].combine_chunks().to_pandas().to_numpy().tobytes() for name in table.column_names[7:]}


@pytest.mark.parametrize("size", [1, 2, 100])
def test_scores_do_not_depend_on_who_scores_which_part(
    tmp_path: Path, manifest: Path, trained: tuple[Path, Path | None], size: int
) -> None:
    score(*trained, manifest, None, None, tmp_path / "whole.parquet")
    found = []
    for process in toy.MULTIPLICITY:
        for first in range(0, PARTS, size):
            found.append(tmp_path / f"{process}-{first}.parquet")
            score(*trained, manifest, process, range(first, min(first + size, PARTS)), found[-1])
    assert contents(found) == contents([tmp_path / "whole.parquet"])
    keys = pd.concat([pd.read_parquet(path, columns=list(JET_COLUMNS)) for path in found], ignore_index=True)
    assert keys.equals(pd.read_parquet(tmp_path / "whole.parquet", columns=list(JET_COLUMNS)))


def random_classifiers(encoder: JetEncoder, checksum: str = "") -> Classifiers:
    """Return one classifier of each kind, with two on an encoder of their own."""
    rng = np.random.default_rng(0)
    width = encoder.config.representation
    linear = LinearHead(rng.normal(size=width).astype(np.float32), 0.25)
    deep = new_head(encoder.config.latent, 3, "x")
    torch.nn.init.normal_(deep.layers[-1].weight)  # type: ignore[arg-type]
    task = Task(signal="signal", background="background")
    models = {
        "random": OnFrozen(linear, "h", encoder),
        "mlp_z": OnFrozen(deep, "z", encoder),
        "scratch": Classifier(copy.deepcopy(encoder)),
        "tuned_z": Classifier(copy.deepcopy(encoder), latent=True),
        "scratch_mlp": Classifier(copy.deepcopy(encoder), DeepHead(width)),
        "n2": Cut(0.1, 1.0 / 3.0, True),
    }
    trained = [Trained(mode, 20, 0, model) for mode, model in models.items()]
    return Classifiers("toy_task", task, "none", trained, checksum)


def test_a_network_of_another_package_is_read_again(tmp_path: Path, manifest: Path) -> None:
    options = {"width": 8}
    config = OwnEncoder(kind="support.own_parts:Sums", options=options, representation=6, latent=3)
    encoder = new_encoder(config, 9, 1).eval()
    path = tmp_path / "classifiers.safetensors"
    written = random_classifiers(encoder)
    save(path, written)
    found = load(path)
    assert [each.name for each in found.trained] == [each.name for each in written.trained]
    assert found.task == written.task and found.run == "none"
    first, second, network, latent, deep, cut = (each.model for each in found.trained)
    assert isinstance(first, OnFrozen) and isinstance(second, OnFrozen) and first.encoder is second.encoder
    assert isinstance(network, Classifier) and type(network.encoder).__name__ == "Sums" and not network.latent
    assert isinstance(latent, Classifier) and latent.latent
    assert isinstance(deep, Classifier) and isinstance(deep.head, DeepHead)
    assert cut == written.trained[-1].model
    score(path, None, manifest, None, None, tmp_path / "predictions.parquet")
    table = pd.read_parquet(tmp_path / "predictions.parquet")
    expected = one_by_one(path, None, manifest, 9)
    np.testing.assert_allclose(table["mlp_z/20/0"], expected["mlp_z/20/0"], rtol=1e-3, atol=1e-3)


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "classifiers.safetensors"
    with pytest.raises(DataError, match=r"no such classifiers; fine-tune first"):
        load(path)
    save(path, random_classifiers(new_encoder(ENCODER, CONSTITUENTS, 1)))
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"its SHA-256 is not that in its header.*fine-tune again"):
        load(path)
    save_encoder(new_encoder(ENCODER, CONSTITUENTS, 1), path)
    with pytest.raises(DataError, match="no classifiers of this format"):
        load(path)


def test_the_model_must_be_that_of_the_classifiers(tmp_path: Path, manifest: Path, model: Path) -> None:
    path, out = tmp_path / "classifiers.safetensors", tmp_path / "p.parquet"
    save(path, random_classifiers(load_encoder(model)))
    with pytest.raises(DataError, match="were trained on another model than"):
        score(path, model, manifest, None, None, out)
    save(path, random_classifiers(load_encoder(model), "0" * 64))
    with pytest.raises(DataError, match="were trained on another model than none"):
        score(path, None, manifest, None, None, out)
    assert not out.exists()


def test_processes_and_parts_must_be_there(tmp_path: Path, manifest: Path) -> None:
    path, out = tmp_path / "classifiers.safetensors", tmp_path / "p.parquet"
    save(path, random_classifiers(new_encoder(ENCODER, CONSTITUENTS, 1)))
    with pytest.raises(ConfigError, match="no process 'top', but signal and background"):
        score(path, None, manifest, "top", None, out)
    with pytest.raises(DataError, match=f"no part {PARTS} of signal in the split 'test', which has {PARTS}"):
        score(path, None, manifest, "signal", range(1, PARTS + 1), out)
    arguments = ["--classifiers", str(path), "--manifest", str(manifest), "--predictions", str(out)]
    found = run_script("score.py", *arguments, "--parts", "0", "1")
    assert found.returncode == 1 and "--parts 0 1: needs a --process" in found.stderr
    assert run_script("score.py", *arguments, "--process", "signal", "--parts", "0", "1").returncode == 0
    assert set(pd.read_parquet(out)["process"]) == {"signal"}


def test_a_diverged_classifier_is_named(tmp_path: Path, manifest: Path) -> None:
    path = tmp_path / "classifiers.safetensors"
    classifiers = random_classifiers(new_encoder(ENCODER, CONSTITUENTS, 1))
    network = classifiers.trained[2].model
    assert isinstance(network, Classifier)
    torch.nn.init.constant_(network.head.bias, torch.nan)  # type: ignore[arg-type]
    save(path, classifiers)
    with pytest.raises(TrainingError, match="a score of scratch/20/0 is not finite"):
        score(path, None, manifest, None, None, tmp_path / "p.parquet")


def test_a_part_without_a_jet_of_the_task_gives_an_empty_table(tmp_path: Path, manifest: Path) -> None:
    path, out = tmp_path / "classifiers.safetensors", tmp_path / "p.parquet"
    task = Task(signal="signal", signal_types=["b"], background="background")
    classifiers = random_classifiers(new_encoder(ENCODER, CONSTITUENTS, 1))
    save(path, Classifiers("toy_task", task, "none", classifiers.trained))
    score(path, None, manifest, "signal", None, out)
    assert pq.read_table(intact_parquet(out)).num_rows == 0
    assert pq.read_schema(out).names[len(JET_COLUMNS) :] == [each.name for each in classifiers.trained]
