"""How often the intervals of the growth fits hold the truth: power laws of known exponent, with and without floor.

python benchmarks/growth_toys.py --samples 2000
"""

from __future__ import annotations

import argparse

import numpy as np

from rs3l.evaluate import student
from rs3l.evaluate.growth import TARGET
from rs3l.evaluate.power_law import Form, Points, bootstrap, bootstrap_interval, fit

EVENTS = 150_000 / 2.0 ** np.arange(5)[::-1]
"""A sixteenth to all of the training events."""

EXPONENT, SPREAD = 0.3, 0.05


def truth(events: np.ndarray, floor: float) -> np.ndarray:
    """Return the quantity, 0.1 at all events but for its ``floor``."""
    return np.asarray(0.1 * (events / EVENTS[-1]) ** -EXPONENT + floor)


def sample(runs: int, floor: float, rng: np.random.Generator) -> Points:
    """Return toy pre-trainings."""
    logs = np.log(truth(EVENTS, floor))
    return Points(EVENTS, [log + rng.normal(0.0, SPREAD, runs) for log in logs])


def coverage(form: Form, runs: int, floor: float, samples: int, replicas: int) -> dict[str, float]:
    """Return the fractions of samples whose intervals of 68.3 and 95.4 % hold the truth."""
    rng, right = np.random.default_rng(runs), float(truth(np.array([float(TARGET)]), floor)[0])
    hits: dict[str, list[bool]] = {}
    for number in range(samples):
        found = fit(sample(runs, floor, rng), form)
        drawn = bootstrap(found, replicas, number)
        for name, width in (("68", student.ONE_SIGMA), ("95", student.TWO_SIGMA)):
            ends = {
                f"exponent {name}": (*found.exponent_interval(width), EXPONENT),
                f"at 1e7 {name}": (*found.interval_at(TARGET, width), right),
                f"at 1e7, bootstrap {name}": (*bootstrap_interval(found, drawn, TARGET, width), right),
            }
            for key, (low, high, value) in ends.items():
                hits.setdefault(key, []).append(low <= value <= high)
    return {key: float(np.mean(values)) for key, values in hits.items()}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--replicas", type=int, default=200)
    args = parser.parse_args()
    cases: list[tuple[Form, int, float]] = [
        ("power", 1, 0.0), ("power", 2, 0.0), ("power", 3, 0.0), ("power", 3, 0.02),
        ("saturating", 3, 0.02), ("saturating", 3, 0.05),
    ]  # fmt: skip
    for form, runs, floor in cases:
        few = args.samples if form == "power" else max(args.samples // 5, 1)
        found = coverage(form, runs, floor, few, args.replicas)
        print(f"{form:10s} {runs} runs, floor {floor}: {few} samples", flush=True)
        print("   " + "; ".join(f"{key} {100 * value:.1f}" for key, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
