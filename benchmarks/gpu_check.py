"""All that a first look at a GPU should see, as Markdown: `make gpu-check`.

1. What the card is, and the rate of a large matrix product on it.
2. Steps of pre-training (copy, padding, rotation, features, network, NT-Xent, backward pass, AdamW) for each
   encoder, size of the batch, precision, and with and without torch.compile: pairs per second, peak memory, and
   the fraction of the rate of the matrix product. The work of a step is what torch counts in its matrix products,
   forward and backward, padding included.
3. The loader by threads, against these steps.
4. Whether the first losses are those of the CPU, and whether a training that was stopped goes on as it would have.
5. The campaign of --campaign, end to end, with a GPU for pre-training.

Jets are random, with the multiplicity of the laptop campaign. Exits with 1 if there is no GPU or if 4 or 5 fails.
`--device cpu` tries the check itself, small.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from loader import block_of, random_dataset
from ranks import ENCODERS
from torch.utils.flop_counter import FlopCounterMode

from rs3l.config.blocks import PretrainBlock
from rs3l.config.encoders import Encoder
from rs3l.errors import CampaignError, StoppedError
from rs3l.pretrain.loader import loaded
from rs3l.pretrain.pretrain import Trainer
from rs3l.training.checkpoint import Checkpoint
from rs3l.training.device import Placement, place
from rs3l.training.distributed import Ranks
from rs3l.training.precision import has_bf16
from rs3l.training.stop import StopRequest
from rs3l.training.threads import limit_threads

ROOT = Path(__file__).resolve().parent.parent
AGREEMENT = 1e-3
"""Relative difference of the first losses of CPU and GPU, in single precision, that is still rounding."""


class Check:
    """The settings of the check, and the Markdown that it prints as it comes."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args, self.folder = args, folder
        self.device = torch.device(args.device, 0) if args.device == "cuda" else torch.device(args.device)
        self.failed: list[str] = []
        self.rates: dict[str, float] = {}
        self.manifest = random_dataset(folder, max(max(args.pairs), 256) // 2 + 64)

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, flush=True)

    def table(self, head: list[str], rows: Iterator[list[str]]) -> None:
        """Print a table, row by row."""
        for row in (head, ["---"] * len(head)):
            self.say(f"| {' | '.join(row)} |")
        for row in rows:
            self.say(f"| {' | '.join(row)} |")
        self.say("")

    def block(self, encoder: Encoder, pairs: int, **loop: Any) -> PretrainBlock:
        """Return the settings of a training."""
        block = block_of(self.manifest, pairs, self.args.constituents, stream=False)
        changes = {"encoder": encoder, "loop": block.loop.model_copy(update=loop), "on_collapse": "warn"}
        return block.model_copy(update={**changes, "epochs": self.args.epochs})

    def trainer(self, block: PretrainBlock, device: torch.device, name: str = "state") -> Trainer:
        """Return a training at its beginning, or where it was stopped."""
        return Trainer(block, self.manifest, Checkpoint(self.folder / name, block, "none"), Ranks(device=device))


