"""All classifiers of one task on one pre-training run, or without one, and their scores on the test jets.

A pre-training run gives ``probe_h`` and ``probe_z`` (frozen; linear on the representation, on the
latent) and ``tuned`` (all weights). The run ``none`` gives ``scratch`` (supervised, on the nominal jets
of the labelled events), ``scratch_views`` (on all their re-simulated views) and ``random`` (linear on h
of a random frozen encoder). All modes of all runs see the same labelled events.

Every choice (regularisation, best epoch) is made on nominal jets of the validation split. The labels of
those are the same for all modes and are not counted in ``labels``.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.config.blocks import FinetuneBlock
from rs3l.data.store import Floats, Ints, JetStore, load_views, name_column, read_manifest
from rs3l.errors import ConfigError, DataError
from rs3l.files import atomic
from rs3l.model.classifier import (
    Classifier,
    Fit,
    Labelled,
    Training,
    Validation,
    score,
    supervised,
    tuned,
)
from rs3l.model.encoder import embed, load_encoder, new_encoder
from rs3l.model.encoders.base import JetEncoder
from rs3l.model.probe import Array, Probe, fit_probe
from rs3l.seeds import keyed_hash

VALIDATION_JETS = 2000
"""Nominal validation jets that choices are made on, at most, half of each class."""

HISTORY = (
    "task", "run", "mode", "labels", "repeat", "best_epoch", "epochs", "steps", "val_loss", "val_auc",
    "c", "note",
)  # fmt: skip
"""Columns of the history. Probes have no epochs; their steps are iterations, ``c`` their inverse
regularisation strength."""


def predictions_schema() -> pa.Schema:
    """Return the schema of the predictions: one row per classifier and test jet."""
    kinds = {
        "event_id": pa.int64(),
        "process": pa.string(),
        "variant": pa.string(),
        "is_signal": pa.bool_(),
        "weight": pa.float64(),
        "mode": pa.string(),
        "labels": pa.int32(),
        "repeat": pa.int16(),
        "score": pa.float32(),
    }
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in kinds.items()])


@dataclass(frozen=True)
class Result:
    """One classifier: its training and its scores [J] on the test jets (logits: higher is more signal)."""

    mode: str
    labels: int
    repeat: int
    fit: Fit
    scores: Floats


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
    predictions: str | Path,
    history: str | Path,
) -> None:
    """Train all classifiers of ``block`` and write their test scores and their history.

    ``model`` is the run's pre-trained encoder; the run ``none`` has none. Raises :class:`ConfigError`
    if the train split has too few events, and what the training raises.
    """
    job = Job(block, manifest)
    if (model is None) != (block.run == "none"):
        raise ConfigError(f"the run {block.run!r} needs {'no' if model else 'a'} --model")
    results = list(job.baselines() if model is None else job.pretrained(_checked(model, block)))
    with atomic(predictions) as temporary:
        _write_predictions(temporary, job, results)
    with atomic(history) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(HISTORY)
        writer.writerows(_history_line(block, result) for result in results)


def _checked(path: str | Path, block: FinetuneBlock) -> JetEncoder:
    encoder = load_encoder(path)
    if encoder.config != block.encoder or encoder.constituents != block.constituents:
        raise DataError(
            f"{path}: made with another pretrain.encoder or pretrain.constituents than this configuration's; "
            "pre-train it again (pretrain.py)"
        )
    return encoder


class Job:
    """The jets of one task, and the classifiers on them."""

    def __init__(self, block: FinetuneBlock, manifest: str | Path) -> None:
        self.block = block
        processes = (block.task.signal, block.task.background)
        train_variants = block.variants if block.run == "none" else ["nominal"]
        every_variant = list(read_manifest(manifest)["variants"])
        self.train, self.val, self.test = (
            load_views(manifest, split, processes, variants, block.constituents)
            for split, variants in (("train", train_variants), ("val", ["nominal"]), ("test", every_variant))
        )
        self.val_rows = self._validation_rows()
        self.val_y = self.is_signal(self.val)[self.val_rows]
        self.validation = Validation(self.val, self.val_rows, self.val_y)

    def is_signal(self, store: JetStore) -> Ints:
        """Return the label of each jet [J], 1 for signal."""
        code = store.process_names.index(self.block.task.signal)
        labels: Ints = (store.process == code).astype(np.int64)
        return labels

    def _validation_rows(self) -> Ints:
        """Return the nominal validation jets, at most :data:`VALIDATION_JETS`, addressed by task."""
        rng = self._rng("validation")
        rows = []
        for process in (self.block.task.signal, self.block.task.background):
            found = self.val.rows(process=process)
            if not len(found):
                raise DataError(
                    f"no nominal jet of {process} in the split val; raise processes.{process}.events or "
                    "dataset.splits.val"
                )
            rows.append(rng.permutation(found)[: VALIDATION_JETS // 2])
        return np.sort(np.concatenate(rows))

    def _rng(self, *words: str | int) -> np.random.Generator:
        task = self.block.task
        return np.random.default_rng(keyed_hash(self.block.seed, *words, task.signal, task.background))

    def draws(self) -> Iterator[Draw]:
        """Yield each draw of labelled events: half signal, half background, from the train split.

        The events belong to (seed, processes, labels, repeat): all runs and modes see the same ones, and
        neither the order of the files nor a held-out event plays a role.
        """
        for labels in self.block.finetune.labels:
            for repeat in range(self.block.finetune.repeats):
                yield Draw(labels, repeat, self.draw_events(labels, repeat))

    def draw_events(self, labels: int, repeat: int) -> Ints:
        """Return the ids of ``labels`` hard events with a nominal jet, the signal first."""
        rng = self._rng("labels", labels, repeat)
        half = labels // 2
        shares = {self.block.task.signal: half, self.block.task.background: labels - half}
        return np.concatenate([self._draw(process, n, rng) for process, n in shares.items()])

    def _draw(self, process: str, n: int, rng: np.random.Generator) -> Ints:
        events = np.sort(self.train.event_id[self.train.rows(process, "nominal")])
        if n > len(events):
            raise ConfigError(
                f"finetune.labels: {max(self.block.finetune.labels)} labels need more events of {process} "
                f"than the {len(events)} with a nominal jet in the train split; lower finetune.labels or "
                f"raise processes.{process}.events"
            )
        return rng.choice(events, size=n, replace=False)

    def labelled(self, draw: Draw, variant: str | None) -> Labelled:
        """Return the labelled jets of a draw under one variant (None: all their views)."""
        rows = self.train.rows(variant=variant)
        rows = rows[np.isin(self.train.event_id[rows], draw.event_id)]
        return Labelled(self.train, rows, self.is_signal(self.train)[rows])

    def pretrained(self, encoder: JetEncoder) -> Iterator[Result]:
        """Yield the probes on a pre-trained encoder, then the tuned networks."""
        frozen = Frozen(self, encoder)
        draws = list(self.draws())
        networks, fits = [], []
        for draw in draws:
            probe_h = frozen.probe_h(draw)
            yield frozen.result("probe_h", draw, probe_h, frozen.test_h)
            yield frozen.result("probe_z", draw, frozen.probe_z(draw), frozen.test_z)
            networks.append(tuned(encoder, probe_h))
            fits.append(self.train_network("tuned", draw, networks[-1]))
        yield from self.results("tuned", draws, networks, fits)

    def baselines(self) -> Iterator[Result]:
        """Yield the classifiers that know no pre-training."""
        nominal = self.train.rows(variant="nominal")
        draws = list(self.draws())
        for repeat in range(self.block.finetune.repeats):
            frozen = Frozen(self, self.fresh_encoder(nominal, "random", repeat))
            for draw in (draw for draw in draws if draw.repeat == repeat):
                yield frozen.result("random", draw, frozen.probe_h(draw), frozen.test_h)
        for mode in ("scratch", "scratch_views"):
            networks = [supervised(self.fresh_encoder(nominal, mode, draw.labels, draw.repeat)) for draw in draws]
            pairs = zip(draws, networks, strict=True)
            fits = [self.train_network(mode, draw, network) for draw, network in pairs]
            yield from self.results(mode, draws, networks, fits)

    def fresh_encoder(self, rows: Ints, *words: str | int) -> JetEncoder:
        """Return a random encoder, normalised on the train jets ``rows`` (no labels are used)."""
        task = self.block.task
        encoder = new_encoder(
            self.block.encoder, self.block.constituents, self.block.seed, task.signal, task.background, *words
        )
        encoder.fit_norm(self.train, rows)
        return encoder

    def train_network(self, mode: str, draw: Draw, network: Classifier) -> Fit:
        """Train one network on the labels of ``draw``."""
        settings, task = self.block.finetune, self.block.task
        data = self.labelled(draw, None if mode == "scratch_views" else "nominal")
        rate = settings.tune_learning_rate if mode == "tuned" else settings.learning_rate
        words = (mode, self.block.run, task.signal, task.background, draw.labels, draw.repeat)
        fit = Training(network, data, settings, rate, self.block.seed, *words).run(self.validation)
        logging.info(
            "%s, %d labels, repeat %d: best epoch %d of %d, val loss %.4f, val AUC %.4f",
            mode, draw.labels, draw.repeat, fit.best_epoch, fit.epochs, fit.val_loss, fit.val_auc,
        )  # fmt: skip
        return fit

    def results(
        self, mode: str, draws: Sequence[Draw], networks: Sequence[Classifier], fits: Sequence[Fit]
    ) -> Iterator[Result]:
        """Yield the results of trained networks, scored together."""
        scores = score(networks, self.test, self.test.rows())
        for draw, fit, values in zip(draws, fits, scores, strict=True):
            yield Result(mode, draw.labels, draw.repeat, fit, values)


class Frozen:
    """Embeddings of one frozen encoder, computed once, and probes on them."""

    def __init__(self, job: Job, encoder: JetEncoder) -> None:
        self.job = job
        self.encoder = encoder
        self.val_h, self.val_z = embed(encoder, job.val, job.val_rows)
        self.test_h, self.test_z = embed(encoder, job.test, job.test.rows())

    def probe_h(self, draw: Draw) -> Probe:
        """Return the probe on the representation."""
        return self._probe(draw, 0, self.val_h)

    def probe_z(self, draw: Draw) -> Probe:
        """Return the probe on the latent."""
        return self._probe(draw, 1, self.val_z)

    def _probe(self, draw: Draw, which: int, val: Floats) -> Probe:
        data = self.job.labelled(draw, "nominal")
        x = embed(self.encoder, data.store, data.rows)[which]
        return fit_probe(x, data.y, val, self.job.val_y)

    def result(self, mode: str, draw: Draw, probe: Probe, test: Floats) -> Result:
        """Return the probe's scores of the test jets with embedding ``test`` [J, D]."""
        note = "best C at the edge of the grid" if probe.at_edge else ""
        fit = Fit(0, 0, probe.iterations, probe.val_loss, probe.val_auc, probe.c, note)
        return Result(mode, draw.labels, draw.repeat, fit, probe.logits(test))


