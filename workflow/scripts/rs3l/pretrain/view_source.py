"""Draws and augments the views of the events of one split, of which a batch of pre-training is made.

Shapes: E events of the split, B events of a batch, K slots for their views (-1 in rows is an empty slot), R
views.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor

from rs3l.config.blocks import PretrainBlock
from rs3l.config.losses import loss_kind
from rs3l.dataset.store import FlatJets, JetBatch, JetStore, pad
from rs3l.errors import DataError
from rs3l.pretrain.subset import subset
from rs3l.pretrain.views import all_views, angles, choose_one, choose_pairs, hand_made, nominal_and_one, turn
from rs3l.training.device import Placement
from rs3l.types import Ints

ALL = slice(None)
HERE = Placement()

Jets = JetBatch | FlatJets
"""What is loaded: padded for a CPU, without padding for a device that pads by itself."""


def least_views(block: PretrainBlock) -> int:
    """Return the number of views of the events that count: two, or one if no event has more than the nominal.

    Where there is one variant, only hand-made views can be made, so that no other method is compared with.
    """
    return 1 if block.hand_made is not None and block.variants == ["nominal"] else 2


class ViewSource:
    """The views of the events of one split, for one method.

    With rs3l they are re-simulations of a hard event, drawn anew each epoch by the policy ``views``, and rotated
    independently or (``augment``) augmented. With jetclr they are two augmentations of the nominal jet, or of any
    one view (``hand_made.of``). All methods count the events with at least two views (:func:`least_views`), so
    that the number of steps is the same. Of these, jetclr of nominal jets and ``nominal_and_one`` draw only from
    those that have a nominal jet.
    """

    def __init__(self, block: PretrainBlock, store: JetStore, chosen: int | float | None = None) -> None:
        """Take all events, or some ``chosen`` ones (see :func:`subset`); ``total`` counts all of them."""
        self.block = block
        self.store = store
        self.events = store.events().at_least(least_views(block))
        self.total = len(self.events.count)
        if chosen is not None:
            self.events = self.events.where(subset(self.events.event_id, chosen, block.seed))
        if block.needs_nominal:
            self.nominal = store.rows(variant="nominal")
            self.nominal = self.nominal[np.isin(store.event_id[self.nominal], self.events.event_id)]
            self.events = self.events.where(np.isin(self.events.event_id, store.event_id[self.nominal]))
        if len(self.events.count) < 2:
            raise DataError(
                "fewer than two events have the views that pre-training needs; raise processes.<name>.events"
            )

    def draw(self, generator: Generator) -> Ints:
        """Return the rows of the views of each event [K, E] before any augmentation, with -1 in an empty slot."""
        return all_views(self.events) if self.block.views == "all" else self.draw_pairs(generator)

    def draw_pairs(self, generator: Generator) -> Ints:
        """Return two rows per event [2, E], which validation compares even if the policy is ``all``."""
        if self.block.augmented is not None:
            one = self.nominal if self.block.augmented == "nominal" else choose_one(self.events, generator)
            return np.stack([one, one])
        if self.block.views == "nominal_and_one":
            return nominal_and_one(self.events, self.nominal, generator)
        return choose_pairs(self.events, generator)

    def views(self, rows: Ints, generator: Generator, part: slice = ALL) -> JetBatch:
        """Return the views with ``rows`` [K, B] after augmentation, either all R or those of the events ``part``.

        The random numbers are drawn for all slots, so that those of a view do not depend on ``part``.
        """
        return self.augment(self.load(rows, part), rows, generator, part)

    def load(self, rows: Ints, part: slice = ALL, placement: Placement = HERE) -> Jets:
        """Return the jets that the views with ``rows`` [K, B] are made of, pinned; any thread may call this."""
        chosen = rows if self.block.hand_made is not None else rows[:, part]
        own = chosen[chosen >= 0]
        return self.store.batch(own) if placement.device.type == "cpu" else placement.pin(self.store.flat(own))

    def augment(
        self, jets: Jets, rows: Ints, generator: Generator, part: slice = ALL, placement: Placement = HERE
    ) -> JetBatch:
        """Return the views on the device of ``placement``, of ``jets`` that :meth:`load` returned."""
        jets = placement.put(jets)
        if isinstance(jets, FlatJets):
            jets = pad(jets)
        if self.block.hand_made is None:
            angle = angles(rows.size, generator).view(len(rows), -1)
            own = angle[:, part][torch.from_numpy(rows[:, part] >= 0)]
            return turn(jets, placement.put(own)[:, None])
        assert self.block.detector is not None, "a block with hand-made augmentations holds the detector"
        views = hand_made(jets, self.block.hand_made, self.block.detector, placement.generator(generator))
        own_part = np.zeros(rows.shape, dtype=bool)
        own_part[:, part] = True
        mine = placement.put(torch.from_numpy(np.flatnonzero(own_part[rows >= 0])))
        return JetBatch(*(values[mine] for values in views))

    def groups(self, rows: Ints, loss: str) -> Tensor:
        """Return what a loss compares [R] of the views with ``rows`` [K, B]."""
        return groups_of(codes(self.store, rows), loss)


def groups_of(codes: Ints, loss: str) -> Tensor:
    """Return the event [R] of each view of ``codes`` [K, B] (-1 is none), or its process if these are compared."""
    event = np.broadcast_to(np.arange(codes.shape[1]), codes.shape)
    return torch.from_numpy((codes if loss_kind(loss).compares == "processes" else event)[codes >= 0])


def codes(store: JetStore, rows: Ints) -> Ints:
    """Return the process of the views ``rows`` [K, B], with -1 in an empty slot."""
    return np.where(rows >= 0, store.process[rows], -1)
