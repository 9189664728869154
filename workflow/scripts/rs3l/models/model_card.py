"""The card of a shipped model, as Markdown, from what the model file says of itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import safetensors

from rs3l.errors import DataError
from rs3l.evaluate.summary import format_number
from rs3l.files import sha256

CARD = "card"
"""Entry of the model file's header that the card is made from."""

METRICS = {"auc": "AUC", "rejection_0.5": "rejection"}
"""The metrics that a card shows."""

DIAGNOSTICS = {
    "train_loss": "loss, train split",
    "val_loss": "loss, val split",
    "alignment": "mean squared distance of two views (arXiv:2005.10242)",
    "uniformity": "uniformity (arXiv:2005.10242)",
    "spread": "√D × spread of the latents; 1 is isotropic",
    "rank": "RankMe (arXiv:2210.02885)",
    "top1": "fraction of views whose partner is the nearest in its batch",
}
"""The columns of the pre-training's metrics that a card shows."""

FILES = ("model.safetensors", "latents.parquet", "sample/manifest.json")
"""The files whose checksums a card shows; the manifest has those of the sample's."""


def read_header(model: str | Path) -> dict[str, Any]:
    """Return the header of a model file; raises :class:`DataError` if it has no entry for a card."""
    with safetensors.safe_open(model, framework="np") as stream:
        header: dict[str, Any] = json.loads((stream.metadata() or {}).get("rs3l", "{}"))
    if CARD not in header:
        raise DataError(f"{model}: does not say what it was made from; make it with tools/ship_model.py")
    return header


def card_text(folder: str | Path) -> str:
    """Return the card of the model in a ``folder`` with the files :data:`FILES`."""
    header = read_header(Path(folder) / "model.safetensors")
    card = header[CARD]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown of our own values
    )
    return environment.get_template("card.md.j2").render(
        card=card,
        encoder=header["encoder"],
        constituents=header["constituents"],
        data=card["data"],
        sample=card["sample"],
        training=card["training"],
        diagnostics=DIAGNOSTICS,
        tables={task: _table(task, card["results"]) for task in _once(card["results"], "task")},
        files={name: sha256(Path(folder) / name) for name in FILES},
    )


def _once(lines: Sequence[dict[str, Any]], key: str) -> list[Any]:
    return list(dict.fromkeys(line[key] for line in lines))


def _table(task: str, results: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return the rows of the table of one task, its header first: a line per method, a column per number."""
    lines = [line for line in results if line["task"] == task]
    columns = [(metric, labels) for labels in _once(lines, "labels") for metric in _once(lines, "metric")]
    cells = {(line["name"], line["metric"], line["labels"]): _cell(line) for line in lines}
    header = [f"`{task}`", *(f"{METRICS[metric]}, {labels:,} labels" for metric, labels in columns)]
    return [header, *([name, *(cells.get((name, *c), "") for c in columns)] for name in _once(lines, "name"))]


def _cell(line: dict[str, Any]) -> str:
    return format_number({key: line[key] for key in ("value", "error", "lower_limit")}).replace("+-", "±")
