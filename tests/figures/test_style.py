"""Names beside lines do not overlap, and looks differ for readers who cannot tell red from green."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from rs3l.figures import style
from rs3l.figures.style import End, Header

DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
"""What remains of linear red, green and blue (Machado, Oliveira and Fernandes 2009, severity 1)."""


def slow_spread(places: list[float], sizes: list[float], steps: int = 20_000) -> np.ndarray:
    """Return the places nearest to ``places`` without overlaps, by projecting onto one bound after the other."""
    order = np.argsort(places, kind="stable")
    gaps = [0.5 * (sizes[a] + sizes[b]) for a, b in pairwise(order)]
    found, corrections = np.array(places, dtype=float)[order], np.zeros((len(gaps), 2))
    for step in range(steps):  # Dykstra's algorithm
        i = step % len(gaps)
        own = found[i : i + 2] + corrections[i]
        lacking = max(0.0, gaps[i] - (own[1] - own[0]))
        found[i : i + 2] = own + np.array([-0.5, 0.5]) * lacking
        corrections[i] = own - found[i : i + 2]
    result = np.empty_like(found)
    result[order] = found
    return result


@pytest.mark.parametrize(
    ("places", "sizes"),
    [
        ([0.5, 0.51, 0.52], [0.1, 0.1, 0.1]),
        ([0.8, 0.3, 0.32, 0.79, 0.5], [0.05, 0.1, 0.05, 0.1, 0.05]),
        ([0.4, 0.4, 0.9], [0.1, 0.2, 0.1]),
        ([0.1, 0.5, 0.9], [0.1, 0.1, 0.1]),
    ],
)
def test_names_are_as_near_to_their_lines_as_can_be(places: list[float], sizes: list[float]) -> None:
    found = style.spread(np.array(places), np.array(sizes))
    np.testing.assert_allclose(found, slow_spread(places, sizes), atol=1e-6)


def test_names_stay_within_their_panel_and_in_order() -> None:
    sizes = np.full(6, 0.1)
    for places in (np.full(6, 1.2), np.full(6, -0.3), np.array([0.97, 0.99, 0.98, 1.0, 0.2, 0.1])):
        found = style.spread(places, sizes)
        assert found.min() >= 0.0 and found.max() <= 1.0 + 1e-12
        assert np.diff(np.sort(found)).min() >= 0.1 - 1e-12
        assert (np.argsort(found, kind="stable") == np.argsort(places, kind="stable")).all()
    assert style.spread(np.zeros(0), np.zeros(0)).size == 0


@pytest.mark.parametrize(
    ("name", "lines"),
    [("RS3L", 1), ("RS3L, frozen, linear on h", 2), ("boosted trees: masses, N2, multiplicity", 2), ("x" * 60, 1)],
)
def test_names_have_lines_of_similar_length(name: str, lines: int) -> None:
    found = style.wrapped_name(name).split("\n")
    assert len(found) == lines and " ".join(found) == name


def test_names_beside_lines_do_not_overlap() -> None:
    with style.styled():
        figure = style.new_figure(5.0, 3.6, Header("toy"))
        ax = figure.subplots()
        ends = [End(1.0, 0.5 + 0.001 * i, f"method {i}, frozen, linear on h", style.BLUE) for i in range(5)]
        for end in ends:
            ax.plot([0.0, 1.0], [0.0, end.y])
        style.end_labels(ax, ends, 2.6)
        figure.draw_without_rendering()
        boxes = sorted(map(Text.get_window_extent, ax.texts), key=lambda box: box.y0)  # without their strokes
    assert [name.get_text().replace("\n", " ") for name in ax.texts] == [end.name for end in ends]
    assert all(low.y1 <= high.y0 for low, high in pairwise(boxes))
    assert all(ax.get_window_extent().x1 < box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


def seen(colour: str) -> np.ndarray:
    """Return lightness and chromaticities (CIE L*a*b*) of a colour as a reader with deuteranopia sees it."""
    parts = np.array(to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    r, g, b = np.clip(DEUTERANOPIA @ linear, 0.0, 1.0)
    xyz = np.array([0.4124 * r + 0.3576 * g + 0.1805 * b, 0.2126 * r + 0.7152 * g + 0.0722 * b, 0.0])
    xyz[2] = 0.0193 * r + 0.1192 * g + 0.9505 * b
    x, y, z = np.cbrt(np.maximum(xyz / (0.9505, 1.0, 1.089), 1e-6))
    return np.array([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)])


def test_three_processes_differ_without_red_and_green() -> None:
    colours = [colour for colour, _ in style.processes("abc").values()]
    distances = [float(np.linalg.norm(seen(a) - seen(b))) for a, b in combinations(colours, 2)]
    assert min(distances) > 40.0


def test_variants_differ_in_their_lines_too() -> None:
    looks = style.variants(f"v{i}" for i in range(32))
    assert len(set(looks.values())) == len(looks)
    lines = [line for name, (_, line) in looks.items() if name != "nominal"]
    assert all(a != b for a, b in pairwise(lines))
