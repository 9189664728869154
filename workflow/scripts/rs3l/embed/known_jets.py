"""The jets of a bounded number of hard events of a split, with their latents and what is known about them.

n is the number of jets, and D of dimensions of a space, h or z.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rs3l.dataset.manifest import Manifest, read_manifest, verified
from rs3l.dataset.row_groups import RowGroup, row_groups
from rs3l.dataset.store import COLUMNS, join_parts, part_arrays
from rs3l.errors import DataError
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import embed
from rs3l.seeds import keyed_hash
from rs3l.types import Array, Floats32, Floats64, Ints

OBSERVABLES = ("jet_pt", "jet_mass", "jet_msd", "jet_n2", "jet_tau21", "jet_n_constituents")
"""What is known of a jet besides its type; of pT it is the logarithm."""


@dataclass(frozen=True)
class KnownJets:
    """Jets in the order of the data set; ``observables`` are [n, 6], ``h`` and ``z`` [n, D], all others [n]."""

    event_id: Ints
    variant: Array
    jet_type: Array
    observables: Floats64
    h: Floats32
    z: Floats32

    def __len__(self) -> int:
        return len(self.event_id)

    def rows(self, variant: str) -> Ints:
        """Return the rows of one variant, in order."""
        return np.flatnonzero(self.variant == variant)


def known_jets(
    manifest_path: str | Path, split: str, variants: Sequence[str], encoder: JetEncoder, events: int, seed: int
) -> KnownJets:
    """Return the jets under ``variants`` of at most ``events`` hard events of a split, of all processes.

    A process has its share of the events. They are those of whole row groups in an order that belongs to ``seed``,
    and of a part of the last one. Only these files are read and verified, a row group at a time. Raises
    :class:`DataError` if one is missing, foreign or changed, or if there is no jet.
    """
    manifest = read_manifest(manifest_path)
    checksums = {manifest.path(part): part.sha256 for part in manifest.files(split)}
    found = []
    for group, table in _sample(manifest_path, manifest, split, events, seed):
        chosen = table.filter(pc.is_in(table["variant"], value_set=pa.array(variants, pa.string())))
        if checksum := checksums.pop(group.path, None):
            verified(group.path, checksum)
        found.append(_embedded(group, chosen, variants, encoder))
    if not sum(map(len, found)):
        raise DataError(
            f"{manifest_path}: no jet under {', '.join(variants)} in the split {split!r}; raise its events"
        )
    return KnownJets(*(np.concatenate([getattr(jets, f.name) for jets in found]) for f in fields(KnownJets)))


def _sample(
    manifest_path: str | Path, manifest: Manifest, split: str, events: int, seed: int
) -> Iterator[tuple[RowGroup, pa.Table]]:
    """Yield row groups, in the order of the data set, with the rows of those events that are taken."""
    total = max(manifest.events(split), 1)
    for process in manifest.processes:
        groups = row_groups(manifest_path, split, [process], verify=False)
        places = sorted(range(len(groups)), key=lambda n: keyed_hash(seed, "quality", split, process, n))
        missing = max(1, min(events, total) * manifest.events(split, process) // total)
        taken: dict[int, int] = {}
        for place in places:
            if missing > 0:
                found = len(np.unique(groups[place].read(["event_id"])["event_id"].to_numpy()))
                taken[place] = min(found, missing)
                missing -= found
        for place in sorted(taken):
            yield groups[place], _first_events(groups[place].read((*COLUMNS, "jet_type", *_FURTHER)), taken[place])


_FURTHER = tuple(name for name in OBSERVABLES if name not in COLUMNS)


def _first_events(table: pa.Table, events: int) -> pa.Table:
    """Return the rows of the first ``events`` events, whose views are adjacent."""
    _, start = np.unique(table["event_id"].to_numpy(), return_index=True)
    return table.slice(0, int(np.sort(start)[events])) if events < len(start) else table


def _embedded(group: RowGroup, table: pa.Table, variants: Sequence[str], encoder: JetEncoder) -> KnownJets:
    part = part_arrays(group.path, table, 0, variants)
    store = join_parts([part], (group.process,), tuple(variants), encoder.constituents, len(part["cand_pt"]))
    h, z = embed(encoder, store, store.rows())
    observables = np.column_stack([table[name].to_numpy().astype(np.float64) for name in OBSERVABLES])
    observables[:, 0] = np.log(observables[:, 0])
    variant, kind = (table[name].to_numpy(zero_copy_only=False).astype(str) for name in ("variant", "jet_type"))
    return KnownJets(store.event_id, variant, kind, observables, h, z)
