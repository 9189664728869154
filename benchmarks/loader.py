"""Measures loading against computing: rates of loader and encoder, and training from a stream and from memory.

The encoder is the default DeepSets, and its rate is that of training steps on batches that lie ready. The
loader's rate is that of the same batches: pairs drawn, gathered, padded, rotated, and turned into features. From
a stream all views of an event are read and decoded, and two are used. The jets are random, with the multiplicity
of the laptop campaign, in the files of a data set; or bring a data set (--manifest).

Rates are per CPU second, because a busy machine disturbs that least; training is also timed by the clock, because
the stream reads ahead in a thread. Both kinds of training alternate epoch by epoch. For a GPU, which pads, rotates
and computes the features itself, jets are gathered by one, two and four threads. Prints JSON lines.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from rs3l.config.blocks import PretrainBlock
from rs3l.config.encoders import DeepSets
from rs3l.dataset.features import features
from rs3l.dataset.schema import CANDIDATE_COLUMNS, dataset_schema
from rs3l.dataset.writer import DatasetWriter
from rs3l.files import write_json
from rs3l.networks.model_file import new_encoder
from rs3l.pretrain.feed import Batch, Feed, StreamFeed, open_data
from rs3l.pretrain.loader import loaded as ahead
from rs3l.pretrain.losses import nt_xent
from rs3l.pretrain.pretrain import Trainer
from rs3l.pretrain.view_source import ViewSource
from rs3l.seeds import event_id
from rs3l.training.checkpoint import Checkpoint
from rs3l.training.device import Placement
from rs3l.training.distributed import Ranks
from rs3l.training.stop import StopRequest
from rs3l.training.threads import limit_threads

PROCESSES, VARIANTS = ("higgs_bb", "qcd"), ("nominal", "seed", "fsr_hi", "fsr_lo")
CANDIDATES = (54.0, 20.0)
"""Mean and standard deviation of the candidates per jet."""

PART, GROUP = 4_000, 2_000
"""These are the events per file and per row group; the latter is the default of a campaign."""

KINDS = ((22, 0), (211, 1), (-211, -1), (130, 0), (11, -1), (13, 1))
AIM = 5.0


def random_jets(process: str, first: int, events: int, rng: np.random.Generator) -> pa.Table:
    """Return the rows of some events, with all variants of each."""
    rows = events * len(VARIANTS)
    length = rng.normal(*CANDIDATES, rows).round().clip(3, 100).astype(np.int64)
    total, jet = int(length.sum()), np.repeat(np.arange(rows), length)
    pt = rng.exponential(8.0, total) + 0.2
    pt = pt[np.lexsort((-pt, jet))]
    kind = np.array(KINDS)[rng.integers(0, len(KINDS), total)]
    eta = rng.normal(0, 0.25, total)
    candidates = {
        "cand_pt": pt,
        "cand_eta": eta,
        "cand_phi": rng.normal(0, 0.25, total),
        "cand_energy": pt * np.cosh(eta),
        "cand_charge": kind[:, 1],
        "cand_pdg_id": kind[:, 0],
        "cand_d0": rng.normal(0, 0.05, total) * (kind[:, 1] != 0),
        "cand_dz": rng.normal(0, 0.08, total) * (kind[:, 1] != 0),
    }
    sum_pt = np.bincount(jet, pt, rows)
    ones = dict.fromkeys((f.name for f in dataset_schema()), np.ones(rows))
    columns: dict[str, Any] = {
        **ones,
        "event_id": np.repeat([event_id(process, first + i) for i in range(events)], len(VARIANTS)),
        "process": [process] * rows,
        "label": [process] * rows,
        "variant": list(VARIANTS) * events,
        "jet_type": ["q"] * rows,
        **{"jet_pt": sum_pt, "jet_energy": sum_pt * 1.1, "jet_eta": np.zeros(rows), "jet_phi": np.zeros(rows)},
    }
    arrays = [
        lists(candidates[f.name], length, f.type)
        if f.name in CANDIDATE_COLUMNS
        else column(columns[f.name], f.type)
        for f in dataset_schema()
    ]
    return pa.table(arrays, schema=dataset_schema())


def lists(values: NDArray[Any], length: NDArray[np.int64], kind: pa.DataType) -> pa.Array:
    """Return a list column."""
    offsets = np.concatenate([[0], np.cumsum(length)]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(values.astype(kind.value_type.to_pandas_dtype())))


def column(values: Any, kind: pa.DataType) -> pa.Array:
    """Return a column with one value per jet."""
    return (
        pa.array(values)
        if pa.types.is_string(kind)
        else pa.array(np.asarray(values).astype(kind.to_pandas_dtype()))
    )


def random_dataset(folder: Path, events: int) -> Path:
    """Write a data set of random jets, ``events`` per process to train on; return its manifest."""
    rng = np.random.default_rng(0)
    writer = DatasetWriter(folder, PART, GROUP)
    for process in PROCESSES:
        for start in range(0, events + GROUP, GROUP):
            split = "train" if start < events else "val"
            writer.append(split, process, random_jets(process, start, GROUP, rng))
    write_json(
        folder / "manifest.json",
        {
            "format": 1,
            "variants": dict.fromkeys(VARIANTS, "train"),
            "processes": {name: {"label": name, "use": "pretrain"} for name in PROCESSES},
            "files": writer.close(),
        },
    )
    return folder / "manifest.json"


def block_of(manifest: Path, batch: int, constituents: int, stream: bool) -> PretrainBlock:
    """Return the settings of a training on all that a manifest has."""
    contents = json.loads(manifest.read_text(encoding="utf-8"))
    return PretrainBlock.model_validate(
        {
            "method": "rs3l", "seed": 1, "processes": list(contents["processes"]),
            "variants": list(contents["variants"]), "encoder": DeepSets(), "views": "any_two", "loss": "nt_xent",
            "temperature": 0.1, "vicreg": None, "batch": batch, "epochs": 1000, "learning_rate": 1e-3,
            "weight_decay": 1e-4, "constituents": constituents, "hand_made": None, "detector": None,
            "loop": {"stream": stream},
        }
    )  # fmt: skip


def loaded(feed: Feed, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield features and mask of the batches of an epoch, which is what the network gets."""
    generator = feed.generator(epoch)
    for batch in feed.batches(generator, 0):
        jets = views(batch, generator)
        yield features(jets), jets.mask


