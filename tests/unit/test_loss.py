"""NT-Xent, against a literal transcription of the paper; diagnostics on known latent spaces."""

from __future__ import annotations

import math

import pytest
import torch

from rs3l.model.loss import diagnose, nt_xent


def simclr(first: torch.Tensor, second: torch.Tensor, temperature: float) -> float:
    """SimCLR (arXiv:2002.05709), equation 1 and algorithm 1, pair by pair, in double precision."""
    n = len(first)
    z = [vector for pair in zip(first.double(), second.double(), strict=True) for vector in pair]

    def s(i: int, j: int) -> float:
        return float(z[i] @ z[j] / (z[i].norm() * z[j].norm()))

    def ell(i: int, j: int) -> float:
        negatives = sum(math.exp(s(i, k) / temperature) for k in range(2 * n) if k != i)
        return -math.log(math.exp(s(i, j) / temperature) / negatives)

    return sum(ell(2 * k, 2 * k + 1) + ell(2 * k + 1, 2 * k) for k in range(n)) / (2 * n)


@pytest.mark.parametrize(("pairs", "temperature"), [(1, 0.1), (2, 0.1), (7, 0.5), (16, 0.05)])
def test_nt_xent_is_the_papers(pairs: int, temperature: float) -> None:
    z = torch.randn(2 * pairs, 8, generator=torch.Generator().manual_seed(pairs))
    expected = simclr(z[:pairs], z[pairs:], temperature)
    assert nt_xent(z, temperature).item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_equal_latents_give_the_loss_of_guessing() -> None:
    assert nt_xent(torch.ones(20, 8), 0.1).item() == pytest.approx(math.log(19), rel=1e-6)


def test_gradient_is_that_of_the_definition() -> None:
    z = torch.randn(10, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: nt_xent(x, 0.1), z)


def test_a_small_temperature_does_not_overflow() -> None:
    z = torch.randn(20, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = nt_xent(z, 1e-4)
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert z.grad is not None and torch.isfinite(z.grad).all()


def test_diagnostics_of_a_collapsed_space() -> None:
    values = diagnose(torch.ones(40, 8))
    assert values.alignment == pytest.approx(0, abs=1e-9)
    assert values.uniformity == pytest.approx(0, abs=1e-9)
    assert values.spread == pytest.approx(0, abs=1e-6)
    assert values.rank == pytest.approx(1, abs=1e-6)


def test_diagnostics_of_an_isotropic_space() -> None:
    z = torch.randn(4000, 8, generator=torch.Generator().manual_seed(1))
    values = diagnose(z)
    assert values.alignment == pytest.approx(2, abs=0.1)
    assert values.spread == pytest.approx(1, abs=0.02)
    assert values.rank == pytest.approx(8, abs=0.05)
    assert values.top1 < 0.01
    aligned = diagnose(torch.cat([z[:100], z[:100]]))
    assert (aligned.top1, aligned.alignment) == (1.0, pytest.approx(0, abs=1e-9))


def test_uniformity_and_alignment_by_hand() -> None:
    first, second = torch.eye(3), torch.tensor([[1.0, 0, 0], [0, 2, 0], [0, 0, -3]])
    values = diagnose(torch.cat([first, second]))
    assert values.alignment == pytest.approx(4 / 3)
    assert values.uniformity == pytest.approx(-4.0)
