"""The network of RS3L: the fast convolution against its definition, neighbours against a loop, the paper's size."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn.functional import elu

from rs3l.config.encoders import EdgeConv
from rs3l.dataset.features import features
from rs3l.networks.base import padded, real_slots
from rs3l.networks.edgeconv import EdgeConvEncoder, EdgeConvolution, nearest
from support import toy

LENGTHS = [5, 1, 0, 40, 2, 24, 25]
WIDTH = 8


def masks(width: int = 44) -> torch.Tensor:
    """Return a mask with jets of all sizes; the candidates of some are not in the first slots."""
    mask = torch.arange(width) < torch.tensor(LENGTHS)[:, None]
    mask[5:] = mask[5:].roll(3, dims=1)
    return mask


def points(mask: torch.Tensor, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(int(mask.sum()), WIDTH, generator=generator, dtype=torch.float64).to(dtype)


def jet_of(mask: torch.Tensor) -> torch.Tensor:
    """Return the jet [M] of each real candidate."""
    return mask.nonzero()[:, 0]


def neighbours_by_hand(x: torch.Tensor, jet: torch.Tensor, k: int) -> list[set[int]]:
    """Sort the candidates of the same jet by their distance, one candidate at a time."""
    result = []
    for i in range(len(x)):
        same = [j for j in range(len(x)) if jet[j] == jet[i]]
        same.sort(key=lambda j: (float((x[i] - x[j]).norm()), j != i))
        result.append(set(same[:k]))
    return result


def by_hand(layer: EdgeConvolution, x: torch.Tensor, neighbours: list[set[int]]) -> torch.Tensor:
    """The definition, edge by edge: max over j of ELU(W [x_i, x_j - x_i] + b)."""
    rows = []
    for i, others in enumerate(neighbours):
        messages = [elu(layer.linear(torch.cat([x[i], x[j] - x[i]]))) for j in sorted(others)]
        rows.append(torch.stack(messages).max(dim=0).values)
    return torch.stack(rows)


def gradients(layer: EdgeConvolution, x: torch.Tensor, result: torch.Tensor) -> list[torch.Tensor]:
    weights = torch.linspace(-1, 1, result.numel(), dtype=result.dtype).view(result.shape)
    return list(torch.autograd.grad((result * weights).sum(), [x, *layer.parameters()]))


def layer(dtype: torch.dtype = torch.float64) -> EdgeConvolution:
    torch.manual_seed(1)
    return EdgeConvolution(WIDTH).to(dtype)


@pytest.mark.parametrize("k", [1, 3, 24, 60])
def test_neighbours_are_the_nearest_of_the_same_jet(k: int) -> None:
    mask = masks()
    x = points(mask)
    found = nearest(x, real_slots(mask), mask, k)
    expected = neighbours_by_hand(x, jet_of(mask), k)
    assert [set(row) for row in found.tolist()] == expected
    assert all(i in row for i, row in enumerate(found.tolist())), "a candidate is its own neighbour"


def test_a_candidate_stays_its_own_neighbour_among_equal_ones() -> None:
    mask = torch.ones(1, 30, dtype=torch.bool)
    x = torch.ones(30, WIDTH)
    found = nearest(x, real_slots(mask), mask, 5)
    assert all(i in row and len(set(row)) == 5 for i, row in enumerate(found.tolist()))


@pytest.mark.parametrize("k", [3, 24])
def test_the_identity_is_the_definition(k: int) -> None:
    mask = masks()
    convolution, x = layer(), points(mask).requires_grad_()
    neighbours = nearest(x, real_slots(mask), mask, k)
    expected = by_hand(convolution, x, neighbours_by_hand(x.detach(), jet_of(mask), k))
    expected_gradients = gradients(convolution, x, expected)
    for result in (convolution(x, neighbours), convolution.reference(x, neighbours)):
        torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)
        for got, wanted in zip(gradients(convolution, x, result), expected_gradients, strict=True):
            torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-12)


def test_in_single_precision_too() -> None:
    mask = masks()
    convolution, x = layer(torch.float32), points(mask, torch.float32).requires_grad_()
    neighbours = nearest(x, real_slots(mask), mask, 24)
    fast, slow = convolution(x, neighbours), convolution.reference(x, neighbours)
    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=2e-6)
    got, wanted = (torch.cat([g.flatten() for g in gradients(convolution, x, y)]) for y in (fast, slow))
    assert (got - wanted).norm() <= 1e-6 * wanted.norm()


def test_ties_give_the_gradient_to_the_same_candidate() -> None:
    """Small integers: every sum is exact, so that equal values are equal in both forms."""
    generator = torch.Generator().manual_seed(2)
    mask = masks()
    x = torch.randint(-1, 2, (int(mask.sum()), WIDTH), generator=generator).double()
    jet = jet_of(mask)
    x[jet == 3] = x[jet == 3][:10].repeat(4, 1)  # every candidate of one jet four times
    convolution = layer()
    with torch.no_grad():
        for parameter in convolution.parameters():
            parameter.copy_(torch.randint(-2, 3, parameter.shape, generator=generator))
    x.requires_grad_()
    neighbours = nearest(x, real_slots(mask), mask, 24)
    _, edge = convolution.linear.weight.chunk(2, dim=1)
    values = (x @ edge.T)[neighbours]
    tied = (values == values.amax(dim=1, keepdim=True)).sum(dim=1) > 1
    assert tied.float().mean() > 0.5, "ties are common here"
    fast, slow = convolution(x, neighbours), convolution.reference(x, neighbours)
    torch.testing.assert_close(fast, slow, rtol=1e-14, atol=1e-14)
    for got, wanted in zip(gradients(convolution, x, fast), gradients(convolution, x, slow), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)


def test_the_gradient_is_that_of_finite_differences() -> None:
    mask = masks(6)[:2]
    convolution, x = layer(), points(mask).requires_grad_()
    neighbours = nearest(x, real_slots(mask), mask, 3)
    assert torch.autograd.gradcheck(lambda value: convolution(value, neighbours), x)


def test_a_single_candidate_is_its_own_neighbourhood() -> None:
    mask = torch.tensor([[True, False, False]])
    convolution, x = layer(), points(mask)
    own, _ = convolution.linear.weight.chunk(2, dim=1)
    expected = elu(x @ own.T + convolution.linear.bias)  # x_j - x_i = 0
    torch.testing.assert_close(convolution(x, nearest(x, real_slots(mask), mask, 24)), expected)


@torch.no_grad()
def test_the_network_is_the_papers() -> None:
    torch.manual_seed(3)
    encoder = EdgeConvEncoder(EdgeConv(kind="edgeconv"), 100)
    assert sum(p.numel() for p in encoder.parameters()) == 128_904
    store = toy.store(LENGTHS, constituents=100)
    jets = store.batch(store.rows())
    x = features(jets)
    h = encoder(x, jets.mask)
    for j, n in enumerate(LENGTHS):
        if n:
            torch.testing.assert_close(h[j], one_jet(encoder, x[j, :n]), rtol=1e-4, atol=1e-4)
    assert not h[2].any(), "an empty jet is a sum over nothing"
    assert encoder.project(h).shape == (len(LENGTHS), 8)


@torch.no_grad()
def test_soft_candidates_are_not_shown() -> None:
    store = toy.store(LENGTHS)
    jets = store.batch(store.rows())
    x, hard = features(jets), jets.mask & (jets.candidates[..., 0] >= 20)
    torch.manual_seed(3)
    cut = EdgeConvEncoder(EdgeConv(kind="edgeconv", candidate_pt_min=20.0), 64)
    torch.manual_seed(3)
    everything = EdgeConvEncoder(EdgeConv(kind="edgeconv"), 64)
    assert 0 < hard.sum() < jets.mask.sum()
    torch.testing.assert_close(cut(x, jets.mask), everything(x, hard))


def one_jet(encoder: EdgeConvEncoder, x: torch.Tensor) -> torch.Tensor:
    """The representation of one jet by the definition, with distances as torch.cdist has them."""
    x = encoder.candidate(x)
    for convolution in encoder.convolutions:
        assert isinstance(convolution, EdgeConvolution)
        order = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").argsort(dim=1)
        x = convolution.reference(x, order[:, :24])
    return x.sum(dim=0)


def test_the_whole_network_fast_and_by_the_definition() -> None:
    """In double precision, gradients of all weights."""
    torch.manual_seed(3)
    encoder = EdgeConvEncoder(EdgeConv(kind="edgeconv", hidden=16, neighbours=4), 100).double()
    slow = copy.deepcopy(encoder)
    for convolution in slow.convolutions:
        convolution.forward = convolution.reference  # type: ignore[method-assign]
    store = toy.store(LENGTHS, constituents=100)
    jets = store.batch(store.rows())
    x = features(jets).double()
    results = [network.project(network(x, jets.mask)) for network in (encoder, slow)]
    torch.testing.assert_close(results[0], results[1], rtol=1e-10, atol=1e-10)
    for result in results:
        result.square().sum().backward()
    for (name, fast), other in zip(encoder.named_parameters(), slow.parameters(), strict=True):
        assert fast.grad is not None and fast.grad.any(), name
        torch.testing.assert_close(fast.grad, other.grad, rtol=1e-8, atol=1e-10)


def test_packing_and_padding_are_inverse() -> None:
    mask = masks()
    x = points(mask)
    assert torch.equal(padded(x, real_slots(mask), mask)[mask], x)
    assert not padded(x, real_slots(mask), mask)[~mask].any()


def test_inputs_stay_as_they_are_unless_asked() -> None:
    store = toy.store(LENGTHS)
    for standardise in (False, True):
        encoder = EdgeConvEncoder(EdgeConv(kind="edgeconv", standardise=standardise), 64)
        encoder.fit_norm(store, store.rows())
        assert encoder.norm.mean.any().item() is standardise
