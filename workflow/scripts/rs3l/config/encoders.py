"""The block `encoder` with the networks that it can choose."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from rs3l.config.base import ImportPath, Settings
from rs3l.imported import is_path

FEATURES = 15
"""This is the number of input features of a candidate; it enters the counts of multiplications."""


class DeepSets(Settings):
    """DeepSets (arXiv:1703.06114): a network per candidate, pooling, a network per jet, and a projection head."""

    network: ClassVar[str] = "rs3l.networks.deepsets:DeepSetsEncoder"

    kind: Literal["deepsets"] = Field("deepsets", description="Which network.")
    hidden: int = Field(64, gt=0, description="Width of the layers per candidate.")
    representation: int = Field(128, gt=0, description="Dimension of the representation h.")
    latent: int = Field(8, gt=1, description="Dimension of the latent z, in which the loss acts.")

    def multiplications(self, constituents: int) -> float:
        """Return the multiplications by weights for one jet."""
        w, h = self.hidden, self.representation
        return constituents * (FEATURES * w + 2 * w * w) + 3 * w * h + 2 * h * h + h * self.latent


class EdgeConv(Settings):
    """The network of RS3L (arXiv:2403.07066): three edge convolutions, a sum over candidates, a network per jet.

    With the defaults it is the paper's, of 128,904 weights.
    """

    network: ClassVar[str] = "rs3l.networks.edgeconv:EdgeConvEncoder"

    kind: Literal["edgeconv"] = Field(description="Which network.")
    hidden: int = Field(128, ge=4, description="Width of the layers per candidate, and dimension of h, their sum.")
    neighbours: int = Field(24, ge=1, description="Nearest neighbours of a candidate, itself among them.")
    latent: int = Field(8, gt=1, description="Dimension of the latent z, in which the loss acts.")
    standardise: bool = Field(False, description="Standardise the inputs; the paper takes them as they are.")
    candidate_pt_min: float = Field(
        0.0,
        ge=0,
        description="Candidates of a lower pT are not shown to the network [GeV]; for published weights, which "
        "know no broad d0 of soft tracks.",
    )

    @property
    def representation(self) -> int:
        """Dimension of the representation h."""
        return self.hidden

    def multiplications(self, constituents: int) -> float:
        """Return the multiplications for one jet, both by weights and of pairs of candidates in distances."""
        w = self.hidden
        convolution = 2 * w * w + w * (constituents + self.neighbours)
        per_jet = w * w // 2 + w * w // 8 + w * w // 16 + w // 4 * self.latent
        return constituents * (FEATURES * w + w * w + 3 * convolution) + per_jet


class Transformer(Settings):
    """Self-attention among the candidates and a class token, a network per jet, and a projection head."""

    network: ClassVar[str] = "rs3l.networks.transformer:TransformerEncoder"

    kind: Literal["transformer"] = Field(description="Which network.")
    hidden: int = Field(64, gt=0, description="Width of the states of the candidates; a multiple of heads.")
    heads: int = Field(4, gt=0, description="Attention heads.")
    layers: int = Field(3, gt=0, description="Attention blocks.")
    pairwise: bool = Field(
        False, description="Bias the attention by the kinematics of each pair (arXiv:2202.03772)."
    )
    representation: int = Field(128, gt=0, description="Dimension of the representation h.")
    latent: int = Field(8, gt=1, description="Dimension of the latent z, in which the loss acts.")

    def multiplications(self, constituents: int) -> float:
        """Return the multiplications for one jet, both by weights and of pairs of candidates in the attention."""
        w, h = self.hidden, self.representation
        block = 12 * w * w + 2 * w * constituents
        return constituents * (FEATURES * w + w * w + self.layers * block) + w * h + 2 * h * h + h * self.latent

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})")
        return self


class OwnEncoder(Settings):
    """A network of another package: a subclass of :class:`rs3l.networks.base.JetEncoder` (docs/extend.md)."""

    kind: Annotated[str, ImportPath] = Field(description="Its import path, package.module:Class.")
    representation: int = Field(128, gt=0, description="Dimension of the representation h.")
    latent: int = Field(8, gt=1, description="Dimension of the latent z, in which the loss acts.")
    options: dict[str, Any] = Field({}, description="What it is made from besides: `config.options` of its class.")
    cost: float = Field(1.0, gt=0, description="Time per jet relative to the default network, for `make plan`.")

    @property
    def network(self) -> str:
        """Import path of the class."""
        return self.kind

    def multiplications(self, constituents: int) -> float:
        """Return the multiplications for one jet, taken from the cost that the block gives."""
        return self.cost * DeepSets().multiplications(constituents)


def _encoder_kind(value: object) -> object:
    """Return the kind of an encoder's block, which is DeepSets if none is given."""
    if isinstance(value, Mapping):
        value = SimpleNamespace(kind=value.get("kind", "deepsets"))
    kind = getattr(value, "kind", None)
    return "own" if isinstance(kind, str) and is_path(kind) else kind


Encoder = Annotated[
    Annotated[DeepSets, Tag("deepsets")]
    | Annotated[EdgeConv, Tag("edgeconv")]
    | Annotated[Transformer, Tag("transformer")]
    | Annotated[OwnEncoder, Tag("own")],
    Discriminator(
        _encoder_kind,
        custom_error_type="encoder_kind",
        custom_error_message="kind must be deepsets, edgeconv, transformer or package.module:Class",
    ),
]
"""The network is chosen by ``kind``."""
