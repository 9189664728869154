"""Modes are the kinds of classifiers, each declared once for configuration, training, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True)
class Mode:
    """One kind of classifier.

    ``label`` is its name for people. ``start`` says what its network starts from and whether its weights are
    trained: a ``frozen`` pre-trained encoder, a pre-trained encoder that is ``tuned``, ``scratch`` (random
    weights, all trained), a frozen ``random`` encoder, or ``none`` (no network at all). ``head`` is one ``linear``
    layer, a ``quadratic`` one that also sees products, a ``deep`` one of five layers, boosted ``trees``, or a
    ``cut``. ``space`` is what the head sees: the
    representation ``h``, the latent ``z``, or jet ``observables``, which trees on h or z see, too. ``views`` are
    the re-simulations of the labelled events that it learns from.
    """

    name: str
    label: str
    start: Literal["frozen", "tuned", "scratch", "random", "none"]
    head: Literal["linear", "quadratic", "deep", "trees", "cut"] = "linear"
    space: Literal["h", "z", "observables"] = "h"
    views: Literal["nominal", "all"] = "nominal"

    @property
    def pretrained(self) -> bool:
        """Whether it uses a pre-trained encoder; the others are baselines."""
        return self.start in ("frozen", "tuned")

    @property
    def has_network(self) -> bool:
        """Whether there is an encoder, whose architecture then matters."""
        return self.start != "none"

    @property
    def has_observables(self) -> bool:
        """Whether the head sees jet observables, soft-drop mass and N2 among them."""
        return self.head in ("trees", "cut")

    @property
    def takes_labels(self) -> bool:
        """Whether it depends on the draw of the labels; a cut does not."""
        return self.head != "cut"


_ALL = (
    Mode("probe_h", "frozen, linear on h", "frozen"),
    Mode("probe_z", "frozen, linear on z", "frozen", space="z"),
    Mode("quadratic_h", "frozen, quadratic on h", "frozen", head="quadratic"),
    Mode("quadratic_z", "frozen, quadratic on z", "frozen", head="quadratic", space="z"),
    Mode("mlp_h", "frozen, five layers on h", "frozen", head="deep"),
    Mode("mlp_z", "frozen, five layers on z", "frozen", head="deep", space="z"),
    Mode("gbt_h", "frozen, boosted trees on h and observables", "frozen", head="trees"),
    Mode("gbt_z", "frozen, boosted trees on z and observables", "frozen", head="trees", space="z"),
    Mode("tuned", "fine-tuned", "tuned"),
    Mode("tuned_z", "fine-tuned through z", "tuned", space="z"),
    Mode("tuned_mlp", "fine-tuned, five layers", "tuned", head="deep"),
    Mode("tuned_views", "fine-tuned, all views", "tuned", views="all"),
    Mode("random", "random network, linear on h", "random"),
    Mode("scratch", "from scratch", "scratch"),
    Mode("scratch_mlp", "from scratch, five layers", "scratch", head="deep"),
    Mode("scratch_views", "from scratch, all views", "scratch", views="all"),
    Mode("gbt", "boosted trees: masses, N2, multiplicity", "none", head="trees", space="observables"),
    Mode("n2", "cut on N2", "none", head="cut", space="observables"),
)

MODES: Mapping[str, Mode] = MappingProxyType({mode.name: mode for mode in _ALL})
"""All modes by name, first those on a pre-trained encoder, then the baselines."""


def known(name: str) -> str:
    """Return the name of a mode; raises :class:`ValueError` if there is no such mode."""
    if name not in MODES:
        raise ValueError(f"no mode {name!r}; known: {', '.join(MODES)}")
    return name


def classifier_name(mode: str, labels: int, repeat: int) -> str:
    """Return the name of a classifier of a run, under which its weights and its scores are stored."""
    return f"{mode}/{labels}/{repeat}"
