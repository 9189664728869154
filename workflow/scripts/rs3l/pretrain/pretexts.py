"""The pretext tasks beside contrast: losses with weights of their own, or with another look at the jets.

A pretext task returns one term per view of this rank. The loss of a step is the mean of the terms over all views
of the global batch, so that ranks need not tell each other anything. Its weights are trained and are a part of the
resumable state, and not of the model file.

Shapes: r views of one rank (with pairs, the first views of its events and then the second ones), N padded
candidates, F = 15 features, H representation, D latent dimensions, K hidden slots, C classes. Masks are True for
real candidates.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from rs3l.config.blocks import PretrainBlock
from rs3l.config.losses import loss_kind, weights_of
from rs3l.dataset.features import FEATURES, FLAGS
from rs3l.dataset.store import JetStore
from rs3l.errors import ConfigError
from rs3l.imported import guarded, imported, is_path
from rs3l.networks.base import DISPLACEMENT, InputNorm, JetEncoder
from rs3l.seeds import keyed_hash
from rs3l.types import Ints

PREDICTED = ("log pt", "deta", "dphi", *DISPLACEMENT)
"""The features of a hidden candidate that are predicted besides its class.

The others follow from these and the jet, but for the sign of the charge, which nothing else tells.
"""

Run = Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Takes a network with features [r, N, F] and their mask [r, N] and returns h [r, H] and z [r, D]."""


class OwnViews:
    """The views of one rank in one step, which the network sees when a task first asks what it makes of them.

    ``processes`` [r] index ``block.processes``, and ``draws`` [r, N] are uniform random numbers if a task
    ``hides`` something; those of a view do not depend on the ranks.
    """

    def __init__(
        self, run: Run, network: nn.Module, x: Tensor, mask: Tensor, processes: Tensor, draws: Tensor | None
    ) -> None:
        self.run, self.network = run, network
        self.x, self.mask, self.processes, self.draws = x, mask, processes, draws

    @cached_property
    def outputs(self) -> tuple[Tensor, Tensor]:
        """The representations h [r, H] and latents z [r, D] of the whole views."""
        return self.run(self.network, self.x, self.mask)

    def masked(self, mask: Tensor) -> Tensor:
        """Return h [r, H] of the candidates in ``mask`` [r, N] alone."""
        return self.run(self.network, self.x, mask)[0]


class Pretext(nn.Module):
    """The base of the pretext tasks; it is made with the block of the run and its encoder.

    ``latents`` says whether it acts on z, which nothing trains without such a loss, and ``hides`` whether it needs
    random numbers. The encoder must not become a part of it: :class:`OwnViews` asks the one that is trained.
    """

    latents: ClassVar[bool] = True
    hides: ClassVar[bool] = False

    def fit(self, store: JetStore, rows: Ints) -> None:
        """Take what it needs to know of the training's jets ``rows``, without labels."""

    def forward(self, views: OwnViews) -> Tensor:
        """Return the loss [r] of each view."""
        raise NotImplementedError

    def after_step(self, encoder: JetEncoder, progress: float) -> None:
        """Do what follows a step of the optimizer; ``progress`` is the fraction of all steps before it."""


class MultiClass(Pretext):
    """A linear layer on h and the cross-entropy of the jet's process among all that are trained on."""

    latents = False

    def __init__(self, block: PretrainBlock, encoder: JetEncoder) -> None:
        super().__init__()
        if len(block.processes) < 2:
            raise ConfigError(
                f"pretrain.loss: multi_class tells processes apart, and there is {', '.join(block.processes)} "
                "alone; give a second process with `use: pretrain`"
            )
        self.head = nn.Linear(encoder.config.representation, len(block.processes))

    def forward(self, views: OwnViews) -> Tensor:
        """Return -log p(process) [r] of each view."""
        return cross_entropy(self.head(views.outputs[0]), views.processes, reduction="none")


class Hidden(NamedTuple):
    """The hidden candidates, at ``slots`` [r, K] where ``real`` [r, K], and the mask of the ``visible`` [r, N]."""

    slots: Tensor
    real: Tensor
    visible: Tensor


def hide(mask: Tensor, draws: Tensor, fraction: float) -> Hidden:
    """Return which candidates of each jet are hidden: those with the smallest ``draws`` [r, N].

    They are the ``fraction`` of the n candidates, rounded (half to even), but one at least and n - 1 at most; of a
    jet of one candidate, none. K depends on N alone, so that a GPU is not waited for.
    """
    count = mask.sum(dim=1)
    hidden = (count.double() * fraction).round().long().clamp(min=1).minimum(count - 1)
    most = max(1, round(fraction * mask.shape[1]))
    slots = draws.masked_fill(~mask, 2.0).argsort(dim=1, stable=True)[:, :most]
    real = torch.arange(slots.shape[1], device=mask.device) < hidden[:, None]
    return Hidden(slots, real, mask & ~torch.zeros_like(mask).scatter(1, slots, real))


