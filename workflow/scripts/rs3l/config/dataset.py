"""The block `dataset` with its splits and files."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import (
    Field,
    ValidationError,
    model_validator,
)

from rs3l.config.base import Fraction, Name, Settings
from rs3l.errors import ConfigError
from rs3l.paths import SPLITS, Split


class Splits(Settings):
    """Fractions of the hard events; an event is in one split with all its views."""

    train: Fraction = Field(0.65, description="Pre-training and labels.")
    val: Fraction = Field(0.10, description="Every choice: best epoch, regularisation.")
    test: Fraction = Field(0.25, description="Results only.")
    test_only_after: dict[Name, Annotated[int, Field(gt=0)]] = Field(
        {},
        exclude_if=operator.not_,
        description="By process: all hard events after the first so many are in the test split. Set it to the "
        "present number of events and raise `processes.<name>.events`: more test events re-train nothing.",
    )

    def divided(self, process: str, events: int) -> int:
        """Return how many of the first ``events`` hard events of a process are divided among the splits."""
        return min(events, self.test_only_after.get(process, events))

    def of(self, process: str) -> Splits:
        """Return the same with what it says of one process alone."""
        own = {name: after for name, after in self.test_only_after.items() if name == process}
        return self.model_copy(update={"test_only_after": own})

    def at(self, position: float) -> Split:
        """Return the split of an event at a position in [0, 1)."""
        if position < self.train:
            return "train"
        return "val" if position < self.train + self.val else "test"

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        if not math.isclose(self.train + self.val + self.test, 1.0, abs_tol=1e-9):
            raise ValueError(f"train + val + test is {self.train + self.val + self.test:g}, not 1")
        return self


def splits_of(fractions: Sequence[float], where: str) -> Splits:
    """Return the fractions of train, validation and test as splits; ``where`` is named in errors.

    Raises :class:`ConfigError` if they are no fractions that add up to 1.
    """
    try:
        return Splits(**dict(zip(SPLITS, fractions, strict=True)))
    except ValidationError as error:
        raise ConfigError(f"{where}: {error.errors()[0]['msg']}") from None


class Dataset(Settings):
    """How the jets are merged."""

    splits: Splits = Splits()
    min_views: int = Field(1, ge=1, description="Events with fewer matched views are left out.")
    events_per_part: int = Field(
        20_000, gt=0, description="Hard events per part (one file per split); independent of the shards."
    )
    events_per_row_group: int = Field(2_000, gt=0, description="Hard events per row group.")
    parts_per_job: int = Field(
        100, gt=0, description="Parts of the test split that one job embeds or scores; no result depends on it."
    )
