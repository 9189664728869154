"""Where own jets come from, and what of them the files or arrays do not say."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rs3l.paths import Split


@dataclass(frozen=True)
class Jets:
    """One source of jets, a row each, with columns as ``docs/own_jets.md`` lists them.

    ``data`` is the path of a Parquet or ROOT file; or an Arrow table, a pandas frame, an Awkward array of records,
    or a mapping of NumPy arrays (candidates [jets, places], padded with ``cand_pt`` 0); or an iterator of these,
    for what does not fit in memory. Files are read some thousand jets at a time.

    ``process``, ``variant`` and ``split`` say what no column says; with a name here, no such column is looked at.
    ``rename`` has the names of the columns in the source by our names. ``tree`` names the tree of a ROOT file with
    several. With ``relative``, the angles of candidates are relative to the jet axis. ``fill`` names columns that
    networks see and that the source lacks, which then get their substitutes; otherwise their lack is an error.
    """

    data: Any
    process: str = ""
    variant: str = ""
    split: Split | Literal[""] = ""
    rename: Mapping[str, str] = field(default_factory=dict)
    tree: str = ""
    relative: bool = False
    fill: Collection[str] = ()
