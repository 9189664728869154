"""Peak memory of a re-simulation job as a function of the number of its hard events, in one run.

Each job is a process of its own, started as a rule starts it, on shards of different sizes and, because this is
faster, without multi-parton interactions. Prints one JSON line per job with events, peak memory (ru_maxrss), and
the same relative to the first size.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from usage import usage

from rs3l.config import Campaign, blocks, load_campaign
from rs3l.hard.hard import generate_shard

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPTS = REPOSITORY / "workflow" / "scripts"


def peak_memory_mb(command: list[str]) -> float:
    """Return the peak memory of a command."""
    return usage(command).ru_maxrss / 1024


def job(config: Campaign, process: str, hard: str, folder: str) -> list[str]:
    """Return the command of a job, either of the nominal or of all variants that share its shower."""
    if config.share_shower:
        block = blocks.together(config, process).model_dump_json()
        outs = [f"{folder}/{variant}.parquet" for variant in blocks.shared_variants(config)]
        return [str(SCRIPTS / "resim_together.py"), "--block", block, "--hard", hard, "--out", *outs]
    block = blocks.resim(config, process, "nominal").model_dump_json()
    return [str(SCRIPTS / "resim.py"), "--block", block, "--hard", hard, "--out", f"{folder}/nominal.parquet"]


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default=str(REPOSITORY / "config" / "test.yaml"))
    parser.add_argument("--process", default="qcd")
    parser.add_argument("--events", type=int, nargs="+", default=[500, 2000, 8000])
    parser.add_argument("--together", action="store_true", help="the variants that share a shower, in one job")
    args = parser.parse_args()
    config = load_campaign(args.config).model_copy(update={"share_shower": args.together})
    first = 0.0
    for events in args.events:
        with tempfile.TemporaryDirectory() as folder:
            hard = f"{folder}/hard.lhe.gz"
            block = blocks.hard(config, args.process, 0).model_copy(update={"first": 1, "events": events})
            generate_shard(block, hard)
            peak = peak_memory_mb(job(config, args.process, hard, folder))
        first = first or peak
        line = {
            "benchmark": "memory of a re-simulation job",
            "process": args.process,
            "together": args.together,
            "events": events,
            "peak_memory_mb": round(peak),
            "relative": round(peak / first, 3),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
