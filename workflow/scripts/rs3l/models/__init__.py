"""The pre-trained models that ship with the package, a sample of jets, and latents in one call.

A model has a folder: ``model.safetensors``, its card ``card.md``, ``sample``, a small data set of jets that it has
not seen, and ``latents.parquet``, the latents z of these jets (``rs3l.models.ship`` makes all of it).

Shapes: J jets, H representation, D latent dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rs3l.dataset.foreign_jets import jets_of
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import embed, load_encoder
from rs3l.types import Floats32

if TYPE_CHECKING:
    import pandas as pd

SHIPPED = ("demo",)
"""The models by name."""

MODEL_HELP = f"weights of the encoder (.safetensors), or a model of the package by name: {', '.join(SHIPPED)}"
"""Text for the commands that take a model."""

FOLDER = Path(__file__).parent


def model_path(model: str | Path) -> Path:
    """Return the file of a shipped model by its name, and any other path as it is (``./demo`` for such a file)."""
    return FOLDER / model / "model.safetensors" if model in SHIPPED else Path(model)


def load(model: str | Path = "demo") -> JetEncoder:
    """Return a shipped encoder by its name, or that of a model file, ready to embed on the CPU.

    Raises :class:`rs3l.errors.DataError` if the file is missing, damaged or foreign.
    """
    return load_encoder(model_path(model))


def sample(model: str = "demo") -> Path:
    """Return the manifest of the small data set that ships with a model."""
    return FOLDER / model / "sample" / "manifest.json"


def card(model: str = "demo") -> str:
    """Return the card of a shipped model, as Markdown: data, training, licence, numbers, limits."""
    return (FOLDER / model / "card.md").read_text(encoding="utf-8")


def latents(
    jets: pd.DataFrame | pa.Table | Mapping[str, Any], model: JetEncoder | str | Path = "demo"
) -> tuple[Floats32, Floats32]:
    """Return h [J, H] and z [J, D] of jets in memory, in their order; z is on the unit sphere.

    ``jets`` is a table, or arrays by name, with ``jet_pt``, ``jet_eta``, ``jet_phi``, ``jet_energy`` and the eight
    columns ``cand_...``, which hold a sequence per jet; other columns may be there (docs/merge.md). Raises
    :class:`rs3l.errors.DataError` if columns are missing, or hold values that cannot be used.
    """
    encoder = model if isinstance(model, JetEncoder) else load(model)
    store = jets_of(jets, encoder.constituents)
    return embed(encoder, store, store.rows())
