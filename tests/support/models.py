"""A network with random weights in a file, and jets of the toy data set."""

from __future__ import annotations

from pathlib import Path

from rs3l.config.encoders import Encoder
from rs3l.dataset.store import JetStore, load_views
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import load_encoder, new_encoder, save_encoder

PROCESSES, VARIANTS = ("signal", "background"), ("nominal", "seed")


def saved(path: Path, config: Encoder, store: JetStore) -> JetEncoder:
    """Write a network with random weights and the normalisation of ``store``."""
    encoder = new_encoder(config, 20, 3)
    encoder.fit_norm(store, store.rows())
    save_encoder(encoder, path)
    return load_encoder(path)


def jets(manifest: Path) -> JetStore:
    """Return the test split of the toy data set."""
    return load_views(manifest, "test", PROCESSES, VARIANTS, 20)
