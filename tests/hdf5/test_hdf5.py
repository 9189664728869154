"""RS3L's HDF5 layout: out and back, files as an independent reader expects them, and files that are not right."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rs3l.config.dataset import Splits
from rs3l.config.tasks import Task
from rs3l.dataset.store import load_views
from rs3l.errors import CampaignError
from rs3l.hdf5 import import_hdf5 as import_module
from rs3l.hdf5.export_hdf5 import ExportOptions, export_hdf5, slots_of
from rs3l.hdf5.import_hdf5 import import_hdf5
from rs3l.hdf5.layout import COLUMNS, FEATURES
from rs3l.hdf5.source import ImportOptions
from rs3l.paths import SPLITS
from support import pretraining, toy, tuning
from support.places import SCRIPTS
from support.public_files import public_file
from support.workflow import run_script

SLOTS = ("nominal", "seed", "fsr_hi", None, "vincia")
ALL_EVENTS = ExportOptions(slots=SLOTS, complete=False, candidates=40, events_per_file=25, angles="absolute")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.write_dataset(tmp_path_factory.mktemp("dataset"))


def rows(folder: Path, split: str, process: str) -> pa.Table:
    return pa.concat_tables([pq.read_table(p) for p in sorted((folder / split).glob(f"{process}-*.parquet"))])


def values(table: pa.Table, name: str) -> list[np.ndarray[Any, Any]]:
    """The numbers of a column, and for lists their lengths."""
    column = table[name].combine_chunks()
    if pa.types.is_list(column.type):
        return [column.value_lengths().to_numpy(), column.flatten().to_numpy()]
    return [column.to_numpy(zero_copy_only=False)]


def assert_same(one: pa.Table, other: pa.Table, names: list[str]) -> None:
    assert one.schema == other.schema
    for name in names:
        for a, b in zip(values(one, name), values(other, name), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


def test_out_and_back_is_the_same_in_every_column(manifest: Path, tmp_path: Path) -> None:
    names = export_hdf5(manifest, tmp_path / "hdf5", ALL_EVENTS)
    assert len(names) == len(set(names)) > 6
    made = import_hdf5(
        [tmp_path / "hdf5"], tmp_path / "back", ImportOptions(events_per_row_group=7, events_per_part=20)
    )
    assert made["variants"] == toy.VARIANTS
    for split in SPLITS:
        for process in toy.MULTIPLICITY:
            before, after = rows(manifest.parent, split, process), rows(tmp_path / "back", split, process)
            assert before.num_rows == after.num_rows > 60
            assert_same(before, after, before.column_names)


def test_relative_angles_come_back_to_rounding(manifest: Path, tmp_path: Path) -> None:
    options = ExportOptions(slots=SLOTS, complete=False, candidates=40)
    export_hdf5(manifest, tmp_path / "hdf5", options)
    import_hdf5([tmp_path / "hdf5"], tmp_path / "back", ImportOptions())
    angles = ["cand_eta", "cand_phi"]
    for process in toy.MULTIPLICITY:
        before, after = rows(manifest.parent, "train", process), rows(tmp_path / "back", "train", process)
        assert_same(before, after, [name for name in before.column_names if name not in angles])
        for name in angles:
            difference = np.remainder(values(before, name)[1] - values(after, name)[1] + np.pi, 2 * np.pi) - np.pi
            assert np.abs(difference).max() < 1e-6


def test_a_reader_of_the_layout_finds_every_jet(manifest: Path, tmp_path: Path) -> None:
    """Read as users of the public files do: by the numbers of columns, without attributes."""
    (name, *_) = export_hdf5(manifest, tmp_path / "hdf5", ExportOptions(slots=SLOTS, candidates=12))
    with h5py.File(tmp_path / "hdf5" / name) as file:
        assert list(file["singletons"].attrs["columns"]) == list(COLUMNS)
        jets, candidates, keys = file["singletons"][:], file["jet_pflow_cands"][:], file["event_id"][:]
        assert file.attrs["split"] == "train" and file.attrs["angles"] == "relative"
    assert candidates.shape == (len(keys), 5, len(FEATURES), 12)
    table = pa.concat_tables([rows(manifest.parent, "train", process) for process in toy.MULTIPLICITY]).to_pylist()
    of = {(row["event_id"], row["variant"]): row for row in table}
    complete = {key for key, _ in of if all((key, name) in of for name in toy.VARIANTS)}
    assert set(keys.tolist()) == complete and len(complete) > 60
    for e, s in np.ndindex(len(keys), 5):
        if SLOTS[s] is None:
            assert not jets[e, s].any() and not candidates[e, s].any()
            continue
        row = of[keys[e], SLOTS[s]]
        assert jets[e, s, 0] == 1  # a light quark
        assert jets[e, s, 9:13].tolist() == [row[f"jet_{n}"] for n in ("pt", "eta", "phi", "energy")]
        n = min(12, len(row["cand_pt"]))
        assert (candidates[e, s, 0] > 0).sum() == n and not candidates[e, s, :, n:].any()
        deta, dphi = candidates[e, s, 2, :n], candidates[e, s, 3, :n]
        np.testing.assert_allclose(deta, np.array(row["cand_eta"][:n]) - row["jet_eta"], atol=1e-6)
        assert np.abs(dphi).max() < np.pi
        np.testing.assert_allclose(candidates[e, s, 4, :n], np.hypot(deta, dphi), atol=1e-6)
        np.testing.assert_allclose(candidates[e, s, 1, :n] * row["jet_pt"], row["cand_pt"][:n], rtol=1e-6)
        np.testing.assert_array_equal(candidates[e, s, 5, :n], np.float32(row["cand_energy"][:n]))
        assert candidates[e, s, 8, :n].tolist() == row["cand_pdg_id"][:n]
    labels = [of[key, "nominal"]["process"] for key in keys.tolist()]
    assert labels != sorted(labels) and labels != sorted(labels, reverse=True)  # the processes alternate


@pytest.mark.parametrize("absolute", [False, True])
def test_public_files_become_views(tmp_path: Path, absolute: bool) -> None:
    public_file(tmp_path / "rs3l_3.h5", absolute=absolute)
    made = import_hdf5([tmp_path], tmp_path / "dataset", ImportOptions())
    assert made["events_without_jets"] == 3
    assert list(made["variants"]) == ["nominal", "seed", "fsr_hi", "fsr_lo", "herwig"]
    assert sum(file["events"] for file in made["files"]) == 57
    store = load_views(
        tmp_path / "dataset" / "manifest.json", "train", ["higgs_bb", "qcd"], list(made["variants"]), 30
    )
    assert set(store.events().count.tolist()) == {4, 5}
    assert (np.abs(store.candidates[:, 1:3]) < 2).all()  # relative to the axis, whatever the file held
    inner = np.setdiff1d(np.arange(1, len(store.candidates)), store.start)
    assert (store.candidates[inner, 0] <= store.candidates[inner - 1, 0]).all()  # by descending pT
    table = rows(tmp_path / "dataset", "train", "higgs_bb")
    assert set(table["jet_type"].to_pylist()) == {"H"} and set(table["label"].to_pylist()) == {"H"}
    assert set(rows(tmp_path / "dataset", "train", "qcd")["jet_type"].to_pylist()) == {"c", "b"}
    assert set(table["parton_pdg_id"].to_pylist()) == {25} and np.isnan(table["jet_msd"].to_numpy()).all()
    pt, eta, energy = (table[f"jet_{n}"].to_numpy().astype(float) for n in ("pt", "eta", "energy"))
    np.testing.assert_allclose(
        table["jet_mass"].to_numpy() ** 2, np.maximum(energy**2 - (pt * np.cosh(eta)) ** 2, 0), rtol=1e-3
    )
    card = (tmp_path / "dataset" / "card.md").read_text(encoding="utf-8")
    assert "rs3l_3.h5" in card and "not known" in card and "substitute" in card


def test_invalid_jets_can_be_left_out(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        file["singletons"][12, :, 0] = np.nan  # no jet of this event is left
        file["jet_pflow_cands"][13, 1, 2, 0] = np.nan
        file["jet_pflow_cands"][14, 1, 1] = np.inf  # relpt is not used

    whole, holes = (
        public_file(tmp_path / n / "rs3l_0.h5", change=c) for n, c in (("whole", None), ("holes", change))
    )
    everything = import_hdf5([whole], tmp_path / "a", ImportOptions())
    made = import_hdf5([holes], tmp_path / "b", ImportOptions(leave_out_invalid=True))
    assert (made["events_without_jets"], made["invalid_jets"]) == (4, 6)
    assert (
        json.loads((tmp_path / "b" / "provenance.json").read_text(encoding="utf-8"))["files"][0]["angles"]
        == "relative"
    )
    rows_of = [sum(file["rows"] for file in manifest["files"]) for manifest in (everything, made)]
    assert rows_of[0] - rows_of[1] == 6


def test_more_files_move_no_event(tmp_path: Path) -> None:
    public_file(tmp_path / "rs3l_3.h5")
    import_hdf5([tmp_path / "rs3l_3.h5"], tmp_path / "one", ImportOptions())
    public_file(tmp_path / "rs3l_2.h5")
    import_hdf5([tmp_path], tmp_path / "two", ImportOptions())
    for split in SPLITS:
        ids = [set(rows(tmp_path / name, split, "qcd")["event_id"].to_pylist()) for name in ("one", "two")]
        assert ids[0] < ids[1]


def test_scripts_and_training_on_imported_files(manifest: Path, tmp_path: Path) -> None:
    public_file(tmp_path / "files" / "rs3l_0.h5", events=180)
    dataset, hdf5 = tmp_path / "dataset", tmp_path / "hdf5"
    done = run_script(
        "import_hdf5.py",
        "--files",
        str(tmp_path / "files"),
        "--out",
        str(dataset),
        "--splits",
        "0.5",
        "0.25",
        "0.25",
    )
    assert done.returncode == 0, done.stderr
    assert "angles of candidates look relative" in done.stderr
    changes = {"processes": ["higgs_bb", "qcd"], "variants": ["nominal", "seed", "herwig"], "batch": 16}
    block = pretraining.block(**changes, epochs=60, learning_rate=1e-2)
    outputs = [f"--{name}={tmp_path / name}" for name in ("state", "model", "metrics", "provenance")]
    done = run_script(
        "pretrain.py", "--block", block.model_dump_json(), f"--manifest={dataset}/manifest.json", *outputs
    )
    assert done.returncode == 0, done.stderr
    settings = tuning.SETTINGS.model_copy(update={"labels": [20], "repeats": 1})
    values = {"task": Task(signal="higgs_bb", background="qcd"), "variants": ["nominal"]}
    tune = tuning.block("rs3l_s0", settings).model_copy(update=values)
    data = (f"--manifest={dataset}/manifest.json", f"--model={tmp_path}/model")
    outputs = [f"--{name}={tmp_path / name}" for name in ("classifiers", "history")]
    done = run_script("finetune.py", "--block", tune.model_dump_json(), *data, *outputs)
    assert done.returncode == 0, done.stderr
    outputs = [f"--{name}={tmp_path / name}" for name in ("classifiers", "predictions")]
    done = run_script("score.py", *data, *outputs)
    assert done.returncode == 0, done.stderr
    assert pq.read_table(tmp_path / "predictions").num_rows > 100
    done = run_script(
        "export_hdf5.py",
        "--manifest",
        str(manifest),
        "--out",
        str(hdf5),
        "--variants",
        "nominal",
        "seed",
        "-",
        "-",
        "-",
    )
    assert done.returncode == 0, done.stderr
    with h5py.File(hdf5 / "rs3l_0.h5") as file:
        assert json.loads(file.attrs["variant_use"]) == {"nominal": "train", "seed": "train"}
    done = run_script("export_hdf5.py", "--manifest", str(manifest), "--out", str(hdf5))
    assert done.returncode == 1 and "exists already" in done.stderr and "Traceback" not in done.stderr


def replaced(name: str, index: tuple[Any, ...], value: float) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[name][index] = value

    return change


def reshaped(name: str, shape: tuple[int, ...]) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = np.zeros(shape, np.float32)

    return change


def without_candidates(file: h5py.File) -> None:
    del file["jet_pflow_cands"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_candidates, r"no data set 'jet_pflow_cands' \(it has singletons\)"),
        (reshaped("singletons", (60, 4, 13)), r"singletons has shape \(60, 4, 13\), expected \[events, 5, 13"),
        (reshaped("jet_pflow_cands", (59, 5, 11, 30)), r"jet_pflow_cands has shape .* expected \[60, 5, 11"),
        (reshaped("jet_pflow_cands", (60, 5, 30, 8)), "no event with a jet in"),
        (replaced("jet_pflow_cands", (57, 1, 9, 0), np.nan), "jet_pflow_cands, d0: .* first in event 57, variant 1"),
        (replaced("jet_pflow_cands", (57, 1, 0, 29), np.nan), "jet_pflow_cands, pt: .* first in event 57, variant 1"),
        (replaced("jet_pflow_cands", (3, 2, 7, 0), 0.5), "jet_pflow_cands, charge: .* event 3, variant 2"),
        (replaced("singletons", (4, 0, 12), np.inf), "singletons, jet_energy: .* event 4, variant 0"),
        (replaced("singletons", (5, 0, 0), 42), "event 5 has the jet type 42; .* --jet-type CODE=NAME"),
    ],
)  # fmt: skip
def test_files_that_are_not_right_leave_nothing(
    tmp_path: Path, change: Callable[[h5py.File], None], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module, "BLOCK_EVENTS", 16)  # so that something is written before event 57
    path = public_file(tmp_path / "files" / "rs3l_0.h5", change=change)
    with pytest.raises(CampaignError, match=message) as error:
        import_hdf5([path], tmp_path / "dataset", ImportOptions())
    assert str(path) in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["files"]


@pytest.mark.parametrize("script", ["export_hdf5", "import_hdf5"])
def test_a_full_disk_leaves_nothing(manifest: Path, tmp_path: Path, script: str) -> None:
    """A limit on the size of files stands for a disk that is full."""
    files = public_file(tmp_path / "files" / "rs3l_0.h5", events=200)
    arguments = {
        "export_hdf5": ["--manifest", manifest, "--variants", "nominal", "seed", "-", "-", "-"],
        "import_hdf5": ["--files", files],
    }
    program = (
        "import resource, runpy, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
        f"sys.path.insert(0, {str(SCRIPTS)!r})\n"
        f"runpy.run_path({str(SCRIPTS / (script + '.py'))!r}, run_name='__main__')\n"
    )
    command = [sys.executable, "-c", program, *map(str, arguments[script]), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "out: cannot be written (File too large)" in done.stderr and "Traceback" not in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["files"]


def test_other_codes_and_columns_can_be_named(tmp_path: Path) -> None:
    path = public_file(tmp_path / "rs3l_0.h5", change=replaced("singletons", (5, slice(None), 0), 42))
    options = ImportOptions(columns={"jet_msd": 2}, jet_types={42: "top"}, splits=Splits(train=1, val=0, test=0))
    made = import_hdf5([path], tmp_path / "dataset", options)
    assert set(made["processes"]) == {"higgs_bb", "qcd", "top"}
    assert not np.isnan(rows(tmp_path / "dataset", "train", "top")["jet_msd"].to_numpy()).any()


def test_no_such_files(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no", encoding="utf-8")
    for path, message in (
        (tmp_path, "no files"),
        (tmp_path / "x.h5", "no such file"),
        (tmp_path / "text.h5", "not an HDF5 file"),
    ):
        with pytest.raises(CampaignError, match=message):
            import_hdf5([path], tmp_path / "dataset", ImportOptions())
    with pytest.raises(CampaignError, match="events come twice"):
        path = public_file(
            tmp_path / "a" / "rs3l_0.h5", change=lambda file: file.create_dataset("event_id", data=np.arange(60))
        )
        import_hdf5([path, path], tmp_path / "dataset", ImportOptions())


def test_slots_follow_the_names() -> None:
    assert slots_of(["nominal", "rehadron", "fsr_lo"]) == ("nominal", None, None, "fsr_lo", None)
