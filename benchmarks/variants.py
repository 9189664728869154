"""Core time per event of each ready variant relative to the nominal, and what it does to the jet, in one run.

The same hard events run under the nominal and under each variant in turn, with the settings of the configuration.
Prints one JSON line per variant with the CPU time per event relative to the nominal's just before and after it,
without the initialisation, and the constituents of the jet as mean and standard error.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from rs3l.config import Campaign, blocks, load_campaign
from rs3l.config.library import library
from rs3l.config.variants import Variant
from rs3l.hard.hard import generate_shard
from rs3l.lhe.lhe import HardEvent, read_shard
from rs3l.resim.resim import resimulate
from rs3l.resim.shower import BATCH, Showerer

REPOSITORY = Path(__file__).resolve().parent.parent


def generator_seconds(block: blocks.ResimBlock, events: list[HardEvent]) -> float:
    """Return the CPU time per event of Pythia and its read-out, after the initialisation."""
    showerer = Showerer(block)
    start = time.process_time()
    for i in range(0, len(events), BATCH):
        showerer.shower(events[i : i + BATCH])
    return (time.process_time() - start) / len(events)


def constituents(block: blocks.ResimBlock, events: list[HardEvent]) -> tuple[float, float]:
    """Return the mean number of constituents of the accepted jets, and its standard error."""
    counts = resimulate(block, events)["jet_n_constituents"].drop_null().to_numpy()
    return float(counts.mean()), float(counts.std(ddof=1) / np.sqrt(len(counts)))


def measure(config: Campaign, process: str, name: str, events: list[HardEvent]) -> dict[str, Any]:
    """Return the JSON line of one variant."""
    ready = config.model_copy(update={"variants": {**config.variants, name: Variant(**library("variants")[name])}})
    nominal, block = blocks.resim(config, process, "nominal"), blocks.resim(ready, process, name)
    before = generator_seconds(nominal, events)
    own = generator_seconds(block, events)
    after = generator_seconds(nominal, events)
    mean, error = constituents(block, events)
    return {
        "benchmark": "variant / nominal",
        "process": process,
        "variant": name,
        "cost": round(2 * own / (before + after), 2),
        "drift": round(after / before, 2),
        "constituents": [round(mean, 1), round(error, 1)],
    }


def _without_pileup() -> list[str]:
    """Return the ready variants that need no pool of pile-up."""
    return sorted(name for name, entry in library("variants").items() if entry["resample"] != "pileup")


def main() -> None:
    """Measure each variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default=str(REPOSITORY / "config" / "config.yaml"))
    parser.add_argument("--process", default="qcd")
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--variants", nargs="*", default=_without_pileup())
    args = parser.parse_args()
    config = load_campaign(args.config)
    with tempfile.TemporaryDirectory() as folder:
        hard = Path(folder) / "hard.lhe.gz"
        generate_shard(blocks.hard(config, args.process, 0).model_copy(update={"events": args.events}), hard)
        events = read_shard(hard)[1]
    for name in args.variants:
        print(json.dumps(measure(config, args.process, name, events)), flush=True)


if __name__ == "__main__":
    main()
