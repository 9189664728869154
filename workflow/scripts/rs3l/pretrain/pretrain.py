"""Pre-training as a plain loop over views of events, on one or more ranks and resumable to the bit.

Shapes: B events per step, over all ranks; K slots for their views; R views in one forward pass (the first views,
then the second, ...; R = 2B for pairs); D latent dimensions.
"""

from __future__ import annotations

import csv
import io
import logging
import math
import operator
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial, reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor, nn

from rs3l.config.blocks import PretrainBlock
from rs3l.config.losses import kinds_of, weights_of
from rs3l.config.reads import TRAINING
from rs3l.dataset.checksum import sealed_json, write_checked
from rs3l.dataset.features import features
from rs3l.dataset.manifest import read_manifest
from rs3l.dataset.store import JetStore
from rs3l.errors import DataError, StoppedError, TrainingError
from rs3l.files import sha256, write_json
from rs3l.networks.model_file import new_encoder, save_encoder
from rs3l.pretrain.feed import Batch, open_data
from rs3l.pretrain.loader import loaded
from rs3l.pretrain.losses import Loss, diagnose
from rs3l.pretrain.pretexts import Objective, Projection, acts_on_latents, new_pretexts
from rs3l.pretrain.similarity import Similarities
from rs3l.pretrain.view_source import Jets, ViewSource, codes, groups_of
from rs3l.pretrain.views import torch_generator
from rs3l.provenance import provenance
from rs3l.seeds import keyed_hash
from rs3l.training.average import WeightAverage
from rs3l.training.checkpoint import Checkpoint
from rs3l.training.device import place
from rs3l.training.distributed import Ranks, Votes
from rs3l.training.live import Live, NullMetrics, Several, ending
from rs3l.training.optimizer import new_optimizer, new_schedule
from rs3l.training.preflight import preflight
from rs3l.training.stop import StopRequest, Timer
from rs3l.training.tracking import Tracker, described, guarded_trackers
from rs3l.types import Ints

VALIDATION_PAIRS = 2048
"""This number of pairs of the validation split is used at most."""

LOSS_MARGIN = 0.1
"""A final loss above ln(2B - 1) minus this margin sets off an alarm.

It is no better than guessing the partner (with more views of an event, guessing costs more).
"""

COLLAPSED_EPOCHS = 0.25
"""A latent space that looks collapsed for this fraction of the epochs in a row ends a training early.

This does not happen before half of the epochs, because a latent space may take a while to unfold.
"""

SPREAD_ALARM = 0.3
"""A sqrt(D) x standard deviation of the latents below this sets off an alarm.

The latents have then collapsed to a point.
"""

RANK_ALARM = 3.0
"""A RankMe below this sets off an alarm, because the latents have collapsed to a line or plane.

This is for latents of 8 dimensions or more.
"""

RANK_ALARM_FRACTION = 3 / 8
"""This is the same alarm for smaller latents, as a fraction of their dimension."""

ALONE = Ranks()
"""These ranks are one process on the CPU."""

REPORT_SECONDS = 30
"""The log has a line after this time [s] within an epoch."""

Row = dict[str, float]


@dataclass(frozen=True)
class Running:
    """The way a training is watched and saved, none of which changes its result."""

    checkpoint_minutes: float = 10.0
    live: Live = field(default_factory=NullMetrics)
    trackers: Sequence[Tracker] = ()


RUNNING = Running()