def views(batch: Batch, generator: torch.Generator) -> Any:
    """Return the jets of a batch."""
    return batch.source.views(batch.rows, generator, batch.part)


def cpu_seconds(action: Callable[[], object]) -> float:
    """Return the CPU time of this process, over all threads, that ``action`` takes."""
    start = time.process_time()
    action()
    return time.process_time() - start


def loader(block: PretrainBlock, manifest: Path) -> Callable[[], float]:
    """Return a function that loads one more epoch and returns CPU seconds per jet.

    A stream does not read ahead here, because the thread would go on while something else is timed.
    """
    feed = open_data(block, manifest, partial(ViewSource, block), Ranks(), 256).train
    if isinstance(feed, StreamFeed):
        feed.stream.threads = 0
    epoch = iter(range(block.epochs))
    jets = 2 * feed.batch * feed.steps
    return lambda: cpu_seconds(lambda: [None for _ in loaded(feed, next(epoch))]) / jets


def device_loader(
    block: PretrainBlock, manifest: Path, threads: int, clock: Callable[[], float]
) -> Callable[[], float]:
    """Return a function that loads one more epoch for a device and returns seconds per jet by ``clock``.

    The device pads, rotates and computes the features, so that jets are only gathered.
    """
    feed = open_data(block, manifest, partial(ViewSource, block), Ranks(), 256, threads).train
    placement, epoch = Placement(torch.device("meta"), threads=threads), iter(range(block.epochs))

    def once() -> float:
        start = clock()
        for _ in ahead(feed.batches(feed.generator(next(epoch)), 0), placement):
            pass
        return (clock() - start) / (2 * feed.batch * feed.steps)

    return once


def compare_threads(block: PretrainBlock, name: str, manifest: Path, rounds: int) -> dict[str, Any]:
    """Alternate loading for a device by one, two and four threads; the first round is a warm-up."""
    threads = (1, 2, 4)
    by_clock = [device_loader(block, manifest, n, time.perf_counter) for n in threads]
    of_cpu = device_loader(block, manifest, 1, time.process_time)
    times = np.array([[once() for once in (*by_clock, of_cpu)] for _ in range(rounds + 1)])[1:]
    rates = 1 / np.median(times, axis=0)
    return {
        "benchmark": f"jets from {name} for a GPU",
        "jets_per_s_by_threads": {n: round(float(rate)) for n, rate in zip(threads, rates, strict=False)},
        "jets_per_cpu_s": round(float(rates[-1])),
        "range": [round(1 / float(times[:, -1].max())), round(1 / float(times[:, -1].min()))],
        "cores": os.cpu_count(),
        "load": [round(each, 1) for each in os.getloadavg()],
    }


