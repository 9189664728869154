"""The block `tasks`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import (
    Field,
    model_validator,
)

from rs3l.config.base import Name, Settings


class Task(Settings):
    """A binary classification, of processes or of jet types (e.g. quark against gluon jets of one process)."""

    signal: Name = Field(description="Process of the signal.")
    background: Name = Field(description="Process of the background.")
    signal_types: list[str] | None = Field(
        None, min_length=1, description="Jet types of the signal (docs/merge.md); by default all of its process."
    )
    background_types: list[str] | None = Field(
        None, min_length=1, description="Jet types of the background; by default all of its process."
    )
    labels: list[Annotated[int, Field(ge=10)]] | None = Field(
        None,
        min_length=1,
        description="Numbers of labelled hard events of this task, in place of `finetune.labels`.",
    )

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.signal == self.background:
            if self.signal_types is None or self.background_types is None:
                raise ValueError(f"signal and background are both {self.signal!r}; name the jet types of both")
            if both := set(self.signal_types) & set(self.background_types):
                raise ValueError(f"jet types {', '.join(sorted(both))} are signal and background")
        return self

    def label(self, role: str, labels: Mapping[str, str]) -> str:
        """Return the label of `signal` or `background`, with its jet types where both are of one process."""
        process: str = getattr(self, role)
        types: list[str] | None = getattr(self, f"{role}_types")
        label = labels.get(process, process)
        if self.signal != self.background or types is None:
            return label
        return f"{label} ({', '.join(types if len(types) <= 3 else [types[0], '…'])})"
