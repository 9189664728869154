"""Two ranks of one machine against one: pairs per second at an equal global batch, with one thread per rank.

Both train the same network on the same random jets (or --manifest), from memory, as the rule starts them. Runs
alternate; each is a process (or two) of its own that trains an epoch to warm up and then some more. Prints a JSON
line per size of the batch, with two ratios:

- ``ratio`` is of pairs per second by the clock. It needs as many idle cores as ranks; with other work on the
  machine it says how busy that is.
- ``ratio_of_cpu_time`` is of the CPU time per step of the one rank over that of the busiest of several. What a
  rank spends waiting is not in it, so that it is what idle cores would reach if messages took no time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from loader import block_of, random_dataset

from rs3l.config.encoders import DeepSets, EdgeConv, Encoder, Transformer
from rs3l.pretrain.pretrain import Trainer
from rs3l.training.checkpoint import Checkpoint
from rs3l.training.distributed import join
from rs3l.training.stop import StopRequest
from rs3l.training.threads import limit_threads

ENCODERS: dict[str, Encoder] = {
    "deepsets": DeepSets(),
    "edgeconv": EdgeConv(kind="edgeconv"),
    "transformer": Transformer(kind="transformer"),
}
AIM = 1.7


def train(args: argparse.Namespace) -> None:
    """Train as one of the ranks; the first writes pairs per second and the CPU seconds per step of each rank."""
    with join(None if args.gpu else "cpu") as ranks:
        limit_threads(1)
        block = block_of(Path(args.manifest), args.batch[0], args.constituents, stream=False)
        block = block.model_copy(update={"encoder": ENCODERS[args.encoder], "on_collapse": "warn"})
        trainer = Trainer(block, args.manifest, Checkpoint(args.work, block, "none"), ranks)
        with StopRequest() as stop:
            trainer._epoch(0, stop)
            trainer.losses = []
            ranks.wait()
            clock, cpu = time.perf_counter(), time.process_time()
            for epoch in range(1, args.epochs + 1):
                trainer._epoch(epoch, stop)
                trainer.losses = []
            clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
        trainer.votes.finish()
        steps = args.epochs * trainer.steps
        every = ranks.collect(cpu / steps)
        if ranks.first:
            found = {"pairs_per_s": trainer.batch * steps / clock, "cpu_s_per_step": every, "steps": steps}
            Path(args.work, "found.json").write_text(json.dumps(found), encoding="utf-8")


def run(ranks: int, batch: int, manifest: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Return what one training by ``ranks`` processes took."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
    with tempfile.TemporaryDirectory() as work:
        options = ["--work", work, "--manifest", str(manifest), "--batch", str(batch), "--encoder", args.encoder]
        options += ["--constituents", str(args.constituents), "--epochs", str(args.epochs)]
        options += ["--gpu"] if args.gpu else []
        command = [sys.executable, *launcher, __file__, *options]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
        found: dict[str, Any] = json.loads(Path(work, "found.json").read_text(encoding="utf-8"))
    return found


def compare(batch: int, manifest: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Alternate trainings by one rank and by several."""
    pairs = [[run(ranks, batch, manifest, args) for ranks in (1, args.ranks)] for _ in range(args.rounds)]
    clock = [many["pairs_per_s"] / one["pairs_per_s"] for one, many in pairs]
    cpu = [one["cpu_s_per_step"][0] / max(many["cpu_s_per_step"]) for one, many in pairs]
    return {
        "benchmark": f"{args.ranks} ranks / 1 rank, pairs per second",
        "encoder": args.encoder,
        "batch": batch,
        "steps": pairs[0][0]["steps"],
        "pairs_per_s_of_one": round(statistics.median(one["pairs_per_s"] for one, _ in pairs)),
        "ratio": round(statistics.median(clock), 2),
        "range": [round(min(clock), 2), round(max(clock), 2)],
        "ratio_of_cpu_time": round(statistics.median(cpu), 2),
        "range_of_cpu_time": [round(min(cpu), 2), round(max(cpu), 2)],
        "load": [round(each, 1) for each in os.getloadavg()],
        "cores": os.cpu_count(),
        "aim": AIM,
    }


def main() -> None:
    """Measure and print the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", help="a data set, in place of random jets")
    parser.add_argument("--events", type=int, default=4_096, help="per process to train on (default 4096)")
    parser.add_argument("--batch", type=int, nargs="+", default=[256, 1024], help="pairs per step, over all ranks")
    parser.add_argument("--constituents", type=int, default=64)
    parser.add_argument("--encoder", choices=ENCODERS, default="deepsets")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=4, help="after one that warms up (default 4)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gpu", action="store_true", help="a GPU per rank")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        train(args)
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        manifest = Path(args.manifest) if args.manifest else random_dataset(Path(temporary), args.events)
        for batch in args.batch:
            print(json.dumps(compare(batch, manifest, args)), flush=True)


if __name__ == "__main__":
    main()
