"""The probe whose features are read piece by piece is that of scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rs3l.errors import TrainingError
from rs3l.finetune import embedded as embedded_module
from rs3l.finetune import probe_in_pieces
from rs3l.finetune.embedded import Embedded
from rs3l.finetune.probe import fit_probe
from rs3l.finetune.probe_in_pieces import fit_probe_in_pieces


def features(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features [n, 6] of very different scales, one of them constant, and labels."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = rng.normal(size=(n, 6)) * [1, 10, 100, 1e-3, 1, 0] + np.outer(y, [0.5, 3, 0, 5e-4, 0, 0])
    return (x + 7).astype(np.float32), y


@pytest.fixture
def on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Embedded:
    monkeypatch.setattr(embedded_module, "POOL", 150)
    monkeypatch.setattr(probe_in_pieces, "SHARE", 64)
    x, y = features(700, 0)
    x.tofile(tmp_path / "x.f32")
    return Embedded(tmp_path / "x.f32", y.astype(np.int8), 6)


def test_it_is_the_probe_of_all_features_at_once(on_disk: Embedded) -> None:
    (x, y), (x_val, y_val) = features(700, 0), features(300, 1)
    one, other = fit_probe_in_pieces(on_disk, x_val, y_val), fit_probe(x, y, x_val, y_val)
    np.testing.assert_allclose(one.logits(x_val), other.logits(x_val), atol=5e-3)
    assert one.val_loss == pytest.approx(other.val_loss, abs=1e-4)
    assert one.val_auc == pytest.approx(other.val_auc, abs=1e-3)


def test_the_gradient_vanishes_at_every_strength(on_disk: Embedded) -> None:
    x, y = features(700, 0)
    mean, std = (moment.numpy().astype(float) for moment in on_disk.moments())
    np.testing.assert_allclose(mean, x.mean(axis=0, dtype=float), rtol=1e-5)
    std[std < 1e-6 * std.max()] = 1
    z = (x - mean) / std
    for c in (1e-4, 1.0, 1000.0):
        weight, _ = probe_in_pieces._newton(on_disk, mean, std, c, np.zeros(7))
        residual = y - 1 / (1 + np.exp(-z @ weight[:-1] - weight[-1]))
        np.testing.assert_allclose(c * z.T @ residual, weight[:-1], atol=1e-5 * c * len(x))
        assert abs(residual.sum()) < 1e-5 * len(x)


def test_one_that_does_not_converge_is_an_error(on_disk: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_in_pieces, "MAX_STEPS", 2)
    with pytest.raises(TrainingError, match="did not converge"):
        fit_probe_in_pieces(on_disk, *features(300, 1))
