"""Jets in memory are embedded as those of a file, whatever holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from rs3l import models
from rs3l.config.encoders import DeepSets
from rs3l.dataset.foreign_jets import NEEDED
from rs3l.dataset.frames import read_frame
from rs3l.errors import DataError
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import embed
from support.models import PROCESSES, VARIANTS, jets, saved


@pytest.fixture(scope="module")
def frame(manifest: Path) -> pd.DataFrame:
    return read_frame(manifest, "test", PROCESSES, VARIANTS)


@pytest.fixture(scope="module")
def encoder(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> JetEncoder:
    return saved(tmp_path_factory.mktemp("model") / "m.safetensors", DeepSets(), jets(manifest))


def as_arrays(frame: pd.DataFrame) -> dict[str, Any]:
    """Return NumPy arrays of what is one number per jet, and Awkward arrays of the rest."""
    return {
        name: ak.Array(list(frame[name])) if name.startswith("cand_") else frame[name].to_numpy()
        for name in NEEDED
    }


@pytest.mark.parametrize(
    "kind",
    [
        lambda frame: frame,
        lambda frame: frame[::-1][::-1].reset_index(drop=True),
        lambda frame: frame.set_index(frame.index + 1000),
        lambda frame: pa.Table.from_pandas(frame),
        lambda frame: {name: frame[name].tolist() for name in NEEDED},
        as_arrays,
    ],
)
def test_latents_are_those_of_the_data_set(
    manifest: Path, frame: pd.DataFrame, encoder: JetEncoder, kind: Any
) -> None:
    store = jets(manifest)
    assert len(frame) == len(store)
    for own, expected in zip(
        models.latents(kind(frame), encoder), embed(encoder, store, store.rows()), strict=True
    ):
        np.testing.assert_allclose(own, expected, rtol=1e-5, atol=1e-5)


def test_a_model_file_is_taken_too(tmp_path: Path, manifest: Path, frame: pd.DataFrame) -> None:
    encoder = saved(tmp_path / "m.safetensors", DeepSets(), jets(manifest))
    for own, expected in zip(
        models.latents(frame, tmp_path / "m.safetensors"), models.latents(frame, encoder), strict=True
    ):
        np.testing.assert_array_equal(own, expected)


def test_jets_of_one_length_in_a_rectangle(frame: pd.DataFrame, encoder: JetEncoder) -> None:
    long = frame[frame["cand_pt"].map(len) >= 5]
    cut = {name: np.stack([row[:5] for row in long[name]]) for name in NEEDED if name.startswith("cand_")}
    cut |= {name: long[name].to_numpy() for name in NEEDED if not name.startswith("cand_")}
    assert cut["cand_pt"].shape == (len(long), 5)
    lists = {name: [list(row) for row in column] if column.ndim > 1 else column for name, column in cut.items()}
    np.testing.assert_array_equal(models.latents(cut, encoder)[1], models.latents(lists, encoder)[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns=["jet_eta", "cand_dz"]), "no column jet_eta, cand_dz; needed are jet_pt,"),
        (lambda f: f.assign(cand_pt=1.0), "cand_pt: must be lists"),
        (lambda f: f.assign(jet_pt=[np.nan, *f["jet_pt"][1:]]), "jet_pt has 1 "),
        (lambda f: f.assign(cand_d0=[[0.0], *f["cand_d0"][1:]]), "cand_d0 and cand_pt differ in length"),
        (lambda f: f.assign(cand_pt=[["a"], *f["cand_pt"][1:]]), "the jets: "),
        (lambda f: f.head(0), "there is none|must be lists"),
        (lambda f: {**f, "jet_pt": f["jet_pt"][:3]}, "the jets: "),
    ],
)
def test_jets_that_cannot_be_used(frame: pd.DataFrame, encoder: JetEncoder, change: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        models.latents(change(frame), encoder)
