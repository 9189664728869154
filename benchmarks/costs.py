"""Measure what a plan needs (benchmarks/costs.json): the start of a job of each stage, and the cost of its work.

The start is measured here, with short jobs one after another: ten hard events for the generators, the imports of
the other steps. The work is that of a finished campaign, from its benchmark files and the sizes of its files. The
memory per row is the difference between this campaign and a small one (config/test.yaml):

    python benchmarks/costs.py results/demo --config config/config.yaml --small results/test
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from usage import usage

from rs3l.config import Campaign, blocks, load_campaign
from rs3l.files import write_text
from rs3l.plan import STAGES, Cost, CostTable, load_costs, measured, peak_memory

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPTS = REPOSITORY / "workflow" / "scripts"

UNITS = {
    "hard_process": "hard event",
    "resimulate": "shower",
    "merge": "shower",
    "pretrain": "jet seen by the default network",
    "embed": "jet of the test split under one variant",
    "finetune": "jet seen by a classifier on the default network",
    "evaluate": "score in one replica",
    "figures": "shower",
}
HELP = {"merge": "merge", "pretrain": "pretrain", "embed": "embed", "finetune": "finetune",
        "evaluate": "evaluate", "figures": "figure"}  # fmt: skip
"""The start of these scripts is the time of their imports."""
THREADS = {"merge": 2}
EVENTS = 10


class Start(NamedTuple):
    """The CPU seconds of a job's start, the smallest of the repeats (other programs only add) and the largest."""

    seconds: float
    largest: float


def cpu_seconds(*command: str) -> float:
    """Return the CPU time of a command."""
    used = usage(command)
    return used.ru_utime + used.ru_stime


def start(repeats: int, *command: str) -> Start:
    """Measure a short job several times."""
    seconds = [cpu_seconds(*command) for _ in range(repeats)]
    return Start(min(seconds), max(seconds))


def starts(config: Campaign, repeats: int) -> dict[str, Start]:
    """Return the start of a job of every stage."""
    process = next(iter(config.processes))
    hard_block = blocks.hard(config, process, 0).model_copy(update={"events": EVENTS}).model_dump_json()
    resim_block = blocks.resim(config, process, "nominal").model_dump_json()
    with tempfile.TemporaryDirectory() as folder:
        hard, jets = f"{folder}/hard.lhe.gz", f"{folder}/jets.parquet"
        generators = {
            "hard_process": ["hard.py", "--block", hard_block, "--out", hard],
            "resimulate": ["resim.py", "--block", resim_block, "--hard", hard, "--out", jets],
        }
        jobs = generators | {stage: [f"{script}.py", "--help"] for stage, script in HELP.items()}
        return {stage: start(repeats, str(SCRIPTS / name), *rest) for stage, (name, *rest) in jobs.items()}


def held_kb(stage: str, large: tuple[Campaign, Path], small: tuple[Campaign, Path]) -> float:
    """Return the memory per row [kB] from two campaigns, which is 0 for a stage that holds no rows."""
    rows = [STAGES[stage](config).held for config, _ in (large, small)]
    memory = [peak_memory(root, stage) for _, root in (large, small)]
    return max(1000 * (memory[0] - memory[1]) / (rows[0] - rows[1]), 0.0) if rows[0] else 0.0


def table(found: dict[str, Start], large: tuple[Campaign, Path], small: tuple[Campaign, Path]) -> CostTable:
    """Return the table without its heading, with starts measured here and work as the large campaign took it."""
    stages = {
        stage: Cost(
            unit=UNITS[stage],
            start_s=round(found[stage].seconds, 2),
            unit_s=0.0,
            unit_s_range=(0.0, 0.0),
            memory_mb=0.0,
            held_kb=float(f"{held_kb(stage, large, small):.3g}"),
            written_bytes=0.0,
            threads=THREADS.get(stage, 1),
            jobs=1,
        )
        for stage in STAGES
    }
    return measured(*large, CostTable(machine="", date="", how="", jets_per_shower=1.0, stages=stages))


def machine() -> str:
    """Return what this machine calls its processor, and its number of cores."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, {os.cpu_count()} cores"


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder of a finished campaign on this machine")
    parser.add_argument("--config", required=True, help="its configuration")
    parser.add_argument(
        "--small", type=Path, required=True, help="folder of a finished campaign of config/test.yaml"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "benchmarks" / "costs.json")
    args = parser.parse_args()
    config, small = load_campaign(args.config), load_campaign(REPOSITORY / "config" / "test.yaml")
    found = starts(config, args.repeats)
    heading: dict[str, Any] = {
        "machine": machine(),
        "date": datetime.date.today().isoformat(),
        "how": f"jobs of the campaign {config.campaign}; starts: the quickest of {args.repeats} short jobs",
    }
    if args.out.exists():  # encoder_costs.py has measured this part
        known = load_costs(args.out)
        heading |= {"encoders": known.encoders, "encoders_how": known.encoders_how}
    costs = table(found, (config, args.root), (small, args.small)).model_copy(update=heading)
    write_text(args.out, costs.model_dump_json(indent=2) + "\n")
    for stage, (seconds, largest) in found.items():
        print(f"{stage:<13} start {seconds:.2f} ... {largest:.2f} s of CPU time")


if __name__ == "__main__":
    main()
