"""Read jets for a trained network from a file in RS3L's HDF5 layout, every view of an event as a jet.

Shapes count E events of a block, 5 slots, R jets and C candidates.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rs3l.dataset.foreign_jets import as_store, scalars_of
from rs3l.dataset.own.clean import clean
from rs3l.dataset.own.jets import Jets
from rs3l.dataset.own.tables import Piece, as_table
from rs3l.dataset.store import JetStore
from rs3l.hdf5.layout import FEATURES
from rs3l.hdf5.source import BLOCK_EVENTS, ImportOptions, Source, open_source
from rs3l.hdf5.views import EventBlock, read_block

_FEATURE_OF = {
    "cand_pt": "pt", "cand_eta": "eta", "cand_phi": "phi", "cand_energy": "e", "cand_charge": "charge",
    "cand_pdg_id": "pdgid", "cand_d0": "d0", "cand_dz": "dz",
}  # fmt: skip


def read_hdf5_jets(path: str | Path, constituents: int) -> Iterator[tuple[pa.Table, JetStore]]:
    """Yield event, variant and jet columns, and the jets, a few hundred events at a time.

    ``event`` is the place of the event in the file. A slot without jet pT or candidates is no jet. Raises
    :class:`DataError` as the import of such files does.
    """
    source = open_source(Path(path), ImportOptions())
    own, jets_before = Jets(path, relative=source.angles == "relative"), 0
    for start in range(0, source.layout.events, BLOCK_EVENTS):
        table = _table(source, start, read_block(source, start, BLOCK_EVENTS))
        if table.num_rows:
            found = clean(Piece(str(path), jets_before, table), own, process=False)
            yield scalars_of(table), as_store(Path(path), found.table(), constituents)
        jets_before += table.num_rows


def _table(source: Source, start: int, block: EventBlock) -> pa.Table:
    """Return the jets of a block, the views of an event one after the other."""
    named = np.array([bool(name) for name in source.variants])
    present = named & (block.jet["jet_pt"] > 0) & (block.candidates[:, :, 0] > 0).any(axis=-1)
    event, slot = np.nonzero(present)
    raw = block.candidates[event, slot]
    columns: dict[str, Any] = {
        "event": start + event,
        "variant": np.array(source.variants, dtype=object)[slot],
        **{name: values[event, slot] for name, values in block.jet.items()},
        **{name: raw[:, FEATURES.index(feature)] for name, feature in _FEATURE_OF.items()},
    }
    return as_table(columns)