def pretrain(
    block: PretrainBlock,
    manifest: str | Path,
    state: str | Path,
    model: str | Path,
    metrics: str | Path,
    provenance_path: str | Path,
    ranks: Ranks = ALONE,
    running: Running = RUNNING,
) -> None:
    """Pre-train one encoder and write its weights, metrics and provenance.

    ``state`` is a folder for the resumable state, which is deleted in the end. The weights are those of the last
    epoch, because the one-cycle schedule ends at a vanishing learning rate, or with ``block.loop.ema`` their
    average over the steps (:class:`WeightAverage`); the validation loss of every epoch is in the metrics. All
    ``ranks`` call this, and the first one writes. Raises :class:`StoppedError` after SIGTERM or SIGINT, after
    which the same call goes on and has the result of an uninterrupted one. Raises :class:`TrainingError` if the
    loss is not finite, the batch is too small for the ranks, or the latent space has collapsed. With
    ``block.on_collapse`` set to ``warn``, a collapse raises nothing, but the model and its provenance say
    ``collapsed``.
    """
    preflight(ranks)
    data = read_manifest(manifest)
    files = data.files_sha256(TRAINING, block.processes)
    trainer = Trainer(block, manifest, Checkpoint(state, block, files), ranks, running)
    with ending(trainer.live):
        trainer.run()
        signs = judge_collapse(block, trainer.rows[-1], trainer.batch)
    if not ranks.first:
        return
    with trainer.averaged():
        save_encoder(trainer.encoder, model, **({"collapsed": signs} if signs else {}))
    write_checked(metrics, _csv(_judged(block, row, trainer.batch) for row in trainer.rows))
    made_from = {
        "block": block.model_dump(),
        "manifest_sha256": sha256(manifest),
        "data": data.contents(TRAINING, block.processes, block.variants),
        "collapsed": signs,
    }
    made_by = provenance(**made_from, ranks=ranks.size, device=ranks.device.type)
    write_json(provenance_path, sealed_json(made_by))
    trainer.checkpoint.delete()


class Outputs(NamedTuple):
    """What a rank computes of its views: z [r, D], if it is needed, and the terms [r] of each pretext task."""

    latents: Tensor | None
    terms: Mapping[str, Tensor]


