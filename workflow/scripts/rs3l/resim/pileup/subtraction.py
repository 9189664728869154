"""Subtraction of pile-up from candidates: by the vertex of tracks, and by SoftKiller."""

from __future__ import annotations

import math

import numpy as np

from rs3l.config.pileup import PileupSettings
from rs3l.resim.pileup.overlay import only
from rs3l.resim.shower import Particles
from rs3l.types import Bools, Floats64, Ints

_SMALLEST = 1e-12


def subtract(candidates: Particles, apart: Bools, settings: PileupSettings) -> Particles:
    """Return the candidates that are left; ``apart`` [T] says which come from another vertex, if charged.

    SoftKiller alone looks at all candidates; after the subtraction by vertex it looks at neutral ones alone,
    because the charged ones that are left come from the hard vertex.
    """
    if settings.subtraction in ("chs", "chs_softkiller"):
        candidates = only(candidates, ~apart | (candidates.charge == 0))
    if settings.subtraction in ("softkiller", "chs_softkiller"):
        eligible = np.ones(len(candidates.charge), bool)
        if settings.subtraction == "chs_softkiller":
            eligible = candidates.charge == 0
        pt = np.hypot(candidates.px, candidates.py)
        cut = soft_killer_cuts(candidates, eligible, settings.cell, settings.cell_rapidity_max)
        candidates = only(candidates, ~eligible | (pt > np.repeat(cut, np.diff(candidates.offsets))))
    return candidates


def soft_killer_cuts(candidates: Particles, eligible: Bools, cell: float, rapidity_max: float) -> Floats64:
    """Return the pT cut [GeV] of each event [E], the median of the largest pT in each cell.

    This is SoftKiller (arXiv:1407.0408, section 2).

    The cells are a grid in rapidity and azimuth, with the sides nearest to ``cell`` that fill abs(y) <
    ``rapidity_max`` and the circle. A cell without an ``eligible`` [T] candidate counts as 0. Of an even number of
    cells, the upper of the two in the middle is taken, so that a cut above it leaves at least half of them empty.
    """
    rows, columns = grid(cell, rapidity_max)
    events = len(candidates.position)
    event = np.repeat(np.arange(events), np.diff(candidates.offsets))
    y = rapidity(candidates)
    inside = np.flatnonzero(eligible & (np.abs(y) < rapidity_max))
    row = _bin((y[inside] + rapidity_max) / (2 * rapidity_max), rows)
    column = _bin((np.arctan2(candidates.py[inside], candidates.px[inside]) + np.pi) / (2 * np.pi), columns)
    largest = np.zeros(events * rows * columns)
    pt = np.hypot(candidates.px[inside], candidates.py[inside])
    np.maximum.at(largest, (event[inside] * rows + row) * columns + column, pt)
    middle = rows * columns // 2
    cuts: Floats64 = np.partition(largest.reshape(events, rows * columns), middle, axis=1)[:, middle]
    return cuts


def grid(cell: float, rapidity_max: float) -> tuple[int, int]:
    """Return the numbers of cells in rapidity and in azimuth whose sides are nearest to ``cell``."""
    return max(1, round(2 * rapidity_max / cell)), max(1, round(2 * math.pi / cell))


def rapidity(candidates: Particles) -> Floats64:
    """Return the rapidity [T]."""
    p2 = candidates.px**2 + candidates.py**2
    m2 = np.maximum(candidates.energy**2 - p2 - candidates.pz**2, 0.0)
    return np.arcsinh(candidates.pz / np.maximum(np.sqrt(m2 + p2), _SMALLEST))


def _bin(fraction: Floats64, number: int) -> Ints:
    return np.minimum((fraction * number).astype(np.int64), number - 1)
