"""The block `dataset` with its splits and files."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    ValidationError,
    model_validator,
)

from rs3l.config.base import Fraction, Name, Settings
from rs3l.errors import ConfigError
from rs3l.paths import EVERY_SPLIT, SPLITS, Split, splits_with


class Splits(Settings):
    """Fractions of the hard events; an event is in one split with all its views."""

    train: Fraction = Field(0.65, description="Pre-training, and labels unless there is `label`.")
    label: Fraction = Field(
        0.0,
        exclude_if=operator.not_,
        description="Labels alone: no pre-training sees these events, and all labelled events are among them. 0: "
        "labelled events are drawn from `train`, and are among those of the pre-training.",
    )
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
        if position < self.train + self.label:
            return "label"
        return "val" if position < self.train + self.label + self.val else "test"

    @property
    def names(self) -> tuple[Split, ...]:
        """Return the splits that a data set has, `label` only if events are set apart for labels."""
        return splits_with(["label"] if self.label else [])

    @property
    def labelled(self) -> Literal["train", "label"]:
        """Return the split that labelled events are drawn from."""
        return "label" if self.label else "train"

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.train + self.label + self.val + self.test
        if not math.isclose(total, 1.0, abs_tol=1e-9):
            raise ValueError(f"{' + '.join(self.names)} is {total:g}, not 1")
        return self


def splits_of(fractions: Sequence[float], where: str) -> Splits:
    """Return three fractions (train, val, test) or four (train, label, val, test) as splits.

    Raises :class:`ConfigError`, which names ``where``, if they are no fractions that add up to 1.
    """
    names = EVERY_SPLIT if len(fractions) == len(EVERY_SPLIT) else SPLITS
    if len(fractions) != len(names):
        raise ConfigError(f"{where}: {len(fractions)} numbers; give those of {', '.join(SPLITS)}, or of all")
    try:
        return Splits(**dict(zip(names, fractions, strict=True)))
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
