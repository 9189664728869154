"""Draw how a claim grows with the number of unlabelled events."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rs3l.evaluate import student
from rs3l.evaluate.growth import Series, fits_of
from rs3l.evaluate.power_law import Fit
from rs3l.figures import style
from rs3l.figures.style import Drawing, Header
from rs3l.types import Floats64

_COLOURS = {"power": style.BLUE, "saturating": style.VERMILION}
_CURVE = 60


def draw_growth(found: Sequence[Series], header: Header, target: float) -> Drawing:
    """Draw each series with its fits, which are dashed where they are extrapolated, and their bands of 68 %."""
    figure = style.new_figure(4.6 * min(len(found), 2) + 0.6, 3.4 * -(-len(found) // 2) + 0.6, header)
    panels = figure.subplots(-(-len(found) // 2), min(len(found), 2), squeeze=False).flat
    points = [_panel(ax, series, target) for ax, series in zip(panels, found, strict=False)]
    for ax in list(panels):
        ax.set_axis_off()
    return Drawing(figure, pd.concat(points, ignore_index=True))


def _panel(ax: Axes, series: Series, target: float) -> pd.DataFrame:
    points = series.points
    errors = points.spread / np.sqrt(points.counts)
    value = np.exp(points.means)
    bars = None if np.isnan(errors).any() else [value * -np.expm1(-errors), value * np.expm1(errors)]
    ax.errorbar(points.events, value, yerr=bars, fmt="o", color=style.INK, label="pre-trainings")
    shown = [_points(series, points.events, value, errors)]
    for found in fits_of(series):
        shown.append(_curve(ax, series, found, target))
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("pre-training events")
    ax.set_ylabel(style.text(series.quantity))
    style.panel_title(ax, style.text(f"{series.task}, {series.mode}, {series.labels} labels"))
    ax.legend()
    return pd.concat(shown, ignore_index=True)


def _points(series: Series, events: Floats64, value: Floats64, errors: Floats64) -> pd.DataFrame:
    frame = pd.DataFrame({"events": events, "value": value, "low": value * np.exp(-errors)})
    return _named(series, frame.assign(high=value * np.exp(errors), kind="measured", extrapolated=False))


def _curve(ax: Axes, series: Series, found: Fit, target: float) -> pd.DataFrame:
    """Draw a fit with its band, and return its points."""
    events = np.geomspace(series.points.events.min(), max(target, series.points.events.max()), _CURVE)
    value = np.exp([found.log_at(each) for each in events])
    low, high = np.transpose([found.interval_at(each, student.ONE_SIGMA) for each in events])
    beyond = events > series.points.events.max()
    colour, label = _COLOURS[found.form], f"{found.form}: exponent {found.exponent:.3g}"
    ax.plot(events[~beyond], value[~beyond], color=colour, label=label)
    ax.plot(events[beyond], value[beyond], "--", color=colour, label="extrapolated")
    if found.form == "power":
        ax.fill_between(events, low, high, color=colour, alpha=0.18, lw=0)
    frame = pd.DataFrame({"events": events, "value": value, "low": low, "high": high})
    return _named(series, frame.assign(kind=found.form, extrapolated=beyond))


def _named(series: Series, frame: pd.DataFrame) -> pd.DataFrame:
    head = {name: getattr(series, name) for name in ("task", "mode", "labels", "metric")}
    return frame.assign(**head)[[*head, "kind", "events", "value", "low", "high", "extrapolated"]]
