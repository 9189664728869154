"""The energy correlator N2 of many jets (arXiv:1609.07483), in compiled loops.

FastJet's contrib sorts the three distances of each triple of particles, which takes more than ten times as long.
"""

from __future__ import annotations

import numpy as np

from rs3l.resim.compiled import compiled, without_extensions
from rs3l.types import Floats64, Ints


def n2(offsets: Ints, px: Floats64, py: Floats64, pz: Floats64, energy: Floats64) -> Floats64:
    """Return N2 [M] with beta = 1 of jets whose particles are flat with offsets [M + 1]; NaN for 0 / 0.

    N2 = 2e3 / (1e2)^2 with z = pT / sum of pT. Here 1e2 sums z_i z_j R_ij over pairs, and 2e3 sums z_i z_j z_k
    times the product of the two smallest distances over triples.
    """
    pt, rapidity, phi = places(px, py, pz, energy)
    sums = np.zeros((len(offsets) - 1, 3))
    with without_extensions():
        _add_up(offsets, pt, rapidity, phi, sums)
    total, pairs, triples = sums.T
    result: Floats64 = np.divide(triples * total, pairs**2, out=np.full(len(sums), np.nan), where=pairs > 0)
    return result


def places(px: Floats64, py: Floats64, pz: Floats64, energy: Floats64) -> tuple[Floats64, Floats64, Floats64]:
    """Return pT, rapidity and azimuth as FastJet defines them, where no squared mass is below 0."""
    pt2 = px**2 + py**2
    mass2 = np.maximum((energy + pz) * (energy - pz) - pt2, 0.0)
    rapidity = 0.5 * np.log((pt2 + mass2) / (energy + np.abs(pz)) ** 2)
    return np.sqrt(pt2), np.where(pz > 0, -rapidity, rapidity), np.arctan2(py, px)


@compiled
def _add_up(offsets: Ints, pt: Floats64, rapidity: Floats64, phi: Floats64, sums: Floats64) -> None:
    """Write the sums of pT, over pairs and over triples of each jet [M, 3]."""
    for jet in range(len(sums)):
        start, stop = offsets[jet], offsets[jet + 1]
        z = pt[start:stop]
        distance = _distances(rapidity[start:stop], phi[start:stop])
        sums[jet, 0], sums[jet, 1], sums[jet, 2] = z.sum(), _pairs(z, distance), _triples(z, distance)


@compiled
def _distances(rapidity: Floats64, phi: Floats64) -> Floats64:
    """Return the distances [N, N] in rapidity and azimuth."""
    n = len(phi)
    result = np.zeros((n, n))
    for i in range(n):
        for j in range(i):
            apart = abs(phi[i] - phi[j])
            apart = min(apart, 2 * np.pi - apart)
            result[i, j] = result[j, i] = np.sqrt((rapidity[i] - rapidity[j]) ** 2 + apart**2)
    return result


@compiled
def _pairs(z: Floats64, distance: Floats64) -> float:
    total = 0.0
    for i in range(len(z)):
        for j in range(i):
            total += z[i] * z[j] * distance[i, j]
    return total


@compiled
def _triples(z: Floats64, distance: Floats64) -> float:
    total = 0.0
    for i in range(len(z)):
        for j in range(i):
            a, inner = distance[i, j], 0.0
            for k in range(j):
                b, c = distance[i, k], distance[j, k]
                inner += z[k] * min(a * b, a * c, b * c)
            total += z[i] * z[j] * inner
    return total
