"""The columns of own jets: meaning, unit, and what happens where one is missing.

This list is the one place: the checks, the substitutes of the card and the table of ``docs/own_jets.md`` read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["event", "jet", "candidate", "further"]


@dataclass(frozen=True)
class Column:
    """A column: its type and unit, its meaning, and the substitute where it is missing.

    A column that is ``seen`` by networks has its substitute only if it is asked for by name (``fill``). Without a
    substitute, the column must be there.
    """

    name: str
    role: Role
    kind: str
    unit: str
    meaning: str
    substitute: str = ""
    seen: bool = False


def _event(name: str, kind: str, meaning: str, substitute: str) -> Column:
    return Column(name, "event", kind, "", meaning, substitute)


def _seen(name: str, kind: str, unit: str, meaning: str, substitute: str = "") -> Column:
    role: Role = "jet" if name.startswith("jet") else "candidate"
    return Column(name, role, kind, unit, meaning, substitute, seen=True)


def _further(name: str, kind: str, unit: str, meaning: str, substitute: str) -> Column:
    return Column(name, "further", kind, unit, meaning, substitute)


_SUM = "from the sum of the candidates"
_NUMBER = (
    "number of the event, the same for its views and no other event of the process: 0 … 2⁴⁰ − 1, or a key of ours"
)
_CODES = "PDG codes: 22 photon, ±11 electron, ±13 muon; others are hadrons, by their charge"
COLUMNS = (
    _event("event_id", "integer", _NUMBER, "every jet is an event of its own, numbered in order"),
    _event("process", "text", "what made the jet; a name as in a configuration", "that of the source, or error"),
    _event(
        "variant", "text", "which view of its event; one must be `nominal`", "that of the source, or `nominal`"
    ),
    _event(
        "split",
        "text",
        "`train`, `label`, `val` or `test`, one for all views of an event",
        "by process, number, seed",
    ),
    _event("weight", "number", "of the jet, in sums over its process", "1"),
    _seen("jet_pt", "number", "GeV", "transverse momentum of the jet", _SUM),
    _seen("jet_eta", "number", "", "pseudorapidity of the jet axis", _SUM),
    _seen("jet_phi", "number", "rad", "azimuth of the jet axis", _SUM),
    _seen("jet_energy", "number", "GeV", "energy of the jet", _SUM),
    _seen("cand_pt", "list", "GeV", "transverse momenta of the candidates, in any order; 0 is padding"),
    _seen("cand_eta", "list", "", "their pseudorapidities; with `relative`, minus that of the jet"),
    _seen("cand_phi", "list", "rad", "their azimuths; with `relative`, minus that of the jet"),
    _seen("cand_energy", "list", "GeV", "their energies", "pT cosh η: massless"),
    _seen("cand_charge", "list", "e", "their charges, whole numbers", "0: all count as neutral"),
    _seen("cand_pdg_id", "list", "", _CODES, "211 × sign of the charge, 130 if neutral: all count as hadrons"),
    _seen("cand_d0", "list", "mm", "transverse impact parameters, not their tanh; 0 for neutral ones", "0"),
    _seen("cand_dz", "list", "mm", "longitudinal impact parameters, likewise", "0"),
    _further("jet_mass", "number", "GeV", "mass of the jet", "from its pT, η and energy"),
    _further("jet_msd", "number", "GeV", "soft-drop mass", "NaN"),
    _further("jet_n2", "number", "", "N2", "NaN"),
    _further("jet_tau21", "number", "", "τ2 / τ1", "NaN"),
    _further("jet_tau32", "number", "", "τ3 / τ2", "NaN"),
    _further("jet_n_constituents", "integer", "", "constituents before any cap", "the candidates that came"),
    _further("jet_type", "text", "", "type of the jet, as in docs/resim.md", "`other`"),
    _further("parton_pdg_id", "integer", "", "PDG code of the hard particle of the jet", "0"),
    _further("parton_pt", "number", "GeV", "its transverse momentum", "NaN"),
    _further("parton_eta", "number", "", "its pseudorapidity", "NaN"),
    _further("parton_phi", "number", "rad", "its azimuth", "NaN"),
    _further("parton_energy", "number", "GeV", "its energy", "NaN"),
)
"""All columns; those of a source that are not among them are not used."""

BY_NAME = {column.name: column for column in COLUMNS}
SEEN = tuple(column.name for column in COLUMNS if column.seen)
"""Columns that networks see."""
JET_AXIS = tuple(name for name in SEEN if name.startswith("jet_"))
CANDIDATES = tuple(name for name in SEEN if name.startswith("cand_"))
FURTHER = tuple(column.name for column in COLUMNS if column.role == "further")
FILLED_IF_ASKED = tuple(column.name for column in COLUMNS if column.seen and column.substitute)


def if_missing(column: Column) -> str:
    """Return in words what happens to jets without this column."""
    if not column.seen:
        return column.substitute
    return f"error; with `fill`: {column.substitute}" if column.substitute else "error"


def columns_table() -> str:
    """Return the table of all columns as Markdown."""
    rows = [
        f"| `{column.name}` | {column.kind} | {column.unit or '–'} | {column.meaning} | {if_missing(column)} |"
        for column in COLUMNS
    ]
    return "\n".join(["| column | kind | unit | meaning | if missing |", "| --- | --- | --- | --- | --- |", *rows])
