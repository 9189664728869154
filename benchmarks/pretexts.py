"""CPU time of a pre-training step with each loss, relative to NT-Xent on the same jets and network.

Every loss trains its own network from memory, by one thread; epochs of all losses alternate, so that a busy
machine disturbs them alike. Jets are random, with the multiplicity of the laptop campaign, or bring a data set
(--manifest). Prints a JSON line per loss: the median over the rounds of the ratio to NT-Xent of the same round,
its smallest and largest value, and the median time of a step.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from loader import block_of, random_dataset
from ranks import ENCODERS

from rs3l.config.encoders import Encoder
from rs3l.config.losses import Jepa, Masked, loss_text
from rs3l.pretrain.pretrain import Trainer
from rs3l.training.checkpoint import Checkpoint
from rs3l.training.stop import StopRequest
from rs3l.training.threads import limit_threads

LOSSES: list[Any] = [
    "nt_xent",
    "vicreg",
    "sup_con",
    "multi_class",
    "masked",
    "jepa",
    {"nt_xent": 1.0, "masked": 0.5},
    {"nt_xent": 1.0, "jepa": 1.0},
]
"""The first one is what all are compared with."""


def trainer_of(loss: Any, encoder: Encoder, manifest: Path, batch: int, constituents: int, work: Path) -> Trainer:
    """Return a training with a loss, which keeps its state nowhere."""
    plain = block_of(manifest, batch, constituents, stream=False)
    changes = {"loss": loss, "encoder": encoder, "masked": Masked(), "jepa": Jepa(), "on_collapse": "warn"}
    values = {**plain.model_dump(), "vicreg": {}, "epochs": 1000, **changes}
    block = type(plain).model_validate(values)
    return Trainer(block, manifest, Checkpoint(work, block, "none"))


def seconds_per_step(trainer: Trainer, epoch: int) -> float:
    """Return the CPU seconds of a step, over one epoch."""
    start = time.process_time()
    with StopRequest() as stop:
        trainer._epoch(epoch, stop)
    trainer.losses = []
    return (time.process_time() - start) / trainer.steps


def compare(trainers: dict[str, Trainer], rounds: int) -> None:
    """Print the times of all losses, after one epoch of each to warm up."""
    times: dict[str, list[float]] = {name: [] for name in trainers}
    for epoch in range(rounds + 1):
        for name, trainer in trainers.items():
            times[name].append(seconds_per_step(trainer, epoch))
    base = next(iter(times.values()))[1:]
    for name, found in times.items():
        ratios = [time / other for time, other in zip(found[1:], base, strict=True)]
        values = {"ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}
        print(json.dumps({"loss": name, **values, "cpu_s_per_step": statistics.median(found[1:])}))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, help="a data set; by default random jets")
    parser.add_argument("--events", type=int, default=2_000, help="of each process, of random jets")
    parser.add_argument("--encoder", choices=ENCODERS, default="deepsets")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--constituents", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    limit_threads(1)
    with tempfile.TemporaryDirectory() as work:
        manifest = args.manifest or random_dataset(Path(work), args.events)
        options = ENCODERS[args.encoder], manifest, args.batch, args.constituents, Path(work)
        compare({loss_text(loss): trainer_of(loss, *options) for loss in LOSSES}, args.rounds)


if __name__ == "__main__":
    main()
