"""Shows without a GPU that a computation stays on one device, and that nobody waits for it.

Everything is put on torch's device ``meta``, whose tensors have a shape and no values, so that what needs a value of
the device fails there by itself. Some operations take tensors of the host beside those of ``meta`` without a word,
and a copy to the device may wait or not: :class:`OneDevice` looks at each operation, also at those of the backward
pass and of the optimizer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

META = torch.device("meta")

WAITING = {
    "_local_scalar_dense", "nonzero", "nonzero_static", "masked_select", "_unique2", "unique_consecutive",
    "unique_dim", "equal", "bincount", "is_nonzero", "repeat_interleave", "allclose",
}  # fmt: skip
"""Operations whose result, or its shape, a host has to wait for."""

COPIES = {"_to_copy", "copy_", "to"}


class MisplacedError(AssertionError):
    """An operation mixes devices, or makes the host wait for one."""


class OneDevice(TorchDispatchMode):
    """Within it, every operation has its tensors on one device, and none makes the host wait.

    Numbers of the host (tensors without dimensions) may go into any operation, as they may on a GPU. Tensors of the
    host go to the device by copies that do not wait.
    """

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name, options = str(func).split(".")[1], dict(kwargs or {})
        tensors = [each for each in tree_leaves((args, options)) if isinstance(each, Tensor)]
        if any(each.device == META for each in tensors):
            self._check(name, tensors, args)
        if name in COPIES:
            self._check_copy(name, tensors, args, options)
        return func(*args, **options)

    def _check(self, name: str, tensors: Sequence[Tensor], args: Sequence[Any]) -> None:
        by_mask = name.startswith("index") and any(each.dtype == torch.bool for each in _indices(args))
        if name in WAITING or by_mask:
            raise MisplacedError(f"{name} makes the host wait for the device")
        if name not in COPIES and any(each.device != META and each.dim() for each in tensors):
            raise MisplacedError(f"{name} takes tensors of the host beside those of the device")

    def _check_copy(
        self, name: str, tensors: Sequence[Tensor], args: Sequence[Any], options: Mapping[str, Any]
    ) -> None:
        source = tensors[-1].device
        target = tensors[0].device if name == "copy_" else torch.device(options.get("device") or source)
        waits = not (options.get("non_blocking") or (name == "copy_" and args[2:] == (True,)))
        if source == META and target != META:
            raise MisplacedError(f"{name} brings a tensor back to the host")
        if source != META and target == META and waits:
            raise MisplacedError(f"{name} copies to the device and waits")


def _indices(args: Sequence[Any]) -> list[Tensor]:
    """Return the tensors in brackets of ``x[...]``."""
    lists = [each for each in args[1:2] if isinstance(each, (list, tuple))]
    return [each for index in lists for each in index if isinstance(each, Tensor)]
