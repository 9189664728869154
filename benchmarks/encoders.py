"""Training steps of the paper's network against a transcription of its authors' loop; memory of NT-Xent.

Both train the EdgeConv network of RS3L (arXiv:2403.07066) on the same batches of 200 jets from the same weights,
in single precision with Adam. The reference does what the authors' code does with torch-geometric: the candidates
of all jets in one graph, the k nearest neighbours as a list of edges, a linear layer and ELU on every edge, a
scattered maximum, and a loss that broadcasts cosines to (2N, 2N, D). It searches neighbours by dense distances per
jet. Jets are random, with the multiplicity of the laptop campaign; loading them is in neither time.

The loss curves must agree. Steps of both alternate, so that a busy machine disturbs both alike. On a CPU, times
are CPU times. Prints JSON lines; rates of the other encoders on the same batches come with them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, elu, normalize

from rs3l.config.encoders import DeepSets, EdgeConv, Encoder, Transformer
from rs3l.dataset.features import FEATURES, FLAGS
from rs3l.networks.base import JetEncoder
from rs3l.networks.edgeconv import EdgeConvEncoder, EdgeConvolution
from rs3l.networks.model_file import new_encoder
from rs3l.pretrain.losses import nt_xent

REPOSITORY = Path(__file__).resolve().parent.parent

CANDIDATES = (54.0, 20.0)
"""Mean and standard deviation of the candidates per jet."""

NOISE = 0.3
"""A second view differs by noise of this size."""

TEMPERATURE = 0.1
LEARNING_RATE = 1e-3
OTHERS: dict[str, Encoder] = {
    "deepsets": DeepSets(),
    "transformer": Transformer(kind="transformer"),
    "transformer, pairwise": Transformer(kind="transformer", pairwise=True),
}

Batch = tuple[Tensor, Tensor]
"""Features [B, N, F] and mask [B, N]; the two views of a pair are jets b and B / 2 + b."""


def random_batch(jets: int, constituents: int, generator: torch.Generator) -> Batch:
    """Return pairs of jets with random features, of which the second is a noisy copy of the first."""
    lengths = torch.normal(*CANDIDATES, (jets // 2,), generator=generator).round().clamp(3, constituents).long()
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    x = torch.randn(*mask.shape, len(FEATURES), generator=generator)
    x += torch.randn(len(x), 1, len(FEATURES), generator=generator)
    kind = torch.randint(FLAGS, mask.shape, generator=generator)
    x[..., -FLAGS:] = nn.functional.one_hot(kind, FLAGS)
    copy = x + NOISE * torch.randn(x.shape, generator=generator)
    mask = mask.repeat(2, 1)
    return torch.cat([x, copy]).masked_fill(~mask[..., None], 0.0), mask


class Reference(nn.Module):
    """The authors' network, on a graph of all candidates of a batch, with weights shared with an encoder."""

    def __init__(self, encoder: EdgeConvEncoder) -> None:
        super().__init__()
        self.candidate, self.projector = encoder.candidate, encoder.projector
        self.edges = nn.ModuleList(c.linear for c in encoder.convolutions if isinstance(c, EdgeConvolution))
        self.k = encoder.neighbours

    def forward(self, x: Tensor, jet: Tensor) -> Tensor:
        """Return the latents [B, D] of the candidates ``x`` [M, F] of the jets ``jet`` [M]."""
        x = self.candidate(x)
        for linear in self.edges:
            source, target = self.graph(x, jet)
            message = elu(linear(torch.cat([x[target], x[source] - x[target]], dim=1)))
            index = target[:, None].expand_as(message)
            x = message.new_zeros(x.shape).scatter_reduce(0, index, message, "amax", include_self=False)
        pooled = x.new_zeros(int(jet.max()) + 1, x.shape[1]).index_add(0, jet, x)
        latents: Tensor = self.projector(pooled)
        return latents

    @torch.no_grad()
    def graph(self, x: Tensor, jet: Tensor) -> tuple[Tensor, Tensor]:
        """Return source and target of the edges, which lead to a candidate from its nearest ones of its jet.

        A candidate is among its own nearest ones.
        """
        count = torch.bincount(jet)
        first = count.cumsum(0) - count
        slot = torch.arange(len(jet), device=x.device) - first[jet]
        points = x.new_zeros(len(count), int(count.max()), x.shape[1])
        points[jet, slot] = x
        distance = torch.cdist(points, points)
        padding = torch.arange(points.shape[1], device=x.device) >= count[:, None]
        distance = distance.masked_fill(padding[:, None, :], torch.inf)
        value, order = distance[jet, slot].topk(min(self.k, points.shape[1]), largest=False)
        target, column = torch.isfinite(value).nonzero(as_tuple=True)
        return first[jet[target]] + order[target, column], target


def naive_loss(first: Tensor, second: Tensor) -> Tensor:
    """Return NT-Xent of pairs [N, D] as the authors' code computes it, with cosines of a (2N, 2N, D) broadcast."""
    z = torch.cat([normalize(first, dim=1), normalize(second, dim=1)])
    similarity = cosine_similarity(z.unsqueeze(1), z.unsqueeze(0), dim=2)
    n = len(first)
    positives = torch.cat([torch.diag(similarity, n), torch.diag(similarity, -n)])
    others = (~torch.eye(2 * n, dtype=torch.bool, device=z.device)).float()
    denominator = (others * torch.exp(similarity / TEMPERATURE)).sum(dim=1)
    return -torch.log(torch.exp(positives / TEMPERATURE) / denominator).sum() / (2 * n)


