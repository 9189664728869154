"""Measure what multiplications leave out of a network's time, for `make plan`: the block `encoders` of costs.json.

The time of a training step and of a forward pass over multiplications (`rs3l.plan.network_work`), relative to the
default DeepSets on the same random jets. Networks alternate, so that a busy machine disturbs all alike; times are
CPU times on one thread, and the median over rounds is taken. The memory per jet of a step is the difference of the
peaks of processes with steps of two sizes.

    python benchmarks/encoder_costs.py                # prints
    python benchmarks/encoder_costs.py --write        # renews the block of benchmarks/costs.json
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
from pathlib import Path

import torch
from costs import machine
from encoders import OTHERS, Batch, own_step, random_batch, timed
from usage import usage

from rs3l.config.encoders import EdgeConv, Encoder
from rs3l.config.pretrain import Pretrain
from rs3l.files import write_text
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import new_encoder
from rs3l.plan import EncoderCost, encoder_name, load_costs, network_work

REPOSITORY = Path(__file__).resolve().parent.parent

TABLE = REPOSITORY / "benchmarks" / "costs.json"
ENCODERS: list[Encoder] = [*OTHERS.values(), EdgeConv(kind="edgeconv")]
STEPS = (256, 1024)
"""Jets of the steps whose memory is compared."""


@torch.no_grad()
def forward(encoder: JetEncoder, batch: Batch) -> float:
    """Run the network on a batch, as the embedding and the scoring of test jets do."""
    return float(encoder.project(encoder(*batch)).sum())


def measure(jets: int, rounds: int, constituents: int) -> dict[str, EncoderCost]:
    """Return the cost of each encoder relative to the first, the default DeepSets."""
    generator = torch.Generator().manual_seed(0)
    networks = [new_encoder(config, constituents, 1) for config in ENCODERS]
    steps = [own_step(network) for network in networks]
    seconds: list[list[tuple[float, float]]] = []
    for _ in range(rounds + 1):
        batch = random_batch(jets, constituents, generator)
        row = [
            (timed(step, batch)[1], timed(lambda b, n=network: forward(n, b), batch)[1])
            for step, network in zip(steps, networks, strict=True)
        ]
        seconds.append(row)
    return {
        encoder_name(config): EncoderCost(
            training=relative([row[i][0] / row[0][0] for row in seconds[1:]], config, constituents),
            inference=relative([row[i][1] / row[0][1] for row in seconds[1:]], config, constituents),
            step_kb=step_kb(i, constituents),
        )
        for i, config in enumerate(ENCODERS)
    }


def step_kb(network: int, constituents: int) -> float:
    """Return the memory per jet of a training step [kB]."""
    words = [__file__, "--constituents", str(constituents), "--steps-of", str(network), "--jets"]
    few, many = (usage([*words, str(jets)]).ru_maxrss for jets in STEPS)
    return float(f"{1.024 * (many - few) / (STEPS[1] - STEPS[0]):.3g}")


def some_steps(network: int, jets: int, constituents: int) -> None:
    """Train a network for a few steps, for its peak memory."""
    step = own_step(new_encoder(ENCODERS[network], constituents, 1))
    for seed in range(3):
        step(random_batch(jets, constituents, torch.Generator().manual_seed(seed)))


def relative(ratios: list[float], config: Encoder, constituents: int) -> float:
    """Return the time of a network over that of the default one, per multiplication."""
    work = network_work(config, constituents) / network_work(ENCODERS[0], constituents)
    return float(f"{statistics.median(ratios) / work:.3g}")


def main() -> None:
    """Measure the costs and print the block, or write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jets", type=int, default=256, help="jets per step (default 256)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds, after one that warms up (default 15)")
    parser.add_argument("--constituents", type=int, default=Pretrain().constituents)
    parser.add_argument("--write", action="store_true", help="renew the block in benchmarks/costs.json")
    parser.add_argument("--steps-of", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.steps_of is not None:
        some_steps(args.steps_of, args.jets, args.constituents)
        return
    found = measure(args.jets, args.rounds, args.constituents)
    print(json.dumps({name: cost.model_dump() for name, cost in found.items()}, indent=2))
    if args.write:
        how = f"benchmarks/encoder_costs.py, {machine()}, {datetime.date.today().isoformat()}"
        table = load_costs(TABLE).model_copy(update={"encoders": found, "encoders_how": how})
        write_text(TABLE, table.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()
