"""Trains all classifiers of one task on one pre-training run, or without one.

``finetune.modes`` says which ones. On a pre-trained encoder there are ``probe_h``, ``probe_z`` (frozen; linear on
the representation, on the latent), ``mlp_h``, ``mlp_z`` (frozen; five layers), ``tuned``, ``tuned_z``,
``tuned_mlp`` (all weights, starting from ``probe_h``, ``probe_z``, ``mlp_h``) and ``tuned_views`` (as ``tuned``,
on all re-simulated views of the labelled events). Without one there are ``scratch`` (supervised, on the nominal
jets of the labelled events), ``scratch_mlp`` (with five layers as head), ``scratch_views`` (on all their
re-simulated views), ``random`` (linear on h of a random frozen encoder), ``gbt`` (boosted trees on jet
observables) and ``n2`` (a cut). All modes of all runs see the same labelled events.

Every choice (regularisation, best epoch) is made on nominal jets of the validation split. The labels of these
jets are the same for all modes and are not counted in ``labels``.
"""

from __future__ import annotations

import copy
import csv
import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rs3l.config.blocks import FinetuneBlock
from rs3l.dataset.checksum import write_checked
from rs3l.dataset.store import JetStore
from rs3l.errors import ConfigError, DataError
from rs3l.files import sha256
from rs3l.finetune.classifier import (
    Classifier,
    DeepHead,
    Fit,
    FrozenValidation,
    HeadTraining,
    Labelled,
    Training,
    Validation,
    new_head,
    supervised,
    tuned,
)
from rs3l.finetune.classifiers import Classifiers, LinearHead, Model, OnFrozen, Trained, save
from rs3l.finetune.high_level import N2, fit_cut, fit_trees
from rs3l.finetune.probe import Probe, fit_probe
from rs3l.finetune.sample import SIDES, load_sample
from rs3l.finetune.trees import BoostedTrees
from rs3l.modes import MODES
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import embed, load_encoder, new_encoder, signs_in
from rs3l.seeds import keyed_hash
from rs3l.types import Floats32, Ints

VALIDATION_JETS = 2000
"""Choices are made on this number of nominal validation jets at most, half of each class."""

HISTORY = (
    "task", "run", "mode", "labels", "repeat", "best_epoch", "epochs", "steps", "val_loss", "val_auc",
    "c", "note", "converged", "collapsed",
)  # fmt: skip
"""These are the columns of the history.

Probes have no epochs, so that their steps are iterations, and ``c`` is their inverse regularisation strength.
``collapsed`` has the signs of collapse that the model file is marked with.
"""


@dataclass(frozen=True)
class Result:
    """One classifier with the way it was trained."""

    mode: str
    labels: int
    repeat: int
    fit: Fit
    model: Model


@dataclass(frozen=True)
class Draw:
    """One draw of labelled events."""

    labels: int
    repeat: int
    event_id: Ints


def finetune(
    block: FinetuneBlock,
    manifest: str | Path,
    model: str | Path | None,
    classifiers: str | Path,
    history: str | Path,
) -> None:
    """Train all classifiers of ``block`` and write them and their history.

    ``model`` is the run's pre-trained encoder, which the run ``none`` does not have. Raises :class:`ConfigError`
    if the train split has too few events, and passes on what the training raises.
    """
    if (model is None) != block.baseline:
        raise ConfigError(f"the run {block.run!r} needs {'no' if model else 'a'} --model")
    encoder = None if model is None else _checked(model, block)
    collapsed = [] if model is None else signs_in(model)
    job = TaskTraining(block, manifest, _constituents(block, encoder))
    results = list(job.baselines() if encoder is None else job.pretrained(encoder))
    trained = [Trained(result.mode, result.labels, result.repeat, result.model) for result in results]
    checksum = "" if model is None else sha256(model)
    save(classifiers, Classifiers(block.name, block.task, block.run, trained, checksum, collapsed))
    write_checked(history, _history(block, results, "; ".join(collapsed)))


def _checked(path: str | Path, block: FinetuneBlock) -> JetEncoder:
    """Return the encoder in ``path``; raises :class:`DataError` if it is not that of the configuration.

    A finished model is accepted as it is.
    """
    encoder = load_encoder(path, given=block.encoder is None)
    if block.encoder is None:
        return encoder
    found = (encoder.config, encoder.constituents, encoder.displacement)
    if found != (block.encoder, block.constituents, block.displacement):
        raise DataError(
            f"{path}: made with another pretrain.encoder, constituents or displacement than this configuration's; "
            "pre-train it again (pretrain.py)"
        )
    return encoder


