"""Where a training or a scoring computes, and how batches get there: a CPU, a GPU, or the one of a rank.

Nothing here waits for the device. Copies to a GPU come from pinned memory and run beside the host; what comes back
(:meth:`Placement.host`) waits, so that it belongs between steps and not into them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from rs3l.errors import ConfigError
from rs3l.training.precision import check_precision, has_bf16

CPU = torch.device("cpu")

COMPILE_STEPS = 5_000
"""With `compile: auto`, fewer steps than this would not earn back the minute or two that compilation takes."""

Precision = Literal["auto", "float32", "bf16"]
T = TypeVar("T")


@dataclass(frozen=True)
class Placement:
    """A device with the ways to use it, which all change only speed and rounding.

    ``bf16`` is autocast to bfloat16, ``compiled`` is torch.compile, and ``threads`` prepare batches beside the
    thread that computes; with 0 it prepares them itself.
    """

    device: torch.device = CPU
    bf16: bool = False
    compiled: bool = False
    threads: int = 0

    def pin(self, batch: T) -> T:
        """Return ``batch`` in memory from which a GPU copies by itself; any thread may call this."""
        if self.device.type != "cuda":
            return batch
        with torch.cuda.device(self.device):  # a thread begins on the first GPU, which may be another rank's
            return _map(batch, Tensor.pin_memory)

    def put(self, batch: T) -> T:
        """Return ``batch`` on the device, without waiting; tuples and named tuples are taken value by value."""
        return _map(batch, self._put)

    def _put(self, values: Tensor) -> Tensor:
        if self.device.type == "cuda" and values.device.type == "cpu" and not values.is_pinned():
            values = values.pin_memory()
        return values.to(self.device, non_blocking=True)

    def host(self, values: Tensor) -> NDArray[Any]:
        """Return ``values`` as an array of the host (float32 for bfloat16) after waiting for the device."""
        values = values.detach()
        result: NDArray[Any] = (values.float() if values.dtype == torch.bfloat16 else values).cpu().numpy()
        return result

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context of a forward pass, in bfloat16 where that is safe if the placement says so."""
        if not self.bf16:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def compile(self, module: nn.Module) -> nn.Module:
        """Return ``module``, compiled for batches of any size if the placement says so."""
        return cast(nn.Module, torch.compile(module, dynamic=True)) if self.compiled else module

    def generator(self, parent: Generator) -> Generator:
        """Return a generator of the device, which draws what belongs to the place of ``parent``.

        On the CPU this is ``parent``. On a GPU it is one that a number of ``parent`` seeds, so that what is drawn
        there belongs to the same address, but is not the same.
        """
        if self.device.type != "cuda":
            return parent
        seed = torch.randint(2**62, (), generator=parent)
        return Generator(self.device).manual_seed(int(seed))


def _map(batch: T, action: Callable[[Tensor], Tensor]) -> T:
    """Return ``batch`` with each of its tensors, or arrays as such, replaced by ``action`` of it."""
    values: Any = batch
    if isinstance(values, np.ndarray):
        values = torch.from_numpy(values)
    if isinstance(values, Tensor):
        return cast(T, action(values))
    if isinstance(values, tuple):
        parts = [_map(each, action) for each in values]
        return cast(T, type(values)(*parts) if hasattr(values, "_fields") else tuple(parts))
    return batch


def choose_device(name: str | None, local: int = 0, gpus: int = 0, sharing: int = 1) -> torch.device:
    """Return the device ``name`` (cpu, cuda) of this rank, or by default a GPU if it has one.

    ``gpus`` is how many the job asked for, and ``sharing`` is the number of ranks beside each other that need one
    each. Raises :class:`ConfigError` if GPUs are asked for and fewer are visible, unless ``name`` says that the
    CPU is meant.
    """
    visible = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus and name != "cpu" and visible < sharing:
        raise ConfigError(
            f"resource gpu={gpus} of the rule: torch {torch.__version__} sees {visible} GPUs on "
            f"{platform.node()}, and {sharing} are needed there; ask for GPUs that exist, with a CUDA build of "
            "torch; or set gpu=0 (ranks on the CPU: tasks=N); or device=cpu beside it, to use the CPU all the same"
        )
    if name == "cpu" or (name is None and not torch.cuda.is_available()):
        return CPU
    if not torch.cuda.is_available():
        raise ConfigError(
            f"--device {name}: torch {torch.__version__} sees no GPU on this node; ask for one "
            "(resource gpu of the rule) and install a CUDA build of torch, or use --device cpu"
        )
    device = torch.device("cuda", local % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def place(
    device: torch.device = CPU,
    precision: Precision = "float32",
    compiled: Literal["auto"] | bool = False,
    steps: int = 0,
    threads: int = 1,
) -> Placement:
    """Return how to use ``device`` for ``steps`` steps, with ``threads`` threads of the host in all.

    ``auto`` means bf16 on a GPU that has it, and compilation on a GPU that can be compiled for, if the training is
    long enough. Raises :class:`ConfigError` for bf16 on a GPU that lacks it.
    """
    gpu = device.type == "cuda"
    if precision != "auto":
        check_precision(precision, device)
    bf16 = has_bf16(device) if precision == "auto" and gpu else precision == "bf16"
    if compiled == "auto":
        compiled = gpu and steps >= COMPILE_STEPS and _can_compile()
    found = Placement(device, bf16, compiled, max(1, threads - 1) if gpu else 0)
    if gpu:
        logging.info(
            "%s: %s, %s, %d loading threads", device, "bf16" if found.bf16 else "float32",
            "compiled" if found.compiled else "not compiled", found.threads,
        )  # fmt: skip
    return found


def _can_compile() -> bool:
    """Return whether torch can compile for a GPU, which needs triton."""
    return importlib.util.find_spec("triton") is not None
