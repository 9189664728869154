"""The block `encoder`: the networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from rs3l.config.base import Block


class DeepSets(Block):
    """DeepSets (arXiv:1703.06114): a network per candidate, pooling, a network per jet, and a projection head."""

    kind: Literal["deepsets"] = Field("deepsets", description="Which network.")
    hidden: int = Field(64, gt=0, description="Width of the layers per candidate.")
    representation: int = Field(128, gt=0, description="Dimension of the representation h.")
    latent: int = Field(8, gt=1, description="Dimension of the latent z, in which the loss acts.")


class EdgeConv(Block):
    """The network of RS3L (arXiv:2403.07066): three edge convolutions, a sum over candidates, a network per jet.

    With the defaults it is the paper's, of 128,904 weights.
    """

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


class Transformer(Block):
    """Self-attention among the candidates and a class token, a network per jet, and a projection head."""

    kind: Literal["transformer"] = Field(description="Which network.")
    hidden: int = Field(64, gt=0, description="Width of the states of the candidates; a multiple of heads.")
    heads: int = Field(4, gt=0, description="Attention heads.")
    layers: int = Field(3, gt=0, description="Attention blocks.")
    pairwise: bool = Field(
        False, description="Bias the attention by the kinematics of each pair (arXiv:2202.03772)."
    )
    representation: int = Field(128, gt=0, description="Dimension of the representation h.")
    latent: int = Field(8, gt=1, description="Dimension of the latent z, in which the loss acts.")

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})")
        return self


def _encoder_kind(value: object) -> object:
    """Return the kind of an encoder's block; without one it is a DeepSets."""
    if isinstance(value, Mapping):
        return value.get("kind", "deepsets")
    return getattr(value, "kind", None)


Encoder = Annotated[
    Annotated[DeepSets, Tag("deepsets")]
    | Annotated[EdgeConv, Tag("edgeconv")]
    | Annotated[Transformer, Tag("transformer")],
    Discriminator(
        _encoder_kind,
        custom_error_type="encoder_kind",
        custom_error_message="kind must be deepsets, edgeconv or transformer",
    ),
]
"""The network, chosen by ``kind``."""
