"""Time per jet seen: fine-tuning against pre-training, with the same network, jets and number of jets per step.

Both go through whole epochs of their own loops, from memory and from files, each from the data set to the step of
the optimizer. They take turns, the first round is a warm-up. Times are of the CPU, because a busy machine disturbs
them least. Fine-tuning is timed with its looks at the validation jets, and without. Prints a JSON line per number
of jets in a step. The jets are random, with the multiplicity of the laptop campaign; or bring a data set
(--manifest).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from loader import block_of, cpu_seconds, random_dataset

from rs3l.config.encoders import DeepSets
from rs3l.config.finetune import Finetune
from rs3l.config.tasks import Task
from rs3l.dataset.store import load_views
from rs3l.finetune.classifier import supervised
from rs3l.finetune.sample import Index, Wanted
from rs3l.finetune.sources import JetsInFile, JetsInMemory, Labelled, Source, write_jets
from rs3l.finetune.training import Training, Validation
from rs3l.networks.model_file import new_encoder
from rs3l.pretrain.pretrain import Trainer
from rs3l.training.checkpoint import Checkpoint
from rs3l.training.stop import StopRequest
from rs3l.training.threads import limit_threads

VALIDATION = 20_000


def pretraining(manifest: Path, folder: Path, jets: int, constituents: int) -> Callable[[], float]:
    """Return a function that pre-trains for one more epoch and returns CPU seconds per jet seen."""
    block = block_of(manifest, jets // 2, constituents, stream=False)
    trainer = Trainer(block, manifest, Checkpoint(folder, block, "none"))
    stop, epoch = StopRequest(), iter(range(block.epochs))

    def once() -> float:
        seconds = cpu_seconds(lambda: trainer._epoch(next(epoch), stop))
        trainer.losses = []
        return seconds / (trainer.steps * 2 * trainer.batch)

    return once


class Tuning:
    """A training on labels, which goes on epoch by epoch."""

    def __init__(self, data: Source, norm: Labelled, jets: int, constituents: int) -> None:
        encoder = new_encoder(DeepSets(), constituents, 1)
        encoder.fit_norm(norm.store, norm.rows)
        self.training = Training(supervised(encoder), data, Finetune(batch=jets), 1e-3, 1, "benchmark")
        self.batches, self.stop = self.training._batches(), StopRequest()
        rows = np.arange(min(VALIDATION, len(norm.rows)))
        judges = Validation(norm.store, norm.rows[rows], norm.y[rows], np.arange(len(rows)) // 2)
        self.judges = judges.first(self.training.judges)

    def epoch(self) -> float:
        """Return the CPU seconds per jet seen of one more epoch."""
        training = self.training
        return cpu_seconds(lambda: training._train(self.batches, self.stop)) / self.jets

    def look(self) -> float:
        """Return the CPU seconds per jet seen of the look at the validation jets that ends an epoch."""
        return cpu_seconds(lambda: self.training._look(self.judges)) / self.jets

    @property
    def jets(self) -> int:
        """The jets that an epoch sees."""
        return self.training.steps_per_epoch * self.training.order.batch


def labelled(manifest: Path, folder: Path, constituents: int) -> tuple[JetsInMemory, JetsInFile]:
    """Return all nominal jets of the train split, in memory and in a file."""
    contents = json.loads(manifest.read_text(encoding="utf-8"))
    signal, background = list(contents["processes"])[:2]
    index = Index(manifest, "train", Task(signal=signal, background=background), [])
    write_jets(folder / "jets.parquet", index, Wanted(nominal=index.event_id), constituents)
    store = load_views(manifest, "train", [signal, background], ["nominal"], constituents)
    held = Labelled(store, store.rows(), (store.process == 0).astype(np.int64))
    return JetsInMemory(held), JetsInFile(folder / "jets.parquet", index.variants, constituents)


def measure(manifest: Path, folder: Path, jets: int, constituents: int, rounds: int) -> dict[str, Any]:
    """Return the JSON line of one number of jets in a step."""
    held, filed = labelled(manifest, folder, constituents)
    memory, file = (Tuning(data, held.jets, jets, constituents) for data in (held, filed))
    pretrain = pretraining(manifest, folder, jets, constituents)
    turns = [pretrain, memory.epoch, memory.look, file.epoch]
    times = 1e6 * np.array([[once() for once in turns] for _ in range(rounds + 1)])[1:]
    pre, from_memory, look, from_file = times.T
    ratios = {
        "ratio": from_memory / pre,
        "ratio_with_validation": (from_memory + look) / pre,
        "ratio_from_file": from_file / pre,
    }
    return {
        "benchmark": "time per jet seen, fine-tuning / pre-training",
        "jets_per_step": jets,
        "jets_per_epoch": memory.jets,
        "pretrain_us": round(float(np.median(pre)), 1),
        "finetune_us": round(float(np.median(from_memory)), 1),
        **{name: round(float(np.median(values)), 2) for name, values in ratios.items()},
        "range": [round(float(ratios["ratio"].min()), 2), round(float(ratios["ratio"].max()), 2)],
        "aim": "0.8 to 1.2",
    }


def main() -> None:
    """Measure and print the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", help="a data set, in place of random jets")
    parser.add_argument("--events", type=int, default=8_000, help="per process to train on (default 8000)")
    parser.add_argument("--jets", type=int, nargs="+", default=[64, 512], help="per step (default 64 512)")
    parser.add_argument("--constituents", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    limit_threads(args.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        manifest = Path(args.manifest) if args.manifest else random_dataset(folder, args.events)
        for jets in args.jets:
            print(json.dumps(measure(manifest, folder, jets, args.constituents, args.rounds)), flush=True)


if __name__ == "__main__":
    main()
