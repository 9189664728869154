"""Re-weighted events against re-simulated ones: how many the weights of a variation leave, and what they say.

The same hard events are showered once with bands (weights of Pythia for a variation of the scale of the shower, a
column of the data set each), and once more per variation, as a view of its own. Bands are had in three ways: with
Pythia's defaults, which leave emissions below 1 GeV alone and compensate a part of the variation; without that
compensation; and complete, where they are the same variation as the view. Prints one JSON line per process, way
and variation:

- effective: (sum of w)^2 / (sum of w^2) / N of all N hard events; that of the view is 1;
- effective_jets: the same of those with a jet;
- constituents: mean number of constituents of the jet, re-weighted and re-simulated;
- variance: square of the error of the re-weighted mean by that of the re-simulated one;
- cost: CPU time of the shower with all bands, and of one view, by that of the nominal without bands.

Errors are those of a bootstrap over the hard events.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rs3l.config import Campaign, blocks, load_campaign
from rs3l.dataset.schema import band_column
from rs3l.hard.hard import generate_shard
from rs3l.lhe.lhe import HardEvent, read_shard
from rs3l.resim.resim import resimulate

REPOSITORY = Path(__file__).resolve().parent.parent
REPLICAS = 400
GROUP = "UncertaintyBands"
COMPLETE = {f"{GROUP}:muSoftCorr": False, f"{GROUP}:deltaAlphaSmax": 1.0, f"{GROUP}:FSRpTmin2Fac": 0.0}
PLAIN = {f"{GROUP}:muSoftCorr": False}
WAYS: dict[str, dict[str, Any]] = {"default": {}, "uncompensated": PLAIN, "complete": COMPLETE}
FACTORS = {"fsr_half": 0.5, "fsr_hi": 0.707, "fsr_lo": 1.414, "fsr_double": 2.0}
"""Factor of the square of the renormalisation scale of the final-state shower."""
BANDS = {name: f"fsr:muRfac={factor**0.5:.4f}" for name, factor in FACTORS.items()}
Floats = npt.NDArray[np.float64]


def timed(block: blocks.ResimBlock, events: Sequence[HardEvent]) -> tuple[Any, float]:
    """Return the rows of the jets, and the CPU time [s]."""
    start = time.process_time()
    table = resimulate(block, events)
    return table, time.process_time() - start


def effective(weights: Floats) -> float:
    """Return the effective number of events by their number."""
    return float(weights.sum() ** 2 / (weights**2).sum() / len(weights))


def mean(weights: Floats, values: Floats) -> float:
    """Return the weighted mean of those values that are numbers."""
    there = np.isfinite(values)
    return float(np.average(values[there], weights=weights[there]))


def with_error(value: float, replicas: list[float]) -> list[float]:
    """Return a value and its error."""
    return [round(value, 4), round(float(np.std(replicas, ddof=1)), 4)]


def line(weights: Floats, own: Floats, view: Floats) -> dict[str, Any]:
    """Return the numbers of one variation, from the constituents of the jet [N] with bands and in the view."""
    draws = np.random.default_rng(1).integers(0, len(weights), (REPLICAS, len(weights)))
    there = np.isfinite(own)
    again, ones = [mean(weights[d], own[d]) for d in draws], np.ones(len(view))
    anew = [mean(ones, view[d]) for d in draws]
    jets = [effective(weights[d][there[d]]) for d in draws]
    return {
        "effective": with_error(effective(weights), [effective(weights[d]) for d in draws]),
        "effective_jets": with_error(effective(weights[there]), jets),
        "mean_weight": with_error(float(weights.mean()), [float(weights[d].mean()) for d in draws]),
        "constituents": {
            "reweighted": with_error(mean(weights, own), again),
            "resimulated": with_error(mean(ones, view), anew),
        },
        "variance": round(float(np.var(again) / np.var(anew)), 2),
    }


def constituents(table: Any) -> Floats:
    """Return the number of constituents of the jet of each event [N], NaN without one."""
    column: Floats = table["jet_n_constituents"].to_numpy(zero_copy_only=False).astype(float)
    return column


def measure(config: Campaign, process: str, events: list[HardEvent]) -> list[dict[str, Any]]:
    """Return the JSON lines of one process."""
    block = blocks.resim(config, process, "nominal")
    jets = config.jets.model_copy(update={"substructure": False})
    nominal = block.model_copy(update={"jets": jets, "baseline": None})
    seconds = timed(nominal, events)[1]
    views = {}
    for name, factor in FACTORS.items():
        settings = {**nominal.pythia, "TimeShower:renormMultFac": factor}
        changes = {"variant": name, "resample": "shower", "pythia": settings}
        views[name] = timed(nominal.model_copy(update=changes), events)
    lines = []
    for way, settings in WAYS.items():
        varied = nominal.model_copy(update={"bands": BANDS, "pythia": {**nominal.pythia, **settings}})
        table, with_bands = timed(varied, events)
        for name in BANDS:
            weights = table[band_column(name)].to_numpy()
            lines.append(
                {
                    "benchmark": "re-weighted / re-simulated",
                    "process": process,
                    "bands": way,
                    "variation": name,
                    "events": len(events),
                    **line(weights, constituents(table), constituents(views[name][0])),
                    "cost": [round(with_bands / seconds, 2), round(views[name][1] / seconds, 2)],
                }
            )
    return lines


def main() -> None:
    """Measure each process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(REPOSITORY / "config" / "config.yaml"))
    parser.add_argument("--processes", nargs="*", default=["higgs_bb", "qcd"])
    parser.add_argument("--events", type=int, default=2000)
    args = parser.parse_args()
    config = load_campaign(args.config)
    for process in args.processes:
        with tempfile.TemporaryDirectory() as folder:
            hard = Path(folder) / "hard.lhe.gz"
            generate_shard(blocks.hard(config, process, 0).model_copy(update={"events": args.events}), hard)
            events = read_shard(hard)[1]
        for each in measure(config, process, events):
            print(json.dumps(each), flush=True)


if __name__ == "__main__":
    main()