class Trainer:
    """The state of one pre-training, which :meth:`run` takes from the last checkpoint to the end."""

    def __init__(
        self,
        block: PretrainBlock,
        manifest: str | Path,
        checkpoint: Checkpoint,
        ranks: Ranks = ALONE,
        running: Running = RUNNING,
    ) -> None:
        self.block = block
        self.checkpoint = checkpoint
        self.ranks = ranks
        self.live = self._sinks(running) if ranks.first else NullMetrics()
        self.votes = Votes(ranks)
        self.check_every = 1 if ranks.size == 1 and ranks.device.type == "cpu" else block.check_every
        threads = torch.get_num_threads()
        data = open_data(block, manifest, partial(ViewSource, block), ranks, VALIDATION_PAIRS, threads)
        self.train, self.val = data.train, data.val
        self.batch, self.steps = self.train.batch, self.train.steps
        self.place = place(
            ranks.device, block.loop.precision, block.loop.compile, block.epochs * self.steps, threads
        )
        self.encoder = new_encoder(
            block.encoder, block.constituents, block.seed, "pretrain", displacement=block.displacement
        )
        self.encoder.fit_norm(data.statistics, data.statistics.rows())
        self.encoder.to(ranks.device)
        self.objective = self._objective(data.statistics)
        self.network = ranks.averaging(self.objective)
        self.optimizer = new_optimizer(block, (w for w in self.objective.parameters() if w.requires_grad))
        self.schedule = new_schedule(block, self.optimizer, self.steps)
        ema = block.loop.ema
        self.average = None if ema is None else WeightAverage(self.trained, ema)
        self.rows: list[Row] = []
        self.losses: list[float] = []
        self.waiting: list[Waiting] = []
        self._feed: dict[str, Any] | None = None
        self._generator: Tensor | None = None
        self._save_due, self._report_due = Timer(60 * running.checkpoint_minutes), Timer(REPORT_SECONDS)
        self._check_batch()
        self._resume()
        self.rate = Rate(self.done)

    def _objective(self, statistics: JetStore) -> Objective:
        """Return the network with the losses of the block, of which ``self.compared`` compare latents."""
        block, tasks = self.block, new_pretexts(self.block, self.encoder)
        self.weights = weights_of(block.loss)
        self.compared = {
            name: Loss(name, block.temperature, block.vicreg, block.loss_options)
            for name in self.weights
            if name not in tasks
        }
        network = self.place.compile(Projection(self.encoder))
        objective = Objective(network, tasks, bool(self.compared), self._run)
        objective.fit(statistics, statistics.rows())
        self.encoder.projector.requires_grad_(objective.latents)
        # Alone, the encoder is what is saved and averaged, under the names that it always had.
        self.trained: nn.Module = nn.ModuleDict({"encoder": self.encoder, "tasks": objective.tasks})
        if not tasks:
            self.trained = self.encoder
        return objective.to(self.place.device)

    def _run(self, network: nn.Module, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return h [r, H] and z [r, D] in single precision of features ``x`` [r, N, F] with ``mask`` [r, N]."""
        with self.place.autocast():
            h, z = network(x, mask)
        return _single(h), _single(z)

    @property
    def done(self) -> int:
        """The number of steps taken."""
        return len(self.rows) * self.steps + len(self.losses) + len(self.waiting)

    def run(self) -> None:
        """Train what remains; save the state by the clock, after each epoch, and on a signal to stop.

        Raises :class:`StoppedError` at the end of the step in which a signal came, and :class:`TrainingError`
        where the rest of the training would be in vain (:data:`COLLAPSED_EPOCHS`).
        """
        self.rate = Rate(self.done)
        logging.info(
            "%s: %d events with views, %d epochs of %d steps of %d events, from step %d",
            self.block.method, self.train.total, self.block.epochs, self.steps, self.batch, self.done,
        )  # fmt: skip
        self.live.begin(self.done)
        with StopRequest() as stop:
            for epoch in range(len(self.rows), self.block.epochs):
                self.rows.append({"epoch": epoch + 1, **self._epoch(epoch, stop), **self._validated()})
                self.losses, self._generator = [], None
                self._save()
                self._report()
                if self.block.on_collapse == "stop" and self._collapsed():
                    refuse_collapse(self.block, self.rows[-1], self.batch)
        self.votes.finish()

    def _epoch(self, epoch: int, stop: StopRequest) -> Row:
        """Train one epoch, or the rest of it; every random number belongs to (seed, epoch)."""
        generator = self.train.generator(epoch)
        batches = self.train.batches(generator, len(self.losses))
        if self._generator is not None:
            generator.set_state(self._generator)
        self.objective.train()
        for batch, jets in loaded(batches, self.place):
            self.step(batch, jets, generator)
            stops, saves = self.votes.cast(stop.name is not None, self.ranks.first and self._save_due.due())
            if stops or saves or len(self.waiting) >= self.check_every:
                self.check()
            if stops or saves:
                self._generator = generator.get_state()
                self._save()
            if stops:
                self.votes.finish()
                self.ranks.wait()
                raise StoppedError(self._stopped(epoch, stop.name))
        self.check()
        rate = self.optimizer.param_groups[0]["lr"]
        steps = (epoch + 1) * self.steps
        return {"steps": steps, "learning_rate": rate, "train_loss": float(np.mean(self.losses))}

    def _collapsed(self) -> bool:
        recent = self.rows[-math.ceil(COLLAPSED_EPOCHS * self.block.epochs) :]
        signs = (signs_of_collapse(self.block, row, self.batch) for row in recent)
        return 2 * len(self.rows) >= self.block.epochs and all(signs)

    def _stopped(self, epoch: int, name: str | None) -> str:
        return (
            f"stopped by {name or 'a signal to another rank'} in epoch {epoch + 1}, after step {len(self.losses)} "
            f"of {self.steps}; the state is saved: start the same command again, and it goes on there"
        )

    def step(self, batch: Batch, jets: Jets, generator: Generator) -> None:
        """Take one step and note its loss, without waiting for the device."""
        # Of torch's own generator, which dropout draws from: each step and rank has numbers of its own.
        torch.manual_seed(keyed_hash(self.block.seed, "noise", self.done, self.ranks.rank) >> 1)
        share = self._share(self._outputs(batch.source, jets, batch.rows, generator, batch.part), batch.codes)
        self.optimizer.zero_grad()
        # The loss is the sum of the ranks' shares; the network averages their gradients.
        (share * self.ranks.size).backward()  # type: ignore[no-untyped-call]
        if self.block.loop.clip is not None:
            nn.utils.clip_grad_norm_(self.trained.parameters(), self.block.loop.clip)
        self.optimizer.step()
        self.objective.after_step(self.encoder, self.done / (self.block.epochs * self.steps))
        rate = self.optimizer.param_groups[0]["lr"]
        self.schedule.step()
        self._feed = batch.place
        self.waiting.append(Waiting(share.detach(), rate))
        if self.average is not None:
            self.average.update(self.done)

    def check(self) -> None:
        """Look at the losses of the steps since the last check, for which the device is waited for.

        Raises :class:`TrainingError` or :class:`DataError` if a loss or an input of the network is not finite.
        """
        if not self.waiting:
            return
        first, waiting, self.waiting = self.done - len(self.waiting), self.waiting, []
        for loss, (_, rate) in zip(self.ranks.totals([each.share for each in waiting]), waiting, strict=True):
            self.losses.append(loss)
            if not math.isfinite(loss):
                self.encoder.norm.check()
                step = f"epoch {len(self.rows) + 1}, step {len(self.losses)}"
                raise TrainingError(_not_finite(f"the loss is {loss} in {step}"))
            first += 1
            self.live.step(first, {"loss": loss, "learning_rate": rate})
        self._progress(self.losses[-1])

    def _outputs(self, source: ViewSource, jets: Jets, rows: Ints, generator: Generator, part: slice) -> Outputs:
        """Return what the network and the tasks make of the events ``part`` of ``rows`` [K, B]."""
        views = source.augment(jets, rows, generator, part, self.place)
        processes = codes(source.store, rows[:, part])
        draws = self._draws(rows, part, generator, views.mask.shape[1]) if self.objective.hides else None
        return Outputs(*self.network(features(views), views.mask, self._put(processes[processes >= 0]), draws))

    def _put(self, values: Ints) -> Tensor:
        return self.place.put(torch.from_numpy(values))

    def _draws(self, rows: Ints, part: slice, generator: Generator, slots: int) -> Tensor:
        """Return uniform numbers [r, N] for N ``slots`` of each view of the events ``part`` of ``rows`` [K, B].

        They are drawn for all views and all slots that there can be, so that none depends on ``part``.
        """
        widest = max(slots, self.block.constituents)
        draws = torch.rand(*rows.shape, widest, generator=generator)[:, part, :slots]
        return self.place.put(draws[torch.from_numpy(rows[:, part] >= 0)])

    def _share(self, outputs: Outputs, codes: Ints) -> Tensor:
        """Return this rank's share of the loss of the global batch, which is the sum of the losses by weight."""
        own, terms = outputs
        views = int(np.count_nonzero(codes >= 0))
        shares = {name: each.sum() / views for name, each in terms.items()}
        if own is not None:
            numbers = self.place.put(self.ranks.rows(codes >= 0))
            latents = self.ranks.gather(own, numbers, views)
            shares |= {name: self._share_of(name, own, numbers, latents, codes) for name in self.compared}
        return weighted(shares, self.weights)

    def _share_of(self, name: str, own: Tensor, numbers: Tensor, latents: Tensor, codes: Ints) -> Tensor:
        """Return this rank's share of a loss that compares the ``latents`` [R, D] of all ranks."""
        groups, loss = self._groups(name, codes), self.compared[name]
        return loss(own, groups) if self.ranks.size == 1 else loss.share(own, numbers, latents, groups)

    def _groups(self, name: str, codes: Ints) -> Tensor:
        """Return what a loss compares [R] of views with ``codes`` [K, B]: event, or process for SupCon."""
        return self.place.put(groups_of(codes, name))

    def averaged(self) -> AbstractContextManager[None]:
        """Return the context in which all that is trained has the average of its weights, if there is one."""
        return nullcontext() if self.average is None else self.average.applied()

    def _validated(self) -> Row:
        """Return the metrics of validation, of the weights that the model file would have."""
        with self.averaged():
            return self._validate()

    @torch.no_grad()
    def _validate(self) -> Row:
        """Return the loss and the diagnostics on validation pairs, the same ones after every epoch."""
        generator = torch_generator(self.block.seed, "pretrain", self.block.method, "val")
        pairs = self.val.draw_pairs(generator)
        pairs = pairs[:, torch.randperm(pairs.shape[1], generator=generator).numpy()[:VALIDATION_PAIRS]]
        size = min(self.batch, pairs.shape[1])
        self.objective.eval()
        losses, values = [], []
        similarities = Similarities(self.val.store.process_names, self.block.encoder.latent)
        for start in range(0, pairs.shape[1] - size + 1, size):
            rows = pairs[:, start : start + size]
            jets = self.val.load(rows, self.ranks.part(size), self.place)
            outputs = self._outputs(self.val, jets, rows, generator, self.ranks.part(size))
            assert outputs.latents is not None, "validation needs z for its diagnostics"
            latents = self.ranks.gather(outputs.latents, self.place.put(self.ranks.rows(rows >= 0)), rows.size)
            losses.append(self._finite(self._validation_loss(latents, outputs.terms, rows)))
            values.append(diagnose(latents)._asdict())
            similarities.add(latents.double().cpu().numpy(), self.val.store.process[rows[0]])
        means = {name: float(np.mean([value[name] for value in values])) for name in values[0]}
        return {"val_loss": float(np.mean(losses)), **means, **similarities.row()}

    def _validation_loss(self, latents: Tensor, terms: Mapping[str, Tensor], rows: Ints) -> float:
        """Return the loss of the views ``rows`` [2, B], from the latents of all and this rank's ``terms``."""
        of_all = codes(self.val.store, rows)
        found = {name: loss(latents, self._groups(name, of_all)) for name, loss in self.compared.items()}
        means = self.ranks.totals([each.sum() / rows.size for each in terms.values()]) if terms else []
        found |= {name: latents.new_tensor(mean) for name, mean in zip(terms, means, strict=True)}
        return weighted(found, self.weights).item()

    def _finite(self, loss: float) -> float:
        """Return a validation loss if it is finite; raises :class:`TrainingError` otherwise.

        The last step of an epoch can spoil the weights, and no other loss shows it.
        """
        if not math.isfinite(loss):
            raise TrainingError(_not_finite(f"the validation loss is {loss} after epoch {len(self.rows) + 1}"))
        return loss

    def _sinks(self, running: Running) -> Live:
        training = described(self.block, self.checkpoint.path.stem)
        return Several([running.live, *guarded_trackers(running.trackers, training)])

    def _check_batch(self) -> None:
        smallest = min(self.batch, len(self.val.events.count))
        if smallest < self.ranks.size:
            raise TrainingError(
                f"{self.ranks.size} ranks for batches of {smallest} pairs: each needs one pair or more; use "
                "fewer ranks, or raise pretrain.batch or processes.<name>.events"
            )

    def _save(self) -> None:
        """Write the state, for which all ranks call this.

        A rank's place consists of its random numbers and the place of its feed.
        """
        self._save_due.restart()
        self.live.flush()
        feed = self.train.state_dict() if self._feed is None else self._feed
        places = self.ranks.collect({"generator": self._generator, "feed": feed})
        if not self.ranks.first:
            return
        self.checkpoint.save(
            {
                "encoder": self.encoder.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "rows": self.rows,
                "losses": self.losses,
                "places": places,
                **({"tasks": self.objective.tasks.state_dict()} if self.objective.by_name else {}),
                **({} if self.average is None else {"average": self.average.state_dict()}),
            }
        )

    def _resume(self) -> None:
        """Go to where the state is, if there is one; raises :class:`DataError` if it cannot be used."""
        state = self.checkpoint.load()
        if not self.ranks.agree(0 if state is None else self._check_rows(state)):
            raise DataError(
                f"{self.checkpoint.path}: the ranks see different states of the training; the folder must be "
                "on a file system that all nodes share"
            )
        if state is None:
            return
        try:
            self._take_place(state["places"])
            self.encoder.load_state_dict(state["encoder"])
            if self.objective.by_name:
                self.objective.tasks.load_state_dict(state["tasks"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise self.checkpoint.unusable(error) from None
        self.rows, self.losses = state["rows"], state["losses"]
        logging.info(
            "resuming after epoch %d, step %d: %s", len(self.rows), len(self.losses), self.checkpoint.path
        )

    def _check_rows(self, state: Mapping[str, Any]) -> int:
        """Return the number of steps that a state says were taken, after checking the entries that say so."""
        rows: Any = state.get("rows")
        losses: Any = state.get("losses")
        lists = isinstance(rows, list) and isinstance(losses, list)
        if not lists or {type(row) for row in rows} - {dict} or {type(loss) for loss in losses} - {float}:
            raise self.checkpoint.unusable(ValueError("it is not that of this training"))
        return len(rows) * self.steps + len(losses)

    def _take_place(self, places: Sequence[dict[str, Any]]) -> None:
        """Go to this rank's place; from memory it is the same for all ranks, whatever their number."""
        place = places[self.ranks.rank % len(places)]
        try:
            self.train.load_state_dict(place["feed"])
        except DataError as error:
            raise DataError(
                f"{self.checkpoint.path}: cannot be resumed from ({error}); go on with {len(places)} ranks, or "
                "delete it"
            ) from None
        self._generator = place["generator"]

    def _progress(self, loss: float) -> None:
        """Log one line from time to time within an epoch."""
        if self._report_due.due():
            self._report_due.restart()
            logging.info(
                "epoch %d/%d, step %d/%d: loss %.4f; %s", len(self.rows) + 1, self.block.epochs,
                len(self.losses), self.steps, loss, self._speed(),
            )  # fmt: skip

    def _report(self) -> None:
        row = self.rows[-1]
        self._report_due.restart()
        self.live.epoch(self.done, {**row, "events_per_second": self.rate.steps(self.done) * self.batch})
        logging.info(
            "epoch %d/%d: loss %.4f, val loss %.4f, RankMe %.2f; %s",
            row["epoch"], self.block.epochs, row["train_loss"], row["val_loss"], row["rank"], self._speed(),
        )  # fmt: skip

    def _speed(self) -> str:
        """Return the speed in words; a process that has resumed at the end of an epoch has taken no step yet."""
        rate = self.rate.steps(self.done)
        if rate == 0:
            return "no step since it was resumed"
        left = (self.block.epochs * self.steps - self.done) / rate
        return f"{rate * self.batch:.0f} events/s, {left:.0f} s left"


def weighted(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Return the sum of some losses, each times its weight."""
    return reduce(operator.add, (losses[name] * weight for name, weight in weights.items()))


def _single(values: Tensor) -> Tensor:
    """Return ``values`` in single precision if they are in bfloat16."""
    return values.float() if values.dtype == torch.bfloat16 else values


class Waiting(NamedTuple):
    """A step whose loss nobody has looked at: this rank's share of it, on the device, and the learning rate."""

    share: Tensor
    rate: float


class Rate:
    """The steps per second since this process began at the step ``first``."""

    def __init__(self, first: int) -> None:
        self.first, self.started = first, time.monotonic()

    def steps(self, done: int) -> float:
        """Return the rate after step ``done``, which is 0 before the first step of this process."""
        return (done - self.first) / max(time.monotonic() - self.started, 1e-9)


def _not_finite(what: str) -> str:
    return f"{what}; lower pretrain.learning_rate or raise pretrain.temperature"


def refuse_collapse(block: PretrainBlock, row: Row, batch: int) -> None:
    """Raise :class:`TrainingError` if an epoch's metrics show a collapsed or untrained encoder."""
    if signs := signs_of_collapse(block, row, batch):
        raise TrainingError(
            f"{_collapse(block, row, signs)}. Change pretrain.learning_rate, pretrain.temperature or "
            "pretrain.batch; raise pretrain.epochs if the loss was still falling; or go on with what there is, "
            "marked: pretrain.on_collapse: warn"
        )


def judge_collapse(block: PretrainBlock, row: Row, batch: int) -> list[str]:
    """Return the signs of collapse in an epoch's metrics after a warning, or raise, as the block says."""
    signs = signs_of_collapse(block, row, batch)
    if signs and block.on_collapse == "stop":
        refuse_collapse(block, row, batch)
    elif signs:
        logging.warning("%s; it is used all the same (pretrain.on_collapse: warn)", _collapse(block, row, signs))
    return signs


def _collapse(block: PretrainBlock, row: Row, signs: Sequence[str]) -> str:
    when = f" in epoch {row['epoch']} of {block.epochs}" if "epoch" in row else ""
    return f"pre-training ({block.method}) collapsed{when}: {'; '.join(signs)}"


def _judged(block: PretrainBlock, row: Row, batch: int) -> Row:
    """Return a line of the metrics with the number of alarms that it sets off."""
    return {**row, "collapsed": len(signs_of_collapse(block, row, batch))}


def signs_of_collapse(block: PretrainBlock, row: Row, batch: int) -> list[str]:
    """Return what in an epoch's metrics shows a collapsed or untrained encoder.

    Not all losses can tell (:class:`rs3l.config.losses.LossKind`).
    """
    kinds, least = kinds_of(block.loss), rank_alarm(block)
    signs = []
    if (chance := chance_of(block, batch)) and not row["train_loss"] <= chance.loss - LOSS_MARGIN:
        signs.append(f"loss {row['train_loss']:.3f}, {chance.text} = {chance.loss:.3f} is chance")
    acts = any(map(acts_on_latents, weights_of(block.loss)))
    if acts and not row["spread"] >= SPREAD_ALARM:
        signs.append(f"spread of the latents {row['spread']:.3f} < {SPREAD_ALARM}")
    if acts and not any(kind.latents and kind.gathers for kind in kinds) and not row["rank"] >= least:
        signs.append(f"RankMe {row['rank']:.2f} < {least:.2f}")
    return signs


class Chance(NamedTuple):
    """The loss of an encoder that has learned nothing, and its formula."""

    loss: float
    text: str


def chance_of(block: PretrainBlock, batch: int) -> Chance | None:
    """Return the loss of guessing in batches of ``batch`` events, or None if it is not known of all losses."""
    levels = {"partner": Chance(math.log(2 * batch - 1), "ln(2B - 1)")}
    levels["class"] = Chance(math.log(len(block.processes)), "ln(processes)")
    weights = weights_of(block.loss).values()
    found = [levels[kind.chance] for kind in kinds_of(block.loss) if kind.chance]
    if len(found) < len(weights):
        return None
    pairs = list(zip(weights, found, strict=True))
    text = " + ".join(each.text if weight == 1 else f"{weight:g} {each.text}" for weight, each in pairs)
    return Chance(sum(weight * each.loss for weight, each in pairs), text)


def rank_alarm(block: PretrainBlock) -> float:
    """Return the RankMe below which the latents of an encoder are collapsed."""
    return min(RANK_ALARM, RANK_ALARM_FRACTION * block.encoder.latent)


def _csv(lines: Iterable[Row]) -> str:
    stream, rows = io.StringIO(), list(lines)
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
