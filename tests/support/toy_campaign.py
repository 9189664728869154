"""A toy campaign on disk: what the stages before evaluation and report would have written."""

from __future__ import annotations

import atexit
import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.config import blocks, load_campaign
from rs3l.config.campaign import Campaign
from rs3l.dataset.checksum import write_sealed
from rs3l.dataset.schema import CANDIDATE_COLUMNS, HARD_COLUMNS, JET_COLUMNS, dataset_schema
from rs3l.evaluate.evaluate import evaluate
from rs3l.evaluate.measure import measure
from rs3l.evaluate.tables import HISTORY_COLUMNS
from rs3l.figures import style
from rs3l.figures.draw import draw
from rs3l.finetune.score import predictions_schema
from rs3l.paths import CampaignPaths, shard_name
from rs3l.runs import is_baseline
from rs3l.seeds import event_id
from rs3l.types import Floats32
from support.drawing import given

ROOT = Path(__file__).parents[2]
QUALITY = {
    "probe_h": 3.0,
    "probe_z": 2.5,
    "tuned": 2.8,
    "scratch": 2.0,
    "scratch_views": 2.2,
    "random": 1.0,
    "n2": 0.8,
}
"""Separation of signal and background in units of their width."""

MASS = {"H": 120.0, "QCD": 40.0, "W": 80.0}


def campaign() -> Campaign:
    """Return the miniature campaign, with two label counts and two pre-training seeds."""
    config = load_campaign(ROOT / "config" / "test.yaml")
    finetune = config.finetune.model_copy(update={"labels": [20, 200]})
    pretrain = config.pretrain.model_copy(update={"seeds": 2})
    return config.model_copy(update={"finetune": finetune, "pretrain": pretrain})


def jets(config: Campaign, process: str, events: int) -> pd.DataFrame:
    """Return one row per view of each of ``events`` hard events; a tenth of the views has no jet."""
    rng = np.random.default_rng(len(process))
    keys = list(itertools.product(range(events), config.variants))
    frame = pd.DataFrame(keys, columns=["event", "variant"])
    frame["event_id"] = [event_id(process, event) for event in frame["event"]]
    frame["process"] = process
    frame["weight"] = rng.uniform(0.5, 2.0, events)[frame["event"]]
    frame["hard"] = rng.normal(0.0, 1.0, events)[frame["event"]]
    return frame[rng.uniform(size=len(frame)) < 0.9].reset_index(drop=True)


def write_predictions(
    config: Campaign, root: Path, events: int = 60, runs: Sequence[str] = ()
) -> tuple[list[Path], list[Path]]:
    """Write predictions and histories of all tasks and some runs (those of the campaign); return their paths."""
    paths = CampaignPaths(str(root))
    predictions, histories = [], []
    for task, run in itertools.product(config.tasks, runs or blocks.evaluate(config).runs):
        rng = np.random.default_rng(list(f"{task}{run}".encode()))
        modes = ("scratch", "scratch_views", "random") if is_baseline(run) else ("probe_h", "probe_z", "tuned")
        modes += ("n2",) if run == "none" else ()
        lines = []
        frame = _jets(config, task, events).assign(task=task, run=run)
        for mode, labels, repeat in itertools.product(modes, config.finetune.labels, range(2)):
            frame[f"{mode}/{labels}/{repeat}"] = _scores(frame, mode, rng)
            lines.append([task, run, mode, labels, repeat, 3, 10, 300, 0.5, 0.9])
        histories.append(Path(paths.histories(task, run)))
        predictions += [
            write_scores(frame[frame["process"] == process], Path(paths.predictions(task, run, process, "0000")))
            for process in blocks.task_processes(config, task)
        ]
        pd.DataFrame(lines, columns=list(HISTORY_COLUMNS)).to_csv(histories[-1], index=False)
    return predictions, histories


def write_measures(
    config: Campaign, root: Path, events: int = 60, runs: Sequence[str] = ()
) -> tuple[list[Path], list[Path]]:
    """Write predictions, measures and histories of some runs; return the paths of the last two."""
    predictions, histories = write_predictions(config, root, events, runs)
    return measured(config, predictions), histories


def measured(config: Campaign, predictions: Sequence[Path]) -> list[Path]:
    """Write the measures of predictions, which lie in ``{task}/{run}/predictions/``; return their paths."""
    found = []
    for folder, files in itertools.groupby(predictions, key=lambda path: path.parent.parent):
        found.append(folder / "measures.parquet")
        measure(blocks.measure(config, folder.parent.name, folder.name), list(files), found[-1])
    return found


def _jets(config: Campaign, task: str, events: int) -> pd.DataFrame:
    """Return the jets of a task."""
    definition = config.tasks[task]
    both = [jets(config, process, events) for process in (definition.signal, definition.background)]
    frame = pd.concat(both, ignore_index=True)
    frame["is_signal"] = frame["process"] == definition.signal
    return frame


