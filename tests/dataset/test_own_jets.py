"""A data set of own jets: the same from arrays of any kind and from files, K views, and jets that are not right."""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rs3l.dataset import Jets, write
from rs3l.dataset.contents import contents_sha256
from rs3l.dataset.manifest import read_manifest
from rs3l.dataset.own import order, tables
from rs3l.dataset.own.clean import summed
from rs3l.dataset.own.columns import CANDIDATES, COLUMNS, FILLED_IF_ASKED, JET_AXIS, SEEN, columns_table
from rs3l.dataset.row_groups import row_groups
from rs3l.dataset.schema import dataset_schema
from rs3l.dataset.store import load_views
from rs3l.dataset.writer import DatasetWriter
from rs3l.errors import CampaignError, ConfigError, DataError, StorageError
from rs3l.files import sha256
from rs3l.seeds import event_id, event_index
from support import root_files, toy
from support.places import REPOSITORY
from support.workflow import run_script

Rows = list[dict[str, Any]]
EVENTS = 30


def toy_rows(shuffle: bool = True) -> Rows:
    """Return the views of two processes with event numbers of their own, in any order."""
    rows = [row for process in toy.MULTIPLICITY for row in toy.rows_of(process, range(EVENTS))]
    for row in rows:
        row["event_id"] = event_index(row["event_id"])
    if shuffle:
        np.random.default_rng(0).shuffle(rows)  # type: ignore[arg-type]
    return rows


def arrow(rows: Rows) -> pa.Table:
    return pa.Table.from_pylist(rows)


def in_pandas(rows: Rows) -> pd.DataFrame:
    return pd.DataFrame(rows)


def in_awkward(rows: Rows) -> ak.Array:
    return ak.Array({name: ak.Array([row[name] for row in rows]) for name in rows[0]})


def in_numpy(rows: Rows) -> dict[str, Any]:
    """Return arrays by name, in which candidates are padded with zeros to the longest jet, holes among them."""
    longest = max(len(row["cand_pt"]) for row in rows)
    result: dict[str, Any] = {}
    for name in rows[0]:
        if name.startswith("cand_"):
            result[name] = np.zeros((len(rows), 2 * longest))
            for i, row in enumerate(rows):
                result[name][i, : 2 * len(row[name]) : 2] = row[name]
        else:
            result[name] = np.array([row[name] for row in rows])
    return result


def in_pieces(rows: Rows) -> Iterator[Any]:
    kinds = itertools.cycle([arrow, in_awkward, in_numpy])
    return (next(kinds)(rows[i : i + 13]) for i in range(0, len(rows), 13))


