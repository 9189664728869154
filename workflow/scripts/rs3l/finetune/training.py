"""The training of one classifier, which is resumable to the bit, and the validation jets that it is judged by.

Shapes: n labelled or validation jets, B jets of a batch, N padded candidates, F = 15 features, H representation.
Masks are True for real candidates.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Generator, Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from rs3l.config.finetune import Finetune
from rs3l.dataset.features import features
from rs3l.dataset.store import JetStore
from rs3l.errors import StoppedError, TrainingError
from rs3l.finetune.classifier import Classifier
from rs3l.finetune.order import Order, Pool
from rs3l.finetune.probe import balanced_loss
from rs3l.finetune.sources import Part, Source
from rs3l.networks.base import chunks
from rs3l.seeds import keyed_hash
from rs3l.training.checkpoint import Checkpoint
from rs3l.training.device import Placement
from rs3l.training.stop import StopRequest, Timer
from rs3l.types import Array, Floats32, Ints

ALONE = Placement()
"""The CPU."""

FEWEST_JUDGES = 2000
JUDGES_PER_JET = 2
"""A training is judged by this number of validation jets per jet that it sees between two looks, or by so few."""

State = dict[str, Tensor]


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


class Validation:
    """The validation jets, half of each class, whose features are computed once."""

    def __init__(
        self, store: JetStore, rows: Ints, y: Array, rank: Ints | None = None, place: Placement = ALONE
    ) -> None:
        """Take the jets ``rows`` [n], of which those with a low ``rank`` [n] within their class are used first."""
        self.store, self.rows, self.y, self.place = store, rows, y, place
        self.rank = np.arange(len(rows)) if rank is None else rank
        parts = ((positions, place.put((features(jets), jets.mask))) for positions, jets in chunks(store, rows))
        self.parts = [(positions, *inputs) for positions, inputs in parts]

    def first(self, n: int) -> Validation:
        """Return about ``n`` of the jets, half of each class, or all if there are no more."""
        if n >= len(self.rows):
            return self
        chosen = np.flatnonzero(self.rank < n // 2)
        return Validation(self.store, self.rows[chosen], self.y[chosen], self.rank[chosen], self.place)

    @torch.inference_mode()
    def logits(self, classifier: nn.Module) -> Floats32:
        """Return the logits [n] of the validation jets."""
        classifier.eval()
        result = np.empty(len(self.y), dtype=np.float32)
        found = [(positions, classifier(x, mask)) for positions, x, mask in self.parts]
        for positions, logits in found:
            result[positions] = self.place.host(logits)
        return result

    def metrics(self, classifier: nn.Module) -> tuple[float, float]:
        """Return the class-balanced loss and the AUC."""
        logits = self.logits(classifier)
        return balanced_loss(logits, self.y), float(roc_auc_score(self.y, logits))


class FrozenValidation:
    """The validation jets as the frozen encoder represents them, ``h`` [n, H]."""

    def __init__(self, h: Floats32, y: Array, place: Placement = ALONE) -> None:
        self.y, self.place = y, place
        self.h = place.put(torch.from_numpy(h))

    @torch.inference_mode()
    def logits(self, classifier: nn.Module) -> Floats32:
        """Return the logits [n] of a head."""
        result: Floats32 = self.place.host(classifier(self.h).squeeze(1))
        return result

    def metrics(self, classifier: nn.Module) -> tuple[float, float]:
        """Return the class-balanced loss and the AUC."""
        logits = self.logits(classifier)
        return balanced_loss(logits, self.y), float(roc_auc_score(self.y, logits))


class Judge(Protocol):
    """The validation jets, as networks or heads see them."""

    def metrics(self, classifier: nn.Module) -> tuple[float, float]:
        """Return the class-balanced loss and the AUC."""


class Batch(NamedTuple):
    """The jets ``rows`` [B] of a part, with the generator of their rotations."""

    part: Part
    rows: Ints
    generator: Generator


class Running(NamedTuple):
    """Where a training computes and how it is saved, none of which changes its result on one device."""

    checkpoint: Checkpoint | None = None
    save: Timer | None = None
    place: Placement = ALONE


class Training:
    """Trains ``classifier`` until its validation loss has not improved for ``patience`` epochs.

    An epoch ends with a look at the validation jets. It is a pass over the labelled jets, of at least
    :data:`rs3l.finetune.order.MIN_STEPS` steps, or ``validate_every`` steps if a pass has more. It uses binary
    cross-entropy, AdamW at a constant rate, and a random rotation of each jet about its axis. The random numbers
    of each pass and step belong to ``seed`` and ``words``.
    """

    def __init__(
        self,
        classifier: nn.Module,
        data: Source,
        settings: Finetune,
        rate: float,
        seed: int,
        *words: str | int,
        running: Running | None = None,
    ) -> None:
        self.running = running or Running()
        self.classifier = classifier.to(self.running.place.device)
        self.data, self.settings = data, settings
        self.key = (seed, "finetune", *words)
        self.order = Order(len(data), settings.batch, *self.key)
        self.steps_per_epoch = min(self.order.steps, settings.validate_every)
        self.optimizer = torch.optim.AdamW(
            trained(classifier), lr=rate, weight_decay=settings.weight_decay, fused=True
        )
        self.step = 0
        self.best = Fit(0, 0, 0, np.inf, 0.0)
        self.weights: State = {}
        self._generator: Generator | None = None
        self._place: Tensor | None = None

    @property
    def judges(self) -> int:
        """The number of validation jets that cost about as much as the jets of an epoch."""
        return max(FEWEST_JUDGES, JUDGES_PER_JET * self.steps_per_epoch * self.order.batch)

    def run(self, validation: Judge) -> Fit:
        """Train what remains and leave the classifier at its best epoch.

        If ``max_epochs`` end before the best epoch is ``patience`` old, the classifier has not ``converged``,
        which raises a :class:`TrainingError` unless ``on_undertrained`` is ``warn``. Raises :class:`StoppedError`
        at the end of the step in which a signal to stop came.
        """
        if not self._resume():
            self._look(validation)
        with StopRequest() as stop:
            batches = self._batches()
            while not (converged := self._may_stop()):
                if self._epoch == self.settings.max_epochs:
                    self._too_short()
                    break
                self._train(batches, stop)
                self._look(validation)
                self._pause(stop)
        self.classifier.load_state_dict(self.weights)
        self.classifier.eval().cpu()
        return replace(self.best, epochs=self._epoch, steps=self.step, converged=converged)

    @property
    def _epoch(self) -> int:
        return self.step // self.steps_per_epoch

    def _may_stop(self) -> bool:
        enough = self.step >= self.settings.min_steps
        return enough and self._epoch - self.best.best_epoch >= self.settings.patience

    def _look(self, validation: Judge) -> None:
        """Compare the classifier with the best one so far."""
        if isinstance(self.classifier, Classifier):
            self.classifier.encoder.norm.check()
        loss, auc = validation.metrics(self.classifier)
        if loss < self.best.val_loss or not self.weights:
            self.best = Fit(self._epoch, 0, 0, loss, auc)
            self.weights = {name: value.clone() for name, value in self.classifier.state_dict().items()}

    def _train(self, batches: Iterator[Batch], stop: StopRequest) -> None:
        """Train to the end of an epoch."""
        self.classifier.train()
        while True:
            batch = next(batches)
            self._take_step(batch)
            self._generator = batch.generator
            if self.step % self.steps_per_epoch == 0:
                return  # a pause belongs after the look at the validation jets
            self._pause(stop)

    def _pause(self, stop: StopRequest) -> None:
        """Save the state if it is due, and stop if that is asked for."""
        timer = self.running.save
        if stop.name or (timer and timer.due()):
            self._save()
        if stop.name:
            raise StoppedError(
                f"stopped by {stop.name} in epoch {self._epoch + 1}, after step {self.step}; the state is saved: "
                "start the same command again, and it goes on there"
            )

    def _take_step(self, batch: Batch) -> None:
        _seed_noise(keyed_hash(int(self.key[0]), "noise", *self.key[1:], self.step) >> 1, self.running.place)
        inputs = batch.part.inputs(batch.rows, batch.generator, self.running.place)
        with self.running.place.autocast():
            logits = self.classifier(*inputs)
        logits = logits.float().reshape(-1)
        target = self.running.place.put(torch.from_numpy(batch.part.y[batch.rows])).to(logits.dtype)
        loss = binary_cross_entropy_with_logits(logits, target)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.step += 1

    def _batches(self) -> Iterator[Batch]:
        """Yield the batches of this and all later passes, from the current step on."""
        number, done = divmod(self.step, self.order.steps)
        if not done:
            self._place = None  # a pass begins with a generator of its own
        while True:
            generator = self.order.generator(number + 1)
            pools = self.order.pools(number + 1, generator)
            for part, batches in _parts(self.data, pools, done):
                if self._place is not None:
                    generator.set_state(self._place)
                    self._place = None
                yield from (Batch(part, rows, generator) for rows in batches)
            number, done = number + 1, 0

    def _save(self) -> None:
        if self.running.checkpoint is None or self._generator is None:
            return
        if self.running.save is not None:
            self.running.save.restart()
        self.running.checkpoint.save(
            {
                "step": self.step,
                "best": asdict(self.best),
                "weights": self.weights,
                "classifier": self.classifier.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "generator": self._generator.get_state(),
            }
        )

    def _resume(self) -> bool:
        """Go to where the state is; return whether there is one.

        Raises :class:`DataError` if it cannot be used.
        """
        checkpoint = self.running.checkpoint
        state = None if checkpoint is None else checkpoint.load()
        if state is None or checkpoint is None:
            return False
        try:
            self._take(state)
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise checkpoint.unusable(error) from None
        logging.info("resuming after step %d: %s", self.step, checkpoint.path)
        return True

    def _take(self, state: Mapping[str, Any]) -> None:
        device = self.running.place.device
        self.step, self.best, self._place = int(state["step"]), Fit(**state["best"]), state["generator"]
        Generator().set_state(state["generator"])
        self.weights = {name: value.to(device) for name, value in state["weights"].items()}
        self.classifier.load_state_dict(state["classifier"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _too_short(self) -> None:
        """Raise :class:`TrainingError` or warn, as the settings say."""
        text = (
            f"after {self.settings.max_epochs} epochs on {len(self.data)} jets the best one is epoch "
            f"{self.best.best_epoch}, fewer than {self.settings.patience} (finetune.patience) ago: the network is "
            "under-trained"
        )
        if self.settings.on_undertrained == "warn":
            logging.warning("%s; finetune.on_undertrained: warn, it is used as it is", text)
            return
        raise TrainingError(
            f"{text}; raise finetune.max_epochs or finetune.learning_rate, or go on with what there is, marked: "
            "finetune.on_undertrained: warn"
        )


def trained(classifier: nn.Module) -> list[nn.Parameter]:
    """Return the weights that are trained, which are all of a head's."""
    return classifier.trained() if isinstance(classifier, Classifier) else list(classifier.parameters())


def _seed_noise(seed: int, place: Placement) -> None:
    """Seed what dropout draws from; ``torch.manual_seed`` is slow, for it looks for devices that are not there."""
    torch.default_generator.manual_seed(seed)
    if place.device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _parts(data: Source, pools: Iterator[Pool], done: int) -> Iterator[tuple[Part, Ints]]:
    """Yield the part of each pool with its batches after the first ``done``.

    A part is read while the one before is used.
    """
    waiting: tuple[Future[Part], Ints] | None = None
    reader = ThreadPoolExecutor(1)
    try:
        for blocks, batches in pools:
            rest, done = batches[done:], max(0, done - len(batches))
            if not len(rest):
                continue
            if blocks is None:
                yield data.part(None), rest
                continue
            following = reader.submit(data.part, blocks), rest
            if waiting is not None:
                yield waiting[0].result(), waiting[1]
            waiting = following
        if waiting is not None:
            yield waiting[0].result(), waiting[1]
    finally:
        reader.shutdown(wait=False, cancel_futures=True)