def _scores(frame: pd.DataFrame, mode: str, rng: np.random.Generator) -> pd.Series[float]:
    separation = QUALITY[mode] * (0.5 if frame["run"].iloc[0].startswith("jetclr") else 1.0)
    return separation * frame["is_signal"] + 0.7 * frame["hard"] + rng.normal(0.0, 0.7, len(frame))


def write_scores(frame: pd.DataFrame, path: Path) -> Path:
    """Write the jets and scores of ``frame`` as predictions; return their path."""
    names = [name for name in frame if "/" in name]
    schema = predictions_schema(names)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sealed(path, pa.Table.from_pandas(frame[schema.names], schema, preserve_index=False))
    return path


def write_dataset(config: Campaign, root: Path, events: int = 40) -> Path:
    """Write the test split of a data set and its manifest; return the manifest's path."""
    paths = CampaignPaths(str(root))
    files = []
    for process, definition in config.processes.items():
        path = Path(paths.part("test", process, "0000"))
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = _jet_rows(jets(config, process, events), definition.label)
        pq.write_table(pa.Table.from_pylist(rows, dataset_schema()), path)
        name = f"test/{path.name}"
        entry: dict[str, Any] = {"path": name, "split": "test", "process": process, "events": events}
        files.append({**entry, "rows": len(rows), "sha256": ""})
    manifest = {
        "format": 1,
        "campaign": config.campaign,
        "variants": {name: variant.use for name, variant in config.variants.items()},
        "files": files,
        "processes": {
            name: _manifest_process(p.label, list(config.variants), events) for name, p in config.processes.items()
        },
    }
    Path(paths.manifest).write_text(json.dumps(manifest), encoding="utf-8")
    return Path(paths.manifest)


def _manifest_process(label: str, variants: Sequence[str], events: int) -> dict[str, Any]:
    ok = int(0.9 * events)
    status = {"ok": ok, "no_jet": events - ok, "rejected": 0, "failed": 0}
    return {
        "label": label,
        "use": "pretrain",
        "hard_events": events,
        "status": dict.fromkeys(variants, status),
        "matching_efficiency": dict.fromkeys(variants, ok / events),
        "matching_efficiency_all_variants": 0.6,
        "matching_efficiency_two_variants": 0.95,
    }


def _jet_rows(frame: pd.DataFrame, label: str) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    rows = []
    for view in frame.itertuples():
        n = int(rng.integers(1, 20))
        row: dict[str, Any] = dict.fromkeys((*HARD_COLUMNS, *JET_COLUMNS), 1.0)
        row |= {"event_id": view.event_id, "process": view.process, "label": label, "variant": view.variant}
        row |= {"weight": view.weight, "jet_type": label, "parton_pdg_id": 1, "jet_n_constituents": n}
        row |= {"jet_eta": rng.uniform(-2.0, 2.0), "jet_n2": rng.choice([0.2, 0.3, np.nan]), "jet_pt": 310.0 + n}
        row |= {"jet_mass": MASS.get(label, 60.0) + 5.0 * rng.normal(), "jet_phi": 3.1, "parton_phi": -3.1}
        row |= {name: [1] * n for name in CANDIDATE_COLUMNS}
        row |= {"cand_pt": np.sort(rng.exponential(10.0, n))[::-1], "cand_phi": rng.uniform(2.8, 3.1, n)}
        row |= {"cand_eta": rng.normal(1.0, 0.2, n), "cand_pdg_id": rng.choice([22, 211, -211, 130, 11], n)}
        rows.append(row)
    return rows


def unchanged(histories: list[Path]) -> None:
    """Leave the histories as they are."""


def write_results(
    config: Campaign,
    root: Path,
    qualities: bool = False,
    events: int = 60,
    spoil: Callable[[list[Path]], None] = unchanged,
) -> Path:
    """Write what a finished campaign has: data set, tables, summary, two figures; return its folder.

    ``spoil`` may change the histories before they are evaluated. Without changes, the results of one configuration
    are made once, and copied.
    """
    if spoil is unchanged:
        shutil.copytree(_results(config.model_dump_json(), qualities, events), root, dirs_exist_ok=True)
        return root
    return _write_results(config, root, qualities, events, spoil)


