"""Contrastive pre-training: a plain loop over views of events, resumable to the bit, on one or more ranks.

Shapes: B events per step, over all ranks; K slots for their views, R views in one forward pass (the first
views, then the second, ...; R = 2B for pairs); D latent dimensions.
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from rs3l.config.blocks import PretrainBlock
from rs3l.data.features import features
from rs3l.data.store import Ints, JetBatch, JetStore, load_views
from rs3l.errors import DataError, TrainingError
from rs3l.files import atomic, sha256, write_json, write_text
from rs3l.model.distributed import Ranks
from rs3l.model.encoder import new_encoder, save_encoder
from rs3l.model.encoders.base import JetEncoder
from rs3l.model.loss import Loss, diagnose
from rs3l.model.similarity import Similarities
from rs3l.model.views import (
    all_views,
    angles,
    choose_pairs,
    epoch_batches,
    hand_made,
    nominal_and_one,
    torch_generator,
    turn,
)
from rs3l.provenance import provenance

VALIDATION_PAIRS = 2048
"""Pairs of the validation split that are used, at most."""

LOSS_MARGIN = 0.1
"""Alarm: a final loss above ln(2B - 1) - this margin is no better than guessing the partner (with more views
of an event, guessing costs more)."""

SPREAD_ALARM = 0.3
"""Alarm: sqrt(D) x standard deviation of the latents below this is a collapse to a point."""

RANK_ALARM = 3.0
"""Alarm: RankMe below this is a collapse to a line or plane, for latents of 8 dimensions or more."""

RANK_ALARM_FRACTION = 3 / 8
"""The same for smaller latents, as a fraction of their dimension."""

ALONE = Ranks()
"""One process on the CPU."""

ALL = slice(None)
Row = dict[str, float]


def pretrain(
    block: PretrainBlock,
    manifest: str | Path,
    state: str | Path,
    model: str | Path,
    metrics: str | Path,
    provenance_path: str | Path,
    ranks: Ranks = ALONE,
) -> None:
    """Pre-train one encoder and write its weights, metrics and provenance.

    ``state`` is a folder for the resumable state, which is deleted in the end. The weights are those of
    the last epoch: the one-cycle schedule ends at a vanishing learning rate, and the validation loss of
    every epoch is in the metrics. All ``ranks`` call this; the first writes. Raises
    :class:`TrainingError` if the loss is not finite, the latent space has collapsed, or the batch is too
    small for the ranks.
    """
    checksum = sha256_of_manifest(manifest)
    trainer = Trainer(block, manifest, Checkpoint(state, block, checksum), ranks)
    trainer.run()
    refuse_collapse(block, trainer.rows[-1], trainer.batch)
    if not ranks.first:
        return
    save_encoder(trainer.encoder, model)
    write_text(metrics, _csv(trainer.rows))
    made_from = {"block": block.model_dump(), "manifest_sha256": checksum}
    write_json(provenance_path, provenance(**made_from, ranks=ranks.size, device=ranks.device.type))
    trainer.checkpoint.delete()


def sha256_of_manifest(path: str | Path) -> str:
    """Return the checksum of the manifest, which holds those of the files."""
    if not Path(path).is_file():
        raise DataError(f"{path}: no such manifest; make the data set first (rule merge)")
    return sha256(path)


class Checkpoint:
    """The resumable state of one block on one data set: a file named by the hash of both."""

    def __init__(self, folder: str | Path, block: PretrainBlock, manifest_sha256: str) -> None:
        text = block.model_dump_json() + manifest_sha256
        self.path = Path(folder) / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.pt"

    def save(self, values: Mapping[str, Any]) -> None:
        """Write the state atomically."""
        with atomic(self.path) as temporary:
            torch.save(dict(values), temporary)

    def load(self) -> dict[str, Any] | None:
        """Return the state, or None if there is none; a damaged file is a :class:`DataError`."""
        if not self.path.is_file():
            return None
        try:
            return dict(torch.load(self.path, weights_only=True, map_location="cpu"))
        except Exception as error:
            raise DataError(f"{self.path}: cannot be resumed from ({error}); delete it") from None

    def delete(self) -> None:
        """Remove the state, and its folder if that is empty then."""
        self.path.unlink(missing_ok=True)
        if self.path.parent.is_dir() and not any(self.path.parent.iterdir()):
            self.path.parent.rmdir()


class ViewSource:
    """The views of the events of one split, for one method.

    rs3l: re-simulations of a hard event, by the policy ``views`` drawn anew each epoch, each rotated
    independently. jetclr: two augmentations of the nominal jet. All count the events with at least two views,
    so that the number of steps is the same; jetclr and ``nominal_and_one`` draw from those of them that have a
    nominal jet.
    """

    def __init__(self, block: PretrainBlock, store: JetStore) -> None:
        self.block = block
        self.store = store
        self.events = store.events().at_least(2)
        self.total = len(self.events.count)
        if block.hand_made is not None or block.views == "nominal_and_one":
            self.nominal = store.rows(variant="nominal")
            self.nominal = self.nominal[np.isin(store.event_id[self.nominal], self.events.event_id)]
            self.events = self.events.where(np.isin(self.events.event_id, store.event_id[self.nominal]))
        if len(self.events.count) < 2:
            raise DataError(
                "fewer than two events have the views that pre-training needs; raise processes.<name>.events"
            )

    def draw(self, generator: Generator) -> Ints:
        """Return the rows of the views of each event [K, E], before any augmentation; -1 is an empty slot."""
        return all_views(self.events) if self.block.views == "all" else self.draw_pairs(generator)

    def draw_pairs(self, generator: Generator) -> Ints:
        """Return two rows per event [2, E]; validation compares these even if the policy is ``all``."""
        if self.block.hand_made is not None:
            return np.stack([self.nominal, self.nominal])
        if self.block.views == "nominal_and_one":
            return nominal_and_one(self.events, self.nominal, generator)
        return choose_pairs(self.events, generator)

    def views(self, rows: Ints, generator: Generator, part: slice = ALL) -> JetBatch:
        """Return the views with ``rows`` [K, B], augmented: all R, or those of the events ``part``.

        The random numbers are drawn for all slots, so that those of a view do not depend on ``part``.
        """
        if self.block.hand_made is None:
            present = rows[:, part] >= 0
            angle = angles(rows.size, generator).view(len(rows), -1)[:, part][torch.from_numpy(present)]
            return turn(self.store.batch(rows[:, part][present]), angle[:, None])
        assert self.block.detector is not None, "a jetclr block holds the detector"
        jets = self.store.batch(rows.reshape(-1))
        views = hand_made(jets, self.block.hand_made, self.block.detector, generator)
        chosen = torch.arange(rows.size).view(2, -1)[:, part].flatten()
        return JetBatch(*(values[chosen] for values in views))

    def groups(self, rows: Ints) -> Tensor:
        """Return what the loss compares [R] of the views with ``rows`` [K, B]: event, or label for SupCon."""
        event = np.broadcast_to(np.arange(rows.shape[1]), rows.shape)
        group = self.store.process[rows] if self.block.loss == "sup_con" else event
        return torch.from_numpy(group[rows >= 0])


class Projection(nn.Module):
    """An encoder with its projection head, in one call."""

    def __init__(self, encoder: JetEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the latents [B, D] of features ``x`` [B, N, F] with ``mask`` [B, N]."""
        return self.encoder.project(self.encoder(x, mask))


