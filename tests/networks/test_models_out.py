"""Models outside the campaign: ONNX files compute what torch computes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from rs3l.config.encoders import DeepSets, EdgeConv, Encoder, Transformer
from rs3l.dataset.store import RAW, JetStore
from rs3l.errors import ConfigError
from rs3l.networks.model_file import embed
from rs3l.networks.onnx_export import INPUTS, export_onnx
from support.models import jets, saved
from support.workflow import run_script

NETWORKS: list[Encoder] = [
    DeepSets(),
    EdgeConv(kind="edgeconv", hidden=16, neighbours=6),
    EdgeConv(kind="edgeconv", hidden=16, neighbours=6, candidate_pt_min=5.0),
    Transformer(kind="transformer", hidden=16, heads=2),
]


@pytest.fixture(scope="module")
def store(manifest: Path) -> JetStore:
    return jets(manifest)


@pytest.mark.parametrize("config", NETWORKS, ids=lambda c: f"{c.kind}{getattr(c, 'candidate_pt_min', 0) or ''}")
def test_an_onnx_file_computes_what_torch_computes(tmp_path: Path, store: JetStore, config: Encoder) -> None:
    """Batches of other sizes than the traced one, single candidates, and padding that holds rubbish."""
    encoder = saved(tmp_path / "m.safetensors", config, store)
    export_onnx(tmp_path / "m.safetensors", tmp_path / "m.onnx")
    onnx.checker.check_model(str(tmp_path / "m.onnx"))
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    assert [each.name for each in session.get_inputs()] == list(INPUTS)
    shortest = int(store.lengths.argmin())
    for rows in (store.rows(), np.array([5]), np.array([shortest]), np.array([0, shortest, 7])):
        jets = store.batch(rows)
        jets.candidates[~jets.mask] = 0.5
        feeds = {name: values.numpy() for name, values in zip(INPUTS, jets, strict=True)}
        for ours, theirs in zip(embed(encoder, store, rows), session.run(None, feeds), strict=True):
            np.testing.assert_allclose(theirs, ours, rtol=2e-5, atol=2e-5)
            assert len(rows) == 1 or ours.std(axis=0).max() > 0.01, "different jets, different latents"
    metadata = json.loads(session.get_modelmeta().custom_metadata_map["rs3l"])
    assert metadata["columns"] == list(RAW) and metadata["encoder"]["kind"] == config.kind


def test_what_cannot_be_exported_says_so(tmp_path: Path, store: JetStore) -> None:
    model = tmp_path / "m.safetensors"
    saved(model, Transformer(kind="transformer", pairwise=True), store)
    with pytest.raises(ConfigError, match="a transformer with pairwise: true cannot be exported"):
        export_onnx(model, tmp_path / "m.onnx")
    result = run_script("export_onnx.py", "--model", str(tmp_path / "none"), "--onnx", str(tmp_path / "m.onnx"))
    assert result.returncode == 1 and "no such model" in result.stderr
    assert not (tmp_path / "m.onnx").exists()