def pt_ranks(x: Tensor, mask: Tensor) -> Tensor:
    """Return the place [r, N] of each real candidate by descending pT, from 0, and what follows for padding."""
    log_pt = x[..., FEATURES.index("log pt")].masked_fill(~mask, -torch.inf)
    return log_pt.argsort(dim=1, descending=True, stable=True).argsort(dim=1)


class Masked(Pretext):
    """Masked particle modelling (arXiv:2401.13537), with regression and classes in place of its tokens.

    The network sees a jet without some of its candidates. A head predicts each of these from h of that jet and its
    place by pT, which only the head knows: standardised log pT, angles and impact parameters by the mean squared
    error, and its class by cross-entropy. A jet's term is the mean over its hidden candidates.
    """

    latents = False
    hides = True

    def __init__(self, block: PretrainBlock, encoder: JetEncoder) -> None:
        super().__init__()
        assert block.masked is not None, "a block with the loss masked holds its settings"
        self.fraction, width = block.masked.fraction, block.masked.hidden
        names = [name for name in PREDICTED if block.displacement or name not in DISPLACEMENT]
        self.columns = [FEATURES.index(name) for name in names]
        self.norm = InputNorm()
        self.jet = nn.Linear(encoder.config.representation, width)
        self.place = nn.Embedding(block.constituents, width)
        self.head = nn.Sequential(
            nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, len(names) + FLAGS)
        )

    def fit(self, store: JetStore, rows: Ints) -> None:
        """Take the mean and width of each predicted feature from the jets ``rows``."""
        self.norm.fit(store, rows)

    def forward(self, views: OwnViews) -> Tensor:
        """Return the mean loss [r] of the hidden candidates of each view, 0 where none is hidden."""
        assert views.draws is not None, "this task hides candidates"
        hidden = hide(views.mask, views.draws, self.fraction)
        places = pt_ranks(views.x, views.mask).gather(1, hidden.slots).clamp(max=self.place.num_embeddings - 1)
        found = self.head(self.jet(views.masked(hidden.visible))[:, None, :] + self.place(places))
        terms = self.candidate_terms(found, self.hidden_features(views.x, hidden.slots))
        return terms.masked_fill(~hidden.real, 0.0).sum(dim=1) / hidden.real.sum(dim=1).clamp(min=1)

    def hidden_features(self, x: Tensor, slots: Tensor) -> Tensor:
        """Return the features [r, K, F] of the candidates at ``slots`` [r, K], standardised but for the class."""
        chosen = x.gather(1, slots[..., None].expand(-1, -1, x.shape[2]))
        return (chosen - self.norm.mean) / self.norm.std

    def candidate_terms(self, found: Tensor, wanted: Tensor) -> Tensor:
        """Return the loss [r, K] of predictions ``found`` [r, K, ...] of the features ``wanted`` [r, K, F]."""
        columns = len(self.columns)
        values = torch.stack([wanted[..., column] for column in self.columns], dim=-1)
        square = (found[..., :columns] - values).square().mean(dim=2)
        return square - (wanted[..., -FLAGS:] * found[..., columns:].log_softmax(dim=2)).sum(dim=2)


