"""Checks before a training the devices of its ranks, and that the ranks reach each other."""

from __future__ import annotations

import logging
import platform
from collections import Counter
from typing import NamedTuple

import torch

from rs3l.errors import ConfigError
from rs3l.training.distributed import Ranks
from rs3l.training.precision import has_bf16

GIB = 2**30


class Found(NamedTuple):
    """What one rank has, where ``identity`` tells two GPUs of one kind apart."""

    host: str
    device: str
    identity: str
    text: str


def look(device: torch.device) -> Found:
    """Return what this rank has, after a small computation on its device."""
    host = platform.node()
    bf16 = "bf16" if has_bf16(device) else "no bf16"
    if device.type == "cuda":
        _compute(device)
        properties = torch.cuda.get_device_properties(device)
        memory = (
            f"{properties.total_memory / GIB:.0f} GiB, compute capability {properties.major}.{properties.minor}"
        )
        identity = str(getattr(properties, "uuid", device.index))
        return Found(host, str(device), identity, f"{properties.name}, {memory}, {bf16}")
    return Found(
        host, "cpu", "", f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, {bf16}"
    )


def _compute(device: torch.device) -> None:
    try:
        total = torch.ones(64, 64, device=device).mm(torch.ones(64, 64, device=device)).sum().item()
    except RuntimeError as error:
        raise ConfigError(
            f"{platform.node()}, {device}: a small product fails ({error}); use another GPU"
        ) from None
    if total != 64**3:
        raise ConfigError(f"{platform.node()}, {device}: a small product is {total}, not {64**3}; use another GPU")


def preflight(ranks: Ranks) -> None:
    """Log what each rank has, and try the devices and the network between them.

    Raises :class:`ConfigError` if ranks share a GPU, if only some have one, or if something computes wrongly.
    """
    found = [Found(*each) for each in ranks.collect(tuple(look(ranks.device)))]
    for rank, each in enumerate(found):
        logging.info("rank %d of %d: %s, %s, %s", rank, len(found), each.host, each.device, each.text)
    check(found)
    [answers] = ranks.totals([torch.ones((), device=ranks.device)])
    if answers != ranks.size:
        raise ConfigError(f"{ranks.size} ranks add up to {answers:g}: the network between them is faulty")


def check(found: list[Found]) -> None:
    """Raise :class:`ConfigError` if these ranks cannot train together."""
    kinds = {each.device.partition(":")[0] for each in found}
    if len(kinds) > 1:
        raise ConfigError("some ranks have a GPU and others none; ask for one GPU per rank, or use --device cpu")
    used = Counter((each.host, each.identity) for each in found if each.identity)
    for (host, identity), count in used.items():
        if count > 1:
            raise ConfigError(
                f"{count} ranks share the GPU {identity} of {host}; ask for one GPU per rank (resource gpu of the "
                "rule), or start fewer ranks"
            )
