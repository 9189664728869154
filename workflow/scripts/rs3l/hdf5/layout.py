"""The HDF5 layout of RS3L's public data set (Zenodo 10.5281/zenodo.10633815), files ``rs3l_{i}.h5``.

Shapes count E hard events, 5 slots (one per variant), V jet variables and C candidates.

- ``singletons`` [E, 5, V] holds the jet type in column 0, and the jet's pT, eta, phi and energy in 9 ... 12.
- ``jet_pflow_cands`` [E, 5, 11, C] holds :data:`FEATURES`, zero-padded; a candidate is there if its pT is above
  zero.

The layout says no more. Attributes of the file name what this project adds: the other columns of ``singletons``,
whether the angles of the candidates are relative to the jet axis, and three more data sets (``event_id``,
``weight``, ``process``) that readers of the layout do not look at. Units are GeV, mm and radians.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from rs3l.config.source import SLOTS
from rs3l.errors import DataError

JETS, CANDIDATES = "singletons", "jet_pflow_cands"
KEY, WEIGHT, PROCESS = "event_id", "weight", "process"

LAYOUT_COLUMNS = {"jet_type": 0, "jet_pt": 9, "jet_eta": 10, "jet_phi": 11, "jet_energy": 12}
"""Columns of ``singletons`` that the layout fixes."""

COLUMNS = (
    "jet_type", "parton_pdg_id", "parton_pt", "parton_eta", "parton_phi", "parton_energy", "jet_tau21",
    "jet_tau32", "jet_n_constituents", "jet_pt", "jet_eta", "jet_phi", "jet_energy", "jet_mass", "jet_msd",
    "jet_n2",
)  # fmt: skip
"""Columns of ``singletons`` as this project writes them."""

FEATURES = ("pt", "relpt", "eta", "phi", "dr", "e", "rele", "charge", "pdgid", "d0", "dz")
"""Axis 2 of ``jet_pflow_cands``; relpt and rele are divided by the jet's pT and energy."""

JET_TYPES = {
    1: "q", 2: "c", 3: "b", 4: "H", 5: "g_qq", 6: "g_cc", 7: "g_bb", 8: "g_gg", 9: "W", 10: "Z_qq", 11: "Z_bb",
    12: "top", 13: "Z_cc", 14: "Z", 15: "g", 0: "other",
}  # fmt: skip
"""Codes of jet types.

The sources agree up to 8. Codes 9 to 11 are as a user of the public files reads them, and those from 12 on (and 0)
are of this project.
"""

Angles = Literal["relative", "absolute"]


@dataclass(frozen=True)
class Layout:
    """One file, with its number of events, the places of its columns, and its attributes."""

    path: Path
    events: int
    columns: Mapping[str, int]
    attributes: Mapping[str, Any]
    extra: tuple[str, ...]

    def attribute(self, name: str) -> Any:
        """Return an attribute of the file, or None if it has none of that name."""
        return self.attributes.get(name)


def read_layout(path: Path, columns: Mapping[str, int]) -> Layout:
    """Return the content of a file's header; ``columns`` names further columns of ``singletons``.

    Raises :class:`DataError` if it is no HDF5 file, or data sets are missing or of another shape.
    """
    with open_file(path) as file:
        jets, candidates = (_dataset(path, file, name) for name in (JETS, CANDIDATES))
        _check_shapes(path, jets.shape, candidates.shape)
        names = jets.attrs.get("columns")
        known = {str(name): i for i, name in enumerate(names)} if names is not None else dict(LAYOUT_COLUMNS)
        known.update(columns)
        _check_columns(path, known, jets.shape[2])
        extra = tuple(name for name in (KEY, WEIGHT, PROCESS) if name in file)
        for name in extra:
            if file[name].shape != (jets.shape[0],):
                raise DataError(f"{path}: {name} has shape {file[name].shape}, not ({jets.shape[0]},)")
        attributes = {key: _value(value) for key, value in file.attrs.items()}
        return Layout(path, jets.shape[0], known, attributes, extra)


def open_file(path: Path) -> h5py.File:
    """Open a file to read it; raises :class:`DataError` if that fails."""
    try:
        return h5py.File(path, "r")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: not an HDF5 file, or damaged ({error}); get it again") from None


def _dataset(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        keys = ", ".join(file) or "nothing"
        raise DataError(f"{path}: no data set {name!r} (it has {keys}); is this a file rs3l_{{i}}.h5 of RS3L?")
    if found.dtype.kind not in "fiu":
        raise DataError(f"{path}: {name} holds {found.dtype}, not numbers")
    return found


def _check_shapes(path: Path, jets: Sequence[int], candidates: Sequence[int]) -> None:
    minimum = 1 + max(LAYOUT_COLUMNS.values())
    if len(jets) != 3 or jets[1] != len(SLOTS) or jets[2] < minimum:
        raise DataError(f"{path}: {JETS} has shape {tuple(jets)}, expected [events, 5, {minimum} or more]")
    if len(candidates) != 4 or tuple(candidates[:2]) != tuple(jets[:2]) or candidates[2] < len(FEATURES):
        raise DataError(
            f"{path}: {CANDIDATES} has shape {tuple(candidates)}, "
            f"expected [{jets[0]}, 5, {len(FEATURES)}, candidates]"
        )


def _check_columns(path: Path, columns: Mapping[str, int], width: int) -> None:
    missing = [name for name in LAYOUT_COLUMNS if name not in columns]
    if missing:
        raise DataError(f"{path}: {JETS} names no column {', '.join(missing)}")
    for name, index in columns.items():
        if name not in COLUMNS or not 0 <= index < width:
            raise DataError(
                f"{path}: column {name}={index} of {JETS} cannot be used: it has {width}, and known names are "
                f"{', '.join(COLUMNS)}"
            )


def _value(value: Any) -> Any:
    """Return an attribute as plain Python, with decoded texts where they hold JSON."""
    if isinstance(value, np.ndarray):
        return [str(item) for item in value]
    if isinstance(value, str) and value[:1] == "{":
        with contextlib.suppress(ValueError):
            return json.loads(value)
    return value
