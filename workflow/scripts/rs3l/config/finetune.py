"""The block `finetune`."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    Field,
)

from rs3l.config.base import Settings, Verdict
from rs3l.modes import MODES

if TYPE_CHECKING:
    ModeName = str
else:
    ModeName = Literal[tuple(MODES)]
    """A mode of the registry."""


def _names(pretrained: bool) -> str:
    """Return the names of the modes with, or without, a pre-trained network."""
    return ", ".join(name for name, mode in MODES.items() if mode.pretrained is pretrained)


class Finetune(Settings):
    """Classifiers on the pre-trained network, and their baselines."""

    modes: list[ModeName] = Field(
        ["probe_h", "probe_z", "tuned", "random", "scratch", "scratch_views", "gbt", "n2"],
        min_length=1,
        description="Classifiers, in words in docs/finetune.md: those on a pre-trained network "
        f"({_names(pretrained=True)}) and those without one ({_names(pretrained=False)}).",
    )
    ablation_modes: list[ModeName] | None = Field(
        None,
        min_length=1,
        exclude_if=operator.not_,
        description="Classifiers of the ablations, some of `modes`; by default all of them.",
    )
    labels: list[Annotated[int, Field(ge=10)]] = Field(
        [100, 300, 1000], min_length=1, description="Numbers of labelled hard events, half of them signal."
    )
    repeats: int = Field(3, ge=1, le=100, description="Draws of the labels and of the initialisation.")
    batch: int = Field(64, ge=2, description="Jets per step of the trained networks.")
    learning_rate: float = Field(1e-3, gt=0, description="Learning rate from scratch (AdamW).")
    tune_learning_rate: float = Field(1e-4, gt=0, description="Learning rate of fine-tuning.")
    weight_decay: float = Field(1e-4, ge=0, description="Weight decay of AdamW.")
    validation: int = Field(
        20_000,
        ge=2,
        description="Validation jets at most, half of each class, by which the best epoch and the regularisation "
        "are chosen. Their labels are not counted.",
    )
    validate_every: int = Field(
        5_000,
        ge=1,
        description="Steps of an epoch at most. An epoch ends with a look at the validation jets; it is a pass "
        "over the labelled jets if that has fewer steps.",
    )
    patience: int = Field(10, ge=1, description="Epochs without a better validation loss before a training stops.")
    min_steps: int = Field(100, ge=0, description="Optimiser steps before a training may stop.")
    max_epochs: int = Field(
        400, ge=2, description="A training that may not stop here yet is under-trained, which is an error."
    )
    held_jets: int = Field(
        100_000,
        ge=0,
        description="Labelled jets held in memory at most, of all draws together (1.7 kB each). Draws that do not "
        "fit are read again and again from a file in the state folder. No result depends on it.",
    )
    on_undertrained: Verdict = Field(
        "stop",
        description="What an under-trained network does. stop: an error, for such a baseline flatters its rivals. "
        "warn: its best epoch is used, and marked wherever its numbers appear. Ablations always warn. A change "
        "re-runs nothing.",
    )