def reference_latents(network: Reference, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the latents of both views of each pair."""
    x, mask = batch
    first, second = network(x[mask], mask.nonzero()[:, 0]).chunk(2)
    return first, second


def step_of(network: nn.Module, loss: Callable[[Batch], Tensor]) -> Callable[[Batch], float]:
    """Return a function that takes one training step and returns its loss."""
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)

    def step(batch: Batch) -> float:
        optimizer.zero_grad()
        value = loss(batch)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return value.item()

    return step


def own_step(encoder: JetEncoder) -> Callable[[Batch], float]:
    """Return a training step of this project."""
    return step_of(encoder, lambda batch: nt_xent(encoder.project(encoder(*batch)), TEMPERATURE))


def reference_step(encoder: EdgeConvEncoder) -> Callable[[Batch], float]:
    """Return a training step of the authors' loop, on the weights of ``encoder``."""
    network = Reference(encoder)
    return step_of(network, lambda batch: naive_loss(*reference_latents(network, batch)))


def timed(step: Callable[[Batch], float], batch: Batch) -> tuple[float, float]:
    """Return loss and seconds of a step, which are of the CPU or, on a GPU, of the clock."""
    clock = time.perf_counter if batch[0].is_cuda else time.process_time
    start = clock()
    loss = step(batch)  # .item() waits for the GPU
    return loss, clock() - start


def edgeconv(seed: int, constituents: int, device: torch.device) -> EdgeConvEncoder:
    """Return the paper's network, which has the same weights at each call."""
    encoder = new_encoder(EdgeConv(kind="edgeconv"), constituents, seed).to(device)
    assert isinstance(encoder, EdgeConvEncoder)
    return encoder


def compare(batches: list[Batch], constituents: int) -> dict[str, Any]:
    """Alternate steps of both loops on the same batches; the first step of each is a warm-up."""
    device = batches[0][0].device
    steps = [reference_step(edgeconv(1, constituents, device)), own_step(edgeconv(1, constituents, device))]
    results = [[timed(step, batch) for step in steps] for batch in batches]
    losses = [[loss for loss, _ in pair] for pair in results]
    for theirs, ours in losses:
        assert abs(theirs - ours) <= 1e-3 * theirs, f"the loss curves differ: {losses}"
    ratios = [theirs / ours for (_, theirs), (_, ours) in results[1:]]
    median = [statistics.median(pair[i][1] for pair in results[1:]) for i in (0, 1)]
    return {
        "benchmark": "EdgeConv training steps / the authors' loop",
        "jets": len(batches[0][0]),
        "steps": len(ratios),
        "reference_steps_per_s": round(1 / median[0], 3),
        "steps_per_s": round(1 / median[1], 3),
        "ratio": round(statistics.median(ratios), 2),
        "range": [round(min(ratios), 2), round(max(ratios), 2)],
        "largest_difference_of_the_loss": float(f"{max(abs(a / b - 1) for a, b in losses):.1e}"),
        "losses": [round(ours, 4) for _, ours in losses],
    }


def rate(name: str, config: Encoder, batches: list[Batch], constituents: int) -> dict[str, Any]:
    """Measure the training steps of another encoder."""
    step = own_step(new_encoder(config, constituents, 1).to(batches[0][0].device))
    seconds = [timed(step, batch)[1] for batch in batches][1:]
    return {
        "benchmark": "training steps",
        "encoder": name,
        "jets": len(batches[0][0]),
        "steps_per_s": round(1 / statistics.median(seconds), 2),
        "range": [round(1 / max(seconds), 2), round(1 / min(seconds), 2)],
    }


PEAK = """
import sys, torch
sys.path[:0] = {path}
import encoders
from rs3l.pretrain.losses import nt_xent
torch.set_num_threads(1)
before = encoders.peak_bytes()
z = torch.randn(2 * {pairs}, 8, requires_grad=True)
loss = nt_xent(z, encoders.TEMPERATURE) if {own} else encoders.naive_loss(*z.chunk(2))
loss.backward()
print(before, encoders.peak_bytes())
"""


def peak_bytes() -> int:
    """Return the largest resident memory that this program has had, without what forked it (on Linux only)."""
    line = next(
        line
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        if line.startswith("VmHWM")
    )
    return int(line.split()[1]) * 1024


def peak(pairs: int, own: bool) -> dict[str, Any]:
    """Measure the peak memory of a process that computes loss and gradient of ``pairs`` pairs, with D = 8."""
    path = [str(REPOSITORY / "benchmarks"), str(REPOSITORY / "workflow" / "scripts")]
    program = PEAK.format(path=path, pairs=pairs, own=own)
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", errors="replace", check=True
    )
    before, after = (int(value) / 1e9 for value in result.stdout.split())
    return {
        "benchmark": "memory of NT-Xent",
        "loss": "nt_xent" if own else "(2N, 2N, D) broadcast",
        "pairs": pairs,
        "peak_gb": round(after, 2),
        "of_which_libraries_gb": round(before, 2),
    }


def main() -> None:
    """Measure and print the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jets", type=int, default=200, help="jets per step (default 200)")
    parser.add_argument("--steps", type=int, default=8, help="steps, after one that warms up (default 8)")
    parser.add_argument("--constituents", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    generator = torch.Generator().manual_seed(0)
    batches = [
        tuple(values.to(args.device) for values in random_batch(args.jets, args.constituents, generator))
        for _ in range(args.steps + 1)
    ]
    where = torch.cuda.get_device_name() if args.device == "cuda" else f"CPU, {args.threads} threads"
    for measure in (
        lambda: compare(batches, args.constituents),
        *(lambda n=n, c=c: rate(n, c, batches, args.constituents) for n, c in OTHERS.items()),
        lambda: peak(1024, own=False),
        lambda: peak(1024, own=True),
        lambda: peak(4096, own=True),
    ):
        print(json.dumps({**measure(), "device": where}), flush=True)


if __name__ == "__main__":
    main()
