"""The file of the trained classifiers of one task on one run: what is needed to score any jet, and nothing else.

It is in the format safetensors, with the tensors of each classifier under its name and a header in JSON. A
classifier on the run's own frozen encoder is stored as its head alone, one whose weights were all trained as the
whole network, boosted trees as arrays, and a cut as its numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors
import safetensors.torch
import torch
from pydantic import TypeAdapter
from torch import Tensor

from rs3l.config.encoders import Encoder
from rs3l.config.tasks import Task
from rs3l.dataset.features import FEATURES
from rs3l.errors import DataError
from rs3l.files import atomic
from rs3l.finetune.classifier import Classifier, DeepHead
from rs3l.finetune.high_level import OBSERVABLES, Cut
from rs3l.finetune.quadratic import QuadraticHead
from rs3l.finetune.trees import BoostedTrees
from rs3l.modes import classifier_name
from rs3l.networks.base import JetEncoder
from rs3l.networks.build import build
from rs3l.networks.model_file import CHECKSUM, tensors_sha256
from rs3l.types import Floats32

FORMAT = 1

State = dict[str, Tensor]


class LinearHead(NamedTuple):
    """A linear layer, whose logit is x . weight + bias."""

    weight: Floats32
    bias: float


@dataclass(frozen=True)
class OnFrozen:
    """A head on the representation h or the latent z of a frozen encoder, by default that of the run.

    Boosted trees see the columns of h or z, and then those of the observables.
    """

    head: LinearHead | QuadraticHead | DeepHead | BoostedTrees
    space: str
    encoder: JetEncoder | None = None


Model = OnFrozen | Classifier | BoostedTrees | Cut


@dataclass(frozen=True)
class Trained:
    """One trained classifier."""

    mode: str
    labels: int
    repeat: int
    model: Model

    @property
    def name(self) -> str:
        """Name of the classifier, which is that of its column of scores."""
        return classifier_name(self.mode, self.labels, self.repeat)


@dataclass(frozen=True)
class Classifiers:
    """The classifiers of the task ``name`` on a run.

    ``encoder`` is the SHA-256 of the file of the run's encoder, or empty if it has none, and ``collapsed`` has the
    signs that its pre-training collapsed.
    """

    name: str
    task: Task
    run: str
    trained: Sequence[Trained]
    encoder: str = ""
    collapsed: Sequence[str] = ()


def save(path: str | Path, classifiers: Classifiers) -> None:
    """Write classifiers with their checksum atomically."""
    writer = _Writer()
    entries = [writer.entry(trained) for trained in classifiers.trained]
    header: dict[str, Any] = {
        "format": FORMAT,
        "name": classifiers.name,
        "task": classifiers.task.model_dump(),
        "run": classifiers.run,
        "encoder": classifiers.encoder,
        "collapsed": list(classifiers.collapsed),
        "features": FEATURES,
        "observables": OBSERVABLES,
        "encoders": writer.encoders,
        "classifiers": entries,
    }
    header[CHECKSUM] = tensors_sha256(header, writer.state)
    with atomic(path) as temporary:  # not by `save_file`, whose errors do not say that the disk is full
        temporary.write_bytes(safetensors.torch.save(writer.state, metadata={"rs3l": json.dumps(header)}))


def load(path: str | Path) -> Classifiers:
    """Return the classifiers in ``path`` after its checksum is found right, their networks ready for use.

    Raises :class:`DataError` if the file is missing, damaged or foreign.
    """
    if not Path(path).is_file():
        raise DataError(f"{path}: no such classifiers; fine-tune first (finetune.py)")
    try:
        with safetensors.safe_open(path, framework="pt") as stream:
            header = json.loads((stream.metadata() or {}).get("rs3l", "{}"))
        state = safetensors.torch.load_file(path)
        _check(header, state)
        encoders = [_encoder(entry, _below(state, f"encoders/{i}")) for i, entry in enumerate(header["encoders"])]
        return Classifiers(
            name=header["name"],
            task=Task.model_validate(header["task"]),
            run=header["run"],
            trained=[_trained(entry, state, encoders) for entry in header["classifiers"]],
            encoder=header["encoder"],
            collapsed=header["collapsed"],
        )
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be used ({error}); delete it and fine-tune again (finetune.py)") from None


def _check(header: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Raise :class:`ValueError` if these are no classifiers, or not those that were written."""
    inputs = tuple(header.get("features", ())), tuple(header.get("observables", ()))
    if header.get("format") != FORMAT or inputs != (FEATURES, OBSERVABLES):
        raise ValueError("these are no classifiers of this format and these inputs")
    if header.get(CHECKSUM) != tensors_sha256(header, state):
        raise ValueError("its SHA-256 is not that in its header: it was damaged after it was written")


