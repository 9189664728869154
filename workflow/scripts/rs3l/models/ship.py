"""Make what ships with the package from a finished campaign: a model, its card, a sample of jets and latents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from rs3l.dataset.checksum import check_json, intact_text, write_sealed
from rs3l.dataset.frames import read_frame
from rs3l.dataset.manifest import Manifest, read_manifest
from rs3l.errors import DataError
from rs3l.evaluate.names import method_label
from rs3l.files import atomic_folder, refuse_existing, write_text
from rs3l.models import latents
from rs3l.models.model_card import CARD, DIAGNOSTICS, METRICS, card_text
from rs3l.models.small_sample import EVENTS, about, write_sample
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import load_encoder, save_encoder, signs_in
from rs3l.paths import CampaignPaths
from rs3l.runs import Run

MODE = "probe_h"
"""The classifiers on the model whose numbers its card shows."""

BASELINES = ("scratch", "scratch_views", "random", "gbt")
"""The classifiers without pre-training whose numbers stand beside them."""


def ship(
    campaign: str | Path,
    folder: str | Path,
    run: str = "rs3l_s0",
    page: str | Path | None = None,
    events: Mapping[str, int] = EVENTS,
) -> None:
    """Write model, card, sample and latents of a ``run`` of a finished campaign to the new ``folder``.

    The name of the folder is that of the model; ``page`` gets a copy of the card. ``events`` are those of the
    sample (:func:`write_sample`). All of it appears at once, and the same campaign gives the same bytes. Raises
    :class:`DataError` if the campaign is not finished, a file of it was changed, or the model collapsed.
    """
    refuse_existing(folder)
    paths = CampaignPaths(str(campaign))
    encoder = load_encoder(paths.model(run), given=False)
    if signs := signs_in(paths.model(run)):
        raise DataError(f"{paths.model(run)}: its pre-training collapsed ({'; '.join(signs)}); ship another run")
    with atomic_folder(folder) as new:
        (new / "sample").mkdir()
        sample = write_sample(paths.manifest, new / "sample", encoder.constituents, events)
        card = _card(paths, run, encoder, Path(folder).name)
        card["sample"] = about(sample, events, encoder.constituents)
        save_encoder(encoder, new / "model.safetensors", **{CARD: card})
        write_latents(new)
        text = card_text(new)
        write_text(new / "card.md", text)
    if page:
        write_text(page, text)


def write_latents(folder: Path) -> None:
    """Write z of all jets of a sample, in its order."""
    jets = read_frame(folder / "sample" / "manifest.json")
    z = latents(jets, folder / "model.safetensors")[1]
    columns = {
        "event_id": jets["event_id"].to_numpy(),
        "variant": pa.array(jets["variant"].to_numpy(), pa.string()),
        "z": pa.FixedSizeListArray.from_arrays(pa.array(z.reshape(-1)), z.shape[1]),
    }
    write_sealed(folder / "latents.parquet", pa.table(columns))


def _card(paths: CampaignPaths, run: str, encoder: JetEncoder, name: str) -> dict[str, Any]:
    """Return what the header says beside what every model file says."""
    manifest = read_manifest(paths.manifest)
    made_by = _json(paths.model_provenance(run))
    last = _table(paths.model_metrics(run)).iloc[-1]
    return {
        "name": name,
        "licence": "MIT",
        "campaign": manifest.campaign,
        "campaign_seed": made_by["block"]["seed"] - Run.parse(run).seed,
        "run": run,
        "representation": encoder.config.representation,
        "weights": sum(value.numel() for value in encoder.parameters()),
        "data": _data(paths, manifest),
        "training": made_by["block"],
        "last_epoch": {key: float(last[key]) for key in DIAGNOSTICS},
        "results": list(_results(paths, run)),
        "device": made_by["device"],
        "versions": made_by["versions"],
        "git": made_by["git"],
    }


def _data(paths: CampaignPaths, manifest: Manifest) -> dict[str, Any]:
    made_by = _json(paths.merge_provenance)
    nominal = next(iter(made_by["resimulation"].values()))["nominal"]
    return {
        "pythia": (manifest.model_extra or {})["pythia"],
        "ecm": nominal["ecm"],
        "detector": nominal["detector"]["response"],
        "jets": nominal["jets"],
        "variants": manifest.variants,
        "processes": {
            name: {
                "label": process.label,
                "use": process.use,
                "events": manifest.events("train", name),
                "jets": manifest.jets("train", name),
            }
            for name, process in manifest.processes.items()
        },
    }


def _results(paths: CampaignPaths, run: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of a card's tables, at the fewest and the most labels of each task."""
    own, metrics = _table(paths.evaluation("runs")), _table(paths.evaluation("metrics"))
    own = own[(own["run"] == run) & (own["mode"] == MODE)]
    for task in dict.fromkeys(own["task"]):
        labels = own.loc[own["task"] == task, "labels"]
        for count in sorted({int(labels.min()), int(labels.max())}):
            for metric in METRICS:
                key = {"task": task, "labels": count, "metric": metric}
                yield {**key, "name": f"this file, {method_label(('none', MODE))}", **_mean(_rows(own, key))}
                yield from ({**key, **line} for line in _methods(_rows(metrics, key)))


def _rows(table: pd.DataFrame, key: Mapping[str, Any]) -> pd.DataFrame:
    return table[np.logical_and.reduce([table[name] == value for name, value in key.items()])]


def _mean(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the mean over the draws of the labels, of rejections that of the logarithm, with its error.

    The bootstrap is the mean of those of the draws, which see the same test events.
    """
    values, bootstrap = rows["value"].to_numpy(float), rows["bootstrap"].to_numpy(float)
    relative = rows["metric"].iloc[0] != "auc"
    if relative:
        values, bootstrap = np.log(values), bootstrap / values
    spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    value, error = float(values.mean()), float(np.hypot(spread, bootstrap.mean()))
    if relative:
        value, error = float(np.exp(value)), float(np.exp(value)) * error
    return {"value": value, "error": error, "lower_limit": bool(rows["lower_limit"].any())}


def _methods(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield what the campaign says of the pre-trained methods, frozen, and of the baselines."""
    for mode in (MODE, *BASELINES):
        for row in rows[rows["mode"] == mode].to_dict("records"):
            name = method_label((str(row["method"]), mode))
            numbers = {"value": float(row["value"]), "error": float(row["error"])}
            yield {"name": name, **numbers, "lower_limit": bool(row["lower_limit"])}


def _table(path: str) -> pd.DataFrame:
    """Return a table of the campaign after its checksum is found right."""
    try:
        return pd.read_csv(intact_text(path))
    except FileNotFoundError:
        raise DataError(f"{path}: missing; the campaign is not finished: run it to its end") from None


def _json(path: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: missing; the campaign is not finished: run it to its end") from None
    check_json(path, found)
    return found
