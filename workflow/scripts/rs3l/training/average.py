"""Averages the weights of a training over its steps, as an exponential moving average (EMA).

Polyak and Juditsky (SIAM J. Control Optim. 30 (1992) 838) average the iterates of a stochastic approximation; the
exponential average of a network's weights is the teacher of arXiv:1703.01780 (section 2). Its start is unbiased
here by the correction that Adam applies to its moments (arXiv:1412.6980, section 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """The exponential moving average of a network's parameters over the steps taken.

    After the steps 1 to t with weights w_1 to w_t it is sum_i d^(t-i) w_i / sum_i d^(t-i), d being ``decay``: the
    first step is its own average, and the weights before the first step are no part of it. It is kept in double
    precision, in which an increment of (1 - d) times a small difference is not lost. Buffers (the normalisation of
    the inputs) do not change in a training and are not averaged. Every rank has the same weights after a step, and
    therefore the same average.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay = network, decay
        self._averages = {name: weight.detach().double() for name, weight in network.named_parameters()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights after ``step`` (1 for the first one), without waiting for the device."""
        share = (1 - self.decay) / (1 - self.decay**step)
        for name, weight in self.network.named_parameters():
            self._averages[name].lerp_(weight.double(), share)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the network the average, rounded to its own precision, and its weights back in the end."""
        weights = dict(self.network.named_parameters())
        own = {name: weight.detach().clone() for name, weight in weights.items()}
        _copy(self._averages, weights)
        try:
            yield
        finally:
            _copy(own, weights)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the average by name of the parameter, in double precision."""
        return dict(self._averages)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go to a state; raises ``KeyError`` or ``RuntimeError`` if it is not that of such a network."""
        with torch.no_grad():
            _copy({name: state[name] for name in self._averages}, self._averages)


@torch.no_grad()
def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    for name, weight in target.items():
        weight.copy_(source[name])