def contents(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["digests"]
    return values


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The checksums of the contents, as the writer of the merge has them of rows in order."""
    folder = tmp_path_factory.mktemp("expected")
    own = write(arrow(toy_rows()), folder / "own", held_out=["vincia"])
    whole = pa.concat_tables(pq.read_table(folder / "own" / file["path"]) for file in own["files"])
    of = {(r["event_id"], r["variant"]): s for s in ("train", "val", "test") for r in rows_in(folder / "own", s)}
    (folder / "slow").mkdir()
    writer = DatasetWriter(folder / "slow", 10_000, 10_000)
    rows = [row for process in toy.MULTIPLICITY for row in toy.rows_of(process, range(EVENTS))]
    assert whole.num_rows == len(rows) == len(of)
    place = list(own["variants"]).index
    for process in toy.MULTIPLICITY:
        for split in ("train", "val", "test"):
            mine = [r for r in rows if r["process"] == process and of[r["event_id"], r["variant"]] == split]
            mine.sort(key=lambda row: (row["event_id"], place(row["variant"])))
            if mine:
                writer.append(split, process, pa.Table.from_pylist(mine, schema=dataset_schema()))
    found = writer.digests(list(own["variants"]))
    assert {s: {p: found[s][p] for p in toy.MULTIPLICITY} for s in found} == contents(folder / "own")
    return contents(folder / "own")


def rows_in(folder: Path, split: str) -> Rows:
    return [row for path in sorted((folder / split).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.mark.parametrize("make", [arrow, in_pandas, in_awkward, in_numpy, in_pieces])
def test_arrays_of_any_kind_make_the_same_data_set(tmp_path: Path, expected: dict[str, Any], make: Any) -> None:
    made = write(make(toy_rows()), tmp_path / "out", held_out=["vincia"])
    assert contents(tmp_path / "out") == expected
    assert made["variants"] == {
        "nominal": "train",
        **{n: toy.VARIANTS[n] for n in made["variants"] if n != "nominal"},
    }


def test_files_make_the_same_in_any_order(
    tmp_path: Path, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file per process and view, of Parquet and of ROOT, by the command; pieces, runs and parts do not matter."""
    args = []
    for process in toy.MULTIPLICITY:
        for variant in toy.VARIANTS:
            rows = [r for r in toy_rows() if (r["process"], r["variant"]) == (process, variant)]
            rows = [
                {n: v for n, v in r.items() if n not in ("process", "variant", "label", "jet_type")} for r in rows
            ]
            path = tmp_path / f"{process}-{variant}.{'root' if variant == 'seed' else 'parquet'}"
            if variant == "seed":
                arrays = in_awkward(rows)
                root_files.write(path, {name: arrays[name] for name in arrays.fields}, step=9)
            else:
                pq.write_table(arrow(rows), path)
            args.append(f"{process}/{variant}={path}")
    done = run_script("write_dataset.py", "--jets", *args[::-1], "--held-out=vincia", f"--out={tmp_path}/out")
    assert done.returncode == 0, done.stderr
    variants = list(read_manifest(tmp_path / "out" / "manifest.json").variants)
    assert variants[0] == "nominal" and set(variants) == set(toy.VARIANTS)
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["files"][-1]["sha256"] == sha256(tmp_path / "signal-nominal.parquet")
    monkeypatch.setattr(tables, "JETS_AT_A_TIME", 11)
    monkeypatch.setattr(order, "FAN_IN", 2)
    monkeypatch.setattr(order, "BLOCK_ROWS", 3)
    sources = [Jets(arg.partition("=")[2], *re.split("[/=]", arg)[:2]) for arg in args[::-1]]
    made = write(sources, tmp_path / "other", held_out=["vincia"], events_per_row_group=3, events_per_part=7)
    assert contents(tmp_path / "other") == contents(tmp_path / "out")
    assert max(file["events"] for file in made["files"]) == 7
    for split in ("train", "val", "test"):
        assert row_groups(tmp_path / "other" / "manifest.json", split, [*toy.MULTIPLICITY])  # no event is cut
    without_type = {s: {p: sorted(d) for p, d in of.items()} for s, of in expected.items()}
    assert without_type == {
        s: {p: sorted(d) for p, d in of.items()} for s, of in contents(tmp_path / "out").items()
    }


def test_readers_find_every_jet(tmp_path: Path) -> None:
    made = write(arrow(toy_rows()), tmp_path / "out", splits=(0.5, 0.2, 0.3))
    names = list(made["variants"])
    own = {(r["process"], r["event_id"], r["variant"]): r for r in toy_rows()}
    found = 0
    for split in ("train", "val", "test"):
        store = load_views(tmp_path / "out" / "manifest.json", split, [*toy.MULTIPLICITY], names, 64)
        store.events()  # the views of an event are adjacent
        for row in range(len(store)):
            process = store.process_names[store.process[row]]
            jet = own[process, event_index(int(store.event_id[row])), names[store.variant[row]]]
            mine = store.candidates[store.start[row] : store.start[row] + store.count[row]]
            np.testing.assert_array_equal(mine[:, 0], np.float32(jet["cand_pt"]))
            np.testing.assert_array_equal(mine[:, 6], np.float32(jet["cand_d0"]))
            assert store.weight[row] == jet["weight"]
            found += 1
    assert found == len(own)
    assert made["lacks"] == [] and made["processes"]["signal"]["use"] == "pretrain"


def test_keys_of_a_data_set_are_taken_as_they_are(tmp_path: Path) -> None:
    """A data set that is written again has the same events in it."""
    rows = toy.rows_of("signal", range(12))
    write(arrow(rows), tmp_path / "out", splits=(1.0, 0.0, 0.0))
    assert {row["event_id"] for row in rows_in(tmp_path / "out", "train")} == {row["event_id"] for row in rows}
    with pytest.raises(
        DataError, match="event_id is .* in row 0, neither a number .* nor a key of the process other"
    ):
        write(Jets(arrow(rows), process="other"), tmp_path / "other")


def test_more_jets_move_no_event(tmp_path: Path) -> None:
    of = []
    for number in (10, EVENTS):
        rows = [r for r in toy_rows() if r["event_id"] < number]
        write(arrow(rows), tmp_path / str(number))
        of.append({r["event_id"]: s for s in ("train", "val", "test") for r in rows_in(tmp_path / str(number), s)})
    assert of[0].items() < of[1].items() and len(set(of[1].values())) == 3


def test_without_numbers_every_jet_is_an_event(tmp_path: Path) -> None:
    rows = [{n: v for n, v in r.items() if n not in ("event_id", "variant")} for r in toy_rows(shuffle=False)]
    made = write([arrow(rows[:50]), arrow(rows[50:])], tmp_path / "out", splits=(1.0, 0.0, 0.0))
    assert made["variants"] == {"nominal": "train"}
    found = rows_in(tmp_path / "out", "train")
    for process in toy.MULTIPLICITY:
        mine, own = ([r for r in some if r["process"] == process] for some in (found, rows))
        assert [r["event_id"] for r in mine] == [event_id(process, i) for i in range(len(own))]
        assert [r["jet_pt"] for r in mine] == [np.float32(r["jet_pt"]) for r in own]
    both = [Jets(arrow(rows), variant="nominal"), Jets(arrow(rows), variant="seed")]
    with pytest.raises(DataError, match="views under nominal, seed without a column event_id"):
        write(both, tmp_path / "two")
    with pytest.raises(DataError, match="has a column event_id, unlike the sources before"):
        write([Jets(arrow(rows), variant="nominal"), arrow(toy_rows())], tmp_path / "three")


def test_substitutes_are_those_of_the_page(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "own_jets.md").read_text(encoding="utf-8")
    assert columns_table() in page
    assert {c.name for c in COLUMNS} == {*dataset_schema().names, "split"} - {"label"}
    rows = [{n: r[n] for n in ("cand_pt", "cand_eta", "cand_phi")} for r in toy_rows()]
    made = write(Jets(arrow(rows), fill=FILLED_IF_ASKED), tmp_path / "out", process="mine", splits=(1.0, 0.0, 0.0))
    assert set(made["lacks"]) == {
        c.name for c in COLUMNS if c.substitute and c.role in ("jet", "candidate", "further")
    } | {"weight"}
    card = (tmp_path / "out" / "card.md").read_text(encoding="utf-8")
    assert "| `cand_d0` | 0 |" in card and "re-simulated" not in card
    for row, own in zip(rows_in(tmp_path / "out", "train"), rows, strict=True):
        pt, eta, phi = (np.array(own[f"cand_{n}"]) for n in ("pt", "eta", "phi"))
        momentum = np.array([(pt * np.cos(phi)).sum(), (pt * np.sin(phi)).sum(), (pt * np.sinh(eta)).sum()])
        energy = (pt * np.cosh(eta)).sum()
        np.testing.assert_allclose(row["jet_pt"], np.hypot(*momentum[:2]), rtol=1e-5)
        np.testing.assert_allclose(row["jet_eta"], np.arcsinh(momentum[2] / np.hypot(*momentum[:2])), atol=1e-5)
        np.testing.assert_allclose(row["jet_phi"], np.arctan2(momentum[1], momentum[0]), atol=1e-5)
        np.testing.assert_allclose(row["jet_energy"], energy, rtol=1e-5)
        mass = np.sqrt(max(energy**2 - (momentum**2).sum(), 0))
        np.testing.assert_allclose(row["jet_mass"], mass, rtol=1e-3, atol=1e-2)
        assert set(row["cand_pdg_id"]) == {130} and set(row["cand_charge"]) == {0} and set(row["cand_dz"]) == {0}
        assert (row["weight"], row["jet_type"], row["parton_pdg_id"]) == (1.0, "other", 0) and np.isnan(
            row["jet_msd"]
        )
        assert row["jet_n_constituents"] == len(pt) and row["cand_pt"] == sorted(row["cand_pt"], reverse=True)


def test_charges_give_codes_of_hadrons(tmp_path: Path) -> None:
    rows = [{n: v for n, v in r.items() if n != "cand_pdg_id"} for r in toy_rows()]
    write(Jets(arrow(rows), fill=["cand_pdg_id"]), tmp_path / "out")
    for row in rows_in(tmp_path / "out", "train"):
        assert row["cand_pdg_id"] == [211 * q or 130 for q in row["cand_charge"]]


def test_relative_angles_and_other_names(tmp_path: Path) -> None:
    write(arrow(toy_rows()), tmp_path / "plain")
    rows = toy_rows()
    for row in rows:
        row["deta"] = row.pop("cand_eta") - row["jet_eta"]
        row["dphi"] = row.pop("cand_phi") - row["jet_phi"]
    rename = {"cand_eta": "deta", "cand_phi": "dphi"}
    write(Jets(arrow(rows), rename=rename, relative=True), tmp_path / "relative")
    for one, other in zip(
        rows_in(tmp_path / "plain", "train"), rows_in(tmp_path / "relative", "train"), strict=True
    ):
        np.testing.assert_allclose(one["cand_eta"], other["cand_eta"], atol=1e-6)
        turn = np.remainder(np.subtract(one["cand_phi"], other["cand_phi"]) + 1, 2 * np.pi) - 1
        np.testing.assert_allclose(turn, 0, atol=1e-6)
    for row in rows:
        row["jet_eta"] += 2.0
    with pytest.raises(DataError, match="cand_eta is about zero and not about jet_eta .* say so"):
        write(Jets(arrow(rows), rename=rename), tmp_path / "wrong")


def test_a_cap_keeps_the_hardest(tmp_path: Path) -> None:
    write(arrow(toy_rows()), tmp_path / "out", constituents=4)
    for row in rows_in(tmp_path / "out", "train"):
        assert len(row["cand_pt"]) == min(4, row["jet_n_constituents"])


def at(name: str, row: int, value: Any) -> Callable[[Rows], None]:
    """Return a change of one value, of the first entry of a list."""

    def change(rows: Rows) -> None:
        if isinstance(rows[row][name], np.ndarray):
            rows[row][name] = [value, *rows[row][name][1:].tolist()]
        else:
            rows[row][name] = value

    return change


def cut(rows: Rows) -> None:
    rows[3]["cand_dz"] = rows[3]["cand_dz"][:-1]


def empty(rows: Rows) -> None:
    for name in CANDIDATES:
        rows[7][name] = []


def twice(rows: Rows) -> None:
    rows.append(rows[0])


def two_splits(rows: Rows) -> None:
    for i, row in enumerate(rows):
        row["split"] = "train" if i % 2 else "test"


def renamed(**names: str) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        for row in rows:
            for old, new in names.items():
                row[new] = row.pop(old)

    return change


def scaled(name: str, factor: float) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        for row in rows:
            row[name] = row[name] * factor

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (renamed(cand_dz="z", jet_pt="pt"), r"no column jet_pt, cand_dz; needed are jet_pt, .*`rename`.*`fill`"),
        (
            at("jet_pt", 5, float("nan")),
            r"jet_pt is NaN or infinite, first in row 5 \(1 of the jets from row 0 on\)",
        ),
        (at("jet_energy", 2, 0.0), r"jet_energy is not above zero, first in row 2"),
        (at("jet_eta", 4, None), r"jet_eta has 1 empty values, first in row 4"),
        (at("cand_pt", 6, -1.0), r"cand_pt holds values that are not above zero, first in row 6"),
        (at("cand_d0", 1, float("inf")), r"cand_d0 holds NaN or infinite values, first in row 1"),
        (at("cand_phi", 1, 180.0), r"cand_phi is beyond 2 pi, as if it were in degrees, first in row 1"),
        (at("cand_charge", 8, 300), r"cand_charge holds values that are not of the type int8, first in row 8"),
        (at("weight", 3, float("nan")), r"weight is nan in row 3"),
        (at("jet_n_constituents", 3, 2.5), r"jet_n_constituents is 2.5 in row 3"),
        (at("event_id", 9, -4), r"event_id is -4 in row 9"),
        (at("process", 0, "Big Jets"), r"process 'Big Jets': a name has small letters"),
        (scaled("jet_pt", 1e3), r"jet_pt is above 50000 GeV, as if it were in MeV, first in row"),
        (cut, r"cand_dz and cand_pt differ in length, first in row 3"),
        (empty, r"cand_pt holds no candidate, first in row 7"),
        (twice, r"the event \d+ of \w+ has two jets under \w+; give every view"),
        (two_splits, r"the event \d+ of \w+ has views in two splits"),
        (at("variant", 0, None), r"variant has 1 empty values, first in row 0"),
        (renamed(process="kind"), r"no column process; add it, or say which process"),
    ],
)
def test_jets_that_are_not_right_leave_nothing(tmp_path: Path, change: Any, message: str) -> None:
    rows = toy_rows()
    change(rows)
    pq.write_table(arrow(rows), tmp_path / "jets.parquet")
    where = "" if message.startswith("the event") else r"jets\.parquet: "
    with pytest.raises(CampaignError, match=where + message):
        write(tmp_path / "jets.parquet", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["jets.parquet"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"held_out": ["nominal"]}, "one variant must be `nominal`, and not be held out"),
        ({"held_out": ["herwig"]}, "no jet is of the variant herwig; there are nominal"),
        ({"labels": {"qcd": "QCD"}}, "no jet is of the process qcd; there are"),
        ({"splits": (0.5, 0.2, 0.2)}, "splits: 0.5 0.2 0.2: .*is 0.9, not 1"),
    ],
)
def test_options_that_cannot_be_met(tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write(arrow(toy_rows()), tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("jets", "message"),
    [
        (Jets("nowhere.parquet"), "nowhere.parquet: no such file"),
        (Jets(3.5), "jets of the kind float cannot be read"),
        (Jets({"cand_pt": np.zeros((2, 2, 2))}), r"cand_pt: an array of shape \(2, 2, 2\)"),
        (Jets({"jet_pt": np.zeros(2), "jet_eta": np.zeros(3)}), "arrays of different lengths: jet_pt 2, jet_eta 3"),
        (Jets(pa.table({"x": [1]}), rename={"jet_pt": "pt"}), "no column pt, which was to be renamed to jet_pt"),
        (Jets(pa.table({"x": [1]}), rename={"jet_p": "x"}), "rename: jet_p: no column of own jets"),
        (Jets(pa.table({"x": [1]}), fill=["cand_pt"]), "fill: cand_pt cannot be filled"),
        (Jets(pa.table({n: ["a"] if n in JET_AXIS else [[1.0]] for n in SEEN})), "jet_pt holds string; it must hold numbers"),
        (Jets(ak.Array([1.0])), "the Awkward array has no fields"),
    ],
)  # fmt: skip
def test_sources_that_cannot_be_read(tmp_path: Path, jets: Jets, message: str) -> None:
    with pytest.raises(CampaignError, match=message):
        write(jets, tmp_path / "out", process="qcd")


def test_invalid_jets_can_be_left_out(tmp_path: Path) -> None:
    rows = toy_rows()
    for change in (at("jet_pt", 5, None), at("cand_d0", 6, np.inf), at("cand_dz", 6, np.nan), empty):
        change(rows)
    made = write(arrow(rows), tmp_path / "out", leave_out_invalid=True)
    assert made["invalid_jets"] == 3 and made["invalid_by_column"] == {"jet_pt": 1, "cand_d0": 1, "cand_pt": 1}
    assert sum(file["rows"] for file in made["files"]) == len(rows) - 3
    for row in rows:
        row["jet_pt"] = None
    with pytest.raises(DataError, match="no jet"):
        write(arrow(rows), tmp_path / "none", leave_out_invalid=True)


def test_root_files_need_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jets.root").write_bytes(b"root")
    monkeypatch.setitem(sys.modules, "uproot", None)
    with pytest.raises(ConfigError, match="ROOT files need the package uproot: pip install uproot"):
        write(tmp_path / "jets.root", tmp_path / "out")


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x", encoding="utf-8")
    with pytest.raises(StorageError, match="exists already"):
        write(arrow(toy_rows()), tmp_path / "out")


def test_sums_of_no_candidates_are_zero() -> None:
    values = {name: np.zeros(0) for name in ("cand_pt", "cand_eta", "cand_phi", "cand_energy")}
    assert all((found == 0).all() for found in summed(values, np.zeros(0, np.int64), 2).values())


def test_the_example_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    page = (REPOSITORY / "docs" / "own_jets.md").read_text(encoding="utf-8")
    (example,) = [e for e in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S) if "import Jets, write" in e]
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    assert capsys.readouterr().out.startswith("{'nominal': 'train', 'smeared': 'train'} 200 ['cand_charge'")
    assert contents_sha256({}) not in contents(tmp_path / "results" / "mine" / "dataset")["train"]["qcd"].values()


