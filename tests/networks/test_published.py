"""The authors' weights: another order of names, the same network. The weights here are random numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.functional import elu

from rs3l.config.encoders import EdgeConv
from rs3l.dataset.features import features
from rs3l.errors import DataError
from rs3l.files import sha256
from rs3l.networks.model_file import embed, load_encoder
from rs3l.networks.published import import_checkpoint, published_encoder
from support import toy
from support.workflow import run_script

LENGTHS = [30, 1, 5, 60]
SHAPES = {
    "pf_encode.0": (128, 15), "pf_encode.2": (128, 128),
    "conv1.nn.0": (128, 256), "conv2.nn.0": (128, 256), "conv3.nn.0": (128, 256),
    "output.0": (64, 128), "output.2": (32, 64), "output.4": (32, 32), "output.6": (8, 32),
}  # fmt: skip


def weights(seed: int = 0) -> dict[str, Tensor]:
    """Return random weights with the names and shapes of the published files."""
    generator = torch.Generator().manual_seed(seed)
    result = {}
    for name, shape in SHAPES.items():
        result[f"{name}.weight"] = torch.randn(*shape, generator=generator) / shape[1] ** 0.5
        result[f"{name}.bias"] = torch.randn(shape[0], generator=generator) / 10
    return result


def latents(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """The authors' network on the candidates ``x`` [n, 15] of one jet, written with their names."""

    def layer(name: str, value: Tensor) -> Tensor:
        return nn.functional.linear(value, state[f"{name}.weight"], state[f"{name}.bias"])

    x = elu(layer("pf_encode.2", elu(layer("pf_encode.0", x))))
    for name in ("conv1.nn.0", "conv2.nn.0", "conv3.nn.0"):
        neighbours = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").argsort(dim=1)[:, :24]
        itself = x[:, None].expand(-1, neighbours.shape[1], -1)
        x = elu(layer(name, torch.cat([itself, x[neighbours] - itself], dim=2))).amax(dim=1)
    out = x.sum(dim=0)
    for name in ("output.0", "output.2", "output.4"):
        out = elu(layer(name, out))
    return layer("output.6", out)


@pytest.mark.parametrize("kind", ["torch", "torch without an optimiser", "safetensors"])
def test_an_imported_network_is_the_authors(tmp_path: Path, kind: str) -> None:
    state = weights()
    assert sum(value.numel() for value in state.values()) == 128_904
    path = tmp_path / ("best-epoch.safetensors" if kind == "safetensors" else "best-epoch.pt")
    if kind == "safetensors":
        safetensors.torch.save_file(state, path)
    else:
        optimiser = torch.optim.Adam([nn.Parameter(torch.zeros(2))]).state_dict()
        torch.save({"model": state, "opt": optimiser, "lr": {"last_epoch": 3}} if kind == "torch" else state, path)
    model = tmp_path / "model.safetensors"
    import_checkpoint(path, 100, 0.0, model)
    encoder = load_encoder(model)
    assert encoder.config == EdgeConv(kind="edgeconv") and encoder.constituents == 100
    assert not encoder.norm.mean.any() and (encoder.norm.std == 1).all(), "inputs as they are"
    assert sum(p.numel() for p in encoder.parameters()) == 128_904
    store = toy.store(LENGTHS, constituents=100)
    jets = store.batch(store.rows())
    x = features(jets)
    _, z = embed(encoder, store, store.rows())
    for row, n in enumerate(LENGTHS):
        expected = nn.functional.normalize(latents(state, x[row, :n]), dim=0)
        torch.testing.assert_close(torch.from_numpy(z[row]), expected, rtol=1e-3, atol=1e-4)
    with safetensors.safe_open(model, framework="pt") as stream:
        header = json.loads(stream.metadata()["rs3l"])
    assert header["source"] == {"file": path.name, "sha256": sha256(path)}


def test_other_latent_dimensions_are_read_from_the_file(tmp_path: Path) -> None:
    state = weights() | {"output.6.weight": torch.ones(128, 32), "output.6.bias": torch.ones(128)}
    torch.save({"model": state}, tmp_path / "a.pt")
    assert published_encoder(tmp_path / "a.pt", 100).config.latent == 128


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pf_encode.0.weight": torch.ones(128, 4)}, "it takes 4 inputs per candidate, not 15"),
        ({"conv3.nn.0.weight": torch.ones(128, 200)}, "size mismatch for convolutions.2.linear.weight"),
        ({"output.0.bias": torch.full((64,), torch.nan)}, "NaN or infinite"),
        ({"something.else": torch.ones(1)}, "something.else"),
    ],
)
def test_other_networks_are_refused(tmp_path: Path, change: dict[str, Tensor], message: str) -> None:
    torch.save({"model": weights() | change}, tmp_path / "a.pt")
    with pytest.raises(DataError, match=rf"a\.pt: not a network of RS3L \([\s\S]*{message}"):
        published_encoder(tmp_path / "a.pt", 100)


class Intruder:
    """An object whose pickle runs code when it is loaded without care."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code in the file was run",)


def test_code_in_a_torch_file_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model": weights(), "opt": Intruder()}, tmp_path / "a.pt")
    with pytest.raises(DataError, match=r"a\.pt: cannot be read as weights"):
        published_encoder(tmp_path / "a.pt", 100)
    assert "was run" not in capsys.readouterr().out


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    for name in ("a.pt", "a.safetensors"):
        with pytest.raises(DataError, match="no such file"):
            published_encoder(tmp_path / name, 100)
        (tmp_path / name).write_bytes(b"not weights")
        with pytest.raises(DataError, match="cannot be read as weights"):
            published_encoder(tmp_path / name, 100)
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(DataError, match="cannot be read as weights"):
        published_encoder(tmp_path / "list.pt", 100)


def test_the_script(tmp_path: Path) -> None:
    torch.save({"model": weights()}, tmp_path / "a.pt")
    arguments = ["--checkpoint", str(tmp_path / "a.pt"), "--model", str(tmp_path / "m.safetensors")]
    result = run_script("import_model.py", *arguments, "--constituents", "50")
    assert result.returncode == 0, result.stderr
    encoder = load_encoder(tmp_path / "m.safetensors")
    assert encoder.constituents == 50
    assert encoder.config == EdgeConv(kind="edgeconv", candidate_pt_min=1.0)
    refused = run_script("import_model.py", "--checkpoint", "none.pt", "--model", str(tmp_path / "x"))
    assert refused.returncode == 1 and "error: none.pt: no such file" in refused.stderr
