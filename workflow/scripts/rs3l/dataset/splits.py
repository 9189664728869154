"""The split of a hard event, which depends on its key alone and is the same for all its views."""

from __future__ import annotations

from rs3l import seeds
from rs3l.config.blocks import Chosen
from rs3l.config.dataset import Splits
from rs3l.paths import Split


def split_of(seed: int, splits: Splits, process: str, event: int) -> Split:
    """Return the split of a hard event of a campaign with ``seed``."""
    if splits.divided(process, event + 1) <= event:
        return "test"
    return splits.at(seeds.uniform(seed, process, event, "split"))


def is_chosen(seed: int, chosen: Chosen, process: str, event: int) -> bool:
    """Return whether a hard event lies in the splits of a variant and in its fraction of them."""
    if split_of(seed, chosen.splits, process, event) not in chosen.only:
        return False
    return seeds.uniform(seed, process, event, "fraction") < chosen.fraction
