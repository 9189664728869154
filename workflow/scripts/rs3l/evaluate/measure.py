"""Measure all classifiers of one task and run on the test jets, one after the other.

In the shapes, N counts the jets, P the hard events with a jet under two variants, and R the replicas and the
sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from rs3l.config.blocks import MeasureBlock
from rs3l.errors import DataError
from rs3l.evaluate.calibration import calibration
from rs3l.evaluate.histograms import histograms
from rs3l.evaluate.measures import CLASSES, Key, Measured, Sample, count_name, write_measures
from rs3l.evaluate.names import OUTPUT_MODES, SUBJECT_MODES
from rs3l.evaluate.ranking import Ranking, background_efficiency, roc
from rs3l.evaluate.replicas import Weights, replica_weights
from rs3l.evaluate.robustness import Falling, changes, wasserstein
from rs3l.evaluate.scores import Column, TestJets, read_jets
from rs3l.evaluate.stability import rank_shift, spearman
from rs3l.evaluate.sums import Rows
from rs3l.files import atomic
from rs3l.types import Bools, Floats32, Floats64

ROC_EFFICIENCIES = np.round(np.linspace(0.02, 1.0, 50), 2)
"""Signal efficiencies of the points of the ROC curves."""
_SIDES = tuple(CLASSES)


def measure(block: MeasureBlock, predictions: Sequence[str | Path], measures: str | Path) -> None:
    """Write the measures of all classifiers of a task and a run, whose scores are in the files ``predictions``.

    Raises :class:`DataError` if a file is missing or does not fit, or if there is no jet of a class.
    """
    jets = read_jets(predictions, block.name, block.task, block.run, block.variants)
    measurer = Measurer(block, jets)
    found = {column: measurer.of(column) for column in jets.columns}
    with atomic(measures) as temporary:
        write_measures(temporary, found, jets, measurer.sample())


@dataclass(frozen=True)
class Measurer:
    """What all classifiers of a task and run share."""

    block: MeasureBlock
    jets: TestJets

    @cached_property
    def weights(self) -> Weights:
        """The weights of the hard events in the replicas."""
        settings = self.block.evaluate
        return replica_weights(self.jets.event_id, settings.bootstrap, self.block.seed, self.block.name)

    @cached_property
    def chosen(self) -> Rows:
        """The jets of the metrics.

        Raises :class:`DataError` if there is no signal or no background jet.
        """
        jets = self.jets.where(self.block.evaluate.variants)
        signal = int(self.jets.is_signal[jets].sum())
        if min(signal, len(jets) - signal) == 0:
            raise DataError(
                f"task {self.block.name}: {signal} signal and {len(jets) - signal} background jets of "
                f"{', '.join(self.block.evaluate.variants)} in the test split; raise processes.<name>.events"
            )
        return jets

    @cached_property
    def classes(self) -> dict[tuple[str, bool], Rows]:
        """The jets of each variant and class."""
        return {(name, side): self.jets.where([name], side) for name in self.block.variants for side in _SIDES}

    @cached_property
    def pairs(self) -> dict[tuple[str, str, bool], tuple[Rows, Rows]]:
        """The jets [P], [P] of the same events under two variants, of each class."""
        return {
            (first, second, side): self.jets.pairs(first, second, side)
            for first, second in {case[1:]: None for case in self._cases}
            for side in _SIDES
        }

    @property
    def _cases(self) -> list[tuple[str, str, str]]:
        return paired_cases(self.block.variants, self.block.evaluate.pair)

    @cached_property
    def _nominal(self) -> Rows:
        return self.jets.where(["nominal"])

    def sample(self) -> Sample:
        """Return the numbers of jets and events."""
        jets = [self.chosen[self.jets.is_signal[self.chosen] == side] for side in _SIDES]
        events = [len(np.unique(self.jets.row[each])) for each in jets]
        return Sample(
            task=self.block.name,
            run=self.block.run,
            digest=self.jets.digest(),
            chosen=(len(jets[0]), len(jets[1])),
            events=(events[0], events[1]),
            jets={count_name(name, CLASSES[side]): len(each) for (name, side), each in self.classes.items()},
            pairs={count_name(*key[:2], CLASSES[key[2]]): len(each[0]) for key, each in self.pairs.items()},
        )

    def of(self, column: Column) -> Measured:
        """Return the measures of a classifier."""
        score = self.jets.scores(column)
        labels = [each.labels for each in self.jets.columns]
        is_most = column.labels == max(labels)
        found: Measured = dict(self._metrics(score, is_most or column.labels == min(labels)))
        found |= self._calibration(score)
        found |= dict(self._stability(score, is_most))
        if is_most or column.mode in SUBJECT_MODES:
            found |= dict(self._robustness(score, is_most))
        if is_most and column.mode in OUTPUT_MODES:
            found |= histograms(score, self.classes, self.pairs)
        return found

    def _metrics(self, score: Floats32, with_curve: bool) -> Iterator[tuple[Key, Floats64]]:
        """Yield areas and false-positive rates, with the jets' weights too, and the curve if it is wanted."""
        ranking = Ranking.of(score[self.chosen], self.jets.is_signal[self.chosen])
        wanted = {"fpr": np.array(self.block.evaluate.efficiencies)}
        yield from self._rates(ranking, "weighted_", self.jets.weight[self.chosen], wanted)
        if with_curve:
            wanted["roc_fpr"] = ROC_EFFICIENCIES
        yield from self._rates(ranking, "", None, wanted)

    def _rates(
        self, ranking: Ranking, prefix: str, scale: Floats32 | None, wanted: Mapping[str, Floats64]
    ) -> Iterator[tuple[Key, Floats64]]:
        """Yield the area, and the rates of some names at signal efficiencies."""
        curves = roc(ranking, self.weights, self.jets.row[self.chosen], scale)
        usable = np.isfinite(curves.auc)
        yield Key(f"{prefix}auc"), curves.auc[usable]
        for name, efficiencies in wanted.items():
            rates = background_efficiency(ranking, curves, efficiencies)[usable]
            for efficiency, each in zip(efficiencies, rates.T, strict=True):
                yield Key(prefix + name, efficiency=float(efficiency)), each

    def _calibration(self, score: Floats32) -> Measured:
        jets = self._nominal
        found = calibration(score[jets], self.jets.is_signal[jets], self.weights, self.jets.row[jets])
        return {Key(name): values[np.isfinite(values)] for name, values in found.items()}

    def _stability(self, score: Floats32, is_most: bool) -> Iterator[tuple[Key, Floats64]]:
        for quantity, first, second in self._cases:
            if quantity == "rank_shift" or is_most or (first, second) == self.block.evaluate.pair:
                for side, name in CLASSES.items():
                    one, other = self.pairs[first, second, side]
                    if len(one) > 1:
                        function = spearman if quantity == "spearman" else rank_shift
                        rows = self.jets.row[one]
                        values = function(score[one], score[other], self.weights, rows)
                        fewest = 2 if quantity == "spearman" else 1
                        yield Key(quantity, first, second, name), values[self._with_events(rows, fewest)]

    def _with_events(self, rows: Rows, fewest: int) -> Bools:
        """Return the replicas with ``fewest`` of the events of these rows or more, [R]; copies count once."""
        found = np.zeros(self.weights.shape[1], dtype=np.int64)
        for begin in range(0, len(rows), 4096):
            found += (self.weights[rows[begin : begin + 4096]] > 0).sum(axis=0)
            if (found >= fewest).all():
                break
        return np.asarray(found >= fewest)

    def _robustness(self, score: Floats32, is_most: bool) -> Iterator[tuple[Key, Floats64]]:
        """Yield distances between the nominal and the other variants, and what changes at the most labels."""
        nominal = [self._falling(score, "nominal", side) for side in _SIDES]
        for variant in (name for name in self.block.variants if name != "nominal"):
            varied = [self._falling(score, variant, side) for side in _SIDES]
            classes = [*nominal, *varied]
            if min(len(each.score) for each in classes) < 2:
                continue
            usable = np.all([each.sums.total > 0 for each in classes], axis=0)
            for side, one, other in zip(CLASSES.values(), nominal, varied, strict=True):
                yield Key("wasserstein", "nominal", variant, side), wasserstein(one, other)[usable]
            if is_most:
                efficiencies = np.array(self.block.evaluate.change_efficiencies)
                for name, values in changes(classes, efficiencies)._asdict().items():
                    for efficiency, each in zip(efficiencies, values[usable].T, strict=True):
                        yield Key(f"change_{name}", "nominal", variant, efficiency=float(efficiency)), each

    def _falling(self, score: Floats32, variant: str, side: bool) -> Falling:
        jets = self.classes[variant, side]
        return Falling.of(score[jets], self.weights, self.jets.row[jets])


def paired_cases(variants: Sequence[str], pair: tuple[str, str] | None) -> list[tuple[str, str, str]]:
    """Return the quantity and the two variants of each paired measure, the configured pair first."""
    variants = [name for name in variants if name != "nominal"]
    cases = [("spearman", *pair)] if pair else []
    cases += [(quantity, "nominal", name) for quantity in ("spearman", "rank_shift") for name in variants]
    return list(dict.fromkeys(cases))
