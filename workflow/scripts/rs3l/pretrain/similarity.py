"""Computes cosines of the latents of views and of classes, for the metrics of pre-training.

This module does not need torch, because the figures read the names of the columns here.

Shapes: B events, D latent dimensions, P processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

VIEWS = "cosine_views:"
"""A column with this prefix and a process has the mean cosine of the two views of its events."""

MEANS = "cosine_means:"
"""A column with this prefix and two processes, with a colon between, has the cosine of their mean latents."""


class Similarities:
    """Sums over batches of validation pairs, which draw no random numbers."""

    def __init__(self, processes: Sequence[str], latent: int) -> None:
        """Start from nothing for latents of ``latent`` dimensions."""
        self.processes = processes
        self.pairs = np.zeros(len(processes))
        self.cosine = np.zeros(len(processes))
        self.sum = np.zeros((len(processes), latent))

    def add(self, latents: NDArray[np.floating], process: NDArray[np.integer]) -> None:
        """Add the ``latents`` [2B, D] of pairs of views of events with their ``process`` [B]."""
        unit = latents / np.maximum(np.linalg.norm(latents, axis=1, keepdims=True), 1e-12)
        first, second = np.split(unit, 2)
        self.pairs += np.bincount(process, minlength=len(self.processes))
        self.cosine += np.bincount(process, weights=(first * second).sum(axis=1), minlength=len(self.processes))
        np.add.at(self.sum, process, first + second)

    def row(self) -> dict[str, float]:
        """Return the columns of the metrics, with NaN for a process that has no pair."""
        with np.errstate(invalid="ignore"):
            views = self.cosine / self.pairs
            means = self.sum / np.linalg.norm(self.sum, axis=1, keepdims=True)
        result = {f"{VIEWS}{name}": float(views[i]) for i, name in enumerate(self.processes)}
        for i, j in combinations(range(len(self.processes)), 2):
            result[f"{MEANS}{self.processes[i]}:{self.processes[j]}"] = float(means[i] @ means[j])
        return result
