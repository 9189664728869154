"""Events per second of a re-simulation job against the bare generator, in one run.

The job takes an LHE shard and makes a Parquet file, with read-out, detector, jets and substructure. For the bare
generator, Pythia reads the same LHE file itself, with the same settings, and `next()` is called until the end,
but nothing is read out. Both include the initialisation of Pythia, neither the start of Python. They take turns,
so that both see the same machine. Prints one JSON line per process with both rates [events/s of CPU time] and the
median and range of their ratio.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

from rs3l.config import Campaign, blocks, load_campaign
from rs3l.hard.hard import generate_shard
from rs3l.pythia import apply_settings, new_pythia
from rs3l.resim.resim import resimulate_shard

REPOSITORY = Path(__file__).resolve().parent.parent


def bare_generator(block: blocks.ResimBlock, hard: Path) -> None:
    """Let Pythia shower and hadronise every event of a file, without looking at any."""
    pythia = new_pythia()
    apply_settings(pythia, block.pythia)
    apply_settings(
        pythia, {"Beams:frameType": 4, "Beams:LHEF": str(hard), "Random:setSeed": True, "Random:seed": 1}
    )
    if not pythia.init():
        raise SystemExit(f"Pythia cannot read {hard}")
    while not pythia.infoPython().atEndOfFile():
        pythia.next()


def seconds(function: object, *arguments: object) -> float:
    """Return the CPU time of one call."""
    assert callable(function)
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def measure(config: Campaign, process: str, events: int, repeats: int) -> dict[str, object]:
    """Return the JSON line of one process."""
    with tempfile.TemporaryDirectory() as folder:
        hard, out = Path(folder) / f"{process}.lhe.gz", Path(folder) / "jets.parquet"
        generate_shard(blocks.hard(config, process, 0).model_copy(update={"events": events}), hard)
        block = blocks.resim(config, process, "nominal")
        resimulate_shard(block, hard, out)  # this loads imports and fills caches
        pairs = [
            (seconds(bare_generator, block, hard), seconds(resimulate_shard, block, hard, out))
            for _ in range(repeats)
        ]
    ratios = [bare / job for bare, job in pairs]
    return {
        "benchmark": "resimulate / bare Pythia on the same LHE file",
        "process": process,
        "events": events,
        "bare_per_s": round(events / statistics.median(bare for bare, _ in pairs), 1),
        "job_per_s": round(events / statistics.median(job for _, job in pairs), 1),
        "ratio": round(statistics.median(ratios), 3),
        "range": [round(min(ratios), 3), round(max(ratios), 3)],
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    """Measure each process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default=str(REPOSITORY / "config" / "config.yaml"))
    parser.add_argument("--events", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--processes", nargs="*", default=["higgs_bb", "qcd"])
    args = parser.parse_args()
    config = load_campaign(args.config)
    for process in args.processes:
        print(json.dumps(measure(config, process, args.events, args.repeats)), flush=True)


if __name__ == "__main__":
    main()
