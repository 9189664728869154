"""The layout of JetClass (arXiv:2202.03772, Zenodo 10.5281/zenodo.6619768): its branches as columns of ours.

Momenta and energies are in GeV. ``part_d0val`` and ``part_dzval`` are impact parameters as Delphes gives them,
in mm, without tanh. ``part_deta`` has its sign flipped for jets at negative pseudorapidity, and is not used;
angles are those of the momenta. Shapes count J jets and T particles in all.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rs3l.dataset.own.lists import Lists, list_array, read_lists
from rs3l.errors import DataError
from rs3l.types import Array, Floats64


@dataclass(frozen=True)
class Label:
    """One of the ten classes: its branch, and the process, label and jet type that become of it."""

    branch: str
    process: str
    label: str
    jet_type: str


LABELS = (
    Label("label_QCD", "qcd", "QCD", "other"),
    Label("label_Hbb", "higgs_bb", "H", "H"),
    Label("label_Hcc", "higgs_cc", "H->cc", "H"),
    Label("label_Hgg", "higgs_gg", "H->gg", "H"),
    Label("label_H4q", "higgs_4q", "H->4q", "H"),
    Label("label_Hqql", "higgs_qql", "H->qql", "H"),
    Label("label_Zqq", "z_qq", "Z", "Z"),
    Label("label_Wqq", "w_qq", "W", "W"),
    Label("label_Tbqq", "top_hadronic", "top", "top"),
    Label("label_Tbl", "top_leptonic", "top->bl", "top"),
)
"""The classes, in the order of the data set's authors."""

MOMENTA = ("part_px", "part_py", "part_pz", "part_energy")
KINDS = ("part_isPhoton", "part_isMuon", "part_isElectron")
"""Flags that decide the PDG code; particles without one are hadrons, by their charge."""

BRANCHES = {
    "cand_pt": ("√(px² + py²)", "`part_px`, `part_py`"),
    "cand_eta": ("arsinh(pz / pT)", "`part_px`, `part_py`, `part_pz`"),
    "cand_phi": ("atan2(py, px)", "`part_px`, `part_py`"),
    "cand_energy": ("as it is", "`part_energy`"),
    "cand_charge": ("as it is", "`part_charge`"),
    "cand_pdg_id": (
        "22, −13 × charge or −11 × charge where the flag is set; else 211 × charge, 130 if neutral",
        "`part_isPhoton`, `part_isMuon`, `part_isElectron`, `part_charge`",
    ),
    "cand_d0": ("as it is (mm; no tanh)", "`part_d0val`"),
    "cand_dz": ("as it is (mm; no tanh)", "`part_dzval`"),
    "jet_pt, jet_eta, jet_phi, jet_energy": ("as they are", "`jet_pt`, `jet_eta`, `jet_phi`, `jet_energy`"),
    "jet_msd": ("as it is", "`jet_sdmass`"),
    "jet_tau21, jet_tau32": ("τ2 / τ1, τ3 / τ2; NaN where the divisor is 0", "`jet_tau1`, `jet_tau2`, `jet_tau3`"),
    "jet_n_constituents": ("as it is", "`jet_nparticles`"),
    "parton_pdg_id, parton_pt, parton_eta, parton_phi": (
        "as they are", "`aux_genpart_pid`, `aux_genpart_pt`, `aux_genpart_eta`, `aux_genpart_phi`",
    ),
    "process, jet_type": ("the one label that is 1", "`label_*`"),
}  # fmt: skip
"""What becomes of which branches; not read: part_deta, part_dphi, part_d0err, part_dzerr, the flags of hadrons."""

_SAME = ("jet_pt", "jet_eta", "jet_phi", "jet_energy", "event_id", "variant", "split", "weight")
_RENAMED = {
    "jet_msd": "jet_sdmass",
    "jet_n_constituents": "jet_nparticles",
    "parton_pdg_id": "aux_genpart_pid",
    "parton_pt": "aux_genpart_pt",
    "parton_eta": "aux_genpart_eta",
    "parton_phi": "aux_genpart_phi",
}
_LISTS = {
    "cand_energy": "part_energy",
    "cand_charge": "part_charge",
    "cand_d0": "part_d0val",
    "cand_dz": "part_dzval",
}
_TAUS = {"jet_tau21": ("jet_tau2", "jet_tau1"), "jet_tau32": ("jet_tau3", "jet_tau2")}
_NUMBERS = tuple({*_RENAMED.values(), *(name for pair in _TAUS.values() for name in pair)})
NEEDED = (*MOMENTA, *KINDS, *_LISTS.values(), *_NUMBERS, *_SAME, *(label.branch for label in LABELS))
"""Branches that are read."""


def is_jetclass(names: Collection[str]) -> bool:
    """Return whether columns are those of JetClass rather than ours."""
    return "part_px" in names and "cand_pt" not in names


def named(column: str, names: Collection[str]) -> str:
    """Return what an error calls a column of ours: with its branches, if its source has those of JetClass."""
    if not is_jetclass(names):
        return column
    found = [branches for columns, (_, branches) in BRANCHES.items() if column in columns.split(", ")]
    return f"{column} ({found[0].replace('`', '')})" if found else column


