"""Events per second of the re-simulation against the bare generator loop, in one run.

The reference calls `next()` on the same hard events with the same settings and reads nothing out. Prints one
JSON line per process: both rates [events/s of CPU time], their ratio, median and range over the repeats.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "workflow" / "scripts"))

from rs3l.config import blocks, load_campaign  # noqa: E402
from rs3l.physics.hard import generate_shard  # noqa: E402
from rs3l.physics.lhe import read_shard  # noqa: E402
from rs3l.physics.resim import resimulate_shard  # noqa: E402
from rs3l.physics.shower import Showerer  # noqa: E402


def bare_loop(block: blocks.ResimBlock, hard: Path) -> None:
    """Shower every event and look at none."""
    showerer = Showerer(block, read_shard(hard)[1])
    while showerer._pythia.next():
        pass


def cpu_seconds(function: object, *arguments: object) -> float:
    """Return the CPU time of one call."""
    assert callable(function)
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def main() -> None:
    """Measure each process of the configuration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default=str(REPOSITORY / "config" / "config.yaml"))
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    config = load_campaign(args.config)
    with tempfile.TemporaryDirectory() as folder:
        for process in config.processes:
            hard, out = Path(folder) / f"{process}.lhe.gz", Path(folder) / "jets.parquet"
            generate_shard(blocks.hard(config, process, 0).model_copy(update={"events": args.events}), hard)
            block = blocks.resim(config, process, "nominal")
            pairs = [
                (cpu_seconds(bare_loop, block, hard), cpu_seconds(resimulate_shard, block, hard, out))
                for _ in range(args.repeats)
            ]
            ratios = [bare / full for bare, full in pairs]
            print(
                json.dumps(
                    {
                        "benchmark": "resimulate / bare next() loop",
                        "process": process,
                        "events": args.events,
                        "bare_per_s": round(args.events / statistics.median(bare for bare, _ in pairs), 1),
                        "resimulate_per_s": round(args.events / statistics.median(full for _, full in pairs), 1),
                        "ratio": round(statistics.median(ratios), 3),
                        "range": [round(min(ratios), 3), round(max(ratios), 3)],
                    }
                ),
                flush=True,
            )


if __name__ == "__main__":
    main()