class Jepa(Pretext):
    """A joint-embedding prediction: from z of one view, z of the other as a target network has it.

    The target network has an exponential moving average of the weights (BYOL, arXiv:2006.07733, eq. 1) and no
    gradient. A term is the squared distance of prediction and target on the unit sphere (eq. 2); both directions
    are terms, so that their mean is half of BYOL's loss, which adds them.
    """

    def __init__(self, block: PretrainBlock, encoder: JetEncoder) -> None:
        super().__init__()
        assert block.jepa is not None, "a block with the loss jepa holds its settings"
        self.settings = block.jepa
        latent, width = encoder.config.latent, block.jepa.hidden
        self.predictor = nn.Sequential(nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, latent))
        self.target = Projection(copy.deepcopy(encoder)).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the predictor; the target is never trained."""
        super().train(mode)
        self.target.eval()
        return self

    def forward(self, views: OwnViews) -> Tensor:
        """Return the distance [r] of each view's prediction from its partner."""
        with torch.no_grad():
            wanted = views.run(self.target, views.x, views.mask)[1]
        partner = wanted.roll(len(wanted) // 2, dims=0)
        return squared_distance(self.predictor(views.outputs[1]), partner)

    @torch.no_grad()
    def after_step(self, encoder: JetEncoder, progress: float) -> None:
        """Move the target's weights towards the encoder's: target <- m target + (1 - m) encoder."""
        momentum = self.settings.momentum_at(progress)
        for target, weight in zip(self.target.parameters(), encoder.parameters(), strict=True):
            target.lerp_(weight, 1 - momentum)


def squared_distance(first: Tensor, second: Tensor) -> Tensor:
    """Return the squared distance [r] of the rows of two tensors [r, D] on the unit sphere."""
    return (normalize(first, dim=1) - normalize(second, dim=1)).square().sum(dim=1)


PRETEXTS: Mapping[str, type[Pretext]] = MappingProxyType(
    {"multi_class": MultiClass, "masked": Masked, "jepa": Jepa}
)
"""The class of each loss that :mod:`rs3l.config.losses` calls a pretext."""


def new_pretexts(block: PretrainBlock, encoder: JetEncoder) -> dict[str, Pretext]:
    """Return the pretext tasks among a run's losses, by name, with initial weights that belong to its seed."""
    result = {}
    for name in weights_of(block.loss):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(keyed_hash(block.seed, "init", "pretext", name) >> 1)
            if (task := _new(name, block, encoder)) is not None:
                result[name] = task
    return result


def _new(name: str, block: PretrainBlock, encoder: JetEncoder) -> Pretext | None:
    """Return the pretext task of a name, or None if it names a loss that compares latents."""
    if not is_path(name):
        return PRETEXTS[name](block, encoder) if loss_kind(name).pretext else None
    found = imported(name, "pretrain.loss")
    if not (isinstance(found, type) and issubclass(found, Pretext)):
        return None
    with guarded(name, "pretrain.loss"):
        task: Pretext = found(block, encoder, **block.loss_options)
    return task


def acts_on_latents(name: str) -> bool:
    """Return whether a loss acts on z; of one's own, only a pretext task can say that it does not."""
    found = imported(name, "pretrain.loss") if is_path(name) else loss_kind(name)
    return bool(getattr(found, "latents", True))


def _terms(name: str, task: Pretext, views: OwnViews) -> Tensor:
    """Return the terms [r] of a task; raises :class:`ConfigError` if those of one's own are none."""
    with guarded(name, "pretrain.loss") if is_path(name) else nullcontext():
        terms: Tensor = task(views)
    if not isinstance(terms, Tensor) or terms.shape != views.mask.shape[:1]:
        raise ConfigError(f"pretrain.loss: {name} does not return a tensor with one term per view")
    return terms


class Projection(nn.Module):
    """An encoder with its projection head, in one call."""

    def __init__(self, encoder: JetEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return h [B, H] and z [B, D] of features ``x`` [B, N, F] with ``mask`` [B, N]."""
        h = self.encoder(x, mask)
        return h, self.encoder.project(h)


class Objective(nn.Module):
    """A network (:class:`Projection`) and the pretext tasks of a run, in one call.

    ``compares`` says whether a loss compares latents; without one, z is needed for the diagnostics alone.
    """

    def __init__(self, network: nn.Module, tasks: Mapping[str, Pretext], compares: bool, run: Run) -> None:
        super().__init__()
        self.network, self.compares, self.run = network, compares, run
        self.by_name, self.tasks = dict(tasks), nn.ModuleList(tasks.values())

    @property
    def hides(self) -> bool:
        """Whether a task needs random numbers."""
        return any(task.hides for task in self.by_name.values())

    @property
    def latents(self) -> bool:
        """Whether a loss acts on z."""
        return self.compares or any(task.latents for task in self.by_name.values())

    def forward(
        self, x: Tensor, mask: Tensor, processes: Tensor, draws: Tensor | None
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Return z [r, D], if it is needed, and the terms [r] of each task."""
        views = OwnViews(self.run, self.network, x, mask, processes, draws)
        terms = {name: _terms(name, task, views) for name, task in self.by_name.items()}
        return (views.outputs[1] if self.compares or not self.training else None), terms

    def fit(self, store: JetStore, rows: Ints) -> None:
        """Let each task know the training's jets ``rows``."""
        for task in self.by_name.values():
            task.fit(store, rows)

    def after_step(self, encoder: JetEncoder, progress: float) -> None:
        """Do what follows a step of the optimizer."""
        for task in self.by_name.values():
            task.after_step(encoder, progress)
