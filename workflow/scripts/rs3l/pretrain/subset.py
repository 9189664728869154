"""Selects some of the training events, for the ablation of their number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rs3l.errors import ConfigError
from rs3l.seeds import uniform
from rs3l.types import Ints


def subset(event_id: Ints, chosen: int | float, seed: int) -> NDArray[np.bool_]:
    """Return which events [E] are among the ``chosen``, a number of them or, as a float, a fraction.

    The order in which they are chosen belongs to (seed, event), so that a smaller subset is part of a larger one.
    """
    number = round(chosen * len(event_id)) if isinstance(chosen, float) else chosen
    if number > len(event_id):
        raise ConfigError(
            f"pretrain.events: {number} of {len(event_id)} training events with two views; lower it, or raise "
            "processes.<name>.events"
        )
    order = np.argsort([uniform(seed, "pretrain events", int(key)) for key in event_id], kind="stable")
    result = np.zeros(len(event_id), dtype=np.bool_)
    result[order[:number]] = True
    return result
