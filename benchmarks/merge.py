"""CPU time and peak memory of a merge for sizes of shards and parts, in one run.

The shards are synthetic: the rows of a few hundred simulated events come again and again, with keys of their own.
Each case is the command of the rule with one worker, on the same hard events under the same variants. Prints one
JSON line per case with the CPU seconds, the same relative to the first case, and the peak memory of the largest
process; a last line compares the peak memory of the longest shard with that of the shortest.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from usage import usage

from rs3l import seeds
from rs3l.config import Campaign, blocks, load_campaign
from rs3l.dataset.checksum import HEADER, VALUES
from rs3l.dataset.jets_file import JetsFile
from rs3l.dataset.schema import FINGERPRINT
from rs3l.hard.hard import generate_shard
from rs3l.paths import CampaignPaths, shard_name
from rs3l.resim.resim import resimulate_shard

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPT = REPOSITORY / "workflow" / "scripts" / "merge.py"
PROCESS = "qcd"
ANOTHER = 0x9E3779B97F4A7C15
"""What repetition k adds to the fingerprints, k times, so that no event is there twice."""


def simulated(config: Campaign, folder: Path, events: int) -> dict[str, Path]:
    """Return files of jets of the same hard events under every variant."""
    hard = folder / "hard.lhe.gz"
    generate_shard(blocks.hard(config, PROCESS, 0).model_copy(update={"events": events}), hard)
    files = {variant: folder / f"{variant}.parquet" for variant in config.variants}
    for variant, path in files.items():
        resimulate_shard(blocks.resim(config, PROCESS, variant), hard, path)
    return files


def write_shards(source: Path, config: Campaign, paths: CampaignPaths, variant: str) -> None:
    """Write all shards of a variant from the rows of ``source``, over and over."""
    table = pq.read_table(source)
    entries = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    entries = {key: value for key, value in entries.items() if key not in (VALUES, HEADER)}
    table = table.replace_schema_metadata(None)
    for number in blocks.shards(config, PROCESS):
        first, events = number * config.events_per_shard, blocks.shard_events(config, PROCESS, number)
        out = Path(paths.jets(PROCESS, variant, shard_name(number)))
        out.parent.mkdir(parents=True, exist_ok=True)
        with JetsFile(out) as file:
            for start in range(first, first + events, table.num_rows):
                file.write(repeated(table, start, min(table.num_rows, first + events - start)))
            file.finish({**entries, "rs3l.first": str(first), "rs3l.events": str(events)})


def repeated(table: pa.Table, first: int, events: int) -> pa.Table:
    """Return the first ``events`` rows as the hard events from ``first`` on."""
    rows = table.slice(0, events)
    keys = np.array([seeds.event_id(PROCESS, event) for event in range(first, first + events)])
    prints = rows[FINGERPRINT].to_numpy() + np.uint64(first * ANOTHER % 2**64)
    for name, values in (("event_id", keys), (FINGERPRINT, prints)):
        index = rows.schema.get_field_index(name)
        rows = rows.set_column(index, rows.schema.field(index), pa.array(values))
    return rows


def resized(config: Campaign, events: int, shard: int, part: int, variants: int) -> Campaign:
    """Return the campaign with so many hard events of one process, in shards and parts of some size."""
    process = config.processes[PROCESS].model_copy(update={"events": events})
    return config.model_copy(
        update={
            "processes": {PROCESS: process},
            "variants": dict(list(config.variants.items())[:variants]),
            "events_per_shard": shard,
            "dataset": config.dataset.model_copy(
                update={"events_per_part": part, "events_per_row_group": min(part, 2_000)}
            ),
        }
    )


def measure(config: Campaign, root: Path, workers: int, script: str) -> tuple[float, float]:
    """Return CPU seconds and peak memory [MB] of a merge, which leaves no data set."""
    block = blocks.merge(config).model_dump_json()
    used = usage([script, "--block", block, "--root", str(root), "--workers", str(workers)])
    shutil.rmtree(root / "dataset")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    """Measure all sizes of parts for each size of shards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(REPOSITORY / "config" / "test.yaml"))
    parser.add_argument("--simulate", type=int, default=500, help="hard events that are simulated")
    parser.add_argument("--events", type=int, default=80_000, help="hard events that are merged")
    parser.add_argument("--shards", type=int, nargs="+", default=[4_000, 80_000], help="events per shard")
    parser.add_argument("--parts", type=int, nargs="+", default=[20_000, 2_000], help="events per part")
    parser.add_argument("--variants", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--script", default=str(SCRIPT), help="merge.py, perhaps of another checkout")
    args = parser.parse_args()
    base, peaks = load_campaign(args.config), []
    first = 0.0
    with tempfile.TemporaryDirectory() as name:
        config = resized(base, args.events, args.shards[0], args.parts[0], args.variants)
        files = simulated(config, Path(name), args.simulate)
        for shard in args.shards:
            root = Path(name) / str(shard)
            for variant, path in files.items():
                own = resized(base, args.events, shard, args.parts[0], args.variants)
                write_shards(path, own, CampaignPaths(str(root)), variant)
            for part in args.parts:
                own = resized(base, args.events, shard, part, args.variants)
                cpu, peak = measure(own, root, args.workers, args.script)
                first, peaks = first or cpu, [*peaks, peak]
                line: dict[str, Any] = {
                    "benchmark": "merge",
                    "hard_events": args.events,
                    "variants": args.variants,
                    "events_per_shard": shard,
                    "events_per_part": part,
                    "cpu_s": round(cpu, 2),
                    "relative": round(cpu / first, 2),
                    "peak_memory_mb": round(peak),
                }
                print(json.dumps(line), flush=True)
            shutil.rmtree(root)
    print(json.dumps({"benchmark": "merge", "largest_peak / first": round(max(peaks) / peaks[0], 2)}))


if __name__ == "__main__":
    main()
