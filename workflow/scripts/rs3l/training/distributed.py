"""The ranks of a training, which are one process each and are joined by torch.distributed.

A step has one global batch of views of B events. Every rank draws the random numbers of the whole batch, computes
the latents of a slice of it, and sees the latents of all, so that loss and gradients are those of one process up
to rounding.

Shapes: B events of the global batch, K slots for their views, D latent dimensions. The R existing views (R = KB
if no slot is empty) are numbered slot by slot, so that with two views those of event b are rows b and B + b.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from rs3l.errors import ConfigError, StoppedError
from rs3l.training.device import CPU, choose_device
from rs3l.types import Ints

PORTS = range(15000, 30000)
"""The rendezvous of Slurm tasks uses one of these ports, chosen by job number.

They are below those that Linux hands out itself.
"""


class _Gather(torch.autograd.Function):
    """Gathers a matrix whose rows are spread over the ranks.

    The gradients of all ranks flow back to the owner of a row.
    """

    @staticmethod
    def forward(ctx: Any, own: Tensor, rows: Tensor, total: int) -> Tensor:
        ctx.rows = rows
        full = own.new_zeros(total, own.shape[1]).index_copy_(0, rows, own)
        dist.all_reduce(full)
        return full

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return gradient[ctx.rows], None, None


@dataclass(frozen=True)
class Ranks:
    """A process among the ``size`` of a training, which is alone unless :func:`join` says otherwise.

    ``sharing`` is the number of ranks that share the threads of one job (see :class:`Place`).
    """

    rank: int = 0
    size: int = 1
    device: torch.device = CPU
    sharing: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes."""
        return self.rank == 0

    def part(self, events: int) -> slice:
        """Return this rank's slice of ``events`` events; the slices differ by one event at most."""
        return slice(events * self.rank // self.size, events * (self.rank + 1) // self.size)

    def rows(self, present: NDArray[np.bool_]) -> Tensor:
        """Return, on the CPU, the rows [r] of this rank's views among those that are ``present`` [K, B]."""
        number = np.cumsum(present).reshape(present.shape) - 1
        part = self.part(present.shape[1])
        return torch.from_numpy(number[:, part][present[:, part]])

    def gather(self, own: Tensor, rows: Tensor, total: int) -> Tensor:
        """Return the latents [R, D] of all ranks, from ``own`` [r, D] and their ``rows`` [r] of the ``total`` R.

        The result is differentiable on every rank.
        """
        if self.size == 1:
            return own
        full: Tensor = _Gather.apply(own, rows, total)  # type: ignore[no-untyped-call]
        return full

    def totals(self, values: Sequence[Tensor]) -> list[float]:
        """Return the sum of each of some scalars over the ranks, after waiting for the device."""
        together = torch.stack([value.detach() for value in values])
        if self.size > 1:
            dist.all_reduce(together)
        totals: list[float] = together.tolist()
        return totals

    def together(self, own: Ints, events: int) -> Ints:
        """Return the columns [K, B] of all ranks from this rank's ``own`` [K, b] of ``events`` B."""
        if self.size == 1:
            return own
        full = torch.zeros(len(own), events, dtype=torch.int64)  # on the CPU: no GPU is waited for
        full[:, self.part(events)] = torch.from_numpy(own)
        dist.all_reduce(full)
        result: Ints = full.numpy()
        return result

    def collect(self, own: Any) -> list[Any]:
        """Return a small object of every rank, on every rank."""
        if self.size == 1:
            return [own]
        every: list[Any] = [None] * self.size
        dist.all_gather_object(every, own)
        return every

    def wait(self) -> None:
        """Wait until all ranks are here."""
        if self.size > 1:
            dist.barrier()

    def averaging(self, network: nn.Module) -> nn.Module:
        """Return ``network`` wrapped so that its backward pass averages the gradients over the ranks.

        They are sent in buckets while earlier layers still compute theirs.
        """
        if self.size == 1:
            return network
        return DistributedDataParallel(network, forward_sync_buffers=False, gradient_as_bucket_view=True)

    def agree(self, value: int) -> bool:
        """Return whether ``value`` is the same on all ranks."""
        if self.size == 1:
            return True
        ends = torch.tensor([value, -value], device=self.device)
        dist.all_reduce(ends, dist.ReduceOp.MAX)
        return ends.sum().item() == 0


class Votes:
    """Flags that any rank may raise, and that all ranks learn of after the same step.

    With several ranks this is the step after the one in which a flag was raised: the counts travel between the
    CPUs while that step computes, and nobody waits for them.
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self._sent: tuple[Tensor, Any] | None = None

    def cast(self, *flags: bool) -> list[bool]:
        """Raise this rank's ``flags`` and return which are known to be raised."""
        if self.ranks.size == 1:
            return list(flags)
        known = self.finish() or [False] * len(flags)
        counts = torch.tensor(flags, dtype=torch.int64)
        self._sent = counts, dist.all_reduce(counts, async_op=True)
        return known

    def finish(self) -> list[bool]:
        """Return what was on its way, or nothing."""
        if self._sent is None:
            return []
        counts, work = self._sent
        self._sent = None
        work.wait()
        return [count > 0 for count in counts.tolist()]


class Place(NamedTuple):
    """The place where a launcher put this process, with its rank, the number of ranks, and its rank on the node.

    ``sharing`` is the number of ranks that share the threads of one job. It differs from 1 with torchrun, which
    starts all ranks of a node in one job, whereas srun gives each its own.
    """

    rank: int
    size: int
    local: int
    sharing: int


def find_place(environment: Mapping[str, str]) -> Place:
    """Return this process's place from the variables of torchrun or srun; without them it is alone.

    Of Slurm only the variables of a job step count, because a plain ``python`` inside an allocation of several
    tasks is still one process.
    """

    def number(name: str) -> int:
        return int(environment[name])

    if "TORCHELASTIC_RUN_ID" in environment:
        return Place(number("RANK"), number("WORLD_SIZE"), number("LOCAL_RANK"), number("LOCAL_WORLD_SIZE"))
    if int(environment.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        return Place(number("SLURM_PROCID"), number("SLURM_STEP_NUM_TASKS"), number("SLURM_LOCALID"), 1)
    return Place(0, 1, 0, 1)


@contextlib.contextmanager
def join(device: str | None = None, gpus: int = 0) -> Iterator[Ranks]:
    """Join the ranks of this training, if a launcher started several, and yield this process's place.

    ``gpus`` is how many the job asked for. Raises :class:`ConfigError` if the GPU asked for, or the node to meet
    on, cannot be found.
    """
    place = find_place(os.environ)
    chosen = choose_device(device, place.local, gpus, place.sharing)
    if place.size == 1:
        yield Ranks(device=chosen)
        return
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        meet_in_slurm(os.environ)
    if os.environ["MASTER_ADDR"] in ("127.0.0.1", "localhost") or place.sharing == place.size:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # on a single node, nothing but loopback is used
    # Its functions take the group at the time of import as a default argument, and would keep it for ever.
    importlib.import_module("torch.distributed.nn.functional")
    backend = "cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo"
    dist.init_process_group(backend, rank=place.rank, world_size=place.size)
    try:
        yield Ranks(place.rank, place.size, chosen, place.sharing)
    except StoppedError:  # all ranks raise it after the same step; its traceback still holds the network
        atexit.register(_leave)
        raise
    dist.barrier()
    _leave()


def _leave() -> None:
    """Leave the group and end its threads, which would abort a process that ends while one of them drops a tensor.

    This is not done after an error of one rank, because its threads may wait for the others and it should end at
    once.
    """
    gc.collect()  # a network is in a cycle of references and holds the group
    dist.destroy_process_group()


def meet_in_slurm(environment: MutableMapping[str, str]) -> None:
    """Set where the tasks of a Slurm step meet, unless it is set already.

    They meet on the first node, at a port chosen by job number.
    """
    if "MASTER_ADDR" not in environment:
        environment["MASTER_ADDR"] = _first_address(environment["SLURM_STEP_NODELIST"])
    environment.setdefault("MASTER_PORT", str(PORTS[int(environment["SLURM_JOB_ID"]) % len(PORTS)]))


def _first_address(nodes: str) -> str:
    """Return the address by which Slurm reaches the first node of a list such as ``n[1-2]``."""
    try:
        first = _scontrol("hostnames", nodes).split()[0]
        return str(re.findall(r"\bNodeAddr=(\S+)", _scontrol("node", first))[0])
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise ConfigError(
            f"the address of the first node of {nodes} is not known ({error}): set MASTER_ADDR to it"
        ) from None


def _scontrol(kind: str, name: str) -> str:
    command = ["scontrol", "show", kind, name]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=True)
    return str(result.stdout)
