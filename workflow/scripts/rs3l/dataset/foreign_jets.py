"""Read jets for a trained network from files of one's own (docs/own_jets.md): Parquet, ROOT, JetClass's layout.

The axis and energy of the jet and the eight lists of its candidates are needed, in the units of the data set.
Lists may have any order and numbers any width; other columns may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from rs3l.dataset.own.clean import clean
from rs3l.dataset.own.columns import SEEN
from rs3l.dataset.own.jets import Jets
from rs3l.dataset.own.lists import is_list
from rs3l.dataset.own.tables import Piece, as_table, pieces
from rs3l.dataset.store import JetStore, join_parts, part_arrays
from rs3l.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

NEEDED = SEEN


def read_jets(jets: Jets | str | Path, constituents: int) -> Iterator[tuple[pa.Table, JetStore]]:
    """Yield the columns of a file that are no lists, and its jets, some thousands at a time.

    Raises :class:`DataError` if it cannot be read, lacks columns, or holds values that cannot be used.
    """
    source = jets if isinstance(jets, Jets) else Jets(jets)
    for piece in pieces(source, scalars=True):
        table = clean(piece, source, empty=True, process=False).table()
        yield scalars_of(piece.table), as_store(Path(piece.where), table, constituents)


def jets_of(jets: pd.DataFrame | pa.Table | Mapping[str, Any], constituents: int) -> JetStore:
    """Return jets in memory as a store: a table, or arrays by name, with the columns :data:`NEEDED`.

    Columns have an entry per jet [J], which for ``cand_...`` is a sequence with an entry per candidate, in any
    order; GeV, mm, rad. Raises :class:`DataError` if columns are missing, or hold values that cannot be used, and
    :class:`ConfigError` for data of another kind.
    """
    try:
        piece = Piece("the jets", 0, as_table(jets))
    except (DataError, ValueError, TypeError, pa.ArrowException) as error:
        raise DataError(f"the jets: {str(error).splitlines()[0]}") from None
    if not piece.table.num_rows:
        raise DataError("the jets: there is none")
    return as_store(Path(piece.where), clean(piece, Jets(jets), empty=True, process=False).table(), constituents)


def scalars_of(table: pa.Table) -> pa.Table:
    """Return the columns of a table that are no lists."""
    return table.select([field.name for field in table.schema if not is_list(field.type)])


def as_store(path: Path, table: pa.Table, constituents: int) -> JetStore:
    """Return the jets of a table of :data:`NEEDED` columns, each of which counts as an event of its own.

    Candidates are by descending pT; ``path`` is named in errors.
    """
    n = table.num_rows
    further = {
        "jet_mass": pa.array(np.zeros(n, np.float32)),
        "event_id": pa.array(np.arange(n)),
        "weight": pa.array(np.ones(n)),
        "variant": pa.array(["nominal"] * n),
    }
    for name, values in further.items():
        table = table.append_column(name, values)
    part = part_arrays(path, table, 0, ["nominal"])
    return join_parts([part], ("jets",), ("nominal",), constituents, len(part["cand_pt"]))
