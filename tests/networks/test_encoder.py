"""Every encoder: padding cannot matter, model files are checked; DeepSets against a loop over jets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from rs3l.config.encoders import DeepSets, EdgeConv, Encoder, Transformer
from rs3l.dataset.features import FEATURES, features
from rs3l.dataset.store import JetStore
from rs3l.errors import DataError
from rs3l.networks.base import JetEncoder
from rs3l.networks.deepsets import DeepSetsEncoder
from rs3l.networks.model_file import embed, load_encoder, new_encoder, save_encoder
from support import toy

LENGTHS = [5, 1, 0, 12, 3, 40]
CONFIGS: dict[str, Encoder] = {
    "deepsets": DeepSets(hidden=16, representation=12, latent=4),
    "edgeconv": EdgeConv(kind="edgeconv", hidden=12, neighbours=6, latent=4, standardise=True),
    "transformer": Transformer(kind="transformer", hidden=16, heads=2, representation=12, latent=4),
    "pairwise": Transformer(kind="transformer", hidden=16, heads=2, pairwise=True, representation=12, latent=4),
}


@pytest.fixture
def store() -> JetStore:
    return toy.store(LENGTHS)


@pytest.fixture(params=CONFIGS)
def encoder(request: pytest.FixtureRequest, store: JetStore) -> JetEncoder:
    return fitted(request.param, store)


def fitted(name: str, store: JetStore) -> JetEncoder:
    result = new_encoder(CONFIGS[name], 64, 3, "test")
    result.fit_norm(store, store.rows())
    return result


def reference(encoder: DeepSetsEncoder, x: torch.Tensor) -> torch.Tensor:
    """The representation of one jet with candidates ``x`` [n, F], step by step."""
    hidden = [encoder.phi((candidate - encoder.norm.mean) / encoder.norm.std) for candidate in x]
    if not hidden:
        return encoder.rho(torch.zeros(3 * 16))
    stacked = torch.stack(hidden)
    mean, total, largest = stacked.mean(dim=0), stacked.sum(dim=0) / 32, stacked.max(dim=0).values
    return encoder.rho(torch.cat([mean, total, largest]))


@torch.no_grad()
def test_deep_sets_against_a_loop(store: JetStore) -> None:
    encoder = fitted("deepsets", store)
    assert isinstance(encoder, DeepSetsEncoder)
    jets = store.batch(store.rows())
    x = features(jets)
    h = encoder(x, jets.mask)
    assert h.shape == (len(LENGTHS), 12) and encoder.project(h).shape == (len(LENGTHS), 4)
    for j, n in enumerate(LENGTHS):
        torch.testing.assert_close(h[j], reference(encoder, x[j, :n]), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_padding_holes_and_order_do_not_matter(store: JetStore, encoder: JetEncoder) -> None:
    jets = store.batch(store.rows())
    x, mask = features(jets), jets.mask
    h = encoder(x, mask)
    garbage = torch.cat([x, torch.full((len(x), 9, len(FEATURES)), 7.0)], dim=1)
    wider = torch.cat([mask, torch.zeros(len(x), 9, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(encoder(garbage, wider), h, rtol=1e-5, atol=1e-6)
    order = torch.randperm(wider.shape[1], generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(encoder(garbage[:, order], wider[:, order]), h, rtol=1e-4, atol=1e-5)


def test_empty_jets_give_finite_gradients(store: JetStore, encoder: JetEncoder) -> None:
    jets = store.batch(np.array([2, 2]))
    encoder(features(jets), jets.mask).sum().backward()
    gradients = [p.grad for p in encoder.backbone() if p.grad is not None]
    assert all(torch.isfinite(g).all() for g in gradients)
    mixed = store.batch(np.array([2, 0]))
    encoder(features(mixed), mixed.mask).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in encoder.backbone())


@torch.no_grad()
def test_jets_of_a_batch_do_not_see_each_other(store: JetStore, encoder: JetEncoder) -> None:
    jets = store.batch(store.rows())
    h = encoder(features(jets), jets.mask)
    for row in store.rows():
        alone = store.batch(np.array([row]))
        torch.testing.assert_close(encoder(features(alone), alone.mask)[0], h[row], rtol=1e-4, atol=1e-5)


def test_the_backbone_is_all_but_the_projector(encoder: JetEncoder) -> None:
    backbone = {id(p) for p in encoder.backbone()}
    head = {id(p) for p in encoder.projector.parameters()}
    assert head and not backbone & head and backbone | head == {id(p) for p in encoder.parameters()}


def test_normalisation_is_that_of_the_real_candidates(store: JetStore, encoder: JetEncoder) -> None:
    jets = store.batch(store.rows())
    values = features(jets)[jets.mask].double()
    torch.testing.assert_close(encoder.norm.mean[:10].double(), values.mean(dim=0)[:10], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        encoder.norm.std[:10].double(), values.std(dim=0, correction=0)[:10], rtol=1e-4, atol=1e-5
    )
    assert encoder.norm.mean[10:].tolist() == [0.0] * 5 and encoder.norm.std[10:].tolist() == [1.0] * 5


def test_non_finite_inputs_are_refused_by_name(store: JetStore, encoder: JetEncoder) -> None:
    jets = store.batch(store.rows())
    x = features(jets)
    x[0, 0, 7], x[3, 2, 4] = torch.nan, torch.inf
    with pytest.raises(DataError, match="infinite: log energy, tanh d0;"):
        encoder(x, jets.mask)
    store.candidates[0, 7] = np.nan
    with pytest.raises(DataError, match="infinite: tanh dz;"):
        encoder.norm.fit(store, store.rows())


@torch.no_grad()
def test_embed_keeps_the_order_of_the_rows(store: JetStore, encoder: JetEncoder) -> None:
    rows = np.array([5, 0, 1, 0, 3])
    h, z = embed(encoder, store, rows)
    for i, row in enumerate(rows):
        jets = store.batch(np.array([row]))
        one = encoder(features(jets), jets.mask)
        np.testing.assert_allclose(h[i], one[0], rtol=1e-4, atol=1e-5)
        latent = encoder.project(one)[0]
        np.testing.assert_allclose(z[i], latent / latent.norm(), rtol=1e-4, atol=1e-5)


def test_initial_weights_are_addressed() -> None:
    torch.manual_seed(1)
    for config in CONFIGS.values():
        first = new_encoder(config, 64, 3, "a").state_dict()
        torch.rand(3)
        again, other = (new_encoder(config, 64, 3, word).state_dict() for word in ("a", "b"))
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert not torch.equal(first["projector.0.weight"], other["projector.0.weight"])


def test_a_model_file_holds_everything(encoder: JetEncoder, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_encoder(encoder, path)
    loaded = load_encoder(path)
    assert loaded.config == encoder.config and loaded.constituents == 64 and not loaded.training
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])
    content = path.read_bytes()
    save_encoder(encoder, path)
    assert path.read_bytes() == content


def test_a_model_file_without_a_kind_is_a_deep_sets(store: JetStore, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    encoder = fitted("deepsets", store)
    config = encoder.config.model_dump(exclude={"kind"})
    header = {"format": 1, "encoder": config, "constituents": 64, "features": FEATURES}
    safetensors.torch.save_file(encoder.state_dict(), path, metadata={"rs3l": json.dumps(header)})
    assert load_encoder(path).config == CONFIGS["deepsets"]


def test_bad_model_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(DataError, match="no such model"):
        load_encoder(path)
    path.write_bytes(b"not a model")
    with pytest.raises(DataError, match=r"model\.safetensors: cannot be used"):
        load_encoder(path)
    safetensors.torch.save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(DataError, match="not a model of this format"):
        load_encoder(path)