@cache
def _results(config: str, qualities: bool, events: int) -> Path:
    """Return the folder of the results of a configuration, which nobody changes."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return _write_results(Campaign.model_validate_json(config), folder / "results", qualities, events, unchanged)


def _write_results(
    config: Campaign, root: Path, qualities: bool, events: int, spoil: Callable[[list[Path]], None]
) -> Path:
    root.mkdir(exist_ok=True)
    manifest = write_dataset(config, root)
    latents = write_qualities(config, root) if qualities else []
    measures, histories = write_measures(config, root, events)
    spoil(histories)
    result = evaluate(blocks.evaluate(config), manifest, measures, histories, latents)
    (root / "evaluation").mkdir()
    for name, table in result.tables.items():
        table.to_csv(root / "evaluation" / f"{name}.csv", index=False)
    (root / "summary.json").write_text(json.dumps(result.summary), encoding="utf-8")
    write_benchmarks(root / "benchmarks")
    for run in (run for run in blocks.runs(config) if blocks.imported_model(config, run) is None):
        write_training(root / "models" / run / "metrics.csv")
        entry = {"block": blocks.pretrain(config, run).model_dump(), "versions": {"torch": "2"}, "git": "abc"}
        (root / "models" / run / "provenance.json").write_text(json.dumps(entry), encoding="utf-8")
    inputs = given(manifest=manifest)
    for name in ("schematic", "matching"):
        files = [root / "figures" / f"{name}.{suffix}" for suffix in ("svg", "png", "csv")]
        style.write(draw(name, blocks.figures(config), style.Header(config.campaign), inputs), *files)
    return root


def write_latents(config: Campaign, root: Path, run: str, events: int = 40) -> list[Path]:
    """Write latents of the test jets of one run, in two groups of each process; return their paths in order."""
    rng = np.random.default_rng(0)
    written = []
    for process in config.processes:
        frame = jets(config, process, events)
        for group in range(2):
            own = frame[(frame["event"] >= events // 2) == bool(group)]
            path = Path(CampaignPaths(str(root)).latents(run, process, shard_name(group)))
            path.parent.mkdir(parents=True, exist_ok=True)
            write_sealed(path, _latents_table(own, rng.normal(size=(len(own), 8)).astype(np.float32)), 7)
            written.append(path)
    return written


def _latents_table(frame: pd.DataFrame, z: Floats32) -> pa.Table:
    columns = {name: frame[name] for name in ("event_id", "process", "variant")}
    mass = np.full(len(frame), 100.0, dtype=np.float32)
    return pa.table(
        {**columns, "z": pa.array(list(z), pa.list_(pa.float32(), 8)), "jet_mass": mass, "jet_pt": mass}
    )


def write_qualities(config: Campaign, root: Path, replicas: int = 20) -> list[Path]:
    """Write what the encoders of all runs know; return the paths."""
    rng = np.random.default_rng(2)
    paths = [Path(CampaignPaths(str(root)).latent_quality(run)) for run in blocks.runs(config)]
    for path in paths:
        keys = [("h", "effective_rank", ""), ("h", "r2", "jet_mass"), ("z", "retrieval", "fsr_hi")]
        lines = [dict(zip(("space", "quantity", "subject"), key, strict=True)) for key in keys]
        values = [{"n": 50, "classes": 0, "values": rng.normal(2.0, 0.1, replicas + 1)} for _ in lines]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_sealed(
            path, pa.Table.from_pylist([{**line, **value} for line, value in zip(lines, values, strict=True)])
        )
    return paths


def write_training(path: Path, epochs: int = 4) -> Path:
    """Write the metrics of one pre-training run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    epoch = np.arange(1, epochs + 1)
    columns = {"epoch": epoch, "train_loss": 5.0 / epoch, "val_loss": 5.2 / epoch, "rank": 8.0 - 2.0 / epoch}
    columns |= {"cosine_views:higgs_bb": 1.0 - 0.5 / epoch, "cosine_views:qcd": 1.0 - 0.6 / epoch}
    columns |= {"cosine_means:higgs_bb:qcd": 1.0 / epoch}
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def write_benchmarks(folder: Path) -> Path:
    """Write benchmark files of three jobs of one rule and one of another, too short to be measured."""
    lines = {f"resimulate/qcd/{i}": {"s": float(i), "cpu_time": 4.0, "max_rss": 100.0 * i} for i in (1, 2, 3)}
    lines["merge"] = {"s": 0.1, "cpu_time": "-", "max_rss": "-"}
    for name, values in lines.items():
        path = folder / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values) + "\n", encoding="utf-8")
    return folder


def write_robustness(config: Campaign, path: Path) -> Path:
    """Write a table of robustness with numbers that can be told from each other."""
    rows = [
        {
            "task": task, "method": method, "mode": mode, "variant": variant, "use": "train", "class": kind,
            "quantity": quantity, "efficiency": efficiency, "value": 0.01 * (m + 1) * (v + 1), "error": 0.005,
            "n_runs": 4,
            "background_passing": None if quantity == "wasserstein" else (20 if efficiency > 0.5 else 3),
        }
        for task in config.tasks
        for m, (method, mode) in enumerate([("rs3l", "probe_h"), ("none", "scratch"), ("none", "n2")])
        for v, variant in enumerate(name for name in config.variants if name != "nominal")
        for quantity, kind, efficiencies in (
            ("wasserstein", "signal", [None]), ("wasserstein", "background", [None]),
            ("fpr_change_own", "background", [0.5, 0.7]), ("fpr_change_fixed", "background", [0.5, 0.7]),
        )
        for efficiency in efficiencies
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def write_latent_quality(config: Campaign, path: Path) -> Path:
    """Write a table of the quality of the latents."""
    subjects = {"retrieval": ["seed", "fsr_hi"], "r2": ["jet_mass", "jet_n2"], "effective_rank": [""]}
    rows = [
        {"method": m, "space": x, "quantity": q, "subject": s, "value": 0.5, "error": 0.1}
        for m, x, q in itertools.product(("rs3l", "jetclr"), "hz", subjects)
        for s in subjects[q]
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path
