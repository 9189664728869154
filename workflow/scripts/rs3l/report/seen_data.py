"""Say what is seen in the figures of the data set, of distributions under the variants, and of the jobs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rs3l.evaluate.names import method_label
from rs3l.figures.plot_data import FEWEST_JETS
from rs3l.report.figure_data import FigureData
from rs3l.report.words import BEYOND, NO_DIFFERENCE, by_chance, counted, listed, measured

_SHAPE = ["variant", "low", "high", "fraction", "error", "ratio", "ratio_error", "jets"]
_MATCHING = ["process", "what", "efficiency", "error"]
_SURVIVAL = ["process", "low", "high", "nominal_jet", "fraction", "error"]
_LARGEST_ERROR = 0.2
"""A bin is compared if the relative error of its content is at most this.

With a few large weights, errors are not Gaussian.
"""

_INDEPENDENT = (
    "χ² of the logarithm of the ratio to the nominal, bins with errors up to 20 % taken as independent; for n "
    "bins without a difference it is n ± √(2n)."
)


@dataclass(frozen=True)
class Distance:
    """The χ² of the logarithm of a variant's ratio to the nominal, over the bins with enough jets."""

    variant: str
    chi2: float
    bins: int

    @property
    def excess(self) -> float:
        """Return by how many standard deviations it exceeds the expectation without a difference."""
        return (self.chi2 - self.bins) / math.sqrt(2.0 * self.bins)

    def __str__(self) -> str:
        return f"χ²/bins = {self.chi2:.1f}/{self.bins}"


def distances(points: pd.DataFrame) -> list[Distance]:
    """Return how far each variant is from the nominal, with the farthest first."""
    points = points.assign(relative=points["error"] / points["fraction"])
    nominal = points[points["variant"] == "nominal"].set_index("low")
    known = points[(points["variant"] != "nominal") & (points["ratio_error"] > 0.0) & (points["ratio"] > 0.0)]
    jets = np.minimum(known["jets"], known["low"].map(nominal["jets"]))
    relative = np.maximum(known["relative"], known["low"].map(nominal["relative"]))
    enough = (jets >= FEWEST_JETS) & (relative <= _LARGEST_ERROR)
    found = []
    for variant, bins in known[enough].groupby("variant", sort=False):
        pull = np.log(bins["ratio"]) * bins["ratio"] / bins["ratio_error"]
        found.append(Distance(str(variant), float((pull**2).sum()), len(bins)))
    return sorted(found, key=lambda distance: -distance.excess)


def mean(points: pd.DataFrame, variant: str) -> tuple[float, float]:
    """Return the mean of a histogram within its axis, from the centres of its bins, and its statistical error."""
    bins = points[(points["variant"] == variant) & (points["fraction"] > 0.0)]
    x = 0.5 * (bins["low"] + bins["high"])
    share = bins["fraction"] / bins["fraction"].sum()
    value = float((share * x).sum())
    # The variance of a fraction p of n jets is p (1 - p) / n, and that of the mean is sum p (x - mean)^2 / n.
    part = bins["error"] ** 2 / (1.0 - bins["fraction"]).clip(lower=1e-9) * (x - value) ** 2
    return value, math.sqrt(float(part.sum())) / float(bins["fraction"].sum())


def differing(points: pd.DataFrame, unit: str = "", means: bool = True) -> str:
    """Return which variant differs most from the nominal, with both means, and which do not differ."""
    found = distances(points)
    if not found:
        return ""
    beyond = [each.variant for each in found if each.excess > BEYOND]
    if not beyond:
        return f"{NO_DIFFERENCE} for any variant ({len(found)}), most for {found[0].variant}, {found[0]}"
    text = f"most different from the nominal {found[0].variant}, {found[0]}"
    if means:
        values = [measured(*mean(points, variant)) for variant in (found[0].variant, "nominal")]
        text += f", mean {values[0]} against {values[1]} {unit}".rstrip()
    within = [each.variant for each in found if each.excess <= BEYOND]
    text += f"; beyond two standard deviations: {listed(beyond)}"
    return f"{text}; within: {listed(within)}" if within else text


def shapes(data: FigureData, figure: str, unit: str = "") -> str:
    """Say which variants differ from the nominal, for each process."""
    points = data.points(figure, "process", *_SHAPE)
    groups = dict(iter(points.groupby("process", sort=False)))
    parts = [(process, differing(bins, unit)) for process, bins in groups.items()]
    texts = [f"{data.process(str(process))}: {text}." for process, text in parts if text]
    number = sum(len(distances(bins)) for bins in groups.values())
    return f"{' '.join(texts)} {_INDEPENDENT}{by_chance(number)}" if texts else ""


def jet_mass(data: FigureData) -> str:
    """Say under which variants the mass differs from the nominal's."""
    return shapes(data, "jet_mass", "GeV")


def multiplicity(data: FigureData) -> str:
    """Say under which variants the number of candidates differs from the nominal's."""
    return shapes(data, "multiplicity")


def latent_feature(data: FigureData) -> str:
    """Say under which variants the feature of z differs from the nominal's."""
    return shapes(data, "latent_feature")


def jet_variations(data: FigureData) -> str:
    """Say how many nominal jets there are, their mean pT, and which quantity a variant changes most."""
    points = data.points(f"jet_variations_{data.item}", "quantity", *_SHAPE)
    by_quantity = {str(quantity): bins for quantity, bins in points.groupby("quantity", sort=False)}
    found = {quantity: each for quantity, bins in by_quantity.items() if (each := distances(bins))}
    if not found:
        return ""
    quantity = max(found, key=lambda key: found[key][0].excess)
    text = f"Of the quantities, the one that changes most is {quantity}: {differing(by_quantity[quantity])}. "
    if "jet_pt" in found:
        text += f"{_momentum(by_quantity['jet_pt'], found['jet_pt'][0].variant)} "
    return text + _INDEPENDENT + by_chance(sum(map(len, found.values())))


