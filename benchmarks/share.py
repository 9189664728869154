"""Several hadronisations of one shower in one job, against a job for each, in one run.

The nominal and K - 1 variants that resample the hadronisation run on the same shard, once with `share_shower`,
where the shower is made once, and once as K jobs. Both go from the LHE file to the Parquet files, with the
settings of the configuration, and take turns, so that both see the same machine. Prints one JSON line per process
with the CPU seconds of both, median and range of their ratio, and the cost of each further view relative to a job
of its own. The files are compared byte by byte.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from rs3l.config import Campaign, blocks, load_campaign
from rs3l.config.variants import Variant
from rs3l.hard.hard import generate_shard
from rs3l.resim.resim import resimulate_together

REPOSITORY = Path(__file__).resolve().parent.parent

FIRST = 1
"""The first hard event is not 0, because the checks of a campaign's first shard are not made here."""


def with_views(config: Campaign, views: int) -> Campaign:
    """Return the campaign with the nominal and re-hadronised variants alone, in one job."""
    others = {f"rehadron_{i}": Variant(resample="hadronisation") for i in range(1, views)}
    return config.model_copy(update={"share_shower": True, "variants": {"nominal": Variant(), **others}})


def seconds(views: list[blocks.ResimBlock], hard: Path, outs: list[Path]) -> float:
    """Return the CPU time of one job."""
    start = time.process_time()
    resimulate_together(views, hard, outs)
    return time.process_time() - start


def measure(config: Campaign, process: str, events: int, repeats: int) -> dict[str, object]:
    """Return the JSON line of one process."""
    views = blocks.together(config, process).views
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hard = folder / "hard.lhe.gz"
        generate_shard(blocks.hard(config, process, 0).model_copy(update={"first": FIRST, "events": events}), hard)
        together = [folder / f"together_{view.variant}.parquet" for view in views]
        alone = [folder / f"alone_{view.variant}.parquet" for view in views]
        seconds(views[:1], hard, alone[:1])  # this loads imports and fills caches
        shared, separate = [], []
        for _ in range(repeats):
            shared.append(seconds(views, hard, together))
            separate.append([seconds([view], hard, [out]) for view, out in zip(views, alone, strict=True)])
        if any(a.read_bytes() != b.read_bytes() for a, b in zip(together, alone, strict=True)):
            raise SystemExit(f"{process}: the files of one job differ from those of separate jobs")
    ratios = [one / sum(many) for one, many in zip(shared, separate, strict=True)]
    further = [(s - many[0]) / sum(many[1:]) for s, many in zip(shared, separate, strict=True)]
    return {
        "benchmark": "views of one shower in one job / a job for each",
        "process": process,
        "views": len(views),
        "events": events,
        "together_s": round(statistics.median(shared), 1),
        "separate_s": round(statistics.median(map(sum, separate)), 1),
        "ratio": round(statistics.median(ratios), 3),
        "range": [round(min(ratios), 3), round(max(ratios), 3)],
        "further_view": round(statistics.median(further), 3),
    }


def main() -> None:
    """Measure each process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default=str(REPOSITORY / "config" / "config.yaml"))
    parser.add_argument("--events", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--views", type=int, default=5, help="the nominal among them")
    parser.add_argument("--processes", nargs="*", default=["higgs_bb", "qcd"])
    args = parser.parse_args()
    config = with_views(load_campaign(args.config), args.views)
    for process in args.processes:
        print(json.dumps(measure(config, process, args.events, args.repeats)), flush=True)


if __name__ == "__main__":
    main()
