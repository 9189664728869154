"""Overlay and SoftKiller of one event in plain loops: what ``overlay.py`` and ``subtraction.py`` must give."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rs3l.resim.pileup.overlay import Drawn
from rs3l.resim.pileup.pool import Pool

Row = tuple[int, float, float, float, float, float, float, float, float, bool]
"""pdg_id, charge, px, py, pz, energy [GeV], vx, vy, vz [mm], and whether its vertex is told from the hard one."""


def overlay_one(hard: Sequence[Row], drawn: Drawn, pool: Pool) -> list[Row]:
    """Return the particles of one event with its pile-up, interaction by interaction."""
    result = list(hard)
    for i, index in enumerate(drawn.event.tolist()):
        _, found = pool.take(np.array([index], np.int64))
        c, s = float(np.cos(drawn.phi[i])), float(np.sin(drawn.phi[i]))
        side, z, apart = float(drawn.side[i]), float(drawn.z[i]), bool(drawn.found[i])
        for k in range(len(found["px"])):
            px, py, pz, mass, vx, vy, vz = (
                float(found[name][k]) for name in ("px", "py", "pz", "mass", "vx", "vy", "vz")
            )
            energy = math.sqrt(px * px + py * py + pz * pz + mass * mass)
            momentum = (c * px - s * py, s * px + c * py, side * pz, energy)
            vertex = (c * vx - s * vy, s * vx + c * vy, side * vz + z)
            result.append((int(found["pdg_id"][k]), float(found["charge"][k]), *momentum, *vertex, apart))
    return result


def soft_killer_cut(
    momenta: Sequence[tuple[float, float, float, float]], cell: float, rapidity_max: float
) -> float:
    """Return the pT cut [GeV] of one event from (px, py, pz, E) of its candidates (arXiv:1407.0408, section 2)."""
    rows = max(1, round(2 * rapidity_max / cell))
    columns = max(1, round(2 * math.pi / cell))
    largest = {(i, j): 0.0 for i in range(rows) for j in range(columns)}
    for px, py, pz, energy in momenta:
        y = 0.5 * math.log((energy + pz) / (energy - pz))
        if abs(y) < rapidity_max:
            row = min(int((y + rapidity_max) / (2 * rapidity_max) * rows), rows - 1)
            column = min(int((math.atan2(py, px) + math.pi) / (2 * math.pi) * columns), columns - 1)
            largest[row, column] = max(largest[row, column], math.hypot(px, py))
    return sorted(largest.values())[rows * columns // 2]