def _momentum(points: pd.DataFrame, variant: str) -> str:
    nominal, other = (measured(*mean(points, each)) for each in ("nominal", variant))
    jets = counted(points.loc[points["variant"] == "nominal", "jets"].sum(), "nominal jets")
    return (
        f"{jets} within the axis of the pT, mean {nominal} GeV; under {variant}, the farthest in pT, {other} GeV."
    )


def jet_types(data: FigureData) -> str:
    """Give the numbers of jets of each type per process, and the mean soft-drop mass of the most frequent type."""
    points = data.points("jet_types", "process", "jet_type", "quantity", *_SHAPE)
    parts = [_types(data, str(process), jets) for process, jets in points.groupby("process", sort=False)]
    known = [part for part in parts if part]
    return f"Nominal jets within the axis of the pT, by type. {' '.join(known)}" if known else ""


def _types(data: FigureData, process: str, jets: pd.DataFrame) -> str:
    momenta = jets[jets["quantity"] == "jet_pt"]
    counts = momenta.groupby("jet_type", sort=False)["jets"].sum().sort_values(ascending=False)
    shown = [f"{counted(number)} {kind}" for kind, number in counts.items() if number >= FEWEST_JETS]
    if not shown:
        return ""
    first = counts.index[0]
    masses = jets[(jets["jet_type"] == first) & (jets["quantity"] == "jet_msd") & (jets["jets"] > 0)]
    text = f"{data.process(process)}: {listed(shown)}"
    if masses.empty:
        return f"{text}."
    return f"{text}; mean soft-drop mass of {first} jets {measured(*mean(masses, 'nominal'))} GeV."


def tagger_output(data: FigureData) -> str:
    """Say under which variants the background's scores differ, for the first method and for scratch."""
    points = data.points(f"tagger_output_{data.item}", "method", "mode", "class", *_SHAPE)
    parts = []
    for method in (data.subject, data.scratch(points)):
        chosen = (points["method"] == method[0]) & (points["mode"] == method[1])
        text = differing(points[chosen & (points["class"] == "background")], means=False)
        parts += [f"{method_label(method)}: {text}."] if text else []
    return f"Scores of {data.label('background')}. {' '.join(parts)} {_INDEPENDENT}" if parts else ""


def event_views(data: FigureData) -> str:
    """Say how many candidates each event has in its views, and the sum of their pT."""
    points = data.points("event_views", "process", "variant", "pt")
    parts = []
    for process, event in points.groupby("process", sort=False):
        views = event.groupby("variant", sort=False)["pt"].agg(["size", "sum"]).sort_values("size", kind="stable")
        few, many = (f"{n} ({variant})" for variant, n in views["size"].iloc[[0, -1]].items())
        momenta = f"{views['sum'].min():.0f} to {views['sum'].max():.0f} GeV"
        parts.append(f"{data.process(str(process))}: {few} to {many} candidates, sum of their pT {momenta}.")
    return f"One event of each, no average. {' '.join(parts)}" if parts else ""


def matching(data: FigureData) -> str:
    """Give the lowest and the highest efficiency of the variants, and that of all together, for each process."""
    points = data.points("matching", *_MATCHING)
    parts = []
    for process, rows in points.groupby("process", sort=False):
        lines = {str(row["what"]): row for row in rows.to_dict("records")}
        together = [f"{what} {_fraction(lines.pop(what))}" for what in ("any two", "all") if what in lines]
        order = sorted(lines, key=lambda what: float(lines[what]["efficiency"]))
        extremes = [f"lowest {_fraction(lines[order[0]])} ({order[0]})"] if order else []
        extremes += [f"highest {_fraction(lines[order[-1]])} ({order[-1]})"] if len(order) > 1 else []
        parts.append(f"{data.process(str(process))}: {', '.join([*extremes, *together])}.")
    return " ".join(parts)


def _fraction(row: Mapping[Any, Any]) -> str:
    return measured(float(row["efficiency"]), float(row["error"]))


def survival(data: FigureData) -> str:
    """Say which fraction remains in the lowest and the highest bin with enough jets, for each process."""
    points = data.points("survival", *_SURVIVAL)
    parts = []
    for process, bins in points[points["nominal_jet"] >= FEWEST_JETS].groupby("process", sort=False):
        shown = [
            f"{measured(row['fraction'], row['error'])} at {row['low']:.0f} to {row['high']:.0f} GeV"
            for row in (bins.iloc[0], bins.iloc[-1])
        ]
        parts.append(f"{data.process(str(process))}: {', '.join(dict.fromkeys(shown))}.")
    return f"Fraction that remains. {' '.join(parts)}" if parts else ""


def resources(data: FigureData) -> str:
    """Say which rule took the most core time and its share, and which one needs the most memory."""
    points = data.points("resources", "rule", "jobs", "core_hours", "max_memory_mb")
    total = float(points["core_hours"].sum())
    if not total > 0.0:
        return ""
    most, largest = (
        points.sort_values(column, ascending=False).to_dict("records")[0]
        for column in ("core_hours", "max_memory_mb")
    )
    return (
        f"{most['rule']} took {most['core_hours'] / total:.0%} of {total:.3g} core hours, in "
        f"{counted(most['jobs'])} jobs; most memory: {largest['rule']}, {counted(largest['max_memory_mb'])} MB."
    )
