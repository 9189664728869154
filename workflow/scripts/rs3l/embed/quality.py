"""Measures what a frozen encoder knows by retrieval of the same hard event, linear fits and effective rank.

All fits use nominal jets of the validation split, and results are on the test split, for a bounded number of hard
events of each, so that time and memory do not grow with the data set. Every value comes with those
of bootstrap replicas over hard events, so that errors over runs can be combined later.

n is the number of jets, R of replicas (in an axis of R + 1, entry 0 is the sample itself), and D of dimensions of
a space, h or z.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifierCV, RidgeCV

from rs3l.dataset.checksum import write_sealed
from rs3l.dataset.manifest import read_manifest
from rs3l.embed.known_jets import OBSERVABLES, KnownJets, known_jets
from rs3l.files import atomic
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import load_encoder
from rs3l.seeds import keyed_hash
from rs3l.types import Array, Floats64, Ints

CANDIDATES = 2000
"""The same event is looked for among at most this number of events."""

PENALTIES = np.logspace(-3, 4, 15)
"""Leave-one-out on the validation split chooses among these ridge penalties."""

LOWEST_SHARE = 0.005
"""Jet types with a smaller share of the validation jets are left out of the probe."""


@dataclass(frozen=True)
class Line:
    """One quantity of one space.

    ``subject`` is a variant or an observable, and ``n`` is the size of the sample that the quantity is measured
    on.
    """

    space: str
    quantity: str
    subject: str
    n: int
    classes: int
    values: Floats64


def write_quality(
    manifest: str | Path, model: str | Path, path: str | Path, seed: int, replicas: int, events: int
) -> None:
    """Write what an encoder knows to ``path``, one row per :class:`Line`, with the replicas as a list.

    At most ``events`` hard events of the validation split, and as many of the test split, are read.
    """
    lines = list(quality(manifest, load_encoder(model), seed, replicas, events))
    columns = {name: [getattr(line, name) for line in lines] for name in Line.__dataclass_fields__}
    with atomic(path) as temporary:
        write_sealed(temporary, pa.table(columns))


def quality(manifest: str | Path, encoder: JetEncoder, seed: int, replicas: int, events: int) -> Iterator[Line]:
    """Yield the quality of ``encoder`` from at most ``events`` hard events of a split of the data set."""
    variants = list(read_manifest(manifest).variants)
    val = known_jets(manifest, "val", ["nominal"], encoder, events, seed)
    test = known_jets(manifest, "test", variants, encoder, events, seed)
    ids, event = np.unique(test.event_id, return_inverse=True)
    counts = _replicas(len(ids), replicas, seed)
    nominal = test.rows("nominal")
    drawn = counts[:, event[nominal]]
    for space, fitted, tested in (("h", val.h, test.h), ("z", val.z, test.z)):
        x_val, x_test = standardised(fitted, fitted), standardised(tested, fitted)
        yield Line(space, "effective_rank", "", len(nominal), 0, effective_rank(tested[nominal], drawn))
        yield from _linear_fits(space, x_val, val.observables, x_test[nominal], test.observables[nominal], drawn)
        yield from _type_probe(space, x_val, val.jet_type, x_test[nominal], test.jet_type[nominal], drawn)
        yield from _retrieval(space, tested if space == "z" else x_test, test, variants, event, counts, seed)


def _replicas(events: int, number: int, seed: int) -> NDArray[np.int64]:
    """Return how often each hard event is in each replica [R + 1, E], where row 0 is the sample itself."""
    rng = np.random.default_rng(keyed_hash(seed, "bootstrap", "latents"))
    drawn = rng.multinomial(events, np.full(events, 1.0 / events), size=number)
    return np.concatenate([np.ones((1, events), dtype=np.int64), drawn])


def standardised(x: Array, reference: Array) -> Floats64:
    """Return ``x`` [n, D] with mean and width of ``reference``; a constant dimension is only centred."""
    mean, std = (np.asarray(f(reference, axis=0), dtype=np.float64) for f in (np.mean, np.std))
    return np.asarray((x - mean) / np.where(std > 1e-6 * max(float(std.max()), 1e-30), std, 1.0))


def effective_rank(x: Array, counts: Array) -> Floats64:
    """Return RankMe (arXiv:2210.02885) of the rows of ``x`` [n, D], each as often as ``counts`` [R, n] says."""
    x = x.astype(np.float64)
    result = np.empty(len(counts))
    for r, count in enumerate(counts):
        singular = np.sqrt(np.clip(np.linalg.eigvalsh((x * count[:, None]).T @ x), 0.0, None))
        share = singular[singular > 0] / singular.sum()
        result[r] = np.exp(-(share * np.log(share)).sum())
    return result


def r_squared(value: Floats64, fit: Floats64, counts: Array) -> Floats64:
    """Return 1 - (squared residuals / squared deviations from the mean) in each replica [R]."""
    total = counts.sum(axis=1)
    mean = counts @ value / total
    return np.asarray(1.0 - counts @ (value - fit) ** 2 / (counts @ value**2 - total * mean**2))


def _linear_fits(
    space: str, x_val: Floats64, y_val: Floats64, x_test: Floats64, y_test: Floats64, counts: Array
) -> Iterator[Line]:
    for column, name in enumerate(OBSERVABLES):
        val, test = (np.isfinite(y[:, column]) for y in (y_val, y_test))
        if val.sum() < 10 or np.ptp(y_val[val, column]) == 0 or np.ptp(y_test[test, column]) == 0:
            continue
        model = RidgeCV(alphas=PENALTIES).fit(x_val[val], y_val[val, column])
        values = r_squared(y_test[test, column], model.predict(x_test[test]), counts[:, test])
        yield Line(space, "r2", f"log {name}" if column == 0 else name, int(test.sum()), 0, values)


def balanced_accuracy(truth: Array, found: Array, names: Array, counts: Array) -> Floats64:
    """Return the mean over the classes ``names`` of the fraction that is found, in each replica [R]."""
    parts = []
    for name in names:
        chosen = truth == name
        parts.append(counts[:, chosen] @ (found[chosen] == name) / np.maximum(counts[:, chosen].sum(axis=1), 1))
    return np.asarray(np.mean(parts, axis=0))


def _type_probe(
    space: str, x_val: Floats64, t_val: Array, x_test: Floats64, t_test: Array, counts: Array
) -> Iterator[Line]:
    names, sizes = np.unique(t_val, return_counts=True)
    names = names[(sizes >= max(5, LOWEST_SHARE * len(t_val))) & np.isin(names, t_test)]
    if len(names) < 2:
        return
    val, test = np.isin(t_val, names), np.isin(t_test, names)
    model = RidgeClassifierCV(alphas=PENALTIES, class_weight="balanced").fit(x_val[val], t_val[val])
    values = balanced_accuracy(t_test[test], model.predict(x_test[test]), names, counts[:, test])
    yield Line(space, "type_accuracy", ", ".join(names), int(test.sum()), len(names), values)


def nearest(query: Array, gallery: Array) -> NDArray[np.intp]:
    """Return the row of ``gallery`` [m, D] that is nearest to each row of ``query`` [n, D]."""
    query, gallery = query.astype(np.float64), gallery.astype(np.float64)
    distance = (gallery**2).sum(axis=1) - 2.0 * query @ gallery.T
    return np.asarray(distance.argmin(axis=1))


def _retrieval(
    space: str,
    x: Array,
    jets: KnownJets,
    variants: Sequence[str],
    event: NDArray[np.intp],
    counts: Array,
    seed: int,
) -> Iterator[Line]:
    """Yield how often the nearest view among all of a variant is that of the same hard event."""
    for variant in variants:
        first, second = jets.rows("nominal"), jets.rows(variant)
        if variant == "nominal":
            continue
        both = np.intersect1d(jets.event_id[first], jets.event_id[second])
        rng = np.random.default_rng(keyed_hash(seed, "retrieval", variant))
        chosen = np.sort(rng.permutation(both)[:CANDIDATES])
        if len(chosen) < 2:
            continue
        query, gallery = (_rows_of(jets, rows, chosen) for rows in (first, second))
        right = nearest(x[query], x[gallery]) == np.arange(len(chosen))
        drawn = counts[:, event[query]]
        values = drawn @ right / np.maximum(drawn.sum(axis=1), 1)
        yield Line(space, "retrieval", variant, len(chosen), len(chosen), values)


def _rows_of(jets: KnownJets, rows: Ints, events: Ints) -> Ints:
    """Return for each of the sorted ``events`` the one of ``rows`` that belongs to it."""
    order = np.argsort(jets.event_id[rows], kind="stable")
    return np.asarray(rows[order[np.searchsorted(jets.event_id[rows][order], events)]])