def from_jetclass(where: str, table: pa.Table, start: int, needs_process: bool = True) -> pa.Table:
    """Return the jets of a table in JetClass's layout with columns of ours; missing branches are missing columns.

    ``where`` and the number ``start`` of the first row are named in errors. Raises :class:`DataError` for a table
    without momenta, and where ``needs_process``, for a jet that does not have one label.
    """
    missing = [name for name in MOMENTA if name not in table.column_names]
    if missing:
        raise DataError(f"{where}: no branch {', '.join(missing)}; is it a file in the layout of JetClass?")
    columns: dict[str, Any] = {name: table[name] for name in _SAME if name in table.column_names}
    columns |= {name: table[own] for name, own in _RENAMED.items() if own in table.column_names}
    columns |= _particles(where, table, start)
    for name, (upper, lower) in _TAUS.items():
        if {upper, lower} <= set(table.column_names):
            columns[name] = _ratio(_numbers(table, upper), _numbers(table, lower))
    if needs_process:
        columns |= _classes(where, table, start)
    return pa.table(columns)


def _particles(where: str, table: pa.Table, start: int) -> dict[str, pa.Array]:
    """Return the list columns."""
    px, py, pz = (read_lists(where, table, name, start) for name in MOMENTA[:3])
    for other in (py, pz):
        px.check_same(where, other, start)
    pt = np.hypot(px.values, py.values)
    eta = np.arcsinh(np.divide(pz.values, pt, out=np.zeros_like(pt), where=pt > 0))
    found = {"cand_pt": pt, "cand_eta": eta, "cand_phi": np.arctan2(py.values, px.values)}
    lists = {name: list_array(px.lengths, values) for name, values in found.items()}
    lists |= {name: table[own] for name, own in _LISTS.items() if own in table.column_names}
    if {*KINDS, "part_charge"} <= set(table.column_names):
        lists["cand_pdg_id"] = _codes(where, table, start, px)
    return lists


def _codes(where: str, table: pa.Table, start: int, like: Lists) -> pa.ListArray:
    """Return the PDG codes of the particles (:data:`BRANCHES`)."""
    read = [read_lists(where, table, name, start) for name in (*KINDS, "part_charge")]
    for other in read:
        like.check_same(where, other, start)
    photon, muon, electron, charge = (lists.values for lists in read)
    codes = pdg_codes(photon > 0, muon > 0, electron > 0, charge)
    return list_array(like.lengths, codes)


def pdg_codes(photon: Array, muon: Array, electron: Array, charge: Floats64) -> Floats64:
    """Return a PDG code [T] for each particle by its flags, and for hadrons by the charge."""
    hadron = np.where(charge == 0, 130.0, 211.0 * np.sign(charge))
    return np.select([photon, muon, electron], [np.full(len(charge), 22.0), -13 * charge, -11 * charge], hadron)


def _ratio(upper: Floats64, lower: Floats64) -> Floats64:
    ratio: Floats64 = np.divide(upper, lower, out=np.full(len(lower), np.nan), where=lower > 0)
    return ratio


def _numbers(table: pa.Table, name: str) -> Floats64:
    return np.asarray(pc.cast(table[name], pa.float64()).to_numpy(), dtype=np.float64)


def _classes(where: str, table: pa.Table, start: int) -> dict[str, pa.Array]:
    """Return process and jet type of each jet."""
    known = [label for label in LABELS if label.branch in table.column_names]
    if not known:
        raise DataError(f"{where}: no branch label_QCD, label_Hbb, …; say of which `process` these jets are")
    flags = np.stack([_numbers(table, label.branch) for label in known], axis=1)
    wrong = np.flatnonzero(((flags != 0) & (flags != 1)).any(axis=1) | (flags.sum(axis=1) != 1))
    if len(wrong):
        own = ", ".join(f"{label.branch} {value:g}" for label, value in zip(known, flags[wrong[0]], strict=True))
        raise DataError(f"{where}: row {start + wrong[0]} has not one label, but {own}; leave this jet out")
    chosen = flags.argmax(axis=1)
    return {
        "process": _names([label.process for label in known], chosen),
        "jet_type": _names([label.jet_type for label in known], chosen),
    }


def _names(names: Sequence[str], chosen: Array) -> pa.Array:
    return pa.array(names).take(pa.array(chosen))


def branches_table() -> str:
    """Return the table of what becomes of which branches as Markdown."""
    rows = []
    for names, (what, branches) in BRANCHES.items():
        columns = ", ".join(f"`{name}`" for name in names.split(", "))
        rows.append(f"| {columns} | {branches} | {what} |")
    return "\n".join(["| column | branches | value |", "| --- | --- | --- |", *rows])


def labels_table() -> str:
    """Return the table of the classes as Markdown."""
    rows = [f"| `{one.branch}` | `{one.process}` | {one.label} | `{one.jet_type}` |" for one in LABELS]
    return "\n".join(["| branch | process | label | jet type |", "| --- | --- | --- | --- |", *rows])
