"""Cost, matching efficiency and jets against the mean number of pile-up interactions, in one run.

The same hard events, with the same shower and hadrons, are re-simulated with the CMS-like detector at each mean,
and under each subtraction. The differences from the events without pile-up are paired. Times are those of all that
follows the hadrons: pile-up, detector, jets. The pool is made first and timed. Memory is the peak of the process.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pyarrow as pa

from rs3l.config import Campaign, blocks, parse_campaign
from rs3l.config.yaml_file import read_mapping
from rs3l.dataset.schema import Status
from rs3l.hard.anchor import find_anchor
from rs3l.hard.hard import generate_shard
from rs3l.lhe.lhe import HardEvent, read_shard
from rs3l.resim.jet_table import jet_table
from rs3l.resim.pileup.minimum_bias import write_pool
from rs3l.resim.pileup.pool import FilePool
from rs3l.resim.shower import Showerer

REPOSITORY = Path(__file__).resolve().parent.parent


def campaign(pool_events: int, mean: float, subtraction: str) -> Campaign:
    """Return the campaign of the laptop with the CMS-like detector and pile-up."""
    values = read_mapping(REPOSITORY / "config" / "config.yaml")
    values["detector"] = {"response": "cms"}
    values["pileup"] = {
        "mean": mean, "subtraction": subtraction, "events": pool_events, "events_per_shard": pool_events
    }  # fmt: skip
    return parse_campaign(values)


def hard_events(process: str, events: int, folder: Path) -> list[HardEvent]:
    """Return the first hard events of a process."""
    block = blocks.hard(campaign(1000, 0.0, "chs"), process, 0).model_copy(update={"events": events})
    generate_shard(block, folder / "hard.lhe.gz")
    return read_shard(folder / "hard.lhe.gz")[1]


def made_pool(events: int, folder: Path) -> tuple[FilePool, dict[str, float]]:
    """Make the pool; return it with its cost."""
    config, path = campaign(events, 1.0, "chs"), folder / "0000.arrow"
    start = process_time()
    write_pool(blocks.pool_shard(config, 0), path)
    cost = {
        "events": events,
        "ms_per_event": 1000 * (process_time() - start) / events,
        "kB_per_event": path.stat().st_size / 1000 / events,
    }
    return FilePool([path], blocks.pool(config)), cost


def line(table: pa.Table, without: pa.Table) -> dict[str, Any]:
    """Return efficiency, and shifts of the jets that have one both with and without pile-up, with errors."""
    ok, before = (t["status"].to_numpy() == Status.OK for t in (table, without))
    both = ok & before
    result: dict[str, Any] = {"efficiency": _mean(ok.astype(float)), "kept": _mean(ok[before].astype(float))}
    for name in ("jet_pt", "jet_mass", "jet_msd", "jet_n_constituents"):
        values, old = (t[name].to_numpy(zero_copy_only=False).astype(float) for t in (table, without))
        result[name] = _mean(values[both])
        result[f"{name}_shift"] = _mean((values - old)[both])
    return result


def _mean(values: np.ndarray[Any, Any]) -> list[float]:
    """Return the mean and its standard error."""
    return [round(float(values.mean()), 4), round(float(values.std(ddof=1) / np.sqrt(len(values))), 4)]


def main() -> None:
    """Make the events, re-simulate them in all ways, and print a JSON object for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--process", default="higgs_bb", help="a process of config/config.yaml")
    parser.add_argument("--events", type=int, default=300, help="hard events")
    parser.add_argument("--pool", type=int, default=2000, help="minimum-bias events")
    parser.add_argument("--means", type=float, nargs="+", default=[0, 20, 60], help="interactions per event")
    parser.add_argument(
        "--subtractions",
        nargs="+",
        default=["none", "chs", "softkiller", "chs_softkiller"],
        help="what is removed",
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        events = hard_events(args.process, args.events, folder)
        pool, cost = made_pool(args.pool, folder)
        print(json.dumps({"pool": cost}), flush=True)
        nominal = blocks.resim(campaign(args.pool, 0.0, "chs"), args.process, "nominal")
        anchors = [find_anchor(event, nominal.anchor, nominal.anchor_choice) for event in events]
        particles = Showerer(nominal).shower(events)
        jet_table(nominal, events, anchors, [particles])  # what is compiled at a first call
        without: pa.Table | None = None
        for mean in args.means:
            for subtraction in args.subtractions if mean else ["none"]:
                block = blocks.resim(campaign(args.pool, mean, subtraction), args.process, "nominal")
                start = process_time()
                table = jet_table(block, events, anchors, [particles], pool=pool)
                seconds = process_time() - start
                without = table if without is None else without
                found = {"mean": mean, "subtraction": subtraction, "ms_per_event": 1000 * seconds / len(events)}
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
                print(json.dumps({**found, "peak_mb": round(memory), **line(table, without)}), flush=True)


if __name__ == "__main__":
    main()
