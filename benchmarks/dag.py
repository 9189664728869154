"""CPU time and memory of a dry run, against a bare rule set with the same jobs, in one run.

For each number of re-simulation jobs a configuration with that many shards x variants is made, and `snakemake
--dry-run` plans it from nothing. The reference has the same files in three rules of patterns alone, without
params, log, benchmark, resources or environment. Prints one JSON line per size with the CPU seconds and peak
memory of both, and their ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
EVENTS_PER_SHARD = 10_000
PARTS = 200
"""This is the number of parts of the data set per process, whatever the number of shards."""

BARE = """
SHARDS = [f"{{i:04d}}" for i in range({shards})]
VARIANTS = {variants}
PROCESSES = {processes}
rule all:
    input: "dataset/manifest.json"
rule hard:
    output: "hard/{{process}}/{{shard}}.lhe.gz"
    shell: "make_hard {{output}}"
rule resim:
    input: "hard/{{process}}/{{shard}}.lhe.gz"
    output: "jets/{{process}}/{{variant}}/{{shard}}.parquet"
    shell: "resim {{input}} {{output}}"
rule merge:
    input: [f"jets/{{p}}/{{v}}/{{s}}.parquet" for p in PROCESSES for v in VARIANTS for s in SHARDS]
    output: "dataset/manifest.json"
    shell: "merge {{output}}"
"""


def campaign(jobs: int) -> dict[str, Any]:
    """Return the laptop campaign's configuration, with ``jobs`` re-simulation jobs (rounded up)."""
    values: dict[str, Any] = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
    shards = -(-jobs // (len(values["processes"]) * len(values["variants"])))
    events = shards * EVENTS_PER_SHARD
    for process in values["processes"].values():
        process["events"] = events
    values["events_per_shard"] = EVENTS_PER_SHARD
    values["dataset"] = {"events_per_part": -(-events // PARTS)}
    return values


def dry_run(folder: Path, *arguments: str) -> tuple[float, float]:
    """Return CPU seconds and peak memory [GB] of a dry run in ``folder``."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "all", "--cores", "1", *arguments]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
    )
    assert process.stderr is not None
    messages = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(messages)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def measure(jobs: int) -> dict[str, Any]:
    """Measure this workflow and the bare rule set with ``jobs`` re-simulation jobs."""
    values = campaign(jobs)
    variants, processes = list(values["variants"]), list(values["processes"])
    shards = values["processes"][processes[0]]["events"] // EVENTS_PER_SHARD
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        (folder / "bare.smk").write_text(
            BARE.format(shards=shards, variants=variants, processes=processes), encoding="utf-8"
        )
        snakefile = str(REPOSITORY / "Snakefile")
        cpu, memory = dry_run(folder, "--snakefile", snakefile, "--configfile", "config.yaml")
        bare_cpu, bare_memory = dry_run(folder, "--snakefile", "bare.smk")
    return {
        "benchmark": "dry run / bare rule set",
        "resimulation_jobs": shards * len(variants) * len(processes),
        "hard_jobs": shards * len(processes),
        "cpu_s": round(cpu, 1),
        "memory_gb": round(memory, 2),
        "bare_cpu_s": round(bare_cpu, 1),
        "bare_memory_gb": round(bare_memory, 2),
        "cpu_ratio": round(cpu / bare_cpu, 2),
    }


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="+", default=[10_000, 50_000, 100_000])
    args = parser.parse_args()
    for jobs in args.jobs:
        print(json.dumps(measure(jobs)), flush=True)


if __name__ == "__main__":
    main()
