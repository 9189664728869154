"""Measures of classifiers under 200 replicas, against a plain implementation; memory by the number of jets.

Random jets of the laptop campaign's variants are scored by two modes with three numbers of labels each, in the
files that the workflow has. A plain implementation draws the jets again in each replica and asks scikit-learn and
SciPy for each number: it sorts once per replica and quantity. It does the same quantities, for a few replicas, one
classifier at the most labels. Times are CPU times of one thread. The memory is that of a process of its own per
size, less that of one which has only imported the modules. Prints JSON lines.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rs3l.config import blocks, load_campaign
from rs3l.dataset.checksum import SealedWriter
from rs3l.evaluate.measure import Measurer
from rs3l.evaluate.robustness import scaled
from rs3l.evaluate.scores import Column, read_jets
from rs3l.seeds import event_id

REPOSITORY = Path(__file__).resolve().parent.parent
ROW_GROUP = 2000
"""Hard events per row group."""
MODES, LABELS = ("probe_h", "scratch"), (100, 1_000, 10_000)


def write_scores(block: blocks.MeasureBlock, events: int, folder: Path) -> list[Path]:
    """Write scores of ``events`` hard events of each class, in one file per process; return their paths."""
    columns = [Column(*key, 0).name for key in itertools.product(MODES, LABELS)]
    head = {"event_id": pa.int64(), "process": pa.string(), "variant": pa.string(), "is_signal": pa.bool_()}
    head |= {"weight": pa.float64(), "task": pa.string(), "run": pa.string()}
    schema = pa.schema({**head, **dict.fromkeys(columns, pa.float32())})
    paths = []
    for process in (block.task.signal, block.task.background):
        paths.append(folder / f"{process}-0000.parquet")
        rng = np.random.default_rng(len(process))
        with SealedWriter(paths[-1], schema) as writer:
            for first in range(0, events, ROW_GROUP):
                number = min(ROW_GROUP, events - first)
                writer.write_table(rows(block, process, first, number, rng, schema))
    return paths


def rows(
    block: blocks.MeasureBlock, process: str, first: int, events: int, rng: np.random.Generator, schema: pa.Schema
) -> pa.Table:
    """Return the rows of some events, whose scores share the event's."""
    views = len(block.variants)
    same = {"process": process, "task": block.name, "run": block.run, "is_signal": process == block.task.signal}
    values: dict[str, Any] = {name: [value] * (events * views) for name, value in same.items()}
    start = event_id(process, first)
    values["event_id"] = np.repeat(np.arange(start, start + events), views)
    values["variant"] = block.variants * events
    values["weight"] = np.repeat(rng.uniform(0.1, 3.0, events), views)
    hard = np.repeat(rng.normal(2.0 * same["is_signal"], 1.0, events), views)
    for name in schema.names[7:]:
        values[name] = (hard + rng.normal(0.0, 0.5, len(hard))).astype(np.float32)
    return pa.table(values, schema=schema)


def timed(block: blocks.MeasureBlock, paths: list[Path], replicas: int) -> dict[str, float]:
    """Return the time of each mode's classifiers per jet, and that of all that they share."""
    start = time.process_time()
    measurer = Measurer(block, read_jets(paths, block.name, block.task, block.run, block.variants))
    _ = measurer.weights, measurer.chosen, measurer.classes, measurer.pairs
    shared = time.process_time() - start
    jets = len(measurer.jets.row)
    result = {"jets": jets, "shared_us": 1e6 * shared / jets}
    spent = []
    for column in measurer.jets.columns:
        start = time.process_time()
        measurer.of(column)
        spent.append(time.process_time() - start)
        result[column.name] = 1e6 * spent[-1] / jets
    result["us_per_jet"] = 1e6 * float(np.mean(spent)) / jets
    result["with_shared_us"] = result["us_per_jet"] + result["shared_us"] / len(spent)
    result["plain_us"] = plain(measurer, measurer.jets.columns[2], 2) * (replicas + 1) / jets * 1e6
    result["ratio"] = result["plain_us"] / result[measurer.jets.columns[2].name]
    return result


def plain(measurer: Measurer, column: Column, replicas: int) -> float:
    """Return the time of a plain implementation per replica, of a classifier at the most labels."""
    from scipy.stats import spearmanr, wasserstein_distance
    from sklearn.metrics import roc_auc_score, roc_curve

    jets, score = measurer.jets, measurer.jets.scores(column).astype(np.float64)
    output, spent = scaled(score), 0.0
    for r in range(1, replicas + 1):
        count = measurer.weights[jets.row, r]
        start = time.process_time()
        drawn = {key: np.repeat(index, count[index]) for key, index in measurer.classes.items()}
        chosen = np.repeat(measurer.chosen, count[measurer.chosen])
        for weight in (None, jets.weight[chosen]):
            roc_auc_score(jets.is_signal[chosen], score[chosen], sample_weight=weight)
            roc_curve(jets.is_signal[chosen], score[chosen], sample_weight=weight)
        for one, other in measurer.pairs.values():
            again = np.repeat(np.arange(len(one)), count[one])
            spearmanr(score[one[again]], score[other[again]])
            _ = np.searchsorted(np.sort(score[one]), score[other[again]])
        for (variant, side), own in drawn.items():
            if variant != "nominal":
                wasserstein_distance(output[drawn["nominal", side]], output[own])
                roc_curve(*both(score, drawn, variant))
        spent += time.process_time() - start
    return spent / replicas


def both(
    score: NDArray[np.float64], drawn: dict[tuple[str, bool], NDArray[np.int32]], variant: str
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return classes and scores of the jets of a variant."""
    signal, background = drawn[variant, True], drawn[variant, False]
    truth = np.arange(len(signal) + len(background)) < len(signal)
    return truth, score[np.concatenate([signal, background])]


def peak(block: blocks.MeasureBlock, paths: list[Path], queue: Any) -> None:
    """Put the peak memory [MB] of a process that measures two classifiers, or none, and its jets."""
    jets = 0
    if paths:
        measurer = Measurer(block, read_jets(paths, block.name, block.task, block.run, block.variants))
        jets = len(measurer.jets.row)
        for column in measurer.jets.columns[1:3]:
            measurer.of(column)
    queue.put((jets, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0))


def memory(block: blocks.MeasureBlock, paths: list[Path]) -> tuple[int, float]:
    """Return the number of jets, and the peak memory [MB] of a process of its own."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=peak, args=(block, paths, queue))
    process.start()
    result: tuple[int, float] = queue.get()
    process.join()
    return result


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[2_000, 20_000, 100_000], help="per class")
    parser.add_argument("--replicas", type=int, default=200)
    args = parser.parse_args()
    config = load_campaign(REPOSITORY / "config" / "config.yaml")
    task, run = next(iter(config.tasks)), blocks.runs(config)[0]
    block = blocks.measure(config, task, run)
    block = block.model_copy(update={"evaluate": block.evaluate.model_copy(update={"bootstrap": args.replicas})})
    print(json.dumps({"imports_mb": round(memory(block, [])[1])}))
    for events in args.events:
        with tempfile.TemporaryDirectory() as folder:
            paths = write_scores(block, events, Path(folder))
            found = timed(block, paths, args.replicas)
            found["peak_mb"] = memory(block, paths)[1]
        print(json.dumps({"events": events, **{k: float(f"{v:.4g}") for k, v in found.items()}}), flush=True)


if __name__ == "__main__":
    main()
