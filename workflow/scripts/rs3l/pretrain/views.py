"""Makes the views to compare, as re-simulations of a hard event or two hand-made augmentations of its nominal jet.

Shapes: E events, B jets, N padded candidates. Masks are True for real candidates and may have holes. Every
function draws from the generator that it is given, vectorised over jets, on the device of the jets.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Generator, Tensor

from rs3l.config.detector import Detector, Resolution
from rs3l.config.pretrain import HandMadeViews
from rs3l.dataset.store import RAW, EventViews, JetBatch
from rs3l.errors import ConfigError
from rs3l.imported import guarded, imported
from rs3l.seeds import keyed_hash
from rs3l.types import Ints

_PT, _DETA, _DPHI, _ENERGY, _CHARGE, _, _D0, _DZ = range(len(RAW))

SPLIT_RANGE = (0.05, 0.95)
"""The momentum fraction of the first half of a collinear splitting is uniform in this range."""

JITTER_FLOOR = 0.1
"""This is the smallest factor of the pT jitter, so that pT stays positive."""


def torch_generator(seed: int, *words: str | int) -> Generator:
    """Return the generator of the random numbers that belong to ``words``."""
    return Generator().manual_seed(keyed_hash(seed, *words) >> 1)


def epoch_batches(n: int, batch: int, steps: int, generator: Generator) -> Ints:
    """Return ``steps`` batches [steps, min(batch, n)] of indices below ``n``.

    They repeat one permutation as often as needed, so that all batches are full and none holds an index twice.
    """
    order = torch.randperm(n, generator=generator).numpy()
    size = min(batch, n)
    return order[np.arange(steps * size) % n].reshape(steps, size)


def buckets(batches: Ints, lengths: Ints, pool: int, generator: Generator) -> Ints:
    """Return ``batches`` [steps, B] in which events of similar ``lengths`` are together, in random order.

    The events of ``pool`` batches at a time are sorted by length, with ties kept in their order, and cut again.
    Batches that hold events of earlier ones are left as they are, because no batch may hold an event twice.
    """
    result = batches.copy()
    once = min(len(batches), len(lengths) // batches.shape[1])
    for start in range(0, once, pool):
        events = batches[start : min(start + pool, once)]
        by_length = events.flatten()[np.argsort(lengths[events.flatten()], kind="stable")].reshape(events.shape)
        result[start : start + len(events)] = by_length[torch.randperm(len(events), generator=generator).numpy()]
    return result


def choose_pairs(events: EventViews, generator: Generator) -> Ints:
    """Return two distinct rows per event [2, E], with every ordered pair of its views equally likely.

    Every event must have two views or more.
    """
    assert (events.count >= 2).all(), "choose_pairs needs two views of every event"
    draw = torch.rand(2, len(events.count), generator=generator, dtype=torch.float64).numpy()
    first = (draw[0] * events.count).astype(np.int64)
    second = (first + 1 + (draw[1] * (events.count - 1)).astype(np.int64)) % events.count
    return np.stack([events.start + first, events.start + second])


def choose_one(events: EventViews, generator: Generator) -> Ints:
    """Return one row per event [E], with each of its views equally likely."""
    draw = torch.rand(len(events.count), generator=generator, dtype=torch.float64).numpy()
    return np.asarray(events.start + (draw * events.count).astype(np.int64))


def nominal_and_one(events: EventViews, nominal: Ints, generator: Generator) -> Ints:
    """Return the row ``nominal`` [E] and one other view of each event [2, E], with all others equally likely.

    Every event must have two views or more.
    """
    assert (events.count >= 2).all(), "nominal_and_one needs two views of every event"
    draw = torch.rand(len(events.count), generator=generator, dtype=torch.float64).numpy()
    step = 1 + (draw * (events.count - 1)).astype(np.int64)
    return np.stack([nominal, events.start + (nominal - events.start + step) % events.count])


def all_views(events: EventViews) -> Ints:
    """Return the rows of all views of each event [K, E], with -1 where an event has fewer than K."""
    slot = np.arange(events.count.max(initial=0))[:, None]
    return np.where(slot < events.count, events.start + slot, -1)


def rotate(jets: JetBatch, generator: Generator) -> JetBatch:
    """Rotate (deta, dphi) of each jet about its axis by an angle of its own, uniform in the circle.

    All showers of a hard event share the jet's orientation, e.g. that of the b-quark pair, which would be a
    shortcut to tell events apart if views were not rotated independently.
    """
    return turn(jets, angles(len(jets.mask), generator, jets.mask.device))


def angles(n: int, generator: Generator, device: torch.device | None = None) -> Tensor:
    """Return angles [n, 1] that are uniform in the circle."""
    return 2 * math.pi * torch.rand(n, 1, generator=generator, device=device)


def turn(jets: JetBatch, angle: Tensor) -> JetBatch:
    """Rotate (deta, dphi) of each jet about its axis by ``angle`` [B, 1]."""
    cos, sin = angle.cos(), angle.sin()
    raw = jets.candidates.clone()
    deta, dphi = jets.candidates[..., _DETA], jets.candidates[..., _DPHI]
    raw[..., _DETA] = cos * deta - sin * dphi
    raw[..., _DPHI] = sin * deta + cos * dphi
    return jets._replace(candidates=raw)


def hand_made(jets: JetBatch, views: HandMadeViews, detector: Detector, generator: Generator) -> JetBatch:
    """Return one augmentation of each jet, made by JetCLR's steps (arXiv:2108.04253) and five more.

    They are soft smearing, displacement smearing, pT jitter, charge flip, drop, collinear splitting, the user's
    own and rotation, in this order. ``jet_pt`` and ``jet_energy`` stay those of the nominal jet. The result has
    ``views.collinear_splits`` slots more.
    """
    raw, mask = jets.candidates.clone(), jets.mask
    _smear_angles(raw, mask, views.soft_smearing, generator)
    if views.smear_displacement:
        _smear_displacement(raw, _D0, detector.d0, generator)
        _smear_displacement(raw, _DZ, detector.dz, generator)
    _jitter_pt(raw, views.pt_jitter, generator)
    if views.charge_flip:
        raw[..., _CHARGE] *= 1 - 2 * torch.randint(2, (len(raw), 1), generator=generator, device=raw.device)
    mask = drop(mask, views.drop, generator)
    raw = raw * mask[..., None]
    raw, mask = split_collinear(raw, mask, views.collinear_splits, generator)
    result = JetBatch(raw, mask, jets.jet_pt, jets.jet_energy)
    return rotate(result if views.own is None else _own(views.own, result, generator), generator)


def _own(path: str, jets: JetBatch, generator: Generator) -> JetBatch:
    """Return what an augmentation of another package makes of the jets, which must be jets again, all finite.

    On a GPU, the network notes what is not finite.
    """
    key = "pretrain.hand_made.own"
    with guarded(path, key):
        found = imported(path, key)(jets, generator)
    if (
        not isinstance(found, JetBatch)
        or found.candidates.shape[:2] != found.mask.shape
        or len(found.mask) != len(jets.mask)
    ):
        raise ConfigError(f"{key}: {path} does not return a JetBatch of as many jets")
    if found.mask.device.type == "cpu" and not torch.isfinite(found.candidates[found.mask]).all():
        raise ConfigError(f"{key}: {path} makes candidates that are not finite")
    return found


def _smear_angles(raw: Tensor, mask: Tensor, scale: float, generator: Generator) -> None:
    """Smear the angles by sigma = scale / pT (arXiv:2108.04253)."""
    sigma = scale / torch.where(mask, raw[..., _PT], torch.inf)
    noise = torch.randn(2, *mask.shape, generator=generator, device=mask.device)
    raw[..., _DETA] += sigma * noise[0]
    raw[..., _DPHI] += sigma * noise[1]


def _smear_displacement(raw: Tensor, column: int, resolution: Resolution, generator: Generator) -> None:
    """Smear an impact parameter of the charged candidates once more by the detector's resolution at eta = 0."""
    charged = raw[..., _CHARGE] != 0
    pt = torch.where(charged, raw[..., _PT], torch.inf)
    sigma = torch.hypot(torch.full_like(pt, resolution.constant), resolution.slope / pt**resolution.pt_power)
    raw[..., column] += sigma * charged * torch.randn(pt.shape, generator=generator, device=pt.device)


