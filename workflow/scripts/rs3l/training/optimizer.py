"""The optimizer and the learning rate of pre-training."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR, StepLR

from rs3l.config.blocks import PretrainBlock


def new_optimizer(block: PretrainBlock, weights: Iterable[nn.Parameter]) -> Optimizer:
    """Return the optimizer of ``weights``, which on a GPU takes a step in one kernel."""
    kind, own = Adam if block.loop.optimizer == "adam" else AdamW, list(weights)
    fused = True if own[0].is_cuda else None
    return kind(own, lr=block.learning_rate, weight_decay=block.weight_decay, fused=fused)


def new_schedule(block: PretrainBlock, optimizer: Optimizer, steps: int) -> LRScheduler:
    """Return the schedule of the learning rate, which advances with each of the ``steps`` of an epoch."""
    loop, total = block.loop, block.epochs * steps
    if loop.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=total)
    if loop.schedule == "step":
        return StepLR(optimizer, step_size=loop.step_epochs * steps, gamma=loop.step_factor)
    return OneCycleLR(optimizer, max_lr=block.learning_rate, total_steps=total)
