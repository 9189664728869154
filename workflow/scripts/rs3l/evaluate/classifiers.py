"""The classifiers of a task, and the means over those that differ in their pre-training or labels alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rs3l.evaluate.bootstrap import Estimate, combine_all
from rs3l.evaluate.spread import Group, Runs
from rs3l.modes import MODES
from rs3l.runs import Run, is_baseline
from rs3l.types import Floats64


@dataclass(frozen=True)
class ClassifierKey:
    """One trained classifier."""

    run: str
    mode: str
    labels: int
    repeat: int

    @property
    def method(self) -> str:
        """Return the pre-training method.

        Without pre-training it is ``none``, or ``none_<method>`` with the networks of that method.
        """
        return Run.parse(self.run).method

    @property
    def seed(self) -> int:
        """Return the number of the pre-training seed (0 without pre-training)."""
        return Run.parse(self.run).seed

    @property
    def group(self) -> Group:
        """Return method, mode and labels; results are averaged over the classifiers that share them."""
        return self.method, self.mode, self.labels


@dataclass(frozen=True)
class Classifiers:
    """The classifiers of a task, each of which is a row of its results."""

    task: str
    classifiers: list[ClassifierKey]

    def groups(self) -> dict[Group, list[int]]:
        """Return the rows of each (method, mode, labels), sorted."""
        result: dict[Group, list[int]] = {}
        for row, classifier in enumerate(self.classifiers):
            result.setdefault(classifier.group, []).append(row)
        return dict(sorted(result.items()))

    def most_labels(self) -> dict[Group, list[int]]:
        """Return the groups with the most labels."""
        most = max(classifier.labels for classifier in self.classifiers)
        return {group: members for group, members in self.groups().items() if group[2] == most}

    def runs(self, rows: list[int]) -> Runs:
        """Return the pre-training seed and repeat of the classifiers in ``rows``, which belong to one group."""
        chosen = [self.classifiers[row] for row in rows]
        return Runs(
            seeds=np.array([c.seed for c in chosen]),
            repeats=np.array([c.repeat for c in chosen]),
            has_seeds=not is_baseline(chosen[0].run),
            has_repeats=MODES[chosen[0].mode].takes_labels,
        )

    def combined(self, values: Mapping[Group, Floats64]) -> dict[Group, Estimate]:
        """Return the mean of each group over its runs, from the values [n, R + 1] of each."""
        groups = self.groups()
        return combine_all({group: (each, self.runs(groups[group])) for group, each in values.items()})