def _constituents(block: FinetuneBlock, encoder: JetEncoder | None) -> int:
    if encoder is not None:
        return encoder.constituents
    if block.constituents is None:
        raise ConfigError(f"the run {block.run!r} without pre-training needs encoder and constituents")
    return block.constituents


class TaskTraining:
    """The jets of one task, and the classifiers on them."""

    def __init__(self, block: FinetuneBlock, manifest: str | Path, constituents: int) -> None:
        self.block = block
        self.constituents = constituents
        all_views = any(MODES[mode].views == "all" for mode in block.finetune.modes)
        train_variants = block.variants if all_views else ["nominal"]
        self.samples = {
            split: load_sample(manifest, split, block.task, variants, constituents)
            for split, variants in (("train", train_variants), ("val", ["nominal"]))
        }
        self.train, self.val = (sample.store for sample in self.samples.values())
        self.val_rows = self._validation_rows()
        self.val_y = self.is_signal(self.val)[self.val_rows]
        self.validation = Validation(self.val, self.val_rows, self.val_y)

    def is_signal(self, store: JetStore) -> Ints:
        """Return the label of each jet [J], 1 for signal."""
        labels: Ints = (store.process == SIDES.index("signal")).astype(np.int64)
        return labels

    def process_of(self, side: str) -> str:
        """Return the process of signal or background."""
        return str(getattr(self.block.task, side))

    def _validation_rows(self) -> Ints:
        """Return the nominal validation jets, at most :data:`VALIDATION_JETS`, addressed by task."""
        rng = self._rng("validation")
        rows = [rng.permutation(self.val.rows(process=side))[: VALIDATION_JETS // 2] for side in SIDES]
        return np.sort(np.concatenate(rows))

    def _rng(self, *words: str | int) -> np.random.Generator:
        return np.random.default_rng(keyed_hash(self.block.seed, *words, *self.words))

    @property
    def words(self) -> tuple[str, ...]:
        """Return the words that the random numbers of a task belong to."""
        task = self.block.task
        types = [",".join(types) for types in (task.signal_types, task.background_types) if types]
        return task.signal, task.background, *types

    def draws(self) -> Iterator[Draw]:
        """Yield each draw of labelled events, half signal and half background, from the train split.

        The events belong to (seed, processes, labels, repeat), so that all runs and modes see the same ones.
        Neither the order of the files nor a held-out event plays a role.
        """
        for labels in self.block.finetune.labels:
            for repeat in range(self.block.finetune.repeats):
                yield Draw(labels, repeat, self.draw_events(labels, repeat))

    def draw_events(self, labels: int, repeat: int) -> Ints:
        """Return the ids of ``labels`` hard events with a nominal jet, the signal first."""
        rng = self._rng("labels", labels, repeat)
        half = labels // 2
        shares = {"signal": half, "background": labels - half}
        return np.concatenate([self._draw(side, n, rng) for side, n in shares.items()])

    def _draw(self, side: str, n: int, rng: np.random.Generator) -> Ints:
        events = np.sort(self.train.event_id[self.train.rows(side, "nominal")])
        if n > len(events):
            process = self.process_of(side)
            raise ConfigError(
                f"finetune.labels: {max(self.block.finetune.labels)} labels need more events of {process} "
                f"than the {len(events)} with a nominal jet in the train split; lower finetune.labels or "
                f"raise processes.{process}.events"
            )
        return rng.choice(events, size=n, replace=False)

    def labelled(self, draw: Draw, variant: str | None) -> Labelled:
        """Return the labelled jets of a draw under one variant, or with None all their views."""
        rows = self.train.rows(variant=variant)
        rows = rows[np.isin(self.train.event_id[rows], draw.event_id)]
        return Labelled(self.train, rows, self.is_signal(self.train)[rows])

    def pretrained(self, encoder: JetEncoder) -> Iterator[Result]:
        """Yield the configured classifiers on a pre-trained encoder."""
        frozen = Frozen(self, encoder)
        draws = list(self.draws())
        for mode in self.block.finetune.modes:
            if MODES[mode].start == "frozen":
                yield from (frozen.classifier(mode, draw) for draw in draws)
            else:
                yield from self.trained(mode, draws, [frozen.start(mode, draw) for draw in draws])

    def baselines(self) -> Iterator[Result]:
        """Yield the configured classifiers that know no pre-training."""
        draws = list(self.draws())
        for mode in self.block.finetune.modes:
            if MODES[mode].start == "random":
                yield from self.random(draws)
            elif MODES[mode].head == "trees":
                yield from (self.trees(draw) for draw in draws)
            elif MODES[mode].head == "cut":
                yield from self.cut()
            else:
                yield from self.trained(mode, draws, [self.untrained(mode, draw) for draw in draws])

    def random(self, draws: Sequence[Draw]) -> Iterator[Result]:
        """Yield the probes on random frozen encoders, one encoder per repeat."""
        for repeat in range(self.block.finetune.repeats):
            encoder = self.fresh_encoder(self.train.rows(variant="nominal"), "random", repeat)
            frozen = Frozen(self, encoder, of_run=False)
            yield from (frozen.classifier("random", draw) for draw in draws if draw.repeat == repeat)

    def untrained(self, mode: str, draw: Draw) -> Classifier:
        """Return a network that knows nothing yet."""
        words = (mode, draw.labels, draw.repeat)
        encoder = self.fresh_encoder(self.train.rows(variant="nominal"), *words)
        if MODES[mode].head == "linear":
            return supervised(encoder)
        return supervised(encoder, new_head(encoder.config.representation, self.block.seed, *self.words, *words))

    def trees(self, draw: Draw) -> Result:
        """Return the boosted trees on the observables of the labelled nominal jets."""
        data = self.labelled(draw, "nominal")
        x = {split: sample.observables for split, sample in self.samples.items()}
        trees = fit_trees(x["train"][data.rows], data.y, x["val"][self.val_rows], self.val_y, self.block.seed)
        fit = Fit(trees.best, trees.model.n_iter_, trees.model.n_iter_, trees.val_loss, trees.val_auc)
        return Result("gbt", draw.labels, draw.repeat, fit, BoostedTrees.of(trees.model, trees.best))

    def cut(self) -> Iterator[Result]:
        """Yield the cut on N2, which takes no labels and is the same at every number of them."""
        n2 = {split: sample.observables[:, N2] for split, sample in self.samples.items()}
        cut = fit_cut(n2["val"][self.val_rows], self.val_y)
        fit = Fit(0, 0, 0, cut.val_loss, cut.val_auc)
        for labels in self.block.finetune.labels:
            yield Result("n2", labels, 0, fit, cut)

    def fresh_encoder(self, rows: Ints, *words: str | int) -> JetEncoder:
        """Return a random encoder, normalised on the train jets ``rows`` without using labels."""
        assert self.block.encoder is not None, "only a finished model brings its own encoder"
        encoder = new_encoder(
            self.block.encoder,
            self.constituents,
            self.block.seed,
            *self.words,
            *words,
            displacement=self.block.displacement,
        )
        encoder.fit_norm(self.train, rows)
        return encoder

    def trained(self, mode: str, draws: Sequence[Draw], networks: Sequence[Classifier]) -> Iterator[Result]:
        """Train one network per draw and yield them."""
        for draw, network in zip(draws, networks, strict=True):
            yield Result(mode, draw.labels, draw.repeat, self.train_network(mode, draw, network), network)

    def train_network(self, mode: str, draw: Draw, network: Classifier) -> Fit:
        """Train one network on the labels of ``draw``."""
        settings = self.block.finetune
        data = self.labelled(draw, None if MODES[mode].views == "all" else "nominal")
        rate = settings.tune_learning_rate if MODES[mode].start == "tuned" else settings.learning_rate
        fit = Training(network, data, settings, rate, self.block.seed, *self.training_words(mode, draw)).run(
            self.validation
        )
        log_fit(mode, draw, fit)
        return fit

    def training_words(self, mode: str, draw: Draw) -> tuple[str | int, ...]:
        """Return the words that the random numbers of one training belong to."""
        return mode, self.block.run, *self.words, draw.labels, draw.repeat


def log_fit(mode: str, draw: Draw, fit: Fit) -> None:
    """Log how a training went."""
    logging.info(
        "%s, %d labels, repeat %d: best epoch %d of %d, val loss %.4f, val AUC %.4f",
        mode, draw.labels, draw.repeat, fit.best_epoch, fit.epochs, fit.val_loss, fit.val_auc,
    )  # fmt: skip


class Frozen:
    """The embeddings of one frozen encoder, of the run or another, computed once, and classifiers on them."""

    def __init__(self, job: TaskTraining, encoder: JetEncoder, of_run: bool = True) -> None:
        self.job = job
        self.encoder = encoder
        self.stored = None if of_run else encoder
        self.val_h, self.val_z = embed(encoder, job.val, job.val_rows)
        self._probes: dict[tuple[str, int, int], Probe] = {}
        self._heads: dict[tuple[str, int, int], tuple[DeepHead, Fit]] = {}

    def classifier(self, mode: str, draw: Draw) -> Result:
        """Return one classifier on the frozen encoder, either a probe or a five-layer head."""
        space = MODES[mode].space
        if MODES[mode].head == "linear":
            return self.result(mode, draw, self.probe_z(draw) if space == "z" else self.probe_h(draw))
        head, fit = self.head(mode, draw)
        return Result(mode, draw.labels, draw.repeat, fit, OnFrozen(head, space, self.stored))

    def start(self, mode: str, draw: Draw) -> Classifier:
        """Return a network that starts as a classifier on the frozen encoder."""
        latent = MODES[mode].space == "z"
        if MODES[mode].head == "deep":
            return Classifier(copy.deepcopy(self.encoder), copy.deepcopy(self.head("mlp_h", draw)[0]), latent)
        return tuned(self.encoder, self.probe_z(draw) if latent else self.probe_h(draw), latent)

    def probe_h(self, draw: Draw) -> Probe:
        """Return the probe on the representation."""
        return self._probe("h", draw, self.val_h)

    def probe_z(self, draw: Draw) -> Probe:
        """Return the probe on the latent."""
        return self._probe("z", draw, self.val_z)

    def _probe(self, space: str, draw: Draw, val: Floats32) -> Probe:
        key = (space, draw.labels, draw.repeat)
        if key not in self._probes:
            data = self.job.labelled(draw, "nominal")
            self._probes[key] = fit_probe(self._embedded(space, data), data.y, val, self.job.val_y)
        return self._probes[key]

    def _embedded(self, space: str, data: Labelled) -> Floats32:
        return embed(self.encoder, data.store, data.rows)["hz".index(space)]

    def head(self, mode: str, draw: Draw) -> tuple[DeepHead, Fit]:
        """Return the five-layer head ``mlp_h`` or ``mlp_z``, trained on the labels of ``draw``."""
        key = (mode, draw.labels, draw.repeat)
        if key not in self._heads:
            self._heads[key] = self._trained_head(mode, draw)
        return self._heads[key]

    def _trained_head(self, mode: str, draw: Draw) -> tuple[DeepHead, Fit]:
        job, space = self.job, MODES[mode].space
        data = job.labelled(draw, "nominal")
        x = self._embedded(space, data)
        words = job.training_words(mode, draw)
        head = new_head(x.shape[1], job.block.seed, *words)
        head.standardise(x)
        settings = job.block.finetune
        training = HeadTraining(head, x, data, settings, settings.learning_rate, job.block.seed, *words)
        fit = training.run(FrozenValidation(self.val_z if space == "z" else self.val_h, job.val_y))
        log_fit(mode, draw, fit)
        return head, fit

    def result(self, mode: str, draw: Draw, probe: Probe) -> Result:
        """Return the probe as a classifier on the encoder."""
        note = "best C at the edge of the grid" if probe.at_edge else ""
        fit = Fit(0, 0, probe.iterations, probe.val_loss, probe.val_auc, probe.c, note)
        head = LinearHead(probe.weight, probe.bias)
        return Result(mode, draw.labels, draw.repeat, fit, OnFrozen(head, MODES[mode].space, self.stored))


def _history(block: FinetuneBlock, results: Sequence[Result], collapsed: str) -> str:
    """Return the history as CSV; ``collapsed`` has the signs of a collapse of the encoder."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HISTORY)
    writer.writerows([*_history_line(block, result), collapsed] for result in results)
    return stream.getvalue()


def _history_line(block: FinetuneBlock, result: Result) -> list[str | int | float]:
    fit = result.fit
    head: list[str | int | float] = [block.name, block.run, result.mode, result.labels, result.repeat]
    head += [fit.best_epoch, fit.epochs, fit.steps, f"{fit.val_loss:.6g}", f"{fit.val_auc:.6g}"]
    return [*head, "" if fit.c is None else f"{fit.c:g}", fit.note, fit.converged]
