"""Imports the weights that the authors of RS3L published as a model file of this project.

Their network is :class:`rs3l.networks.edgeconv.EdgeConvEncoder` under other names. Its inputs are the 15 features
as they are, and its output is the latent z. No weights are shipped here, so users bring the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from rs3l.config.encoders import EdgeConv
from rs3l.dataset.features import FEATURES
from rs3l.errors import DataError
from rs3l.files import sha256
from rs3l.networks.edgeconv import EdgeConvEncoder
from rs3l.networks.model_file import save_encoder

NAMES = {
    "pf_encode.": "candidate.",
    "conv1.nn.0.": "convolutions.0.linear.",
    "conv2.nn.0.": "convolutions.1.linear.",
    "conv3.nn.0.": "convolutions.2.linear.",
    "output.": "projector.",
}
"""Beginnings of the authors' names of weights, with the names that they get here."""


def import_checkpoint(checkpoint: str | Path, constituents: int, pt_min: float, model: str | Path) -> None:
    """Write the authors' network in ``checkpoint`` (torch or safetensors) to ``model``.

    It will be shown the first ``constituents`` candidates of a jet, and of those only candidates above ``pt_min``
    [GeV]. Raises :class:`DataError` if the file is not such a network.
    """
    encoder = published_encoder(checkpoint, constituents, pt_min)
    save_encoder(encoder, model, source={"file": Path(checkpoint).name, "sha256": sha256(checkpoint)})


def published_encoder(checkpoint: str | Path, constituents: int, pt_min: float = 0.0) -> EdgeConvEncoder:
    """Return the authors' network in ``checkpoint``; raises :class:`DataError` if it contains none."""
    weights = {_ours(name): value for name, value in _read(Path(checkpoint)).items()}
    try:
        first, last = weights["candidate.0.weight"], weights["projector.6.weight"]
        if first.shape[1] != len(FEATURES):
            raise ValueError(f"it takes {first.shape[1]} inputs per candidate, not {len(FEATURES)}")
        config = EdgeConv(kind="edgeconv", hidden=first.shape[0], latent=last.shape[0], candidate_pt_min=pt_min)
        encoder = EdgeConvEncoder(config, constituents)
        norm = {f"norm.{name}": value for name, value in encoder.norm.state_dict().items()}
        encoder.load_state_dict({**norm, **weights})
        if not all(torch.isfinite(value).all() for value in weights.values()):
            raise ValueError("some of its weights are NaN or infinite")
    except (KeyError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{checkpoint}: not a network of RS3L ({error}); expected are the weights of the EdgeConv network, "
            "e.g. best-epoch.pt of a training by the authors' code"
        ) from None
    return encoder.eval()


def _ours(name: str) -> str:
    for theirs, ours in NAMES.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return name


def _read(path: Path) -> Mapping[str, Tensor]:
    """Return the tensors in a safetensors file, or in a torch file, where the entry ``model`` may hold them.

    A torch file is read as data only, so that pickled code in it is refused and never runs.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        if path.suffix == ".safetensors":
            return dict(safetensors.torch.load_file(path))
        content = torch.load(path, weights_only=True, map_location="cpu")
        values = content.get("model", content)
        tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    except Exception as error:  # each library raises errors of its own
        raise DataError(f"{path}: cannot be read as weights ({str(error).splitlines()[0]})") from None
    return tensors