def _history_line(block: FinetuneBlock, result: Result) -> list[str | int | float]:
    fit = result.fit
    head: list[str | int | float] = [block.name, block.run, result.mode, result.labels, result.repeat]
    head += [fit.best_epoch, fit.epochs, fit.steps, f"{fit.val_loss:.6g}", f"{fit.val_auc:.6g}"]
    return [*head, "" if fit.c is None else f"{fit.c:g}", fit.note]


def _write_predictions(path: Path, job: Job, results: Sequence[Result]) -> None:
    """Write one row group per classifier."""
    schema = predictions_schema()
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for result in results:
            writer.write_table(_predictions(job, result, schema))


def _predictions(job: Job, result: Result, schema: pa.Schema) -> pa.Table:
    test = job.test
    columns: dict[str, Array | pa.Array] = {
        "event_id": test.event_id,
        "process": name_column(test.process, test.process_names),
        "variant": name_column(test.variant, test.variant_names),
        "is_signal": job.is_signal(test).astype(bool),
        "weight": test.weight,
        "mode": name_column(np.zeros_like(test.variant), [result.mode]),
        "labels": np.full(len(test), result.labels, dtype=np.int32),
        "repeat": np.full(len(test), result.repeat, dtype=np.int16),
        "score": result.scores,
    }
    return pa.table([pa.array(column) for column in columns.values()], schema=schema)
