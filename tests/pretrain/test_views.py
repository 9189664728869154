"""Views: any two per event, anew each epoch; augmentations conserve what they say they conserve."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import torch

from rs3l.config.detector import Detector, Resolution
from rs3l.config.pretrain import HandMadeViews
from rs3l.dataset.store import EventViews, JetBatch
from rs3l.pretrain.views import (
    all_views,
    choose_one,
    choose_pairs,
    drop,
    epoch_batches,
    hand_made,
    nominal_and_one,
    rotate,
    split_collinear,
    torch_generator,
)
from support import toy

OFF = HandMadeViews(
    soft_smearing=0, collinear_splits=0, drop=0, pt_jitter=0, charge_flip=False, smear_displacement=False
)
LENGTHS = [12, 1, 0, 30, 3]


@pytest.fixture
def generator() -> torch.Generator:
    return torch_generator(1, "test")


@pytest.fixture
def jets() -> JetBatch:
    return toy.store(LENGTHS).batch(np.arange(len(LENGTHS)))


def unrotated(jets: JetBatch) -> torch.Tensor:
    """What a rotation leaves: all columns but the angles, and the distance to the axis."""
    raw = jets.candidates
    others = raw[..., [0, 3, 4, 5, 6, 7]]
    return torch.cat([others, torch.hypot(raw[..., 1:2], raw[..., 2:3])], dim=-1)


def test_pairs_are_two_distinct_views_of_one_event_all_equally_likely(generator: torch.Generator) -> None:
    n = 12_000
    events = EventViews(np.arange(n), np.arange(n) * 4, np.full(n, 3))
    pairs = choose_pairs(events, generator) - events.start
    counts = Counter(zip(*pairs.tolist(), strict=True))
    assert set(counts) == set(itertools.permutations(range(3), 2))
    assert all(abs(count - n / 6) < 5 * (n / 6) ** 0.5 for count in counts.values())


def test_events_with_two_views_give_both(generator: torch.Generator) -> None:
    events = EventViews(np.arange(50), np.arange(50) * 2, np.full(50, 2))
    pairs = choose_pairs(events, generator)
    assert (np.sort(pairs, axis=0) == np.stack([events.start, events.start + 1])).all()


def test_the_nominal_and_each_other_view_equally_likely(generator: torch.Generator) -> None:
    n = 12_000
    events = EventViews(np.arange(n), np.arange(n) * 4, np.full(n, 4))
    nominal = events.start + np.arange(n) % 4
    pairs = nominal_and_one(events, nominal, generator)
    assert np.array_equal(pairs[0], nominal)
    step = (pairs[1] - pairs[0]) % 4
    assert set(step) == {1, 2, 3} and (pairs // 4 == np.arange(n)).all()
    assert all(abs((step == s).sum() - n / 3) < 5 * (n / 3) ** 0.5 for s in (1, 2, 3))


def test_one_view_of_each_event_all_equally_likely(generator: torch.Generator) -> None:
    n = 12_000
    events = EventViews(np.arange(n), np.arange(n) * 4, np.full(n, 3))
    view = choose_one(events, generator) - events.start
    assert set(view) == {0, 1, 2}
    assert all(abs((view == v).sum() - n / 3) < 5 * (n / 3) ** 0.5 for v in range(3))


def test_all_views_leave_slots_of_missing_ones_empty() -> None:
    events = EventViews(np.arange(3), np.array([0, 2, 5]), np.array([2, 3, 2]))
    assert all_views(events).tolist() == [[0, 2, 5], [1, 3, 6], [-1, 4, -1]]


def test_each_epoch_draws_anew_and_reproducibly() -> None:
    events = EventViews(np.arange(50), np.arange(50) * 4, np.full(50, 4))
    first, again, second = (choose_pairs(events, torch_generator(1, "epoch", e)) for e in (0, 0, 1))
    assert (first == again).all()
    assert (first != second).any()


@pytest.mark.parametrize(("n", "batch", "steps"), [(10, 4, 3), (10, 5, 2), (3, 8, 5), (1, 4, 2)])
def test_batches_are_full_without_repetition(n: int, batch: int, steps: int, generator: torch.Generator) -> None:
    batches = epoch_batches(n, batch, steps, generator)
    assert batches.shape == (steps, min(n, batch))
    assert all(len(set(row)) == len(row) for row in batches.tolist())
    counts = np.bincount(batches.ravel(), minlength=n)
    assert counts.max() - counts.min() <= 1


def test_rotation_is_about_the_axis_and_of_each_jet_its_own(jets: JetBatch, generator: torch.Generator) -> None:
    rotated = rotate(jets, generator)
    torch.testing.assert_close(unrotated(rotated), unrotated(jets))
    before = torch.atan2(jets.candidates[..., 2], jets.candidates[..., 1])
    after = torch.atan2(rotated.candidates[..., 2], rotated.candidates[..., 1])
    angle = torch.remainder(after - before, 2 * torch.pi)
    for b, n in enumerate(LENGTHS):
        torch.testing.assert_close(angle[b, :n], angle[b, :1].expand(n), atol=1e-4, rtol=0)
    assert len(set(angle[[0, 1, 3, 4], 0].tolist())) == 4


def test_with_everything_off_only_the_rotation_is_left(jets: JetBatch, generator: torch.Generator) -> None:
    view = hand_made(jets, OFF, Detector(), generator)
    torch.testing.assert_close(unrotated(view), unrotated(jets))
    assert (view.mask == jets.mask).all()


def test_a_drop_never_takes_all(generator: torch.Generator) -> None:
    mask = torch.arange(30) < torch.tensor(LENGTHS)[:, None]
    everything = drop(mask, 1.0, generator)
    assert everything.sum(dim=1).tolist() == [1, 1, 0, 1, 1]
    assert everything[[0, 1, 3, 4], 0].all(), "the hardest stays"
    many = torch.ones(1000, 40, dtype=torch.bool)
    assert abs(drop(many, 0.25, generator).float().mean().item() - 0.75) < 0.01
    assert not (drop(mask, 0.5, generator) & ~mask).any()


def test_collinear_splitting_conserves_momentum_and_energy(jets: JetBatch, generator: torch.Generator) -> None:
    raw, mask = split_collinear(jets.candidates, jets.mask, 8, generator)
    assert raw.shape[1] == jets.mask.shape[1] + 8
    for column in (0, 3):
        torch.testing.assert_close(raw[..., column].sum(dim=1), jets.candidates[..., column].sum(dim=1))
    assert (mask.sum(dim=1) - jets.mask.sum(dim=1)).tolist() == [8, 1, 0, 8, 3]
    assert (raw[mask][:, [0, 3]] > 0).all()
    assert not raw[~mask].any()


def test_halves_share_direction_and_kind(jets: JetBatch, generator: torch.Generator) -> None:
    raw, mask = split_collinear(jets.candidates, jets.mask, 2, generator)
    others = [1, 2, 4, 5, 6, 7]
    torch.testing.assert_close(raw[:, :30, others], jets.candidates[..., others])
    for b in (0, 3):
        parents = (raw[b, :30, 0] != jets.candidates[b, :, 0]).nonzero().squeeze(1)
        assert len(parents) == 2
        daughters = {tuple(values) for values in raw[b, 30:, others].tolist()}
        assert daughters == {tuple(values) for values in raw[b, parents][:, others].tolist()}
    assert mask[1].sum() == 2, "a jet with one candidate has it split"


def test_jitter_scales_momentum_and_energy_alike(jets: JetBatch, generator: torch.Generator) -> None:
    view = hand_made(jets, OFF.model_copy(update={"pt_jitter": 0.1}), Detector(), generator)
    ratio = view.candidates[jets.mask][:, [0, 3]] / jets.candidates[jets.mask][:, [0, 3]]
    torch.testing.assert_close(ratio[:, 0], ratio[:, 1])
    assert 0.05 < ratio[:, 0].std() < 0.15
    wild = hand_made(jets, OFF.model_copy(update={"pt_jitter": 50.0}), Detector(), generator)
    assert (wild.candidates[jets.mask][:, 0] > 0).all()


def test_charges_flip_together_in_half_of_the_views(generator: torch.Generator) -> None:
    jets = toy.store([20] * 400).batch(np.arange(400))
    charge = jets.candidates[..., 4]
    view = hand_made(jets, OFF.model_copy(update={"charge_flip": True}), Detector(), generator)
    same = (view.candidates[..., 4] == charge).all(dim=1)
    flipped = (view.candidates[..., 4] == -charge).all(dim=1)
    assert (same | flipped).all()
    assert 150 < flipped.sum() < 250


def test_displacement_is_smeared_by_the_resolution_for_charged_candidates(generator: torch.Generator) -> None:
    jets = toy.store([50] * 400).batch(np.arange(400))
    detector = Detector(d0=Resolution(constant=0.02, slope=0.06), dz=Resolution(constant=0.5, slope=0.0))
    view = hand_made(jets, OFF.model_copy(update={"smear_displacement": True}), detector, generator)
    shift = view.candidates - jets.candidates
    charged = jets.candidates[..., 4] != 0
    assert not shift[..., 6:][~charged].any()
    pull = shift[..., 6][charged] / torch.hypot(torch.tensor(0.02), 0.06 / jets.candidates[..., 0][charged])
    assert abs(pull.std().item() - 1) < 0.03
    assert abs(shift[..., 7][charged].std().item() - 0.5) < 0.02


def test_soft_smearing_goes_as_one_over_pt(generator: torch.Generator) -> None:
    jets = toy.store([50] * 400).batch(np.arange(400))
    centred = jets._replace(candidates=jets.candidates * torch.tensor([1.0, 0, 0, 1, 1, 1, 1, 1]))
    view = hand_made(centred, OFF.model_copy(update={"soft_smearing": 0.1}), Detector(), generator)
    pull = view.candidates[..., 1:3] * jets.candidates[..., :1] / 0.1
    assert abs(pull.std().item() - 1) < 0.03


def test_the_full_augmentation_keeps_padding_clean(jets: JetBatch, generator: torch.Generator) -> None:
    view = hand_made(jets, HandMadeViews(), Detector(), generator)
    assert torch.isfinite(view.candidates).all()
    assert not view.candidates[~view.mask].any()
    assert (view.candidates[view.mask][:, 0] > 0).all()
    assert view.mask.any(dim=1).tolist() == [True, True, False, True, True]
