"""Runs are pre-trainings of a method with a seed, or the lack of one, and are named here for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

BASELINE = "none"
"""The run without pre-training; ``none_<method>_s0`` is the same for a method whose networks differ."""


def is_baseline(name: str) -> bool:
    """Return whether a run, or a method, is one without pre-training."""
    return name == BASELINE or name.startswith(f"{BASELINE}_")


@dataclass(frozen=True)
class Run:
    """One run.

    ``method`` is the entry of that column in all tables: a method or an ablation of the campaign, ``none``, or
    ``none_<method>`` for its networks without pre-training. ``seed`` is the number of the pre-training, 0 upwards.
    """

    method: str
    seed: int = 0

    @classmethod
    def parse(cls, name: str) -> Self:
        """Return the run of a name; raises :class:`ValueError` if it is not the name of a run."""
        if name == BASELINE:
            return cls(BASELINE)
        method, _, seed = name.rpartition("_s")
        if not method or not seed.isdigit():
            raise ValueError(f"{name!r} is no run: <method>_s<seed>, or {BASELINE}")
        return cls(method, int(seed))

    @classmethod
    def of_file(cls, path: str | Path) -> Self:
        """Return the run of a file of its folder, such as a model, its metrics or its latents."""
        return cls.parse(Path(path).parent.name)

    @property
    def baseline(self) -> bool:
        """Whether it is without pre-training."""
        return is_baseline(self.method)

    @property
    def settings_of(self) -> str:
        """The method whose network it has, empty for ``none``, which has that of the block ``pretrain``."""
        return self.method.removeprefix(BASELINE).removeprefix("_") if self.baseline else self.method

    def __str__(self) -> str:
        return BASELINE if self.method == BASELINE else f"{self.method}_s{self.seed}"
