"""Write the gradient of every loss with respect to a small network, in single and double precision.

torchrun may start several of this script: each computes the latents of its part of the events. Argument: the
file to write.
"""

from __future__ import annotations

import copy
import sys

import numpy as np
import torch
from torch import nn

from rs3l.pretrain.losses import Loss
from rs3l.training.distributed import Ranks, join
from support.toy import LOSSES

PAIRS = 17


def gradient(network: nn.Module, loss: Loss, ranks: Ranks) -> torch.Tensor:
    """Return the gradient of a network's weights, averaged over the ranks as in the training."""
    parameter = next(network.parameters())
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2 * PAIRS, 6, generator=generator, dtype=torch.float64).to(parameter.dtype)
    groups = torch.arange(PAIRS).remainder(3 if loss.kind == "sup_con" else PAIRS).repeat(2)
    rows = ranks.rows(np.ones((2, PAIRS), dtype=bool))
    averaging = ranks.averaging(copy.deepcopy(network))
    own = averaging(x[rows])
    latents = ranks.gather(own, rows, len(x))
    (loss.share(own, rows, latents, groups) * ranks.size).backward()  # type: ignore[no-untyped-call]
    return torch.cat([p.grad.flatten() for p in averaging.parameters() if p.grad is not None])


def main(path: str) -> None:
    """Write the gradients, by loss and precision."""
    torch.manual_seed(1)
    torch.set_num_threads(1)
    network = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 5))
    with join("cpu") as ranks:
        result = {}
        for loss in LOSSES:
            result[f"{loss.kind} single"] = gradient(network.float(), loss, ranks)
            result[f"{loss.kind} double"] = gradient(network.double(), loss, ranks)
        if ranks.first:
            torch.save(result, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
