"""The encoders: one file per network, the same interface (:class:`rs3l.networks.base.JetEncoder`)."""

from __future__ import annotations

from rs3l.config.encoders import DeepSets, EdgeConv, Encoder
from rs3l.networks.base import JetEncoder
from rs3l.networks.deepsets import DeepSetsEncoder
from rs3l.networks.edgeconv import EdgeConvEncoder
from rs3l.networks.transformer import TransformerEncoder


def build(config: Encoder, constituents: int) -> JetEncoder:
    """Return the network that ``config`` describes, for jets of up to ``constituents`` candidates."""
    if isinstance(config, DeepSets):
        return DeepSetsEncoder(config, constituents)
    if isinstance(config, EdgeConv):
        return EdgeConvEncoder(config, constituents)
    return TransformerEncoder(config, constituents)
