"""Matching of jets to the anchors of their hard events."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rs3l.angles import wrapped
from rs3l.types import Floats64


def nearest(
    jet_eta: Floats64,
    jet_phi: Floats64,
    jet_event: npt.NDArray[np.int64],
    eta: Floats64,
    phi: Floats64,
    radius: float,
) -> npt.NDArray[np.int64]:
    """Return for each event [E] the position of the jet nearest to its anchor, or -1 if none is within ``radius``.

    The jets [J] are flat with ascending ``jet_event`` [J], and the anchors have ``eta`` and ``phi`` [E]. Of jets
    at equal distances, the first is taken. An anchor with an infinite ``eta`` has no jet within the radius.
    """
    result = np.full(len(eta), -1, np.int64)
    distance = np.hypot(jet_eta - eta[jet_event], wrapped(jet_phi - phi[jet_event]))
    order = np.lexsort((np.arange(len(distance)), distance, jet_event))
    first = order[np.unique(jet_event[order], return_index=True)[1]]
    inside = first[distance[first] < radius]
    result[jet_event[inside]] = inside
    return result
