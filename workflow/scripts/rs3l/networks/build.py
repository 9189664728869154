"""Builds the network that a configuration describes by its class, which is of this package or another."""

from __future__ import annotations

import safetensors.torch
import torch

from rs3l.config.encoders import Encoder, OwnEncoder
from rs3l.dataset.features import FEATURES
from rs3l.errors import ConfigError
from rs3l.imported import guarded, imported
from rs3l.networks.base import JetEncoder


def build(config: Encoder, constituents: int) -> JetEncoder:
    """Return the network that ``config`` describes, for jets of up to ``constituents`` candidates.

    Raises :class:`ConfigError` if a network of another package cannot be imported or is not as required.
    """
    network = imported(config.network, "encoder.kind")
    if not (isinstance(network, type) and issubclass(network, JetEncoder)):
        raise ConfigError(f"encoder.kind: {config.network} is no subclass of rs3l.networks.JetEncoder")
    if not isinstance(config, OwnEncoder):
        return network(config, constituents)
    with guarded(config.kind, "encoder.kind"):
        encoder = network(config, constituents)
        _check(encoder, config, constituents)
        safetensors.torch.save(encoder.state_dict())  # refuses weights that share memory, as the model file would
    return encoder


@torch.no_grad()
def _check(encoder: JetEncoder, config: OwnEncoder, constituents: int) -> None:
    """Raise :class:`ConfigError` if h or z of two jets, one of them empty, is not as :class:`JetEncoder` says."""
    mask = torch.zeros(2, constituents, dtype=torch.bool)
    mask[0, : max(1, constituents // 2)] = True
    x = torch.linspace(-1.0, 1.0, mask.numel() * len(FEATURES)).view(*mask.shape, -1)
    encoder.eval()
    encoder(x[:, : constituents // 2 + 1], mask[:, : constituents // 2 + 1])  # jets come at any length
    h, other = encoder(x, mask), encoder(x.masked_fill(~mask[..., None], 7.0), mask)
    for name, found, wanted in (("h", h, config.representation), ("z", encoder.project(h), config.latent)):
        if found.shape != (2, wanted):
            raise ConfigError(
                f"encoder.kind: {config.kind}: {name} of 2 jets is {list(found.shape)}, not [2, {wanted}]"
            )
        if not torch.isfinite(found).all():
            raise ConfigError(f"encoder.kind: {config.kind}: {name} of an empty jet, or of another, is not finite")
    if not torch.equal(h, other):
        raise ConfigError(
            f"encoder.kind: {config.kind}: h depends on what is at padding (where the mask is False)"
        )
    encoder.train()
