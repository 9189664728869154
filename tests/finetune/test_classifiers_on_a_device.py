"""Fine-tuning, embedding and scoring stay on their device without waiting for it: shown on torch's ``meta``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rs3l.config.finetune import Finetune
from rs3l.config.tasks import Task
from rs3l.dataset.store import JetStore, load_views
from rs3l.finetune.classifier import Classifier
from rs3l.finetune.classifiers import Classifiers, LinearHead, OnFrozen, Trained
from rs3l.finetune.score import Scorer
from rs3l.finetune.sources import JetsInMemory, Labelled
from rs3l.finetune.training import Batch, Running, Training, trained
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import embedded, new_encoder
from rs3l.training.device import Placement
from support.one_device import META, MisplacedError, OneDevice
from support.pretraining import VIEWS, block

ENCODERS: list[dict[str, Any]] = [
    {"kind": kind, "hidden": 16, "latent": 4} for kind in ("deepsets", "edgeconv", "transformer")
]


@pytest.fixture
def store(manifest: Path) -> JetStore:
    return load_views(manifest, "val", ["signal", "background"], VIEWS, 16)


@pytest.fixture(params=ENCODERS, ids=str)
def encoder(request: pytest.FixtureRequest) -> JetEncoder:
    return new_encoder(block(encoder=request.param).encoder, 16, 1)


def training(encoder: JetEncoder, store: JetStore) -> tuple[Training, Batch]:
    """Return a fine-tuning of a whole network on ``meta``, and a batch."""
    rows = np.arange(40)
    jets = Labelled(store, rows, store.process[rows])
    whole = Training(
        Classifier(encoder), JetsInMemory(jets), Finetune(), 1e-3, 1, running=Running(place=Placement(META))
    )
    whole.optimizer = torch.optim.AdamW(trained(whole.classifier))  # the fused one knows no device ``meta``
    return whole, Batch(jets, rows[::2], torch.Generator().manual_seed(1))


def test_a_step_of_fine_tuning(encoder: JetEncoder, store: JetStore) -> None:
    whole, batch = training(encoder, store)
    with OneDevice():
        whole._take_step(batch)
    assert whole.step == 1
    assert all(p.grad is not None and p.grad.device == META for p in encoder.backbone())


def test_latents(encoder: JetEncoder, store: JetStore) -> None:
    encoder.to(META)
    with OneDevice():
        h, z = embedded(encoder, store, store.rows(), Placement(META).put)
    assert h.device == z.device == META
    assert (len(h), *z.shape) == (len(store), len(store), 4)


def scorer(encoder: JetEncoder) -> Scorer:
    """Return the scores of a head on h, one on z, and a network of its own, on ``meta``."""
    width = encoder.config.representation
    own = Classifier(new_encoder(encoder.config, 16, 2))
    models = [
        OnFrozen(LinearHead(np.ones(width, np.float32), 0.5), "h"),
        OnFrozen(LinearHead(np.ones(4, np.float32), 0.5), "z"),
        own,
    ]
    found = [Trained("probe_h", 10, repeat, model) for repeat, model in enumerate(models)]
    task = Task(signal="signal", background="background")
    return Scorer(Classifiers("t", task, "rs3l_s0", found), encoder, Placement(META))


def test_scores(encoder: JetEncoder, store: JetStore) -> None:
    every = scorer(encoder)
    with OneDevice():
        places, logits = every.by_networks(store)
    assert logits.device == META
    assert (sorted(places), logits.shape) == ([0, 1, 2], (3, len(store)))


def test_a_forgotten_head_is_found(encoder: JetEncoder, store: JetStore) -> None:
    every = scorer(encoder)
    heads = next(iter(every._frozen.values()))
    heads[0] = heads[0]._replace(module=torch.nn.Linear(encoder.config.representation, 1))
    with OneDevice(), pytest.raises(MisplacedError, match="takes tensors of the host"):
        every.by_networks(store)
