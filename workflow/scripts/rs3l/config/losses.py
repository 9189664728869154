"""The losses of pre-training, each of which is declared once with what it needs and the alarms it can set off.

A further loss needs an entry here and, in :mod:`rs3l.pretrain`, a function of its name in ``losses`` if it
compares latents, or a class in ``pretexts`` if it has weights of its own or looks at the jets in another way.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field

from rs3l.config.base import IMPORT_PATH, ImportPath, Settings, with_numbers
from rs3l.imported import is_path


@dataclass(frozen=True)
class LossKind:
    """One loss of pre-training.

    A loss with ``pairs`` compares two views of an event and cannot take more. ``compares`` says whether it needs
    to know the event or the process of each jet. With ``chance`` there is a loss that an encoder which has learned
    nothing cannot beat: that of guessing the partner, ln(2B - 1), or the process. A loss that ``gathers`` is meant
    to gather jets at few points, so that a low rank is no collapse. ``temperature`` says whether it has one.

    A loss with ``latents`` acts on z; one without acts on h, and then nothing trains the projection to z. A
    ``pretext`` has weights of its own, which are trained and a part of the state, and not of the model file. It
    ``hides`` candidates from the network, for which random numbers are drawn, or has a ``target``, a second
    network that follows the first one without a gradient.
    """

    name: str
    pairs: bool = False
    compares: Literal["events", "processes"] = "events"
    chance: Literal["partner", "class"] | None = "partner"
    gathers: bool = False
    temperature: bool = True
    latents: bool = True
    pretext: bool = False
    hides: bool = False
    target: bool = False


_ALL = (
    LossKind("nt_xent", pairs=True),
    LossKind("multi_view"),
    LossKind("sup_con", compares="processes", gathers=True),
    LossKind("vicreg", pairs=True, chance=None, temperature=False),
    LossKind(
        "multi_class",
        compares="processes",
        chance="class",
        gathers=True,
        temperature=False,
        latents=False,
        pretext=True,
    ),
    LossKind("masked", chance=None, gathers=True, temperature=False, latents=False, pretext=True, hides=True),
    LossKind("jepa", pairs=True, chance=None, temperature=False, pretext=True, target=True),
)

LOSSES: Mapping[str, LossKind] = MappingProxyType({loss.name: loss for loss in _ALL})
"""All losses are here by name."""

_OWN = LossKind("own", chance=None, gathers=True, temperature=False)
"""This stands for a loss of another package, of which nothing is known about what a collapse does to it."""

if TYPE_CHECKING:
    LossName = str
else:
    LossName = Literal[tuple(LOSSES)] | Annotated[str, ImportPath]
    """A loss of the registry, or the import path of one's own."""

Weight = Annotated[float, Field(gt=0), BeforeValidator(lambda value: with_numbers(value, float))]
Chosen = str | Mapping[str, float]
"""What ``pretrain.loss`` holds: one loss, or several by name, each with its weight."""


def loss_kind(name: str) -> LossKind:
    """Return what is known about a loss."""
    return LOSSES.get(name, _OWN)


def weights_of(loss: Chosen) -> dict[str, float]:
    """Return the weight of each loss; one alone has the weight 1."""
    return {loss: 1.0} if isinstance(loss, str) else dict(loss)


def kinds_of(loss: Chosen) -> list[LossKind]:
    """Return what is known about each of the losses."""
    return [loss_kind(name) for name in weights_of(loss)]


def own_losses(loss: Chosen) -> list[str]:
    """Return the import paths among the losses."""
    return [name for name in weights_of(loss) if is_path(name)]


def uses_processes(loss: Chosen) -> bool:
    """Return whether one of the losses compares the processes of all views of a step."""
    return any(kind.compares == "processes" and not kind.pretext for kind in kinds_of(loss))


def loss_text(loss: Chosen) -> str:
    """Return the losses in words, as `nt_xent` or `nt_xent + 0.5 masked`."""
    return " + ".join(name if weight == 1 else f"{weight:g} {name}" for name, weight in weights_of(loss).items())


def loss_problem(loss: Chosen, views: str, options: bool) -> str | None:
    """Return what is wrong with the losses for the policy of ``views``, if one's own has ``options``, or None."""
    names = list(weights_of(loss))
    if not names:
        return "loss: {} names none; give one or more with their weights, e.g. {nt_xent: 1.0, masked: 0.5}"
    if unknown := [name for name in names if name not in LOSSES and not re.match(IMPORT_PATH, name)]:
        known = ", ".join(LOSSES)
        return (
            f"loss: no loss {unknown[0]!r}; known: {known}; or the import path of one's own, package.module:Name"
        )
    if options and not own_losses(loss):
        return f"loss_options: the loss {' + '.join(names)} takes none; they are for one's own"
    if len(own_losses(loss)) > 1:
        return (
            f"loss: {' and '.join(own_losses(loss))} are both one's own, with one `loss_options`; give one of them"
        )
    pairs = [name for name in names if loss_kind(name).pairs]
    if views == "all" and pairs:
        return _too_many_views(pairs)
    return None


def _too_many_views(pairs: Sequence[str]) -> str:
    return (
        f"views: all gives an event more than two views, and loss: {pairs[0]} compares two; use "
        "loss: multi_view or sup_con, or views: any_two"
    )


class VicReg(Settings):
    """Weights of VICReg's three terms (arXiv:2105.04906, eq. 6)."""

    invariance: float = Field(25.0, ge=0, description="Weight lambda of the squared distance of the two views.")
    variance: float = Field(25.0, ge=0, description="Weight mu of the hinge on each dimension's deviation.")
    covariance: float = Field(1.0, ge=0, description="Weight nu of the squared covariances of the dimensions.")


class Masked(Settings):
    """What `loss: masked` hides and how it is predicted (arXiv:2401.13537)."""

    fraction: float = Field(
        0.3, gt=0, lt=1, description="Of a jet's candidates that are hidden: one at least, and one is always left."
    )
    hidden: int = Field(128, gt=0, description="Width of the head that predicts the hidden candidates.")


class Jepa(Settings):
    """Predictor and target network of `loss: jepa` (arXiv:2006.07733, arXiv:2301.08243)."""

    momentum: float = Field(
        0.996, ge=0, le=1, description="Of the target network's weights, per step, in the first step."
    )
    final_momentum: float = Field(
        1.0, ge=0, le=1, description="The same in the end; between them it goes along a cosine."
    )
    hidden: int = Field(128, gt=0, description="Width of the predictor.")

    def momentum_at(self, progress: float) -> float:
        """Return the momentum after a fraction of all steps (arXiv:2006.07733, section 3.2 with end 1)."""
        return self.final_momentum - (self.final_momentum - self.momentum) * (math.cos(math.pi * progress) + 1) / 2
