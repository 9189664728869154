"""Trains all classifiers of one task on one pre-training run, or without one.

``finetune.modes`` says which ones. On a pre-trained encoder there are ``probe_h``, ``probe_z`` (frozen; linear on
the representation, on the latent), ``quadratic_h``, ``quadratic_z`` (frozen; linear on
products, too), ``mlp_h``, ``mlp_z`` (frozen; five layers), ``gbt_h``, ``gbt_z`` (frozen;
boosted trees on h or z and on jet observables), ``tuned``, ``tuned_z``,
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
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from rs3l.config.blocks import FinetuneBlock
from rs3l.dataset.checksum import write_checked
from rs3l.errors import ConfigError, DataError
from rs3l.files import sha256
from rs3l.finetune.classifier import Classifier, DeepHead, new_head, supervised, tuned
from rs3l.finetune.classifiers import Classifiers, LinearHead, OnFrozen, Trained, save
from rs3l.finetune.draws import Draw, DrawnJets
from rs3l.finetune.embedded import SPACES, Embedded, embed_at, embedded
from rs3l.finetune.high_level import N2, fit_cut, fit_trees
from rs3l.finetune.probe import Probe
from rs3l.finetune.probe_in_pieces import fit_embedded
from rs3l.finetune.quadratic import fit_quadratic
from rs3l.finetune.sample import SIDES, Index, Wanted
from rs3l.finetune.sources import Source
from rs3l.finetune.state import Result, State, data_digest
from rs3l.finetune.training import Fit, FrozenValidation, Running, Training, Validation
from rs3l.finetune.trees import BoostedTrees
from rs3l.modes import MODES
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import load_encoder, new_encoder, signs_in
from rs3l.seeds import keyed_hash
from rs3l.training.device import Placement
from rs3l.training.stop import Timer
from rs3l.types import Array, Floats64, Ints

HISTORY = (
    "task", "run", "mode", "labels", "repeat", "best_epoch", "epochs", "steps", "val_loss", "val_auc",
    "c", "note", "converged", "collapsed",
)  # fmt: skip
"""These are the columns of the history.

