"""The quadratic probe finds a window, as five layers do and a linear probe cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from rs3l.config.finetune import Finetune
from rs3l.finetune import embedded as embedded_module
from rs3l.finetune.classifier import new_head
from rs3l.finetune.classifiers import OnFrozen, load
from rs3l.finetune.embedded import Embedded
from rs3l.finetune.finetune import finetune
from rs3l.finetune.probe import fit_probe
from rs3l.finetune.quadratic import (
    COMPONENTS,
    QuadraticHead,
    covariance,
    fit_quadratic,
    new_quadratic,
    principal_components,
)
from rs3l.finetune.training import FrozenValidation, Training
from rs3l.networks.model_file import new_encoder, save_encoder
from rs3l.training.device import Placement
from support import toy
from support.tuning import ENCODER, SETTINGS, block

Pair = tuple[np.ndarray, np.ndarray]


def window(n: int, seed: int) -> Pair:
    """Return features [n, 8]; the signal is a narrow line in one of them and the background broad, as masses are."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = rng.normal(size=(n, 8))
    x[:, 3] *= np.where(y == 1, 0.15, 1.0)
    mixed = x @ np.linalg.qr(np.random.default_rng(9).normal(size=(8, 8)))[0]
    return (3 * mixed + 5).astype(np.float32), y


def embedded(n: int, seed: int) -> Embedded:
    x, y = window(n, seed)
    return Embedded(x, y, x.shape[1])


def auc(head: torch.nn.Module, seed: int = 7) -> float:
    x, y = window(2000, seed)
    with torch.no_grad():
        return float(roc_auc_score(y, head(torch.from_numpy(x)).squeeze(1).numpy()))


def test_a_window_is_found_as_by_five_layers_and_not_by_a_line(tmp_path: Path) -> None:
    data, (x_val, y_val) = embedded(1500, 0), window(1500, 1)
    quadratic, _ = fit_quadratic(data, x_val, y_val, tmp_path / "none.f32")
    deep = new_head(8, 1, "test")
    deep.standardise(*data.moments())
    settings = Finetune(batch=64, patience=5, min_steps=200, max_epochs=40)
    Training(deep, data, settings, 3e-3, 1, "test").run(FrozenValidation(x_val, y_val, Placement()))
    line = fit_probe(data.rows(0, 1500), data.y, x_val, y_val)
    x, y = window(2000, 7)
    assert roc_auc_score(y, line.logits(x)) < 0.6
    assert auc(quadratic) > 0.85
    assert auc(deep) > 0.8


def test_features_in_a_file_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (x, y), validation = window(900, 0), window(500, 1)
    x.tofile(tmp_path / "x.f32")
    monkeypatch.setattr(embedded_module, "POOL", 200)
    in_file, probe = fit_quadratic(Embedded(tmp_path / "x.f32", y, 8), *validation, tmp_path / "expanded.f32")
    in_memory, other = fit_quadratic(Embedded(x, y, 8), *validation, tmp_path / "none.f32")
    assert (tmp_path / "expanded.f32").stat().st_size == 900 * (8 + 36) * 4
    assert not (tmp_path / "none.f32").exists()
    assert probe.val_loss == pytest.approx(other.val_loss, abs=2e-3)
    assert auc(in_file) == pytest.approx(auc(in_memory), abs=5e-3)


def test_it_is_the_same_every_time(tmp_path: Path) -> None:
    heads = [fit_quadratic(embedded(400, 0), *window(400, 1), tmp_path / "none.f32")[0] for _ in range(2)]
    for name, value in heads[0].state_dict().items():
        assert torch.equal(value, heads[1].state_dict()[name])


def test_the_logit_is_the_quadratic_form() -> None:
    """Against the sums written out."""
    head = new_quadratic(embedded(300, 0))
    head.weight.copy_(torch.randn(len(head.weight), generator=torch.Generator().manual_seed(1)))
    x = window(5, 2)[0]
    expected = []
    for jet in x:
        s = (jet - head.mean.numpy()) / head.std.numpy()
        p = [sum(s[i] * head.basis.numpy()[i, k] for i in range(8)) for k in range(8)]
        terms = [*s, *(p[a] * p[b] for a in range(8) for b in range(a, 8))]
        expected.append(sum(w * term for w, term in zip(head.weight.numpy(), terms, strict=True)))
    np.testing.assert_allclose(head(torch.from_numpy(x)).squeeze(1), expected, rtol=1e-3, atol=1e-3)


def test_components_have_unit_variance_and_constant_ones_are_left_out() -> None:
    x = np.random.default_rng(3).normal(size=(500, 30)).astype(np.float32)
    x[:, 4] = 2.0
    data = Embedded(x, np.arange(500) % 2, 30)
    head = new_quadratic(data)
    components = (x - head.mean.numpy()) / head.std.numpy() @ head.basis.numpy()
    assert components.shape == (500, COMPONENTS)
    np.testing.assert_allclose(components.T @ components / 500, np.eye(COMPONENTS), atol=1e-4)
    few = Embedded(x[:, :5], data.y, 5)
    found = principal_components(covariance(few, *(moment.numpy() for moment in new_moments(few))))
    assert found.shape == (5, 4)


def new_moments(data: Embedded) -> tuple[torch.Tensor, torch.Tensor]:
    head = new_quadratic(data)
    return head.mean, head.std


def test_they_are_stored_with_the_other_classifiers(tmp_path: Path) -> None:
    manifest = toy.write_dataset(tmp_path / "dataset")
    save_encoder(new_encoder(ENCODER, 16, 3), tmp_path / "model.safetensors")
    own = block("rs3l_s0", SETTINGS.model_copy(update={"labels": [20], "repeats": 1}))
    modes = ["quadratic_h", "quadratic_z"]
    own = own.model_copy(update={"finetune": own.finetune.model_copy(update={"modes": modes})})
    finetune(own, manifest, tmp_path / "model.safetensors", tmp_path / "c.safetensors", tmp_path / "history.csv")
    found = load(tmp_path / "c.safetensors").trained
    assert [trained.mode for trained in found] == modes
    for trained in found:
        assert isinstance(trained.model, OnFrozen)
        assert isinstance(trained.model.head, QuadraticHead)
        assert trained.model.head.weight.abs().sum() > 0
