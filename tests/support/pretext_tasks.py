"""One of each pretext task on the toy, all of them together, and one as another package would have it."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from rs3l.config.blocks import PretrainBlock
from rs3l.config.losses import Jepa, Masked
from rs3l.networks.base import JetEncoder
from rs3l.pretrain.pretexts import OwnViews, Pretext

TRANSFORMER = {"kind": "transformer", "hidden": 16, "heads": 2, "layers": 1, "representation": 16, "latent": 4}
EDGECONV = {"kind": "edgeconv", "hidden": 16, "latent": 4}
ENCODERS: list[dict[str, Any]] = [{}, {"encoder": TRANSFORMER}, {"encoder": EDGECONV}]

_MASKED = Masked(hidden=16)
_JEPA = Jepa(hidden=16, momentum=0.9)
TASKS: dict[str, dict[str, Any]] = {
    "multi_class": {"loss": "multi_class"},
    "masked": {"loss": "masked", "masked": _MASKED},
    "jepa": {"loss": "jepa", "jepa": _JEPA},
    "together": {
        "loss": {"nt_xent": 1.0, "masked": 0.5, "jepa": 0.25, "multi_class": 2.0},
        "masked": _MASKED,
        "jepa": _JEPA,
    },
}


class Multiplicity(Pretext):
    """Predicts the number of candidates from h."""

    latents: ClassVar[bool] = False

    def __init__(self, block: PretrainBlock, encoder: JetEncoder, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.head = nn.Linear(encoder.config.representation, 1)

    def forward(self, views: OwnViews) -> Tensor:
        """Return the squared error [r] of each view."""
        wanted = views.mask.sum(dim=1) / self.scale
        error: Tensor = self.head(views.outputs[0])[:, 0] - wanted
        return error.square()


class NoTerms(Multiplicity):
    """Returns a scalar where a term per view is expected."""

    def forward(self, views: OwnViews) -> Tensor:
        """Return the mean."""
        return super().forward(views).mean()
