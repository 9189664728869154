"""A probe that can make a window: logistic regression on features and on products of their principal components.

A linear probe is monotonic along every direction, so that it cannot choose jets within a range, as a mass window
does. Here the logit is a quadratic form of the leading principal components besides a linear one of all features.
There is one best solution for each strength of the regularisation, as for the linear probe, and no random number.

Shapes: n jets, H features, K principal components, P = K (K + 1) / 2 products of two of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rs3l.files import atomic
from rs3l.finetune.embedded import Embedded
from rs3l.finetune.probe import Probe
from rs3l.finetune.probe_in_pieces import fit_embedded
from rs3l.types import Array, Floats32

COMPONENTS = 16
"""Principal components whose squares and products are seen, at most."""

SMALLEST = 1e-6
"""A component with a smaller fraction of the largest variance than this is none."""


class QuadraticHead(nn.Module):
    """A linear layer on standardised features and on the products of their principal components."""

    mean: Tensor
    std: Tensor
    basis: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, width: int, components: int) -> None:
        super().__init__()
        inputs = width + components * (components + 1) // 2
        shapes: dict[str, tuple[int, ...]]
        shapes = {"mean": (width,), "std": (width,), "basis": (width, components), "weight": (inputs,), "bias": ()}
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape))

    def expand(self, x: Tensor) -> Tensor:
        """Return the standardised features and the products [n, H + P] of features ``x`` [n, H]."""
        standardised = (x - self.mean) / self.std
        components = standardised @ self.basis
        first, second = torch.triu_indices(self.basis.shape[1], self.basis.shape[1], device=x.device)
        return torch.cat([standardised, components[:, first] * components[:, second]], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [n, 1] of features ``x`` [n, H]."""
        return (self.expand(x) @ self.weight + self.bias).unsqueeze(1)

    def expanded(self, x: Floats32) -> Floats32:
        """Return :meth:`expand` of an array."""
        result: Floats32 = self.expand(torch.from_numpy(x)).numpy()
        return result

    def set_layer(self, probe: Probe) -> None:
        """Take weights and bias of a probe on the expanded features."""
        self.weight.copy_(torch.from_numpy(probe.weight))
        self.bias.fill_(probe.bias)


def fit_quadratic(data: Embedded, x_val: Floats32, y_val: Array, scratch: Path) -> tuple[QuadraticHead, Probe]:
    """Return the head that is best on the validation jets, and the probe on the expanded features that it is.

    Features in a file are expanded to the file ``scratch``, some jets at a time. Raises :class:`TrainingError` if
    a fit does not converge.
    """
    head = new_quadratic(data)
    probe = fit_embedded(_expanded(head, data, scratch), head.expanded(x_val), y_val)
    head.set_layer(probe)
    return head, probe


def new_quadratic(data: Embedded) -> QuadraticHead:
    """Return a head with the moments and principal components of labelled jets, and weights of zero."""
    mean, std = data.moments()
    std = torch.where(std > SMALLEST * std.max(), std, 1.0)
    basis = principal_components(covariance(data, mean.numpy(), std.numpy()))
    head = QuadraticHead(data.width, basis.shape[1])
    head.mean.copy_(mean)
    head.std.copy_(std)
    head.basis.copy_(torch.from_numpy(basis))
    return head


def covariance(data: Embedded, mean: Floats32, std: Floats32) -> NDArray[np.float64]:
    """Return the covariance [H, H] of the standardised features of all jets, read some at a time."""
    total = np.zeros((data.width, data.width))
    for x, _ in data.pieces():
        own = (x.astype(np.float64) - mean) / std
        total += own.T @ own
    return total / len(data)


def principal_components(covariance: NDArray[np.float64]) -> Floats32:
    """Return the leading components [H, K], each scaled to unit variance, its largest entry positive."""
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1][:COMPONENTS], vectors[:, ::-1][:, :COMPONENTS]
    kept = values > SMALLEST * max(float(values[0]), 1e-30)
    values, vectors = values[kept], vectors[:, kept]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None], axis=0)
    result: Floats32 = (vectors * np.sign(largest) / np.sqrt(values)).astype(np.float32)
    return result


def _expanded(head: QuadraticHead, data: Embedded, scratch: Path) -> Embedded:
    """Return the expanded features of labelled jets, in memory or in a file as they are themselves."""
    width = len(head.weight)
    if not isinstance(data.values, Path):
        return Embedded(head.expanded(data.values), data.y, width)
    with atomic(scratch) as temporary, open(temporary, "wb") as stream:
        for x, _ in data.pieces():
            head.expanded(x).tofile(stream)
    return Embedded(scratch, data.y, width)
