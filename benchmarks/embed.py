"""Measures embedding against the bare network, which is the forward pass on batches that lie ready in memory.

Embedding reads the files, verifies and decodes them, pads, computes the features, runs the network and writes the
latents. The jets are random, with the multiplicity of the laptop campaign; or bring a data set (--manifest).

Rates are per CPU second, because a busy machine disturbs that least, and by the clock, because reading goes on in
a thread. The bare network and the job alternate. Prints JSON lines.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from loader import GROUP, PART, VARIANTS, random_jets
from torch import Tensor

from rs3l.config.encoders import DeepSets
from rs3l.dataset.features import features
from rs3l.dataset.manifest import read_manifest
from rs3l.dataset.parts import Reader
from rs3l.dataset.writer import DatasetWriter
from rs3l.embed.latents import write_latents
from rs3l.files import write_json
from rs3l.networks.base import JetEncoder, chunks
from rs3l.networks.model_file import new_encoder, save_encoder
from rs3l.training.threads import limit_threads

AIM = 1.3


class Ready(NamedTuple):
    """Batches in memory, and the number of jets in them."""

    batches: list[tuple[Tensor, Tensor]]
    jets: int


class Seconds(NamedTuple):
    """Time per jet."""

    cpu: float
    clock: float


def random_test_jets(folder: Path, events: int) -> Path:
    """Write a data set of random jets, ``events`` of one process in the test split; return its manifest."""
    rng = np.random.default_rng(0)
    writer = DatasetWriter(folder, PART, GROUP)
    for start in range(0, events, GROUP):
        writer.append("test", "qcd", random_jets("qcd", start, min(GROUP, events - start), rng))
    contents = {
        "variants": dict.fromkeys(VARIANTS, "train"),
        "processes": {"qcd": {"label": "q", "use": "pretrain"}},
    }
    write_json(folder / "manifest.json", {"format": 1, **contents, "files": writer.close()})
    return folder / "manifest.json"


def ready(manifest: Path, process: str, constituents: int) -> Ready:
    """Return the batches that the network gets of one row group."""
    jets = next(iter(Reader(manifest, process, constituents=constituents)))
    found = [(features(batch), batch.mask) for _, batch in chunks(jets.store, jets.store.rows())]
    return Ready(found, len(jets.store))


def timed(action: Callable[[], object], jets: int) -> Seconds:
    """Return the time per jet that ``action`` takes."""
    cpu, clock = time.process_time(), time.perf_counter()
    action()
    return Seconds((time.process_time() - cpu) / jets, (time.perf_counter() - clock) / jets)


@torch.inference_mode()
def forward(encoder: JetEncoder, batches: list[tuple[Tensor, Tensor]]) -> None:
    """Run the network and its projection."""
    for x, mask in batches:
        encoder.project(encoder(x, mask))


def compare(name: str, bare: Callable[[], Seconds], job: Callable[[], Seconds], rounds: int) -> dict[str, Any]:
    """Alternate both; the first round is a warm-up, and the least times of all rounds are the undisturbed ones."""
    times = np.array([[bare(), job()] for _ in range(rounds + 1)])[1:]
    ratio = times[:, 1] / times[:, 0]
    return {
        "benchmark": f"{name} / forward pass of the bare network",
        "network_us_per_jet": round(1e6 * float(times[:, 0, 0].min()), 2),
        "job_us_per_jet": round(1e6 * float(times[:, 1, 0].min()), 2),
        "least_cpu_time": round(float(times[:, 1, 0].min() / times[:, 0, 0].min()), 3),
        "cpu_time": round(float(np.median(ratio[:, 0])), 3),
        "range": [round(float(ratio[:, 0].min()), 3), round(float(ratio[:, 0].max()), 3)],
        "by_the_clock": round(float(np.median(ratio[:, 1])), 3),
        "aim": AIM,
    }


def main() -> None:
    """Measure and print the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", help="a data set, in place of random jets")
    parser.add_argument("--events", type=int, default=8_000, help="of the random jets (default 8000)")
    parser.add_argument("--constituents", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    limit_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        manifest = Path(args.manifest) if args.manifest else random_test_jets(folder, args.events)
        process = next(iter(read_manifest(manifest).processes))
        encoder, model = new_encoder(DeepSets(), args.constituents, 1).eval(), folder / "model.safetensors"
        save_encoder(encoder, model)
        found, jets = ready(manifest, process, args.constituents), read_manifest(manifest).jets("test", process)
        bare = lambda: timed(lambda: forward(encoder, found.batches), found.jets)  # noqa: E731
        embed = lambda: timed(lambda: write_latents(manifest, model, process, None, folder / "z.parquet"), jets)  # noqa: E731
        print(json.dumps(compare("embedding", bare, embed, args.rounds)), flush=True)


if __name__ == "__main__":
    main()
