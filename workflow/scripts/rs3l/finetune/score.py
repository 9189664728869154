"""Scores the test jets with all classifiers of a task on a run, a row group at a time.

Each jet is read once, its features are computed once, and an encoder that several classifiers share embeds it
once. Batches are cut inside row groups, so that the scores are the same however the parts are shared among jobs.

Shapes: B jets of a batch, n jets of a row group, M classifiers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from rs3l.config.tasks import Task
from rs3l.dataset.checksum import COLLAPSED, SealedWriter
from rs3l.dataset.features import features
from rs3l.dataset.parquet import scores_options
from rs3l.dataset.parts import Jets, Reader
from rs3l.dataset.store import JetStore, name_column
from rs3l.errors import ConfigError, DataError, TrainingError
from rs3l.files import atomic, sha256
from rs3l.finetune.classifier import Classifier
from rs3l.finetune.classifiers import Classifiers, LinearHead, OnFrozen, load
from rs3l.finetune.embedded import SPACES
from rs3l.finetune.high_level import N2, OBSERVABLES, Cut
from rs3l.finetune.trees import BoostedTrees
from rs3l.networks.base import JetEncoder, chunk_size, chunks
from rs3l.networks.model_file import embed, load_encoder
from rs3l.training.device import Placement
from rs3l.types import Array, Floats32, Floats64

ALONE = Placement()

JET_COLUMNS = {
    "event_id": pa.int64(),
    "process": pa.string(),
    "variant": pa.string(),
    "is_signal": pa.bool_(),
    "weight": pa.float64(),
    "task": pa.string(),
    "run": pa.string(),
}
"""The first columns of the predictions; those of the classifiers, of float, follow."""


def predictions_schema(names: Sequence[str]) -> pa.Schema:
    """Return the schema of the predictions of the classifiers ``names``, with one row per test jet."""
    kinds = {**JET_COLUMNS, **dict.fromkeys(names, pa.float32())}
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in kinds.items()])


def score(
    classifiers: str | Path,
    model: str | Path | None,
    manifest: str | Path,
    process: str | None,
    parts: range | None,
    path: str | Path,
    place: Placement = ALONE,
) -> None:
    """Write the scores of the test jets of some ``parts`` of a process by all classifiers of a file.

    None stands for both processes of the task, and for all parts. Scores are logits, so that higher is more like
    the signal. ``model`` is the run's encoder, which the run ``none`` does not have.

    Raises :class:`ConfigError` if the process is not of the task, :class:`DataError` if a file is damaged or the
    model is another than the classifiers were trained on, and :class:`TrainingError` if a score is not finite.
    """
    found = load(classifiers)
    scorer = Scorer(found, _encoder(classifiers, found, model), place)
    schema = predictions_schema([trained.name for trained in found.trained])
    if found.collapsed:
        schema = schema.with_metadata({COLLAPSED: "; ".join(found.collapsed)})
    with atomic(path) as temporary, SealedWriter(temporary, schema, **scores_options(schema)) as writer:
        for one in _processes(classifiers, found.task, process):
            for jets in _reader(manifest, found.task, one, parts, scorer):
                writer.write_table(_table(found, one, jets, scorer.scores(jets), schema))


def _encoder(path: str | Path, classifiers: Classifiers, model: str | Path | None) -> JetEncoder | None:
    """Return the run's encoder; raises :class:`DataError` if the classifiers were trained on another one."""
    if (sha256(model) if model else "") != classifiers.encoder:
        raise DataError(
            f"{path}: the classifiers of the run {classifiers.run!r} were trained on another model than "
            f"{model or 'none'}; give theirs (--model), or fine-tune again (finetune.py)"
        )
    return load_encoder(model) if model else None


def _processes(path: str | Path, task: Task, process: str | None) -> list[str]:
    known = list(dict.fromkeys((task.signal, task.background)))
    if process is None:
        return known
    if process not in known:
        raise ConfigError(f"{path}: its task has no process {process!r}, but {' and '.join(known)} (--process)")
    return [process]


def _reader(manifest: str | Path, task: Task, process: str, parts: range | None, scorer: Scorer) -> Reader:
    """Return the reader of the jets that belong to the task."""
    columns = ("jet_type", *scorer.columns)
    return Reader(
        manifest, process, parts, constituents=scorer.constituents, columns=columns,
        chosen=lambda table: table.filter(pa.array(np.any(_sides(task, process, table), axis=0))),
    )  # fmt: skip


class Sides(NamedTuple):
    """Whether each jet [n] is of the signal and of the background."""

    signal: NDArray[np.bool_]
    background: NDArray[np.bool_]


def _sides(task: Task, process: str, table: pa.Table) -> Sides:
    """Return the classes of the jets of a process; those of a jet type that the task does not name have none."""
    kinds = table["jet_type"].to_numpy().astype(str)

    def of(name: str, types: Sequence[str] | None) -> NDArray[np.bool_]:
        chosen = np.full(len(kinds), name == process)
        return chosen if types is None else chosen & np.isin(kinds, types)

    return Sides(of(task.signal, task.signal_types), of(task.background, task.background_types))


def _table(classifiers: Classifiers, process: str, jets: Jets, scores: Floats32, schema: pa.Schema) -> pa.Table:
    """Return the rows of one row group with the ``scores`` [M, n] of its jets."""
    same = np.zeros(len(jets.store), dtype=np.int64)
    columns: list[Array | pa.Array] = [
        jets.store.event_id,
        name_column(same, [process]),
        name_column(jets.store.variant, jets.store.variant_names),
        _sides(classifiers.task, process, jets.table).signal,
        jets.store.weight,
        name_column(same, [classifiers.name]),
        name_column(same, [classifiers.run]),
        *scores,
    ]
    return pa.table([pa.array(column) for column in columns], schema=schema)