def wait(device: torch.device) -> None:
    """Wait until a device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(action: Callable[[], object], device: torch.device, times: int) -> float:
    """Return the seconds by the clock of ``action``, after two calls that warm up."""
    for _ in range(2):
        action()
    wait(device)
    start = time.perf_counter()
    for _ in range(times):
        action()
    wait(device)
    return (time.perf_counter() - start) / times


def product_rate(check: Check, dtype: torch.dtype) -> float:
    """Return the FLOP/s of a large matrix product."""
    size = 8192 if check.device.type == "cuda" else 512
    a = torch.randn(size, size, device=check.device, dtype=dtype)
    return 2 * size**3 / seconds(lambda: a @ a, check.device, 5)


def flop_of_a_step(check: Check, encoder: Encoder, pairs: int) -> int:
    """Return the floating point operations in the matrix products of a step, without taking it."""
    meta = torch.device("meta")
    trainer = check.trainer(check.block(encoder, pairs, precision="float32", compile=False), meta)
    generator = trainer.train.generator(0)
    batch, jets = next(loaded(trainer.train.batches(generator, 0), trainer.place))
    with FlopCounterMode(display=False) as counter:
        trainer.step(batch, jets, generator)
    return int(counter.get_total_flops())


def measure_steps(check: Check) -> Iterator[list[str]]:
    """Yield the rows of the table of steps."""
    kinds = ["float32", "bf16"] if check.device.type == "cuda" and has_bf16(check.device) else ["float32"]
    peaks = {"float32": product_rate(check, torch.float32), "bf16": product_rate(check, torch.bfloat16)}
    compiles = [False, True] if check.args.compile else [False]
    for name in check.args.encoders:
        for pairs in check.args.pairs:
            flop = flop_of_a_step(check, ENCODERS[name], pairs)
            for precision in kinds:
                for compiled in compiles:
                    yield one_step(check, name, pairs, precision, compiled, flop / peaks[precision])


def one_step(check: Check, name: str, pairs: int, precision: str, compiled: bool, ideal: float) -> list[str]:
    """Return a row of the table of steps; what does not fit is said in it."""
    words = [name, f"{pairs:,}", precision, "yes" if compiled else "no"]
    if check.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(check.device)
    try:
        trainer = check.trainer(
            check.block(ENCODERS[name], pairs, precision=precision, compile=compiled), check.device
        )
        generator = trainer.train.generator(0)
        batch, jets = next(loaded(trainer.train.batches(generator, 0), trainer.place))
        each = seconds(lambda: trainer.step(batch, jets, generator), check.device, check.args.steps)
        trainer.check()
    except torch.cuda.OutOfMemoryError:
        return [*words, "out of memory", "", "", ""]
    memory = "" if check.device.type == "cpu" else f"{torch.cuda.max_memory_allocated(check.device) / 2**30:.2f}"
    check.rates[name] = max(check.rates.get(name, 0.0), pairs / each)
    return [*words, f"{1000 * each:.1f}", f"{pairs / each:,.0f}", memory, f"{ideal / each:.1%}"]


def measure_loader(check: Check) -> Iterator[list[str]]:
    """Yield the rows of the table of the loader."""
    pairs = min(1024, max(check.args.pairs))
    trainer = check.trainer(check.block(ENCODERS["deepsets"], pairs), check.device)
    for threads in sorted({1, 2, 4, 8, os.cpu_count() or 1}):
        placement = Placement(check.device, threads=threads)
        start, jets = time.perf_counter(), 0
        for epoch in range(check.args.epochs):
            for batch, found in loaded(trainer.train.batches(trainer.train.generator(epoch), 0), placement):
                placement.put(found)
                jets += batch.rows.size
        wait(check.device)
        rate = jets / (time.perf_counter() - start)
        ratios = [f"{rate / (2 * check.rates[name]):.2f}" for name in check.args.encoders]
        yield [str(threads), f"{rate:,.0f}", *ratios]


def first_losses(check: Check, encoder: Encoder, device: torch.device) -> list[float]:
    """Return the losses of the first steps in single precision."""
    trainer = check.trainer(check.block(encoder, 64, precision="float32", compile=False), device)
    generator = trainer.train.generator(0)
    for batch, jets in islice(loaded(trainer.train.batches(generator, 0), trainer.place), 5):
        trainer.step(batch, jets, generator)
    trainer.check()
    return trainer.losses


def agreement(check: Check) -> Iterator[list[str]]:
    """Yield, by encoder, the largest relative difference of the first losses from those of the CPU."""
    for name in check.args.encoders:
        ours, theirs = (
            first_losses(check, ENCODERS[name], device) for device in (check.device, torch.device("cpu"))
        )
        difference = max(abs(a / b - 1) for a, b in zip(ours, theirs, strict=True))
        good = difference <= AGREEMENT
        if not good:
            check.failed.append(f"the first losses of {name} differ from those of the CPU")
        yield [name, f"{theirs[0]:.5f} … {theirs[-1]:.5f}", f"{difference:.1e}", "yes" if good else "**no**"]


def resumption(check: Check) -> float:
    """Return the relative difference of the last loss of a stopped training from that of one that was not."""
    block = check.block(ENCODERS["deepsets"], 64, precision="float32", compile=False)
    whole = check.trainer(block, check.device, "whole")
    whole.run()
    first = check.trainer(block, check.device, "parts")
    request = StopRequest()
    request.name = "SIGTERM"
    with contextlib.suppress(StoppedError):
        first._epoch(0, request)
    second = check.trainer(block, check.device, "parts")
    assert second.done == 1, "it was stopped after a step"
    second.run()
    return abs(second.rows[-1]["train_loss"] / whole.rows[-1]["train_loss"] - 1)


def campaign(check: Check) -> int:
    """Run a campaign with a GPU for the pre-training, and return the exit code of Snakemake."""
    own = check.folder / "campaign.yaml"
    own.write_text("campaign: gpu_check\n", encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--logger", "campaign", "--configfile"]
    command += [check.args.campaign, str(own)]
    if check.device.type == "cuda":
        command += ["--set-resources", "pretrain:gpu=1"]
    return subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False).returncode


def describe(check: Check) -> str:
    """Return what computes, in a sentence."""
    versions = f"torch {torch.__version__}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    if check.device.type == "cpu":
        return f"**CPU ({platform.machine()})**, {versions}. This only tries the check itself."
    properties = torch.cuda.get_device_properties(check.device)
    return (
        f"**{properties.name}**, {properties.total_memory / 2**30:.0f} GiB, compute capability "
        f"{properties.major}.{properties.minor}, CUDA {torch.version.cuda}, {versions}. "
        f"A matrix product: {product_rate(check, torch.float32) / 1e12:.1f} TFLOP/s in float32, "
        f"{product_rate(check, torch.bfloat16) / 1e12:.1f} in bf16. By default: "
        f"{'bf16' if place(check.device, 'auto').bf16 else 'float32'}."
    )


def run(check: Check) -> None:
    """Measure everything and print it."""
    check.say(f"{describe(check)}\n")
    head = [
        "encoder",
        "pairs",
        "precision",
        "compiled",
        "ms per step",
        "pairs/s",
        "peak GiB",
        "of the product's rate",
    ]
    check.table(head, measure_steps(check))
    check.table(
        ["loading threads", "jets/s", *(f"/ {name}" for name in check.args.encoders)], measure_loader(check)
    )
    check.table(["encoder", "losses of the CPU", "largest difference", "agrees"], agreement(check))
    difference = resumption(check)
    if difference > AGREEMENT:
        check.failed.append("a training that was stopped does not go on as it would have")
    check.say(f"A training that was stopped and went on: its last loss differs by {difference:.1e}.\n")
    if check.args.campaign != "none":
        start = time.perf_counter()
        code = campaign(check)
        check.say(
            f"{check.args.campaign}, end to end: {(time.perf_counter() - start) / 60:.1f} min, exit code {code}."
        )
        if code:
            check.failed.append(f"the campaign {check.args.campaign} failed")


def main() -> None:
    """Check, and say what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--pairs", type=int, nargs="+", default=[1024, 2048, 4096, 8192, 16384])
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=list(ENCODERS))
    parser.add_argument("--constituents", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20, help="of each row (default 20)")
    parser.add_argument("--epochs", type=int, default=3, help="of the loader and of the resumption (default 3)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--campaign", default="config/config.yaml", help="a configuration, or none")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit(
            f"error: torch {torch.__version__} sees no GPU on {platform.node()}, and there is nothing to check; "
            "install a CUDA build of torch on a node with a GPU, or try the check itself: "
            "python benchmarks/gpu_check.py --device cpu --pairs 64 --steps 2 --no-compile --campaign none"
        )
    limit_threads(args.threads)
    with tempfile.TemporaryDirectory() as temporary:
        check = Check(args, Path(temporary))
        try:
            run(check)
        except CampaignError as error:
            check.failed.append(str(error))
    if check.failed:
        sys.exit(f"error: {'; '.join(check.failed)}")


if __name__ == "__main__":
    main()
