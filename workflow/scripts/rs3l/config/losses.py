"""The losses of pre-training, each of which is declared once with what it compares and the alarms it can set off.

A further loss needs an entry here and a function of its name in :mod:`rs3l.pretrain.losses`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from rs3l.config.base import ImportPath, Settings


@dataclass(frozen=True)
class LossKind:
    """One loss of pre-training.

    A loss with ``pairs`` compares two views of an event and cannot take more. ``compares`` says whether positives
    share the event or the process (of all jets). With ``chance``, guessing the partner has a loss, ln(2B - 1),
    which a collapsed encoder cannot beat. A loss that ``gathers`` is meant to gather jets at few points, so that
    a low rank is no collapse. ``temperature`` says whether it has one.
    """

    name: str
    pairs: bool = False
    compares: Literal["events", "processes"] = "events"
    chance: bool = True
    gathers: bool = False
    temperature: bool = True


_ALL = (
    LossKind("nt_xent", pairs=True),
    LossKind("multi_view"),
    LossKind("sup_con", compares="processes", gathers=True),
    LossKind("vicreg", pairs=True, chance=False, temperature=False),
)

LOSSES: Mapping[str, LossKind] = MappingProxyType({loss.name: loss for loss in _ALL})
"""All losses are here by name."""

_OWN = LossKind("own", chance=False, gathers=True, temperature=False)
"""This stands for a loss of another package, of which nothing is known about what a collapse does to it."""

if TYPE_CHECKING:
    LossName = str
else:
    LossName = Literal[tuple(LOSSES)] | Annotated[str, ImportPath]
    """A loss of the registry, or the import path of one's own."""


def loss_kind(name: str) -> LossKind:
    """Return what is known about a loss."""
    return LOSSES.get(name, _OWN)


class VicReg(Settings):
    """Weights of VICReg's three terms (arXiv:2105.04906, eq. 6)."""

    invariance: float = Field(25.0, ge=0, description="Weight lambda of the squared distance of the two views.")
    variance: float = Field(25.0, ge=0, description="Weight mu of the hinge on each dimension's deviation.")
    covariance: float = Field(1.0, ge=0, description="Weight nu of the squared covariances of the dimensions.")