class _Head(NamedTuple):
    """A head with the place of its classifier and the space that it sees."""

    place: int
    space: str
    module: nn.Module


class Scorer:
    """All classifiers of a file on one device, those on one encoder together."""

    def __init__(
        self, classifiers: Classifiers, encoder: JetEncoder | None = None, place: Placement = ALONE
    ) -> None:
        """Take the classifiers, and the ``encoder`` of their run if it has one; ``place`` is where to compute."""
        self.place = place
        self._n = len(classifiers.trained)
        self._names = [trained.name for trained in classifiers.trained]
        self._frozen: dict[JetEncoder, list[_Head]] = {}
        self._boosted: dict[JetEncoder, list[tuple[int, str, BoostedTrees]]] = {}
        self._networks: dict[int, Classifier] = {}
        self._tabular: dict[int, BoostedTrees | Cut] = {}
        for index, model in enumerate(trained.model for trained in classifiers.trained):
            self._add(index, model, encoder)

    def _add(self, index: int, model: object, encoder: JetEncoder | None) -> None:
        if isinstance(model, OnFrozen):
            own = model.encoder or encoder
            assert own is not None, "a classifier on a frozen encoder belongs to a run that has one"
            own = own.to(self.place.device)
            if isinstance(model.head, BoostedTrees):
                self._boosted.setdefault(own, []).append((index, model.space, model.head))
                return
            head = _Head(index, model.space, _module(model.head).to(self.place.device))
            self._frozen.setdefault(own, []).append(head)
        elif isinstance(model, Classifier):
            self._networks[index] = model.to(self.place.device)
        else:
            assert isinstance(model, BoostedTrees | Cut)
            self._tabular[index] = model

    @property
    def constituents(self) -> int:
        """Number of candidates that the networks see of a jet, which is the same for all networks of a run."""
        return max((encoder.constituents for encoder in self._encoders()), default=1)

    def _encoders(self) -> list[JetEncoder]:
        networks = (network.encoder for network in self._networks.values())
        return list(dict.fromkeys([*self._frozen, *self._boosted, *networks]))

    @property
    def columns(self) -> tuple[str, ...]:
        """The further columns of the data set that the classifiers see."""
        return OBSERVABLES if self._tabular or self._boosted else ()

    def scores(self, jets: Jets) -> Floats32:
        """Return the logits [M, n] of the jets of a row group.

        Raises :class:`TrainingError` if one is not finite.
        """
        result = np.empty((self._n, len(jets.store)), dtype=np.float32)
        if self._frozen or self._networks:
            places, logits = self.by_networks(jets.store)
            result[places] = self.place.host(logits)
            for encoder in self._encoders():
                encoder.norm.check()
        if self.columns:
            x = np.column_stack([jets.table[name].to_numpy().astype(np.float64) for name in OBSERVABLES])
            for index, model in self._tabular.items():
                result[index] = _by_observables(model, x)
            for index, own in self._by_boosted(jets.store, x):
                result[index] = own
        for name, scores in zip(self._names, result, strict=True):
            if not np.isfinite(scores).all():
                raise TrainingError(f"a score of {name} is not finite: the classifier diverged; fine-tune again")
        return result

    def _by_boosted(self, store: JetStore, x: Floats64) -> Iterator[tuple[int, Floats32]]:
        """Yield the place and the logits [n] of boosted trees on embedded jets with observables ``x`` [n, 4]."""
        for encoder, heads in self._boosted.items():
            spaces = dict(zip(SPACES, embed(encoder, store, store.rows(), self.place.put), strict=True))
            for index, space, trees in heads:
                yield index, trees.logits(np.column_stack([spaces[space], x]))

    @torch.inference_mode()
    def by_networks(self, store: JetStore) -> tuple[list[int], Tensor]:
        """Return the places of the classifiers with a network, and their logits [m, n] of the jets of a store.

        The logits are on the device, which nothing has waited for.
        """
        device = self.place.device
        places = [head.place for heads in self._frozen.values() for head in heads] + [*self._networks]
        result = torch.empty(len(places), len(store), device=device)
        for positions, batch in chunks(store, store.rows(), chunk_size(device)):
            where, jets = self.place.put((torch.from_numpy(positions), batch))
            for row, logits in enumerate(self._logits(features(jets), jets.mask)):
                result[row].index_copy_(0, where, logits)
        return places, result

    def _logits(self, x: Tensor, mask: Tensor) -> Iterator[Tensor]:
        """Yield the logits [B] of each classifier with a network."""
        for encoder, heads in self._frozen.items():
            h = encoder(x, mask)
            z = normalize(encoder.project(h), dim=1) if any(head.space == "z" for head in heads) else h
            for head in heads:
                yield head.module(z if head.space == "z" else h).squeeze(1)
        for network in self._networks.values():
            yield network(x, mask)


def _module(head: nn.Module | LinearHead) -> nn.Module:
    """Return a head as a module."""
    if not isinstance(head, LinearHead):
        return head.eval()
    layer = nn.Linear(len(head.weight), 1)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(head.weight))
        layer.bias.fill_(head.bias)
    return layer


def _by_observables(model: BoostedTrees | Cut, x: Floats64) -> Floats32:
    return model.logits(x) if isinstance(model, BoostedTrees) else model.logits(x[:, N2])
