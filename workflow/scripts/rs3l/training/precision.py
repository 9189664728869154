"""Reduced precision, and whether the hardware supports it."""

from __future__ import annotations

import logging

import torch

from rs3l.errors import ConfigError

BF16_UNITS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""Units of CPUs that compute in bfloat16, as torch names them."""


def has_bf16(device: torch.device) -> bool:
    """Return whether ``device`` computes in bfloat16 itself, without emulation."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    units = torch.cpu.get_capabilities()
    return any(units.get(name, False) for name in BF16_UNITS)


def check_precision(precision: str, device: torch.device) -> None:
    """Raise :class:`ConfigError` for bf16 on a GPU that lacks it.

    A CPU that lacks it only gives a warning, because bf16 works there, but slowly.
    """
    if precision == "float32" or has_bf16(device):
        return
    if device.type == "cuda":
        raise ConfigError(
            f"pretrain.loop.precision: {torch.cuda.get_device_name(device)} has no bf16; use precision: float32"
        )
    logging.warning(
        "pretrain.loop.precision: this CPU has no bf16 and emulates it, many times slower than float32; "
        "use precision: float32 here"
    )
