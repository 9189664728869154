"""Measure what a plan needs (benchmarks/costs.json): the start of a job of each stage, and the cost of its work.

The start is measured here, with short jobs one after another: ten hard events for the generators, the imports of
the other steps. The work is that of a finished campaign, from its benchmark files and the sizes of its files. The
memory per row of the stages after the merge comes from copies of the campaign's data set, the folder that
benchmarks/scale.py worked in; that of the merge from the difference between this campaign and a small one:

    python benchmarks/scale.py --dataset results/demo/dataset --work /tmp/scale
    python benchmarks/costs.py results/demo --small results/test --scale /tmp/scale
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from usage import usage

from rs3l.config import Campaign, blocks, load_campaign
from rs3l.dataset.manifest import read_manifest
from rs3l.files import write_text
from rs3l.plan import STAGES, Cost, CostTable, held_kb, load_costs, measured, peak_memory, work_of
from rs3l.plan.measured import MEBIBYTE

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPTS = REPOSITORY / "workflow" / "scripts"

UNITS = {
    "hard_process": "hard event",
    "resimulate": "shower",
    "merge": "shower",
    "pretrain": "jet seen by the default network",
    "embed": "jet of the test split under one variant",
    "quality": "jet in one replica",
    "finetune": "jet seen by a classifier on the default network",
    "score": "jet of the test split through the default network",
    "measure": "score in one replica",
    "evaluate": "value in one replica",
    "figures": "figure",
    "report": "figure",
}
IMPORTS = [stage for stage in UNITS if stage not in ("hard_process", "resimulate")]
"""The start of these scripts is the time of their imports."""
THREADS = {"merge": 2}
EVENTS = 10
STAGE_OF_LOGS = {"plot": "figures"}
Point = tuple[float, float]
"""Rows that the largest job of a stage holds, and its peak memory [MB]."""


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
        jobs = generators | {stage: [f"{stage}.py", "--help"] for stage in IMPORTS}
        return {stage: start(repeats, str(SCRIPTS / name), *rest) for stage, (name, *rest) in jobs.items()}


def _point(stage: str, config: Campaign, root: Path) -> Point:
    return work_of(stage, config).held, peak_memory(root, stage)


def _campaign_of(folder: Path) -> Campaign:
    """Return the configuration of a multiplied data set, with the events that it has."""
    config = load_campaign(folder / "config.yaml")
    counts = read_manifest(folder / config.root / "dataset" / "manifest.json").processes
    processes = {
        name: process.model_copy(update={"events": counts[name].hard_events})
        for name, process in config.processes.items()
    }
    return config.model_copy(update={"processes": processes})


def copies_of(work: Path) -> dict[str, list[Point]]:
    """Return the held rows and the peak memory of each stage that benchmarks/scale.py has run, for all sizes."""
    found: dict[tuple[str, int], float] = {}
    for line in map(json.loads, (work / "jobs.jsonl").read_text(encoding="utf-8").splitlines()):
        key = STAGE_OF_LOGS.get(rule := line["job"].split("/")[0], rule), line["factor"]
        if not line["exit"]:
            found[key] = max(found.get(key, 0.0), line["peak_mb"] * MEBIBYTE)
    configs = {factor: _campaign_of(work / f"x{factor}") for _, factor in found}
    points: dict[str, list[Point]] = {}
    for (stage, factor), peak in found.items():
        points.setdefault(stage, []).append((work_of(stage, configs[factor]).held, peak))
    return points


def table(
    found: dict[str, Start],
    large: tuple[Campaign, Path],
    small: tuple[Campaign, Path],
    copies: dict[str, list[Point]],
) -> CostTable:
    """Return the table without its heading, with starts measured here and work as the large campaign took it."""
    stages = {
        stage: Cost(
            unit=UNITS[stage],
            start_s=round(found[stage].seconds, 2),
            unit_s=0.0,
            unit_s_range=(0.0, 0.0),
            memory_mb=0.0,
            held_kb=held_kb(copies.get(stage) or [_point(stage, *each) for each in (large, small)]),
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
    parser.add_argument("--config", default=REPOSITORY / "config" / "config.yaml", help="its configuration")
    parser.add_argument(
        "--small", type=Path, required=True, help="folder of a finished campaign of config/test.yaml"
    )
    parser.add_argument("--scale", type=Path, required=True, help="folder in which benchmarks/scale.py worked")
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
    costs = table(found, (config, args.root), (small, args.small), copies_of(args.scale)).model_copy(
        update=heading
    )
    if args.out.exists():  # no campaign that simulates its jets measures the import
        costs = costs.model_copy(update={"stages": {**costs.stages, "import": known.of("import")}})
    write_text(args.out, costs.model_dump_json(indent=2) + "\n")
    for stage, (seconds, largest) in found.items():
        print(f"{stage:<13} start {seconds:.2f} ... {largest:.2f} s of CPU time")


if __name__ == "__main__":
    main()
