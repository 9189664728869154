"""How far a campaign's trainings stay from every alarm, whatever the processor rounds like.

Rounding differs between processors, and small trainings amplify it. PyTorch can be told to compute as another
processor (ATEN_CPU_CAPABILITY), and sums in another order with more threads. For each of these, and for several
seeds of the pre-training, each method is trained on a finished data set. A JSON line per training has what the
alarms of docs/pretrain.md look at, as multiples of what sets them off: the worst of the second half of the epochs,
since it can end a training, too. With --tasks, also the epochs of the longest training of a classifier, as a
fraction of those that are allowed. The last lines are the worst of each method. It fails where one of them is
nearer to its alarm than MARGINS allow.

Run times are those of the campaign itself, once per case: for `config/test.yaml` a second or two each.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rs3l.runs import Run

REPOSITORY = Path(__file__).resolve().parent.parent
CAPABILITIES = ("default", "avx2", "avx512")
MARGINS = {"below_chance": 3.0, "spread": 1.4, "rank": 1.3, "epochs_used": 0.5}
"""The campaign of the tests keeps these smallest multiples of the alarms and this largest part of the epochs."""

Line = dict[str, Any]


def arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(REPOSITORY / "config" / "test.yaml"), help="the campaign (YAML)")
    parser.add_argument("--manifest", required=True, help="manifest of its data set (.json)")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of the pre-training (default 5)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads (default 1 2)")
    parser.add_argument("--capabilities", nargs="+", help="default: those that this processor has")
    parser.add_argument("--tasks", action="store_true", help="train the classifiers, too")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def capabilities() -> list[str]:
    """Return the capabilities that this processor has: the best, which PyTorch takes by itself, and those below.

    PyTorch takes one that the processor lacks, too, and is then killed by its first instruction.
    """
    code = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    own = {name: value for name, value in os.environ.items() if name != "ATEN_CPU_CAPABILITY"}
    best = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True, check=True)
    return list(CAPABILITIES[: CAPABILITIES.index(best.stdout.strip().lower()) + 1])


def environment(capability: str, threads: int) -> dict[str, str]:
    """Return the environment of a process that computes like another processor."""
    own = {"ATEN_CPU_CAPABILITY": capability, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    return {**os.environ, **own}


def lines_of(capability: str, threads: int, args: argparse.Namespace) -> Iterator[Line]:
    """Yield the lines of one processor.

    Torch reads its capability once, so that each has a process of its own.
    """
    command = [sys.executable, __file__, "--worker", "--config", args.config, "--manifest", args.manifest]
    command += ["--seeds", str(args.seeds), "--threads", str(threads), *(["--tasks"] if args.tasks else [])]
    result = subprocess.run(
        command, env=environment(capability, threads), stdout=subprocess.PIPE, text=True, check=True
    )
    for line in result.stdout.splitlines():
        yield {"capability": capability, "threads": threads, **json.loads(line)}


def work(args: argparse.Namespace) -> Iterator[Line]:
    """Yield the lines of this process, which has each seed of each method."""
    import torch

    from rs3l.config import load_campaign, methods

    torch.set_num_threads(args.threads[0])
    config = load_campaign(args.config)
    with tempfile.TemporaryDirectory() as folder:
        for method in methods.methods(config):
            for seed in range(args.seeds):
                yield one(config, f"{method}_s{seed}", args, Path(folder))


def one(config: Any, run: str, args: argparse.Namespace, folder: Path) -> Line:
    """Train one run and return what the alarms look at, in units of what sets them off."""
    from rs3l.config import blocks
    from rs3l.finetune.finetune import finetune
    from rs3l.networks.model_file import save_encoder
    from rs3l.pretrain.pretrain import LOSS_MARGIN, SPREAD_ALARM, Trainer, rank_alarm
    from rs3l.training.checkpoint import Checkpoint

    method, seed = Run.parse(run).method, Run.parse(run).seed
    block = blocks.pretrain(config, str(Run(method))).model_copy(
        update={"seed": config.seed + seed, "on_collapse": "warn"}
    )
    trainer = Trainer(block, args.manifest, Checkpoint(folder / run, block, run))
    trainer.run()
    rows = trainer.rows[(len(trainer.rows) - 1) // 2 :]
    chance = math.log(2 * trainer.batch - 1)
    line: Line = {"method": method, "seed": seed}
    line["below_chance"] = min(chance - row["train_loss"] for row in rows) / LOSS_MARGIN
    line["spread"] = min(row["spread"] for row in rows) / SPREAD_ALARM
    line["rank"] = min(row["rank"] for row in rows) / rank_alarm(block)
    if not args.tasks:
        return line
    save_encoder(trainer.encoder, folder / "model.safetensors")
    longest = 0.0
    for task in config.tasks:
        settings = blocks.finetune(config, task, str(Run(method)))
        warn = settings.finetune.model_copy(update={"on_undertrained": "warn"})
        settings = settings.model_copy(update={"finetune": warn})
        history = folder / "history.csv"
        model, classifiers = folder / "model.safetensors", folder / "classifiers.safetensors"
        finetune(settings, args.manifest, model, classifiers, history)
        longest = max(longest, *fractions(history, settings.finetune.max_epochs))
    return {**line, "epochs_used": longest}


def fractions(history: Path, most: int) -> list[float]:
    """Return the epochs of each classifier as a fraction of those that are allowed."""
    with history.open(encoding="utf-8") as stream:
        return [int(row["epochs"]) / most for row in csv.DictReader(stream)]


def worst(lines: Sequence[Line], what: str) -> float:
    """Return the value nearest to its alarm."""
    values = [line[what] for line in lines]
    return max(values) if what == "epochs_used" else min(values)


def summary(lines: Sequence[Line]) -> Iterable[Line]:
    """Yield the worst values of each method."""
    for method in dict.fromkeys(line["method"] for line in lines):
        own = [line for line in lines if line["method"] == method]
        known = [name for name in ("below_chance", "spread", "rank", "epochs_used") if name in own[0]]
        yield {"worst_of": len(own), "method": method, **{name: worst(own, name) for name in known}}


def is_near(line: Line) -> bool:
    """Return whether one of the worst values is nearer to its alarm than the margins allow."""
    return any(
        (line[name] > margin) if name == "epochs_used" else not (line[name] >= margin)
        for name, margin in MARGINS.items()
        if name in line
    )


def rounded(line: Line) -> str:
    """Return a line as JSON, with numbers of four digits."""
    return json.dumps({k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in line.items()})


def main() -> None:
    """Train on every processor that this one can be, and print the lines."""
    args = arguments()
    if args.worker:
        for line in work(args):
            print(json.dumps(line), flush=True)
        return
    found = []
    for capability in args.capabilities or capabilities():
        for threads in args.threads:
            for line in lines_of(capability, threads, args):
                found.append(line)
                print(rounded(line), flush=True)
    worst_lines = list(summary(found))
    for line in worst_lines:
        print(rounded(line))
    if any(map(is_near, worst_lines)):
        sys.exit(f"nearer to an alarm than {MARGINS}")


if __name__ == "__main__":
    main()
