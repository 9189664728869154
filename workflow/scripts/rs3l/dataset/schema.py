"""Columns of the two tables: jets (one row per hard event) and data set (one row per matched view).

Units are GeV, mm and radians. Candidates are sorted by descending pT.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import pyarrow as pa


class Status(enum.IntEnum):
    """The result of a hard event under one variant."""

    OK = 0
    NO_JET = 1  # no jet above the pT cut within the radius of the anchor
    REJECTED = 2  # the jet fails the eta or mass cut
    FAILED = 3  # the generator could not complete the event
    SKIPPED = 4  # not simulated, because the variant's splits or fraction leave it out


CANDIDATE_COLUMNS: dict[str, pa.DataType] = {
    "cand_pt": pa.float32(),
    "cand_eta": pa.float32(),
    "cand_phi": pa.float32(),
    "cand_energy": pa.float32(),
    "cand_charge": pa.int8(),
    "cand_pdg_id": pa.int32(),
    "cand_d0": pa.float32(),
    "cand_dz": pa.float32(),
}
"""List columns, with one entry per candidate."""

JET_COLUMNS: dict[str, pa.DataType] = {
    "jet_pt": pa.float32(),
    "jet_eta": pa.float32(),
    "jet_phi": pa.float32(),
    "jet_energy": pa.float32(),
    "jet_mass": pa.float32(),
    "jet_msd": pa.float32(),
    "jet_n2": pa.float32(),
    "jet_tau21": pa.float32(),
    "jet_tau32": pa.float32(),
    "jet_n_constituents": pa.int32(),
}
"""Columns of the whole jet, in which ``jet_n_constituents`` counts before the cap on stored candidates.

N2 and the ratios of N-subjettiness are NaN where undefined (0 / 0), or if not computed.
"""

HARD_COLUMNS: dict[str, pa.DataType] = {
    "weight": pa.float64(),
    "jet_type": pa.string(),
    "parton_pdg_id": pa.int32(),
    "parton_pt": pa.float32(),
    "parton_eta": pa.float32(),
    "parton_phi": pa.float32(),
    "parton_energy": pa.float32(),
}
"""Columns of the hard event, which are the weight that undoes biased sampling, and the anchor.

In the data set, the weight is that of the view, which is multiplied by the one of its shower.
"""


FINGERPRINT = "hard_fingerprint"
"""Column of the jets with 64 bits of a hash of the hard event's particles (``rs3l.lhe.lhe.fingerprint``)."""
SHOWER_WEIGHT = "shower_weight"
"""Column of the jets that the view counts beside the weight of its hard event; 1 if no shower is preferred."""


def band_column(name: str) -> str:
    """Return the column of the jets with what a view counts, beside its hard event, under a band of its shower."""
    return f"{SHOWER_WEIGHT}_{name}"


def jets_schema(weights: Sequence[str] = (), bands: Sequence[str] = ()) -> pa.Schema:
    """Return the schema of ``jets/{process}/{variant}/{shard}.parquet``; jet and candidates are null unless OK.

    The ``weight`` is that of the hard event, the same in every variant, and so are the further ``weights``
    (columns). ``bands`` (names) are variations of the view's shower.
    """
    return pa.schema(
        [pa.field("event_id", pa.int64(), nullable=False), pa.field("status", pa.int8(), nullable=False)]
        + [
            pa.field(FINGERPRINT, pa.uint64(), nullable=False),
            pa.field(SHOWER_WEIGHT, pa.float64(), nullable=False),
        ]
        + [pa.field(band_column(name), pa.float64(), nullable=False) for name in bands]
        + [pa.field(name, kind, nullable=False) for name, kind in HARD_COLUMNS.items()]
        + [pa.field(name, pa.float64(), nullable=False) for name in weights]
        + [pa.field(name, kind) for name, kind in JET_COLUMNS.items()]
        + [pa.field(name, pa.list_(kind)) for name, kind in CANDIDATE_COLUMNS.items()]
    )


def dataset_schema(weights: Sequence[str] = ()) -> pa.Schema:
    """Return the schema of the data set, which has no nulls and the views of one event in adjacent rows.

    ``weights`` are the columns of further weights, which are NaN for a view that has none. The type says that no
    entry of a list is null, which spares a reader a third of the decoding.
    """
    return pa.schema(
        [
            pa.field("event_id", pa.int64(), nullable=False),
            pa.field("process", pa.string(), nullable=False),
            pa.field("label", pa.string(), nullable=False),
            pa.field("variant", pa.string(), nullable=False),
        ]
        + [pa.field(name, kind, nullable=False) for name, kind in HARD_COLUMNS.items()]
        + [pa.field(name, pa.float64(), nullable=False) for name in weights]
        + [pa.field(name, kind, nullable=False) for name, kind in JET_COLUMNS.items()]
        + [pa.field(name, _full_list(kind), nullable=False) for name, kind in CANDIDATE_COLUMNS.items()]
    )


def _full_list(kind: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", kind, nullable=False))