@dataclass
class _Writer:
    """Collects the tensors of classifiers, each encoder that several of them share once."""

    state: State = field(default_factory=dict)
    encoders: list[dict[str, Any]] = field(default_factory=list)
    _numbers: dict[int, int] = field(default_factory=dict)

    def entry(self, trained: Trained) -> dict[str, Any]:
        """Return the header's entry of a classifier."""
        name = {"mode": trained.mode, "labels": trained.labels, "repeat": trained.repeat}
        return {**name, **self._model(trained.name, trained.model)}

    def _model(self, name: str, model: Model) -> dict[str, Any]:
        if isinstance(model, OnFrozen):
            encoder = None if model.encoder is None else self._shared(model.encoder)
            return {"kind": "frozen", "space": model.space, "encoder": encoder, **self._head(name, model.head)}
        if isinstance(model, Classifier):
            self._add(name, model.state_dict())
            deep = isinstance(model.head, DeepHead)
            return {"kind": "network", "latent": model.latent, "deep": deep, **_network(model.encoder)}
        if isinstance(model, BoostedTrees):
            return {"kind": "trees", "start": self._trees(name, model)}
        return {"kind": "cut", "low": model.low, "high": model.high, "falling": model.falling}

    def _head(self, name: str, head: LinearHead | QuadraticHead | DeepHead | BoostedTrees) -> dict[str, Any]:
        if isinstance(head, BoostedTrees):
            return {"trees": True, "start": self._trees(name, head)}
        if isinstance(head, DeepHead):
            self._add(name, head.state_dict())
            return {"deep": True}
        if isinstance(head, QuadraticHead):
            self._add(name, head.state_dict())
            return {"deep": False, "quadratic": True}
        self._add(name, {"weight": torch.from_numpy(head.weight)})
        return {"deep": False, "bias": head.bias}

    def _trees(self, name: str, trees: BoostedTrees) -> float:
        """Add the arrays of trees, and return what their sums begin with."""
        arrays = {key: value for key, value in vars(trees).items() if key != "start"}
        self._add(name, {key: torch.from_numpy(value) for key, value in arrays.items()})
        return trees.start

    def _shared(self, encoder: JetEncoder) -> int:
        """Return the number of an encoder in the file."""
        if id(encoder) not in self._numbers:
            self._numbers[id(encoder)] = len(self.encoders)
            self._add(f"encoders/{len(self.encoders)}", encoder.state_dict())
            self.encoders.append(_network(encoder))
        return self._numbers[id(encoder)]

    def _add(self, name: str, state: Mapping[str, Tensor]) -> None:
        self.state |= {f"{name}/{key}": value.detach().cpu().contiguous() for key, value in state.items()}


def _network(encoder: JetEncoder) -> dict[str, Any]:
    return {"network": encoder.config.model_dump(), "constituents": encoder.constituents}


def _below(state: Mapping[str, Tensor], name: str) -> State:
    """Return the tensors under a name."""
    return {key.removeprefix(f"{name}/"): value for key, value in state.items() if key.startswith(f"{name}/")}


def _encoder(entry: Mapping[str, Any], state: State | None = None) -> JetEncoder:
    """Return the encoder that an entry describes, with the weights ``state``."""
    config: Encoder = TypeAdapter(Encoder).validate_python(entry["network"])
    encoder = build(config, entry["constituents"])
    if state is not None:
        encoder.load_state_dict(state)
    return encoder.eval()


def _trained(entry: Mapping[str, Any], state: Mapping[str, Tensor], encoders: Sequence[JetEncoder]) -> Trained:
    name = f"{entry['mode']}/{entry['labels']}/{entry['repeat']}"
    model = _model(entry, _below(state, name), encoders)
    return Trained(entry["mode"], entry["labels"], entry["repeat"], model)


def _model(entry: Mapping[str, Any], state: State, encoders: Sequence[JetEncoder]) -> Model:
    if entry["kind"] == "frozen":
        encoder = None if entry["encoder"] is None else encoders[entry["encoder"]]
        return OnFrozen(_head(entry, state), entry["space"], encoder)
    if entry["kind"] == "network":
        return _classifier(entry, state)
    if entry["kind"] == "trees":
        return _boosted(entry, state)
    return Cut(entry["low"], entry["high"], entry["falling"])


def _boosted(entry: Mapping[str, Any], state: State) -> BoostedTrees:
    return BoostedTrees(entry["start"], **{key: value.numpy() for key, value in state.items()})


def _head(entry: Mapping[str, Any], state: State) -> LinearHead | QuadraticHead | DeepHead | BoostedTrees:
    if entry.get("trees"):
        return _boosted(entry, state)
    if entry.get("quadratic"):
        quadratic = QuadraticHead(*state["basis"].shape)
        quadratic.load_state_dict(state)
        return quadratic.eval()
    if not entry["deep"]:
        return LinearHead(np.asarray(state["weight"].numpy(), dtype=np.float32), entry["bias"])
    head = DeepHead(len(state["mean"]))
    head.load_state_dict(state)
    return head.eval()


def _classifier(entry: Mapping[str, Any], state: State) -> Classifier:
    encoder = _encoder(entry)
    width = encoder.config.latent if entry["latent"] else encoder.config.representation
    classifier = Classifier(encoder, DeepHead(width) if entry["deep"] else None, entry["latent"])
    classifier.load_state_dict(state)
    return classifier.eval()
