"""A network trained on labels, which is an encoder with a head, and its training loop.

Shapes: B jets, N padded candidates, F = 15 features. Masks are True for real candidates.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Generator, Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from rs3l.config.finetune import Finetune
from rs3l.dataset.features import features
from rs3l.dataset.store import JetStore
from rs3l.errors import TrainingError
from rs3l.finetune.probe import Probe, balanced_loss
from rs3l.networks.base import JetEncoder, chunks
from rs3l.pretrain.views import epoch_batches, rotate, torch_generator
from rs3l.seeds import keyed_hash
from rs3l.types import Array, Floats32, Ints

HEAD_LAYERS, HEAD_WIDTH = 5, 64
"""The deep head has this number of linear layers, with this width between them."""

MIN_STEPS_PER_EPOCH = 10
"""An epoch of a small labelled set passes over it several times, so that validation costs little."""


class DeepHead(nn.Module):
    """Five linear layers on a representation that is standardised by the jets seen in training."""

    mean: Tensor
    std: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        widths = [width, *[HEAD_WIDTH] * (HEAD_LAYERS - 1)]
        hidden = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.ReLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(HEAD_WIDTH, 1))

    def forward(self, h: Tensor) -> Tensor:
        """Return the logits [B, 1] of representations ``h`` [B, H]."""
        logits: Tensor = self.layers((h - self.mean) / self.std)
        return logits

    @torch.no_grad()
    def standardise(self, h: Floats32) -> None:
        """Standardise by the representations ``h`` [n, H]; a constant dimension is only centred."""
        std = torch.from_numpy(h.std(axis=0))
        self.mean.copy_(torch.from_numpy(h.mean(axis=0)))
        self.std.copy_(torch.where(std > 1e-6 * std.max(), std, 1.0))


class Classifier(nn.Module):
    """An encoder and a head on its representation h, or with ``latent`` on the unit z.

    The head is one linear layer by default.
    """

    def __init__(self, encoder: JetEncoder, head: nn.Module | None = None, latent: bool = False) -> None:
        super().__init__()
        width = encoder.config.latent if latent else encoder.config.representation
        self.encoder = encoder
        self.head = nn.Linear(width, 1) if head is None else head
        self.latent = latent

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the logits [B] of features ``x`` [B, N, F] with ``mask`` [B, N]."""
        h = self.encoder(x, mask)
        if self.latent:
            h = normalize(self.encoder.project(h), dim=1)
        logits: Tensor = self.head(h).squeeze(1)
        return logits

    def trained(self) -> list[nn.Parameter]:
        """Return the weights that the logits depend on."""
        encoder = self.encoder.parameters() if self.latent else self.encoder.backbone()
        return [*encoder, *self.head.parameters()]


