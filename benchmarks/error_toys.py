"""Do the errors of the evaluation cover? Toys of known truth tell, for the errors as they are and as they were.

Means: a quantity spreads over pre-training seeds, over repeats, and over single runs; the test sample is one draw
of its own, known from replicas. The question is how often the truth is within the intervals of one and of two
standard deviations for few runs, with and without other methods to borrow from.

Rejections: 70 % of the background jets that pass by chance are the same for all runs. The question is the same,
and the bias of the mean is looked at, too. Prints the tables of docs/evaluate.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rs3l.evaluate import student
from rs3l.evaluate.bootstrap import Estimate, combine, combine_all
from rs3l.evaluate.metrics import rejection
from rs3l.evaluate.spread import Group, Runs

Floats = NDArray[np.float64]

REPLICAS = 50
TRUTH = 161.0
"""This is the rejection of the toys."""

SAME = 0.7
"""This part of the passing jets is the same for all runs."""


@dataclass(frozen=True)
class Spread:
    """Standard deviations over pre-trainings, over repeats, over single runs, and of the test sample."""

    seed: float
    repeat: float
    run: float
    sample: float = 0.0


EVEN = Spread(seed=1.0, repeat=1.0, run=0.5, sample=1.0)
SEEDS = Spread(seed=1.0, repeat=0.5, run=0.5, sample=0.25)
"""In this spread, pre-trainings matter most."""

LOGARITHMS = Spread(seed=0.05, repeat=0.10, run=0.05)
"""This is the spread of the logarithm of a rejection."""


def runs(seeds: int, repeats: int) -> Runs:
    """Return the runs of a crossed design."""
    return Runs(np.repeat(np.arange(seeds), repeats), np.tile(np.arange(repeats), seeds))


def means(spread: Spread, seeds: int, repeats: int, rng: np.random.Generator) -> Floats:
    """Return the values [n, R + 1] of a quantity that is 0, for the runs and the replicas of the test sample."""
    seed = rng.normal(0.0, spread.seed, (seeds, 1))
    repeat = rng.normal(0.0, spread.repeat, (1, repeats))
    values = (seed + repeat + rng.normal(0.0, spread.run, (seeds, repeats))).reshape(-1, 1)
    values = values + rng.normal(0.0, spread.sample)
    return np.concatenate([values, values + rng.normal(0.0, spread.sample, (1, REPLICAS))], axis=1)


def passing(jets: int, seeds: int, repeats: int, rng: np.random.Generator, spread: Spread = LOGARITHMS) -> Floats:
    """Return how many background jets pass [n, R + 1] out of ``jets``, for a rejection of :data:`TRUTH`."""
    logarithm = means(spread, seeds, repeats, rng)[:, 0]
    chance = np.exp(-logarithm) / TRUTH
    place = rng.uniform(0.0, chance.max(), rng.poisson(jets * chance.max()))
    shared = (rng.uniform(size=(len(chance), len(place))) < SAME) & (place < chance[:, None])
    own = rng.poisson(jets * (1.0 - SAME) * chance)
    weight = np.concatenate([np.ones((1, len(place))), rng.poisson(1.0, (REPLICAS, len(place)))])
    alone = np.concatenate([own[None], rng.poisson(own, (REPLICAS, len(own)))])
    return np.asarray((weight @ shared.T + alone).T)


def estimates(spread: Spread, seeds: int, repeats: int, lenders: int, toys: int, key: int) -> Iterator[Estimate]:
    """Yield the estimates of ``toys`` samples, where ``lenders`` are other methods with three seeds."""
    rng = np.random.default_rng([key, seeds, repeats, lenders])
    for _ in range(toys):
        methods: dict[Group, tuple[Floats, Runs]] = {
            ("own", "tuned", 100): (means(spread, seeds, repeats, rng), runs(seeds, repeats))
        }
        for i in range(lenders):
            methods[f"other_{i}", "tuned", 100] = means(spread, 3, repeats, rng), runs(3, repeats)
        yield combine_all(methods)["own", "tuned", 100]


def rejections(
    jets: int, seeds: int, repeats: int, toys: int, key: int = 0
) -> Iterator[tuple[Estimate, Estimate]]:
    """Yield the logarithm of the rejection as it is, and the rejection as it was, of ``toys`` samples."""
    rng = np.random.default_rng([key, jets, seeds, repeats])
    design = runs(seeds, repeats)
    for _ in range(toys):
        found = passing(jets, seeds, repeats, rng)
        values = np.stack([rejection(each[:, None] / jets, jets)[0][:, 0] for each in found])
        yield combine(np.log(values), design), combine(jets / np.maximum(found, 1.0), design)


def covered(found: list[Estimate], truth: float) -> tuple[float, float]:
    """Return how often the truth is within the intervals of one and of two standard deviations; NaN if unknown.

    It is within the interval of probability p where the p-value of its distance is more than 1 - p, which is much
    faster to find.
    """
    if not all(each.is_complete for each in found):
        return np.nan, np.nan
    p_values = np.array([student.two_sided((each.value - truth) / each.error, each.dof) for each in found])
    first, second = (float(np.mean(p_values >= 1.0 - p)) for p in (student.ONE_SIGMA, student.TWO_SIGMA))
    return first, second


def covered_once(found: list[Estimate], truth: float) -> tuple[float, float]:
    """Return the same for value ± error and value ± 2 error as it was, whatever the error lacks."""
    first, second = (float(np.mean([abs(each.value - truth) <= n * each.error for each in found])) for n in (1, 2))
    return first, second


def percent(values: tuple[float, float]) -> str:
    """Return two coverages as cells of a table."""
    return " | ".join("unknown" if np.isnan(x) else f"{100 * x:.1f}" for x in values)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toys", type=int, default=4000, help="samples per line")
    toys = parser.parse_args().toys
    print("| seeds × repeats | others with 3 seeds | spread | 1 σ, as it was | 2 σ, as it was | 1 σ | 2 σ |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for seeds, repeats, lenders in ((1, 1, 0), (1, 3, 0), (1, 3, 1), (1, 3, 3), (2, 3, 0), (3, 3, 0)):
        for name, spread in (("even", EVEN), ("of seeds", SEEDS)):
            found = list(estimates(spread, seeds, repeats, lenders, toys, 0))
            alone = list(estimates(spread, seeds, repeats, 0, toys, 0)) if lenders else found
            line = f"| {seeds} × {repeats} | {lenders} | {name} | {percent(covered_once(alone, 0.0))} | "
            print(f"{line}{percent(covered(found, 0.0))} |", flush=True)
    print("\n| background jets | bias, as it was | 1 σ | 2 σ | bias | 1 σ | 2 σ |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for jets in (500, 3_500, 60_000):
        now, before = zip(*rejections(jets, 3, 3, toys), strict=True)
        old, new = (100.0 * (np.mean([x.value for x in each]) / TRUTH - 1.0)
                    for each in (before, [x.exponential() for x in now]))  # fmt: skip
        line = f"| {jets:,} | {old:+.1f} % | {percent(covered_once(list(before), TRUTH))} | {new:+.1f} % | "
        print(f"{line}{percent(covered(list(now), np.log(TRUTH)))} |", flush=True)


if __name__ == "__main__":
    main()