class Trainer:
    """State of one pre-training; :meth:`run` goes from the last checkpoint to the end."""

    def __init__(
        self, block: PretrainBlock, manifest: str | Path, checkpoint: Checkpoint, ranks: Ranks = ALONE
    ) -> None:
        self.block = block
        self.checkpoint = checkpoint
        self.ranks = ranks
        train, val = (
            load_views(manifest, split, block.processes, block.variants, block.constituents)
            for split in ("train", "val")
        )
        self.train, self.val = ViewSource(block, train), ViewSource(block, val)
        self.batch = min(block.batch, len(self.train.events.count))
        self.steps = -(-self.train.total // self.batch)
        self.encoder = new_encoder(block.encoder, block.constituents, block.seed, "pretrain")
        self.encoder.fit_norm(train, train.rows())
        self.encoder.to(ranks.device)
        self.network = ranks.averaging(Projection(self.encoder))
        self.optimizer = torch.optim.AdamW(
            self.encoder.parameters(), lr=block.learning_rate, weight_decay=block.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=block.learning_rate, total_steps=block.epochs * self.steps
        )
        self.loss = Loss(block.loss, block.temperature, block.vicreg)
        self.rows: list[Row] = []
        self._check_batch()
        self._resume()

    def run(self) -> None:
        """Train the remaining epochs; save the state after each."""
        started = time.monotonic()
        first = len(self.rows)
        logging.info(
            "%s: %d events with views, %d epochs of %d steps of %d events",
            self.block.method, self.train.total, self.block.epochs, self.steps, self.batch,
        )  # fmt: skip
        for epoch in range(first, self.block.epochs):
            self.rows.append({"epoch": epoch + 1, **self._epoch(epoch), **self._validate()})
            self._save()
            self._report(time.monotonic() - started, epoch + 1 - first)

    def _epoch(self, epoch: int) -> Row:
        """Train one epoch; every random number belongs to (seed, epoch)."""
        generator = torch_generator(self.block.seed, "pretrain", self.block.method, epoch)
        views = self.train.draw(generator)
        losses = []
        self.encoder.train()
        for events in epoch_batches(views.shape[1], self.batch, self.steps, generator):
            losses.append(self._step(views[:, events], generator))
            if not math.isfinite(losses[-1]):
                raise TrainingError(
                    f"the loss is {losses[-1]} in epoch {epoch + 1}, step {len(losses)}; lower "
                    "pretrain.learning_rate or raise pretrain.temperature"
                )
        rate = self.optimizer.param_groups[0]["lr"]
        steps = (epoch + 1) * self.steps
        return {"steps": steps, "learning_rate": rate, "train_loss": float(np.mean(losses))}

    def _step(self, rows: Ints, generator: Generator) -> float:
        """Take one step on the views ``rows`` [K, B] of the global batch and return its loss."""
        share = self._share(self._latents(self.train, rows, generator), rows)
        self.optimizer.zero_grad()
        # The loss is the sum of the ranks' shares; the network averages their gradients.
        (share * self.ranks.size).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.schedule.step()
        return self.ranks.total(share)

    def _latents(self, source: ViewSource, rows: Ints, generator: Generator) -> Tensor:
        """Return the latents [r, D] of this rank's views of the events ``rows`` [K, B], in one forward pass."""
        jets = source.views(rows, generator, self.ranks.part(rows.shape[1]))
        jets = JetBatch(*(values.to(self.ranks.device) for values in jets))
        latents: Tensor = self.network(features(jets), jets.mask)
        return latents

    def _share(self, own: Tensor, rows: Ints) -> Tensor:
        """Return this rank's share of the loss of the global batch from its latents ``own`` [r, D]."""
        groups = self.train.groups(rows).to(self.ranks.device)
        if self.ranks.size == 1:
            return self.loss(own, groups)
        numbers = self.ranks.rows(rows >= 0)
        return self.loss.share(own, numbers, self.ranks.gather(own, numbers, len(groups)), groups)

    @torch.no_grad()
    def _validate(self) -> Row:
        """Return the loss and the diagnostics on validation pairs, the same ones after every epoch."""
        generator = torch_generator(self.block.seed, "pretrain", self.block.method, "val")
        pairs = self.val.draw_pairs(generator)
        pairs = pairs[:, torch.randperm(pairs.shape[1], generator=generator).numpy()[:VALIDATION_PAIRS]]
        size = min(self.batch, pairs.shape[1])
        self.encoder.eval()
        losses, values = [], []
        similarities = Similarities(self.val.store.process_names, self.block.encoder.latent)
        for start in range(0, pairs.shape[1] - size + 1, size):
            rows = pairs[:, start : start + size]
            own = self._latents(self.val, rows, generator)
            latents = self.ranks.gather(own, self.ranks.rows(rows >= 0), rows.size)
            losses.append(self.loss(latents, self.val.groups(rows).to(latents.device)).item())
            values.append(diagnose(latents)._asdict())
            similarities.add(latents.double().cpu().numpy(), self.val.store.process[rows[0]])
        means = {name: float(np.mean([value[name] for value in values])) for name in values[0]}
        return {"val_loss": float(np.mean(losses)), **means, **similarities.row()}

    def _check_batch(self) -> None:
        smallest = min(self.batch, len(self.val.events.count))
        if smallest < self.ranks.size:
            raise TrainingError(
                f"{self.ranks.size} ranks for batches of {smallest} pairs: each needs one pair or more; use "
                "fewer ranks, or raise pretrain.batch or processes.<name>.events"
            )

    def _save(self) -> None:
        if not self.ranks.first:
            return
        self.checkpoint.save(
            {
                "encoder": self.encoder.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "rows": self.rows,
            }
        )

    def _resume(self) -> None:
        state = self.checkpoint.load()
        if not self.ranks.agree(0 if state is None else len(state["rows"])):
            raise DataError(
                f"{self.checkpoint.path}: the ranks see different states of the training; the folder must be "
                "on a file system that all nodes share"
            )
        if state is None:
            return
        self.encoder.load_state_dict(state["encoder"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.rows = state["rows"]
        logging.info("resumed after epoch %d from %s", len(self.rows), self.checkpoint.path)

    def _report(self, elapsed: float, done: int) -> None:
        row = self.rows[-1]
        logging.info(
            "epoch %d/%d: loss %.4f, val loss %.4f, RankMe %.2f; %.0f events/s, %.0f s left",
            row["epoch"], self.block.epochs, row["train_loss"], row["val_loss"], row["rank"],
            self.batch * self.steps * done / elapsed,
            elapsed / done * (self.block.epochs - len(self.rows)),
        )  # fmt: skip


def refuse_collapse(block: PretrainBlock, row: Row, batch: int) -> None:
    """Raise :class:`TrainingError` if the last epoch's metrics show a collapsed or untrained encoder.

    VICReg has no loss of guessing. SupCon is meant to gather each class at a point, so that its rank is low.
    """
    chance = math.log(2 * batch - 1)
    rank_alarm = min(RANK_ALARM, RANK_ALARM_FRACTION * block.encoder.latent)
    problems = []
    if block.loss != "vicreg" and not row["train_loss"] <= chance - LOSS_MARGIN:
        problems.append(f"loss {row['train_loss']:.3f}, ln(2B - 1) = {chance:.3f} is chance")
    if not row["spread"] >= SPREAD_ALARM:
        problems.append(f"spread of the latents {row['spread']:.3f} < {SPREAD_ALARM}")
    if block.loss != "sup_con" and not row["rank"] >= rank_alarm:
        problems.append(f"RankMe {row['rank']:.2f} < {rank_alarm:.2f}")
    if problems:
        raise TrainingError(
            f"pre-training ({block.method}) collapsed: {'; '.join(problems)}. Change pretrain.learning_rate, "
            "pretrain.temperature or pretrain.batch; raise pretrain.epochs if the loss was still falling"
        )


def _csv(rows: Sequence[Row]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