def new_head(width: int, seed: int, *words: str | int) -> DeepHead:
    """Return a five-layer head initialised by ``seed`` and ``words``, whose first logits are all zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(keyed_hash(seed, "head", *words) >> 1)
        head = DeepHead(width)
    _zero(head.layers[-1])
    return head


def _zero(layer: nn.Module) -> None:
    assert isinstance(layer, nn.Linear)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


def supervised(encoder: JetEncoder, head: DeepHead | None = None) -> Classifier:
    """Return a classifier on ``encoder`` with one linear layer or ``head``, whose first logits are all zero."""
    classifier = Classifier(encoder, head)
    if head is None:
        _zero(classifier.head)
    return classifier


def tuned(encoder: JetEncoder, probe: Probe, latent: bool = False) -> Classifier:
    """Return a classifier on a copy of ``encoder`` that starts as the probe (on h or z), which is its head."""
    classifier = Classifier(copy.deepcopy(encoder), latent=latent)
    assert isinstance(classifier.head, nn.Linear)
    with torch.no_grad():
        classifier.head.weight.copy_(torch.from_numpy(probe.weight))
        classifier.head.bias.fill_(probe.bias)
    return classifier


class Validation:
    """The validation jets, whose features are computed once."""

    def __init__(self, store: JetStore, rows: Ints, y: Array) -> None:
        self.y = y
        self.parts = [(positions, features(jets), jets.mask) for positions, jets in chunks(store, rows)]

    @torch.inference_mode()
    def logits(self, classifier: nn.Module) -> Floats32:
        """Return the logits [n] of the validation jets."""
        classifier.eval()
        result = np.empty(len(self.y), dtype=np.float32)
        for positions, x, mask in self.parts:
            result[positions] = classifier(x, mask).numpy()
        return result

    def metrics(self, classifier: nn.Module) -> tuple[float, float]:
        """Return the class-balanced loss and the AUC."""
        logits = self.logits(classifier)
        return balanced_loss(logits, self.y), float(roc_auc_score(self.y, logits))


class Labelled(NamedTuple):
    """Labelled jets, given as the rows [n] of ``store`` and their labels [n], which are 1 for signal."""

    store: JetStore
    rows: Ints
    y: Array


@dataclass(frozen=True)
class Fit:
    """The way a classifier was trained; epoch 0 is its state before the first step."""

    best_epoch: int
    epochs: int
    steps: int
    val_loss: float
    val_auc: float
    c: float | None = None
    note: str = ""
    converged: bool = True


class Training:
    """Trains ``classifier`` until its validation loss has not improved for ``patience`` epochs.

    It uses binary cross-entropy, AdamW at a constant rate, and a random rotation of each jet about its axis. The
    random numbers of each epoch belong to ``seed`` and ``words``.
    """

    def __init__(
        self, classifier: nn.Module, data: Labelled, settings: Finetune, rate: float, seed: int, *words: str | int
    ) -> None:
        self.classifier = classifier
        self.data = data
        self.settings = settings
        self.key = (seed, "finetune", *words)
        self.optimizer = torch.optim.AdamW(self._trained(), lr=rate, weight_decay=settings.weight_decay)
        self.steps_per_epoch = max(MIN_STEPS_PER_EPOCH, -(-len(data.rows) // settings.batch))

    def _trained(self) -> list[nn.Parameter]:
        assert isinstance(self.classifier, Classifier)
        return self.classifier.trained()

    def run(self, validation: Validation) -> Fit:
        """Train and leave the classifier at its best epoch.

        If ``max_epochs`` end before the best epoch is ``patience`` old, the classifier has not ``converged``,
        which raises a :class:`TrainingError` unless ``on_undertrained`` is ``warn``.
        """
        best = Fit(0, 0, 0, *validation.metrics(self.classifier))
        weights = copy.deepcopy(self.classifier.state_dict())
        epoch = 0
        while not (converged := self._may_stop(epoch, best.best_epoch)):
            if epoch == self.settings.max_epochs:
                self._too_short(best.best_epoch)
                break
            epoch += 1
            self._epoch(epoch)
            loss, auc = validation.metrics(self.classifier)
            if loss < best.val_loss:
                best = Fit(epoch, epoch, 0, loss, auc)
                weights = copy.deepcopy(self.classifier.state_dict())
        self.classifier.load_state_dict(weights)
        steps = epoch * self.steps_per_epoch
        return Fit(best.best_epoch, epoch, steps, best.val_loss, best.val_auc, converged=converged)

    def _may_stop(self, epoch: int, best_epoch: int) -> bool:
        enough = epoch * self.steps_per_epoch >= self.settings.min_steps
        return enough and epoch - best_epoch >= self.settings.patience

    def _epoch(self, epoch: int) -> None:
        seed, *words = self.key
        generator = torch_generator(int(seed), *words, epoch)
        self.classifier.train()
        torch.manual_seed(keyed_hash(int(seed), "noise", *words, epoch) >> 1)  # what dropout draws from
        n, batch = len(self.data.rows), self.settings.batch
        for index in epoch_batches(n, batch, self.steps_per_epoch, generator):
            self._step(index, generator)

    def _step(self, index: Ints, generator: Generator) -> None:
        logits = self._logits(index, generator)
        target = torch.from_numpy(self.data.y[index]).to(logits.dtype)
        loss = binary_cross_entropy_with_logits(logits, target)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def _logits(self, index: Ints, generator: Generator) -> Tensor:
        jets = rotate(self.data.store.batch(self.data.rows[index]), generator)
        logits: Tensor = self.classifier(features(jets), jets.mask)
        return logits

    def _too_short(self, best_epoch: int) -> None:
        """Raise :class:`TrainingError` or warn, as the settings say."""
        text = (
            f"after {self.settings.max_epochs} epochs on {len(self.data.rows)} jets the best one is epoch "
            f"{best_epoch}, fewer than {self.settings.patience} (finetune.patience) ago: the network is "
            "under-trained"
        )
        if self.settings.on_undertrained == "warn":
            logging.warning("%s; finetune.on_undertrained: warn, it is used as it is", text)
            return
        raise TrainingError(
            f"{text}; raise finetune.max_epochs or finetune.learning_rate, or go on with what there is, marked: "
            "finetune.on_undertrained: warn"
        )


class FrozenValidation(Validation):
    """The validation jets as the frozen encoder represents them, ``h`` [n, H]."""

    def __init__(self, h: Floats32, y: Array) -> None:
        self.y = y
        self.h = torch.from_numpy(h)

    @torch.inference_mode()
    def logits(self, classifier: nn.Module) -> Floats32:
        """Return the logits [n] of a head."""
        result: Floats32 = classifier(self.h).squeeze(1).numpy()
        return result


class HeadTraining(Training):
    """Trains a head on what a frozen encoder makes of the labelled jets, ``h`` [n, H]."""

    def __init__(
        self,
        head: DeepHead,
        h: Floats32,
        data: Labelled,
        settings: Finetune,
        rate: float,
        seed: int,
        *words: str | int,
    ) -> None:
        self.h = torch.from_numpy(h)
        super().__init__(head, data, settings, rate, seed, *words)

    def _trained(self) -> list[nn.Parameter]:
        return list(self.classifier.parameters())

    def _logits(self, index: Ints, generator: Generator) -> Tensor:
        logits: Tensor = self.classifier(self.h[torch.from_numpy(index)]).squeeze(1)
        return logits


@torch.inference_mode()
def score(classifiers: Sequence[Classifier], store: JetStore, rows: Ints) -> Floats32:
    """Return the logits [classifiers, B] of the jets ``rows``, whose features are computed once."""
    result = np.empty((len(classifiers), len(rows)), dtype=np.float32)
    for classifier in classifiers:
        classifier.eval()
    for positions, jets in chunks(store, rows):
        x = features(jets)
        for index, classifier in enumerate(classifiers):
            result[index, positions] = classifier(x, jets.mask).numpy()
    return result
