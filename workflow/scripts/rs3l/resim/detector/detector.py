"""Impact parameters of tracks, which are smeared by a random stream of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rs3l.config.detector import Detector, Resolution
from rs3l.types import Floats64


def impact_parameters(
    vx: Floats64, vy: Floats64, vz: Floats64, px: Floats64, py: Floats64, pz: Floats64
) -> tuple[Floats64, Floats64]:
    """Return d0 and dz [mm] with respect to the origin, for straight tracks.

    d0 = (vx py - vy px) / pT is positive if the origin lies to the left of the track's direction. dz = vz - (vx px
    + vy py) / pT * pz / pT is the z at the point of closest approach in the transverse plane.
    """
    pt = np.hypot(px, py)
    d0 = (vx * py - vy * px) / pt
    dz = vz - (vx * px + vy * py) / pt * (pz / pt)
    return d0, dz


def smear_displacement(
    d0: Floats64,
    dz: Floats64,
    pt: Floats64,
    eta: Floats64,
    charge: Floats64,
    offsets: npt.NDArray[np.int64],
    event_seeds: Sequence[int],
    detector: Detector,
) -> tuple[Floats64, Floats64]:
    """Return smeared d0 and dz [mm] of the charged candidates; neutral ones get 0.

    The candidates [T] are flat. Jet ``i`` owns ``offsets[i]:offsets[i + 1]`` and draws from the stream
    ``event_seeds[i]``, in the order of its candidates.
    """
    noise = _normals(offsets, event_seeds)
    charged = charge != 0
    return (
        np.where(charged, d0 + noise[:, 0] * _width(detector.d0, pt, eta), 0.0),
        np.where(charged, dz + noise[:, 1] * _width(detector.dz, pt, eta), 0.0),
    )


def _width(resolution: Resolution, pt: Floats64, eta: Floats64) -> Floats64:
    scattering = resolution.slope * np.cosh(eta) ** resolution.eta_power / pt**resolution.pt_power
    return np.hypot(resolution.constant, scattering)


def _normals(offsets: npt.NDArray[np.int64], event_seeds: Sequence[int]) -> Floats64:
    """Return standard normal numbers [T, 2], with a generator of its own for each jet."""
    noise: Any = np.empty((int(offsets[-1]), 2))
    for i, event_seed in enumerate(event_seeds):
        generator = np.random.Generator(np.random.Philox(event_seed))
        generator.standard_normal(out=noise[offsets[i] : offsets[i + 1]])
    return noise  # type: ignore[no-any-return]
