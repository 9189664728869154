"""What networks see of own jets, checked and in the types of the data set. J counts jets, T candidates.

Reading for a data set and reading for latents both go through :func:`clean`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rs3l.angles import wrapped
from rs3l.dataset.own import jetclass
from rs3l.dataset.own.columns import BY_NAME, CANDIDATES, FILLED_IF_ASKED, JET_AXIS
from rs3l.dataset.own.jets import Jets
from rs3l.dataset.own.lists import Lists, list_array, numbers, read_lists, refuse_nulls
from rs3l.dataset.own.tables import Piece
from rs3l.dataset.schema import CANDIDATE_COLUMNS
from rs3l.errors import ConfigError, DataError
from rs3l.types import Array, Bools, Floats64, Ints

LARGEST_PT = 50_000.0
"""GeV; no collider makes such jets, so that larger ones are in MeV."""


@dataclass(frozen=True)
class Clean:
    """Jets that can be used, their rows in the piece, and all columns that the piece has of them.

    ``invalid`` counts those that were left out, by column.
    """

    jet: Mapping[str, Floats64]
    candidates: Mapping[str, Array]
    lengths: Ints
    rows: Ints
    columns: pa.Table
    invalid: Counter[str] = field(default_factory=Counter)

    def table(self, constituents: int | None = None) -> pa.Table:
        """Return the columns that networks see, with the first ``constituents`` candidates of each jet."""
        kept = np.minimum(self.lengths, constituents or np.iinfo(np.int64).max)
        place = np.arange(self.lengths.sum()) - np.repeat(np.cumsum(self.lengths) - self.lengths, self.lengths)
        keep = place < np.repeat(kept, self.lengths)
        columns = {name: pa.array(values.astype(np.float32)) for name, values in self.jet.items()}
        for name, values in self.candidates.items():
            kind = CANDIDATE_COLUMNS[name]
            columns[name] = list_array(kept, values[keep].astype(kind.to_pandas_dtype()), kind)
        return pa.table(columns)


def clean(piece: Piece, jets: Jets, leave_out: bool = False, empty: bool = False, process: bool = True) -> Clean:
    """Return the jets of a piece, candidates by descending pT, or refuse them.

    With ``leave_out``, jets with values that cannot be used are left out and counted; otherwise the first is
    named. ``empty`` allows jets without candidates. JetClass's labels are read where ``process`` is needed.
    Raises :class:`DataError`, and :class:`ConfigError` for a column that cannot be filled.
    """
    where, start, _ = piece
    columns = _own_columns(piece, jets, process)
    filled = _missing(piece, columns, jets)
    if leave_out:
        columns = _nan_for_empty(columns)
    jet = {name: _number(where, columns, name, start) for name in JET_AXIS if name not in filled}
    lists = {name: read_lists(where, columns, name, start) for name in CANDIDATES if name not in filled}
    for other in lists.values():
        lists["cand_pt"].check_same(where, other, start)
    lists = _without_padding(lists)
    problems = dict(_problems(jet, lists, columns.num_rows, empty))
    bad = np.zeros(columns.num_rows, bool)
    invalid: Counter[str] = Counter()
    for text, wrong in problems.items():
        if wrong.any() and not leave_out:
            raise DataError(_refusal(piece, text, wrong))
        invalid[text.partition(":")[0]] += int((wrong & ~bad).sum())
        bad |= wrong
    kept = _filled({name: values[~bad] for name, values in jet.items()}, _rows_of(lists, ~bad), jets)
    _check_angles(where, start, *kept, jets)
    rows = np.flatnonzero(~bad)
    candidates, lengths = _by_pt(kept[1])
    return Clean(kept[0], candidates, lengths, rows, columns.take(pa.array(rows)), +invalid)


def _own_columns(piece: Piece, jets: Jets, process: bool) -> pa.Table:
    """Return a piece with our names of columns."""
    where, start, table = piece
    unknown = [name for name in jets.rename if name not in BY_NAME]
    if unknown:
        raise ConfigError(f"rename: {unknown[0]}: no column of own jets; known are {', '.join(BY_NAME)}")
    for name, theirs in jets.rename.items():
        if theirs not in table.column_names:
            known = ", ".join(table.column_names)
            raise DataError(f"{where}: no column {theirs}, which was to be renamed to {name}; it has {known}")
        if theirs != name:
            table = table.drop_columns([name] if name in table.column_names else [])
            table = table.rename_columns([name if own == theirs else own for own in table.column_names])
    if jetclass.is_jetclass(table.column_names):
        return jetclass.from_jetclass(where, table, start, process and not jets.process)
    return table


def _missing(piece: Piece, columns: pa.Table, jets: Jets) -> set[str]:
    """Return the columns to fill; raises an error if others are missing."""
    cannot = [name for name in jets.fill if name not in FILLED_IF_ASKED]
    if cannot:
        raise ConfigError(f"fill: {cannot[0]} cannot be filled; only {', '.join(FILLED_IF_ASKED)} can")
    missing = [name for name in (*JET_AXIS, *CANDIDATES) if name not in columns.column_names]
    needed = [name for name in missing if name not in jets.fill]
    names = [jetclass.named(name, piece.table.column_names) for name in needed]
    if needed:
        raise DataError(
            f"{piece.where}: no column {', '.join(names)}; needed are {', '.join(JET_AXIS)} (GeV, rad) and lists "
            f"{', '.join(CANDIDATES)} with an entry per candidate (docs/own_jets.md); if it has them under other "
            "names, `rename` them; if it has none, `fill` names what gets a substitute"
        )
    return set(missing)


def _nan_for_empty(columns: pa.Table) -> pa.Table:
    """Return a table in which empty values of the jet axis are NaN."""
    for name in JET_AXIS:
        values = columns[name] if name in columns.column_names else None
        if values is not None and (pa.types.is_floating(values.type) or pa.types.is_null(values.type)):
            filled = pc.fill_null(pc.cast(values, pa.float64()), float("nan"))
            columns = columns.set_column(columns.column_names.index(name), name, filled)
    return columns


def _number(where: str, columns: pa.Table, name: str, start: int) -> Floats64:
    refuse_nulls(where, name, columns[name], start)
    values = numbers(where, name, columns[name])
    return np.asarray(values, dtype=np.float64)


def _without_padding(lists: Mapping[str, Lists]) -> dict[str, Lists]:
    """Return lists without the entries whose pT is zero."""
    pt = lists["cand_pt"]
    real = pt.values != 0
    if real.all():
        return dict(lists)
    lengths = np.bincount(pt.rows[real], minlength=len(pt.lengths))
    return {name: Lists(name, lengths, own.values[real]) for name, own in lists.items()}


def _rows_of(lists: Mapping[str, Lists], keep: Bools) -> dict[str, Lists]:
    if keep.all():
        return dict(lists)
    chosen = keep[lists["cand_pt"].rows]
    return {name: Lists(name, own.lengths[keep], own.values[chosen]) for name, own in lists.items()}


def _problems(
    jet: Mapping[str, Floats64], lists: Mapping[str, Lists], n: int, empty: bool
) -> Iterator[tuple[str, Bools]]:
    """Yield what can be wrong, in words, and the jets [J] where it is."""
    for name, values in jet.items():
        yield f"{name}: is NaN or infinite", ~np.isfinite(values)
        if name in ("jet_pt", "jet_energy"):
            yield f"{name}: is not above zero", values <= 0
    if "jet_pt" in jet:
        yield f"jet_pt: is above {LARGEST_PT:g} GeV, as if it were in MeV", jet["jet_pt"] > LARGEST_PT
    yield from ((text, _any(lists[name], wrong, n)) for name, text, wrong in _wrong_entries(lists, jet))
    if not empty:
        yield "cand_pt: holds no candidate", lists["cand_pt"].lengths == 0


def _wrong_entries(lists: Mapping[str, Lists], jet: Mapping[str, Floats64]) -> Iterator[tuple[str, str, Bools]]:
    """Yield what can be wrong with candidates, and the entries [T] where it is."""
    for name, own in lists.items():
        values = own.values
        yield name, f"{name}: holds NaN or infinite values", ~np.isfinite(values)
        kind = CANDIDATE_COLUMNS[name]
        if pa.types.is_integer(kind):
            limit = np.iinfo(kind.to_pandas_dtype()).max
            wrong = (values != np.rint(values)) | (np.abs(values) > limit)
            yield name, f"{name}: holds values that are not of the type {kind}", wrong
        if name in ("cand_pt", "cand_energy"):
            yield name, f"{name}: holds values that are not above zero", values <= 0
        if name == "cand_phi":
            yield name, f"{name}: is beyond 2 pi, as if it were in degrees", np.abs(values) > 2 * np.pi


def _any(lists: Lists, wrong: Bools, n: int) -> Bools:
    return np.bincount(lists.rows[wrong], minlength=n) > 0 if wrong.any() else np.zeros(n, bool)


def _refusal(piece: Piece, text: str, wrong: Bools) -> str:
    where, start, table = piece
    name, _, what = text.partition(": ")
    column = jetclass.named(name, table.column_names)
    first = int(wrong.argmax())
    return (
        f"{where}: {column} {what}, first in row {start + first} ({int(wrong.sum())} of the jets from row {start} "
        "on); correct the column, or leave such jets out (`leave_out_invalid`)"
    )


def _filled(
    jet: Mapping[str, Floats64], lists: Mapping[str, Lists], jets: Jets
) -> tuple[dict[str, Floats64], dict[str, Lists]]:
    """Return jets and candidates with substitutes for the columns that are missing, and absolute angles."""
    pt, lengths = lists["cand_pt"].values.astype(np.float64), lists["cand_pt"].lengths
    values = {name: own.values.astype(np.float64) for name, own in lists.items()}
    if jets.relative:
        values = _absolute(jet, values, lists["cand_pt"].rows)
    values.setdefault("cand_energy", pt * np.cosh(values["cand_eta"]))
    values.setdefault("cand_charge", np.zeros(len(pt)))
    values.setdefault(
        "cand_pdg_id", np.where(values["cand_charge"] == 0, 130, 211 * np.sign(values["cand_charge"]))
    )
    for name in ("cand_d0", "cand_dz"):
        values.setdefault(name, np.zeros(len(pt)))
    axis = (
        dict(jet) if len(jet) == len(JET_AXIS) else {**summed(values, lists["cand_pt"].rows, len(lengths)), **jet}
    )
    return {name: axis[name] for name in JET_AXIS}, {n: Lists(n, lengths, values[n]) for n in CANDIDATES}


def _absolute(jet: Mapping[str, Floats64], values: dict[str, Floats64], rows: Ints) -> dict[str, Floats64]:
    if not {"jet_eta", "jet_phi"} <= set(jet):
        raise ConfigError("`relative`: the angles are relative to jet_eta and jet_phi, which are then needed")
    eta = values["cand_eta"] + jet["jet_eta"][rows]
    phi = wrapped(values["cand_phi"] + jet["jet_phi"][rows])
    return {**values, "cand_eta": eta, "cand_phi": phi}


def summed(values: Mapping[str, Floats64], rows: Ints, n: int) -> dict[str, Floats64]:
    """Return pT, eta, phi and energy of the sum of the candidates of each of ``n`` jets."""
    pt, eta, phi = (values[f"cand_{name}"] for name in ("pt", "eta", "phi"))
    momenta = (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), values["cand_energy"])
    px, py, pz, energy = (np.bincount(rows, weights=own, minlength=n) for own in momenta)
    total = np.hypot(px, py)
    ratio = np.divide(pz, total, out=np.zeros(n), where=total > 0)
    axis = {"jet_pt": total, "jet_eta": np.arcsinh(ratio), "jet_phi": np.arctan2(py, px), "jet_energy": energy}
    return {name: np.asarray(axis[name], np.float64) for name in JET_AXIS}


def _check_angles(
    where: str, start: int, jet: Mapping[str, Floats64], lists: Mapping[str, Lists], jets: Jets
) -> None:
    """Raise :class:`DataError` if candidates are about zero and not about their jets: relative angles."""
    pt, eta = lists["cand_pt"], lists["cand_eta"].values
    n = len(pt.lengths)
    weights = pt.values.astype(np.float64)
    away = np.bincount(pt.rows, weights=weights * np.abs(eta - jet["jet_eta"][pt.rows]), minlength=n)
    about_zero = np.bincount(pt.rows, weights=weights * np.abs(eta), minlength=n)
    width = 0.3 * np.bincount(pt.rows, weights=weights, minlength=n)
    if not jets.relative and away.sum() > 2 * np.maximum(about_zero, width).sum():
        raise DataError(
            f"{where}: cand_eta is about zero and not about jet_eta (from row {start} on), as if it were relative "
            "to the jet axis; say so (`relative`)"
        )


def _by_pt(lists: Mapping[str, Lists]) -> tuple[dict[str, Array], Ints]:
    """Return the candidates of each jet by descending pT, because networks see the hardest."""
    pt = lists["cand_pt"]
    order = np.lexsort((-pt.values, pt.rows))
    return {name: own.values[order] for name, own in lists.items()}, pt.lengths
