"""A toy data set in the real format: two processes that differ in multiplicity and width of the jet."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.config.losses import VicReg
from rs3l.dataset.parquet import parquet_options
from rs3l.dataset.schema import dataset_schema
from rs3l.dataset.store import JetStore
from rs3l.files import sha256, write_json
from rs3l.pretrain.losses import Loss
from rs3l.seeds import event_id
from rs3l.types import Floats32, Ints

VARIANTS = {"nominal": "train", "seed": "train", "fsr_hi": "train", "vincia": "held_out"}
MULTIPLICITY = {"signal": 14, "background": 8}
WIDTH = {"signal": 0.3, "background": 0.12}
EVENTS = {"train": 60, "val": 24, "test": 24}
KINDS = ((22, 0), (13, -1), (-11, 1), (211, 1), (-211, -1), (130, 0))

LOSSES = [
    Loss("nt_xent", 0.1),
    Loss("multi_view", 0.1),
    Loss("sup_con", 0.1),
    Loss("vicreg", 0.1, VicReg(invariance=1, variance=1, covariance=10)),
]
"""One of each."""

Jet = dict[str, Any]


def jet(process: str, rng: np.random.Generator, count: int | None = None) -> Jet:
    """Return one jet with its candidates, by descending pT, near the seam of phi."""
    n = max(1, int(rng.poisson(MULTIPLICITY[process]))) if count is None else count
    pt = np.sort(rng.exponential(30.0, n) + 0.5)[::-1]
    eta, phi = rng.normal(0.4, WIDTH[process], n), rng.normal(3.1, WIDTH[process], n)
    kind = rng.integers(0, len(KINDS), n)
    charge = np.array([KINDS[k][1] for k in kind], dtype=np.int8)
    energy = pt * np.cosh(eta)
    return {
        "cand_pt": pt,
        "cand_eta": eta,
        "cand_phi": np.remainder(phi + np.pi, 2 * np.pi) - np.pi,
        "cand_energy": energy,
        "cand_charge": charge,
        "cand_pdg_id": np.array([KINDS[k][0] for k in kind], dtype=np.int32),
        "cand_d0": rng.normal(0, 0.05, n) * (charge != 0),
        "cand_dz": rng.normal(0, 0.08, n) * (charge != 0),
        "jet_pt": pt.sum() + 1.0,
        "jet_eta": 0.4,
        "jet_phi": 3.1,
        "jet_energy": energy.sum() + 1.0,
        "jet_mass": 90.0,
        "jet_msd": 80.0,
        "jet_n2": float("nan") if n < 3 else float(rng.normal(0.3, 0.05) - 0.2 * WIDTH[process]),
        "jet_tau21": 0.5,
        "jet_tau32": float("nan") if n < 3 else 0.7,
        "jet_n_constituents": n,
    }


def row(process: str, event: int, variant: str, values: Jet) -> dict[str, Any]:
    """Return one row of the data set."""
    hard = {"weight": 1.0 + event, "jet_type": "q", "parton_pdg_id": 1}
    parton = {f"parton_{name}": 1.0 for name in ("pt", "eta", "phi", "energy")}
    key = {"event_id": event_id(process, event), "process": process, "label": process, "variant": variant}
    return {**key, **hard, **parton, **values}


def rows_of(process: str, events: Sequence[int], seed: int = 0) -> list[dict[str, Any]]:
    """Return the rows of some events; every fifth has no nominal jet, every seventh the seed view alone."""
    rows = []
    for event in events:
        rng = np.random.default_rng([seed, event, len(process)])
        for variant in VARIANTS:
            if (event % 5 == 4 and variant == "nominal") or (event % 7 == 6 and variant != "seed"):
                continue
            rows.append(row(process, event, variant, jet(process, rng)))
    return rows


def write_part(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as one Parquet file of the data set, in several row groups of whole events."""
    path.parent.mkdir(parents=True, exist_ok=True)
    groups = [[*group] for _, group in itertools.groupby(rows, key=lambda row: row["event_id"] % 2**40 // 10)]
    with pq.ParquetWriter(path, dataset_schema(), **parquet_options(dataset_schema())) as writer:
        for group in groups:
            writer.write_table(pa.Table.from_pylist(group, schema=dataset_schema()))


def write_dataset(folder: Path, events: Mapping[str, int] = EVENTS, parts: int = 2) -> Path:
    """Write a toy data set of ``events`` per split and process; return its manifest."""
    files = []
    for process in MULTIPLICITY:
        first = 0
        for split, count in events.items():
            for part, numbers in enumerate(np.array_split(np.arange(first, first + count), parts)):
                path = folder / split / f"{process}-{part:04d}.parquet"
                rows = rows_of(process, numbers.tolist())
                write_part(path, rows)
                files.append(entry(folder, path, split, process, rows))
            first += count
    return write_manifest(folder, files)


def entry(folder: Path, path: Path, split: str, process: str, rows: Sequence[Jet]) -> dict[str, Any]:
    """Return the manifest's entry of one file."""
    return {
        "path": str(path.relative_to(folder)),
        "split": split,
        "process": process,
        "events": len({r["event_id"] for r in rows}),
        "rows": len(rows),
        "sha256": sha256(path),
    }


def write_manifest(folder: Path, files: Sequence[Mapping[str, Any]]) -> Path:
    """Write the manifest of ``files``."""
    processes = {name: {"label": name, "use": "pretrain"} for name in MULTIPLICITY}
    manifest = folder / "manifest.json"
    write_json(manifest, {"format": 1, "variants": VARIANTS, "processes": processes, "files": list(files)})
    return manifest


def store(lengths: Sequence[int], constituents: int = 64, seed: int = 0) -> JetStore:
    """Return a store of one jet per entry of ``lengths``, each an event of its own; 0 is an empty jet."""
    rng = np.random.default_rng(seed)
    total, jets = int(np.sum(lengths)), len(lengths)
    pt = rng.uniform(1, 50, total)
    charge = rng.integers(-1, 2, total)
    columns = [pt, *rng.normal(0, 0.3, (2, total)), pt * 1.1, charge, rng.integers(0, 5, total)]
    candidates: Floats32 = np.stack([*columns, *rng.normal(0, 0.1, (2, total))], axis=1).astype(np.float32)
    codes: Ints = np.zeros(jets, dtype=np.int64)
    return JetStore(
        candidates=candidates,
        start=np.cumsum(lengths) - lengths,
        count=np.array(lengths),
        jet_pt=np.full(jets, 400, dtype=np.float32),
        jet_energy=np.full(jets, 450, dtype=np.float32),
        jet_mass=np.full(jets, 90, dtype=np.float32),
        weight=np.ones(jets),
        event_id=np.arange(jets),
        process=codes,
        variant=codes,
        process_names=("signal",),
        variant_names=("nominal",),
        constituents=constituents,
    )