def _jitter_pt(raw: Tensor, width: float, generator: Generator) -> None:
    """Scale pT and energy of each candidate by the same Gaussian factor about 1."""
    factor = 1 + width * torch.randn(raw.shape[:-1], generator=generator, device=raw.device)
    factor.clamp_(min=JITTER_FLOOR)
    raw[..., _PT] *= factor
    raw[..., _ENERGY] *= factor


def drop(mask: Tensor, probability: float, generator: Generator) -> Tensor:
    """Return ``mask`` [B, N] with candidates dropped, where a jet that would lose all keeps its hardest."""
    kept = mask & (torch.rand(mask.shape, generator=generator, device=mask.device) >= probability)
    hardest = mask & (mask.cumsum(dim=1) == 1)
    return kept | (hardest & ~kept.any(dim=1, keepdim=True))


def split_collinear(raw: Tensor, mask: Tensor, splits: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Split ``splits`` candidates of each jet in two; return raw [B, N + splits, 8] and its mask.

    The halves share direction and kind, and their pT and energy add up to the parent's. All candidates of a jet
    with fewer are split.
    """
    order = torch.rand(mask.shape, generator=generator, device=mask.device).masked_fill_(~mask, -1.0)
    chosen = order.topk(min(splits, mask.shape[1]), dim=1).indices
    real = mask.gather(1, chosen)
    low, high = SPLIT_RANGE
    fraction = low + (high - low) * torch.rand(chosen.shape, generator=generator, device=mask.device)
    fraction = torch.where(real, fraction, 1.0)[..., None]
    index = chosen[..., None].expand(-1, -1, raw.shape[-1])
    parent = raw.gather(1, index)
    energetic = torch.zeros(raw.shape[-1], device=raw.device)
    energetic[_PT] = energetic[_ENERGY] = 1.0
    daughter = parent * (1 - energetic * fraction)
    rest = raw.scatter(1, index, parent * (1 - energetic * (1 - fraction)))
    return torch.cat([rest, daughter * real[..., None]], dim=1), torch.cat([mask, real], dim=1)