Probes have no epochs, so that their steps are iterations, and ``c`` is their inverse regularisation strength.
``collapsed`` has the signs of collapse that the model file is marked with.
"""


@dataclass(frozen=True)
class Watch:
    """Where trainings compute, and the clock of their states."""

    place: Placement = field(default_factory=Placement)
    save: Timer = field(default_factory=lambda: Timer(60.0))


WATCH = Watch()


def finetune(
    block: FinetuneBlock,
    manifest: str | Path,
    model: str | Path | None,
    classifiers: str | Path,
    history: str | Path,
    state: str | Path | None = None,
    watch: Watch = WATCH,
) -> None:
    """Train all classifiers of ``block`` and write them and their history.

    ``model`` is the run's pre-trained encoder, which the run ``none`` does not have. ``state`` is a folder for
    what is finished and for the place of the last training, which is deleted in the end; without one, nothing is
    kept.
    Raises :class:`ConfigError` if the split of labels has too few events, and :class:`StoppedError` after SIGTERM
    or SIGINT within a training, after which the same call goes on and has the result of an uninterrupted one.
    Passes on what the training raises.
    """
    if (model is None) != block.baseline:
        raise ConfigError(f"the run {block.run!r} needs {'no' if model else 'a'} --model")
    encoder = None if model is None else _checked(model, block)
    collapsed = [] if model is None else signs_in(model)
    checksum = "" if model is None else sha256(model)
    with tempfile.TemporaryDirectory() as temporary:
        kept = State(state or temporary, block, data_digest(manifest, block), checksum)
        job = TaskTraining(block, manifest, _constituents(block, encoder), kept, watch)
        results = job.baselines() if encoder is None else job.pretrained(encoder)
        trained = [Trained(result.mode, result.labels, result.repeat, result.model) for result in results]
        save(classifiers, Classifiers(block.name, block.task, block.run, trained, checksum, collapsed))
        write_checked(history, _history(block, results, "; ".join(collapsed)))
        kept.delete()


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

    def __init__(
        self,
        block: FinetuneBlock,
        manifest: str | Path,
        constituents: int,
        state: State,
        watch: Watch = WATCH,
    ) -> None:
        self.block, self.constituents, self.state, self.watch = block, constituents, state, watch
        modes = [MODES[mode] for mode in block.finetune.modes]
        variants = block.variants if any(mode.views == "all" for mode in modes) else []
        self.index = Index(manifest, block.labels_from, block.task, variants)
        self.draws = self._draws()
        fresh = any(mode.start in ("scratch", "random") for mode in modes)
        held = block.finetune.held_jets
        self.train = DrawnJets(self.index, self.draws, constituents, held, state.folder, fresh)
        self._read_validation(Index(manifest, "val", block.task, []))
        self._norm: dict[str, Tensor] | None = None
        self._random: dict[int, Frozen] = {}
        self._judge: tuple[int, Validation] | None = None

    def _read_validation(self, index: Index) -> None:
        """Read at most ``finetune.validation`` nominal validation jets, half of each class, addressed by task."""
        rng, half = self._rng("validation"), self.block.finetune.validation // 2
        chosen = [rng.permutation(index.positions(side))[:half] for side in SIDES]
        places, rank = np.concatenate(chosen), np.concatenate([np.arange(len(each)) for each in chosen])
        order = np.argsort(places)
        self.val = index.read(Wanted(nominal=index.event_id[places]), self.constituents)
        self.val_rows = self.val.store.rows()
        self.val_y = (self.val.store.process == SIDES.index("signal")).astype(np.int64)
        place = self.watch.place
        self.validation = Validation(self.val.store, self.val_rows, self.val_y, rank[order], place)

    def process_of(self, side: str) -> str:
        """Return the process of signal or background."""
        return str(getattr(self.block.task, side))

    def _rng(self, *words: str | int) -> np.random.Generator:
        return np.random.default_rng(keyed_hash(self.block.seed, *words, *self.words))

    @property
    def words(self) -> tuple[str, ...]:
        """Return the words that the random numbers of a task belong to."""
        task = self.block.task
        types = [",".join(types) for types in (task.signal_types, task.background_types) if types]
        return task.signal, task.background, *types

    def _draws(self) -> list[Draw]:
        """Return each draw of labelled events, half signal and half background, from the split of labels.

        The events belong to (seed, processes, labels, repeat), so that all runs and modes see the same ones.
        Neither the order of the files nor a held-out event plays a role.
        """
        settings = self.block.finetune
        return [
            Draw(labels, repeat, self.draw_events(labels, repeat))
            for labels in settings.labels
            for repeat in range(settings.repeats)
        ]

    def draw_events(self, labels: int, repeat: int) -> Ints:
        """Return the ids of ``labels`` hard events with a nominal jet, the signal first."""
        rng = self._rng("labels", labels, repeat)
        half = labels // 2
        shares = {"signal": half, "background": labels - half}
        return np.concatenate([self._draw(side, n, rng) for side, n in shares.items()])

    def _draw(self, side: str, n: int, rng: np.random.Generator) -> Ints:
        events = np.sort(self.index.event_id[self.index.positions(side)])
        if n > len(events):
            process = self.process_of(side)
            raise ConfigError(
                f"finetune.labels: {max(self.block.finetune.labels)} labels need more events of {process} "
                f"than the {len(events)} with a nominal jet in the {self.index.split} split; lower "
                f"finetune.labels or raise processes.{process}.events"
            )
        return rng.choice(events, size=n, replace=False)

    def pretrained(self, encoder: JetEncoder) -> list[Result]:
        """Return the configured classifiers on a pre-trained encoder."""
        frozen = Frozen(self, encoder)

        def make(mode: str, draw: Draw) -> Result:
            if MODES[mode].start == "frozen":
                return frozen.classifier(mode, draw)
            return self.trained(mode, draw, lambda: frozen.start(mode, draw))

        return self._every(make)

    def baselines(self) -> list[Result]:
        """Return the configured classifiers that know no pre-training."""

        def make(mode: str, draw: Draw) -> Result:
            if MODES[mode].start == "random":
                return self.random(draw)
            if MODES[mode].head == "trees":
                return self.kept(mode, draw, lambda: self.trees(draw))
            if MODES[mode].head == "cut":
                return self.cut(draw)
            return self.trained(mode, draw, lambda: self.untrained(mode, draw))

        return self._every(make)

    def _every(self, make: Callable[[str, Draw], Result]) -> list[Result]:
        """Return the classifiers of all modes and draws, in this order; they are made draw by draw."""
        found: dict[tuple[str, int, int], Result] = {}
        for draw in self.draws:
            for mode in self.block.finetune.modes:
                if MODES[mode].takes_labels or draw.repeat == 0:
                    found[mode, *draw.key] = make(mode, draw)
            self.train.let_go(draw)
        names = [(mode, *draw.key) for mode in self.block.finetune.modes for draw in self.draws]
        return [found[name] for name in names if name in found]

    def kept(self, mode: str, draw: Draw, make: Callable[[], Result]) -> Result:
        """Return a classifier that was finished before, or make and keep it."""
        found = self.state.finished(mode, *draw.key)
        if found is None:
            found = make()
            self.state.keep(found)
        return found

    def random(self, draw: Draw) -> Result:
        """Return the probe on a random frozen encoder, of which there is one per repeat."""
        if draw.repeat not in self._random:
            encoder = self.fresh_encoder("random", draw.repeat)
            self._random[draw.repeat] = Frozen(self, encoder, of_run=False)
        return self._random[draw.repeat].classifier("random", draw)

    def untrained(self, mode: str, draw: Draw) -> Classifier:
        """Return a network that knows nothing yet."""
        words = (mode, draw.labels, draw.repeat)
        encoder = self.fresh_encoder(*words)
        if MODES[mode].head == "linear":
            return supervised(encoder)
        return supervised(encoder, new_head(encoder.config.representation, self.block.seed, *self.words, *words))

    def trees(self, draw: Draw) -> Result:
        """Return the boosted trees on the observables of the labelled nominal jets."""
        fit, trees = self.boosted(*self.train.observables(draw), self.val.observables)
        return Result("gbt", draw.labels, draw.repeat, fit, trees)

    def boosted(self, x: Floats64, y: Array, x_val: Floats64) -> tuple[Fit, BoostedTrees]:
        """Return boosted trees on inputs ``x`` [n, F] of labelled jets, and how they were made."""
        trees = fit_trees(x, y, x_val, self.val_y, self.block.seed)
        fit = Fit(trees.best, trees.model.n_iter_, trees.model.n_iter_, trees.val_loss, trees.val_auc)
        return fit, BoostedTrees.of(trees.model, trees.best)

    def cut(self, draw: Draw) -> Result:
        """Return the cut on N2, which takes no labels and is the same at every number of them."""
        cut = fit_cut(self.val.observables[:, N2], self.val_y)
        return Result("n2", draw.labels, 0, Fit(0, 0, 0, cut.val_loss, cut.val_auc), cut)

    def fresh_encoder(self, *words: str | int) -> JetEncoder:
        """Return a random encoder, normalised on nominal train jets without using labels."""
        assert self.block.encoder is not None, "only a finished model brings its own encoder"
        encoder = new_encoder(
            self.block.encoder,
            self.constituents,
            self.block.seed,
            *self.words,
            *words,
            displacement=self.block.displacement,
        )
        if self._norm is None:
            encoder.fit_norm(self.train.store, self.train.statistics())
            self._norm = {name: value.clone() for name, value in encoder.norm.state_dict().items()}
        encoder.norm.load_state_dict(self._norm)
        return encoder

    def trained(self, mode: str, draw: Draw, start: Callable[[], Classifier]) -> Result:
        """Return the network that begins as ``start`` and was trained on the labels of ``draw``."""
        return self.kept(mode, draw, lambda: self._trained(mode, draw, start()))

    def _trained(self, mode: str, draw: Draw, network: Classifier) -> Result:
        fit = self.train_network(mode, draw, network)
        return Result(mode, draw.labels, draw.repeat, fit, network)

    def train_network(self, mode: str, draw: Draw, network: Classifier) -> Fit:
        """Train one network on the labels of ``draw``."""
        settings = self.block.finetune
        data = self.train.jets(draw, MODES[mode].views == "all")
        rate = settings.tune_learning_rate if MODES[mode].start == "tuned" else settings.learning_rate
        training = self.training(network, data, rate, mode, draw)
        judge = self._judges(training.judges)
        fit = training.run(judge)
        if judge is not self.validation:
            loss, auc = self.validation.metrics(network.to(self.watch.place.device))
            network.cpu()
            fit = replace(fit, val_loss=loss, val_auc=auc)
        log_fit(mode, draw, fit)
        return fit

    def training(self, network: nn.Module, data: Source, rate: float, mode: str, draw: Draw) -> Training:
        """Return the training of one network or head."""
        words = self.training_words(mode, draw)
        running = Running(self.state.checkpoint(mode, *draw.key), self.watch.save, self.watch.place)
        return Training(network, data, self.block.finetune, rate, self.block.seed, *words, running=running)

    def _judges(self, n: int) -> Validation:
        """Return ``n`` of the validation jets, or all if there are no more; the last such choice is kept."""
        if self._judge is None or self._judge[0] != n:
            self._judge = n, self.validation.first(n)
        return self._judge[1]

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
        self.val = dict(zip(SPACES, embed_at(job.watch.place, encoder, job.val.store, job.val_rows), strict=True))
        self._probes: dict[tuple[str, int, int], Probe] = {}
        self._embedded: tuple[tuple[int, int], dict[str, Embedded]] | None = None

    def classifier(self, mode: str, draw: Draw) -> Result:
        """Return one classifier on the frozen encoder: a probe, a five-layer head or boosted trees."""
        if MODES[mode].head == "deep":
            return self.head(mode, draw)
        if MODES[mode].head == "trees":
            return self.job.kept(mode, draw, lambda: self.trees(mode, draw))
        if MODES[mode].head == "quadratic":
            return self.job.kept(mode, draw, lambda: self.quadratic(mode, draw))
        found = self.job.kept(mode, draw, lambda: self.result(mode, draw, self.probe(MODES[mode].space, draw)))
        assert isinstance(found.model, OnFrozen)
        return replace(found, model=replace(found.model, encoder=self.stored))  # one object, not a copy per file

    def start(self, mode: str, draw: Draw) -> Classifier:
        """Return a network that starts as a classifier on the frozen encoder."""
        space = MODES[mode].space
        if MODES[mode].head == "deep":
            model = self.head("mlp_h", draw).model
            assert isinstance(model, OnFrozen) and isinstance(model.head, DeepHead)
            return Classifier(copy.deepcopy(self.encoder), copy.deepcopy(model.head), space == "z")
        return tuned(self.encoder, self.probe(space, draw), space == "z")

    def probe(self, space: str, draw: Draw) -> Probe:
        """Return the probe on the representation h or the latent z."""
        key = (space, *draw.key)
        if key not in self._probes:
            self._probes[key] = fit_embedded(self.embedded(draw)[space], self.val[space], self.job.val_y)
        return self._probes[key]

    def embedded(self, draw: Draw) -> dict[str, Embedded]:
        """Return h and z of the nominal jets of a draw; those of the last one are kept."""
        if self._embedded is None or self._embedded[0] != draw.key:
            jets, folder = self.job.train.jets(draw, every_view=False), self.job.train.folder
            self._embedded = (
                draw.key,
                embedded(self.encoder, jets, folder, self.job.train.name(draw), self.job.watch.place),
            )
        return self._embedded[1]

    def head(self, mode: str, draw: Draw) -> Result:
        """Return the five-layer head ``mlp_h`` or ``mlp_z``, trained on the labels of ``draw``."""
        return self.job.kept(mode, draw, lambda: self._trained_head(mode, draw))

    def _trained_head(self, mode: str, draw: Draw) -> Result:
        job, space = self.job, MODES[mode].space
        data = self.embedded(draw)[space]
        head = new_head(data.width, job.block.seed, *job.training_words(mode, draw))
        head.standardise(*data.moments())
        training = job.training(head, data, job.block.finetune.learning_rate, mode, draw)
        fit = training.run(FrozenValidation(self.val[space], job.val_y, job.watch.place))
        log_fit(mode, draw, fit)
        return Result(mode, draw.labels, draw.repeat, fit, OnFrozen(head, space, self.stored))

    def quadratic(self, mode: str, draw: Draw) -> Result:
        """Return the quadratic probe on h or z."""
        train, space = self.job.train, MODES[mode].space
        scratch = train.folder / f"{train.name(draw)}-{mode}.f32"
        head, probe = fit_quadratic(self.embedded(draw)[space], self.val[space], self.job.val_y, scratch)
        fit = _fit_of(probe)
        return Result(mode, draw.labels, draw.repeat, fit, OnFrozen(head, space, self.stored))

    def trees(self, mode: str, draw: Draw) -> Result:
        """Return boosted trees on h or z and the observables of the labelled nominal jets, all held in memory."""
        job, space = self.job, MODES[mode].space
        data, (observables, y) = self.embedded(draw)[space], job.train.observables(draw)
        assert np.array_equal(data.y, y), "embedded jets and observables are of the same jets"
        x = np.column_stack([data.rows(0, len(data)), observables])
        fit, trees = job.boosted(x, y, np.column_stack([self.val[space], job.val.observables]))
        return Result(mode, draw.labels, draw.repeat, fit, OnFrozen(trees, space, self.stored))

    def result(self, mode: str, draw: Draw, probe: Probe) -> Result:
        """Return the probe as a classifier on the encoder."""
        head = LinearHead(probe.weight, probe.bias)
        return Result(
            mode, draw.labels, draw.repeat, _fit_of(probe), OnFrozen(head, MODES[mode].space, self.stored)
        )


def _fit_of(probe: Probe) -> Fit:
    note = "best C at the edge of the grid" if probe.at_edge else ""
    return Fit(0, 0, probe.iterations, probe.val_loss, probe.val_auc, probe.c, note)


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
