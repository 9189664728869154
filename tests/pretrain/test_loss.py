"""Each loss against a literal transcription of its paper; diagnostics on known latent spaces."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch

from rs3l.config.losses import VicReg
from rs3l.pretrain.losses import Loss, diagnose, nt_xent
from support.places import SCRIPTS
from support.toy import LOSSES

EVENTS = torch.tensor([3, 1, 2, 3, 2, 1, 3, 2, 3])
"""Nine views of three events, two to four of each, in no order."""


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


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


def multi_view(z: torch.Tensor, events: list[int], temperature: float) -> float:
    """NT-Xent of every ordered pair of views of an event, against all views of the other events."""
    total = 0.0
    for i, event in enumerate(events):
        positives = [j for j, other in enumerate(events) if other == event and j != i]
        negatives = [j for j, other in enumerate(events) if other != event]
        below = sum(math.exp(cosine(z[i], z[k]) / temperature) for k in negatives)
        for j in positives:
            above = math.exp(cosine(z[i], z[j]) / temperature)
            total += -math.log(above / (above + below)) / len(positives) / len(events)
    return total


def sup_con(z: torch.Tensor, labels: list[int], temperature: float) -> float:
    """SupCon (arXiv:2004.11362), equation 2, over the number of views |I|."""
    index = range(len(labels))
    total = 0.0
    for i in index:
        a = [k for k in index if k != i]
        p = [k for k in a if labels[k] == labels[i]]
        below = sum(math.exp(cosine(z[i], z[k]) / temperature) for k in a)
        inner = [math.log(math.exp(cosine(z[i], z[k]) / temperature) / below) for k in p]
        total += -sum(inner) / len(p) if p else 0.0
    return total / len(labels)


def vicreg(z: torch.Tensor, lambda_: float, mu: float, nu: float) -> float:
    """VICReg (arXiv:2105.04906), equations 1 to 6, with gamma = 1 and epsilon = 1e-4, element by element."""
    n, d = len(z) // 2, z.shape[1]
    first, second = z[:n].tolist(), z[n:].tolist()

    def column_mean(x: list[list[float]], j: int) -> float:
        return sum(row[j] for row in x) / n

    def covariance(x: list[list[float]], i: int, j: int) -> float:
        return sum((row[i] - column_mean(x, i)) * (row[j] - column_mean(x, j)) for row in x) / (n - 1)

    def v(x: list[list[float]]) -> float:
        return sum(max(0.0, 1 - math.sqrt(covariance(x, j, j) + 1e-4)) for j in range(d)) / d

    def c(x: list[list[float]]) -> float:
        return sum(covariance(x, i, j) ** 2 for i in range(d) for j in range(d) if i != j) / d

    s = sum((a - b) ** 2 for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True)) / n
    return lambda_ * s + mu * (v(first) + v(second)) + nu * (c(first) + c(second))


def latents(rows: int, dimensions: int = 5) -> torch.Tensor:
    return torch.randn(rows, dimensions, generator=torch.Generator().manual_seed(rows), dtype=torch.float64)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_multi_view_is_nt_xent_over_all_pairs_of_views(temperature: float) -> None:
    z = latents(len(EVENTS))
    expected = multi_view(z, EVENTS.tolist(), temperature)
    assert Loss("multi_view", temperature)(z, EVENTS).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("pairs", [2, 9])
def test_multi_view_of_two_views_is_nt_xent(pairs: int) -> None:
    z, events = latents(2 * pairs), torch.arange(pairs).repeat(2)
    torch.testing.assert_close(Loss("multi_view", 0.1)(z, events), nt_xent(z, 0.1))


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_sup_con_is_the_papers(temperature: float) -> None:
    z = latents(len(EVENTS))
    for labels in (EVENTS, EVENTS % 2, torch.tensor([0, 0, 1, 1, 1, 0, 0, 2, 1])):
        expected = sup_con(z, labels.tolist(), temperature)
        assert Loss("sup_con", temperature)(z, labels).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("weights", [(25, 25, 1), (1, 1, 10), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_vicreg_is_the_papers(weights: tuple[float, float, float], scale: float) -> None:
    z = scale * latents(14)
    settings = VicReg(invariance=weights[0], variance=weights[1], covariance=weights[2])
    loss = Loss("vicreg", 0.1, settings)(z, torch.arange(7).repeat(2))
    assert loss.item() == pytest.approx(vicreg(z, *weights), rel=1e-10, abs=1e-12)


def test_the_papers_weights_are_the_defaults() -> None:
    assert (VicReg().invariance, VicReg().variance, VicReg().covariance) == (25.0, 25.0, 1.0)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.kind)
def test_gradients_are_those_of_the_definition(loss: Loss) -> None:
    z, groups = latents(8).requires_grad_(), torch.tensor([0, 1, 2, 2]).repeat(2)
    assert torch.autograd.gradcheck(lambda x: loss(x, groups), z)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.kind)
@pytest.mark.parametrize("sizes", [(3, 5), (8,), (1, 1, 6)])
def test_shares_of_the_ranks_add_up(loss: Loss, sizes: tuple[int, ...]) -> None:
    groups = torch.tensor([0, 1, 2, 3]).repeat(2)
    whole, parts = latents(8).requires_grad_(), latents(8).requires_grad_()
    expected = loss(whole, groups)
    expected.backward()  # type: ignore[no-untyped-call]
    shares = [loss.share(parts[rows], rows, parts, groups) for rows in torch.arange(8).split(list(sizes))]
    total = torch.stack(shares).sum()
    total.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(total, expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(parts.grad, whole.grad, rtol=1e-10, atol=1e-12)


def test_4096_pairs_fit_in_two_gigabytes() -> None:
    """The peak of a process that takes one gradient step: (2N, 2N, D) alone would be 2.1 GB with D = 8."""
    program = f"""
import sys, torch
sys.path.insert(0, {str(SCRIPTS)!r})
from rs3l.pretrain.losses import nt_xent
z = torch.randn(8192, 8, requires_grad=True)
nt_xent(z, 0.1).backward()
assert torch.isfinite(z.grad).all()
status = open("/proc/self/status").read()
print(int(status.split("VmHWM:")[1].split()[0]) * 1024)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 5e8 < int(result.stdout) < 2e9


def test_equal_latents_give_the_loss_of_guessing() -> None:
    assert nt_xent(torch.ones(20, 8), 0.1).item() == pytest.approx(math.log(19), rel=1e-6)


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