def test_what_awkward_writes_by_default_is_read(tmp_path: Path, expected: dict[str, Any]) -> None:
    records = in_awkward(toy_rows())
    ak.to_parquet(records, tmp_path / "jets.parquet")
    write(tmp_path / "jets.parquet", tmp_path / "file")
    write(ak.to_arrow_table(records), tmp_path / "table")
    write(in_awkward(toy_rows()), tmp_path / "records")
    files = contents(tmp_path / "records")
    assert contents(tmp_path / "file") == files
    assert contents(tmp_path / "table") == files


def test_masked_values_are_empty_values_and_bytes_may_be_in_any_order() -> None:
    flat = np.ma.masked_array([1.0, 2.0], mask=[False, True])
    table = tables.as_table({"jet_pt": flat, "cand_pt": np.ma.masked_array(np.ones((2, 2)), mask=np.eye(2))})
    assert table["jet_pt"].to_pylist() == [1.0, None]
    assert table["cand_pt"].to_pylist() == [[None, 1.0], [1.0, None]]
    swapped = tables.as_table({"jet_pt": np.arange(3, dtype=">f8"), "cand_pt": np.ones((3, 2), ">f4")})
    assert swapped["jet_pt"].to_pylist() == [0, 1, 2]
    assert swapped["cand_pt"].to_pylist() == [[1, 1]] * 3
    with pytest.raises(DataError, match="jet_pt holds complex128"):
        tables.as_table({"jet_pt": np.ones(2) * 1j})


def test_a_folder_and_an_rntuple_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        write(tmp_path, tmp_path / "out", process="qcd")
    uproot = pytest.importorskip("uproot")
    with uproot.recreate(tmp_path / "jets.root") as file:
        file.mkrntuple("Events", {"jet_pt": np.ones(3)})
    with pytest.raises(DataError, match="Events is an RNTuple"):
        write(tmp_path / "jets.root", tmp_path / "out", process="qcd")


@pytest.mark.parametrize(
    ("options", "said"), [({"constituents": 0}, "above 0"), ({"labels": {"qcd": 3}}, "no text")]
)
def test_options_of_a_wrong_kind_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        write(in_numpy(toy_rows()), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