def encoder(block: PretrainBlock, manifest: Path, batches: int) -> Callable[[], float]:
    """Return a function that trains on batches that lie ready and returns CPU seconds per jet."""
    feed = open_data(block, manifest, partial(ViewSource, block), Ranks(), 256).train
    ready = [each for each, _ in zip(loaded(feed, 0), range(batches), strict=False)]
    network = new_encoder(block.encoder, block.constituents, 1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)

    def steps() -> None:
        for x, mask in ready:
            optimizer.zero_grad()
            nt_xent(network.project(network(x, mask)), 0.1).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return lambda: cpu_seconds(steps) / (2 * feed.batch * len(ready))


def compare_rates(block: PretrainBlock, name: str, manifest: Path, rounds: int) -> dict[str, Any]:
    """Alternate loading and training; the first round is a warm-up."""
    both = loader(block, manifest), encoder(block, manifest, 20)
    times = np.array([[once() for once in both] for _ in range(rounds + 1)])[1:]
    ratio = times[:, 1] / times[:, 0]
    return {
        "benchmark": f"jets from {name} / jets that DeepSets trains on",
        "loader_jets_per_cpu_s": round(1 / float(np.median(times[:, 0]))),
        "encoder_jets_per_cpu_s": round(1 / float(np.median(times[:, 1]))),
        "ratio": round(float(np.median(ratio)), 2),
        "range": [round(float(ratio.min()), 2), round(float(ratio.max()), 2)],
        "aim": AIM,
    }


def training(
    block: PretrainBlock, manifest: Path, folder: Path, ranks: Ranks
) -> Callable[[], tuple[float, float]]:
    """Return a function that trains one more epoch and returns seconds by the clock and of the CPU per step."""
    trainer = Trainer(block, manifest, Checkpoint(folder, block, "none"), ranks)
    stop, epoch = StopRequest(), iter(range(block.epochs))

    def once() -> tuple[float, float]:
        start, clock = time.perf_counter(), time.process_time()
        trainer._epoch(next(epoch), stop)
        trainer.losses = []
        return (time.perf_counter() - start) / trainer.steps, (time.process_time() - clock) / trainer.steps

    return once


def compare_training(
    memory: PretrainBlock, stream: PretrainBlock, manifest: Path, folder: Path, epochs: int, device: str
) -> dict[str, Any]:
    """Alternate epochs of both kinds of training; the first of each is a warm-up."""
    ranks = Ranks(device=torch.device(device))
    both = [training(block, manifest, folder, ranks) for block in (memory, stream)]
    times = np.array([[once() for once in both] for _ in range(epochs + 1)])[1:]
    clock, cpu = times[:, 1, 0] / times[:, 0, 0], times[:, 1, 1] / times[:, 0, 1]
    return {
        "benchmark": "training step, stream / memory",
        "device": device,
        "steps_per_s_from_memory": round(1 / float(np.median(times[:, 0, 0])), 2),
        "steps_per_s_from_stream": round(1 / float(np.median(times[:, 1, 0])), 2),
        "time_by_the_clock": round(float(np.median(clock)), 3),
        "range": [round(float(clock.min()), 3), round(float(clock.max()), 3)],
        "cpu_time": round(float(np.median(cpu)), 3),
        "aim": "1.10 by the clock",
    }


def main() -> None:
    """Measure and print the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", help="a data set, in place of random jets")
    parser.add_argument("--events", type=int, default=16_000, help="per process to train on (default 16000)")
    parser.add_argument("--batch", type=int, default=256, help="events per step (default 256)")
    parser.add_argument("--constituents", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    limit_threads(args.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        manifest = Path(args.manifest) if args.manifest else random_dataset(folder, args.events)
        memory, stream = (block_of(manifest, args.batch, args.constituents, stream) for stream in (False, True))
        for name, block in (("memory", memory), ("stream", stream)):
            print(json.dumps(compare_rates(block, name, manifest, args.epochs)), flush=True)
            print(json.dumps(compare_threads(block, name, manifest, args.epochs)), flush=True)
        print(json.dumps(compare_training(memory, stream, manifest, folder, args.epochs, device)), flush=True)


if __name__ == "__main__":
    main()
