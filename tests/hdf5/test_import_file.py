"""Files of a campaign, imported one by one: the same data set as by one command, and what is left out or wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rs3l.config import blocks, parse_campaign
from rs3l.dataset.adopt import adopt
from rs3l.dataset.manifest import read_manifest
from rs3l.dataset.parts import Reader
from rs3l.errors import CampaignError
from rs3l.files import sha256
from rs3l.hdf5.export_hdf5 import ExportOptions, export_hdf5
from rs3l.hdf5.import_file import import_dataset, import_file
from rs3l.hdf5.import_hdf5 import import_hdf5
from rs3l.hdf5.source import ImportOptions
from rs3l.paths import SPLITS, CampaignPaths
from support import toy
from support.public_files import also_w, public_file
from support.workflow import run_script

Values = dict[str, Any]
PARTS = {"0002": "rs3l_2.h5", "0007": "rs3l_7.h5"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two public files with Higgs, W and QCD jets; they do not follow each other."""
    folder = tmp_path_factory.mktemp("files")
    for number in (2, 7):
        public_file(folder / f"rs3l_{number}.h5", 120, also_w, seed=number)
    return folder


def settings(files: Path, **changes: Any) -> Values:
    tasks = {"h": {"signal": "higgs_bb", "background": "qcd"}, "w": {"signal": "w_qq", "background": "qcd"}}
    dataset = {"splits": {"train": 0.8, "val": 0.1, "test": 0.1}, "events_per_row_group": 25}
    return {"campaign": "c", "source": {"hdf5": f"{files}/*.h5"}, "tasks": tasks, "dataset": dataset, **changes}


def made(values: Values, root: Path) -> dict[str, Any]:
    """Import all files, and make the data set."""
    config = parse_campaign(values)
    paths = CampaignPaths(str(root))
    folder = Path(values["source"]["hdf5"]).parent
    for part, name in PARTS.items():
        if (folder / name).is_file():
            import_file(blocks.import_file(config), folder / name, str(root), part)
    entries = sorted(Path(paths.imported("x")).parent.glob("*.json"))
    return import_dataset(blocks.import_dataset(config), str(root), entries)


def rows(folder: Path, split: str, process: str) -> pa.Table:
    return pa.concat_tables([pq.read_table(p) for p in sorted((folder / split).glob(f"{process}-*.parquet"))])


def assert_same(one: pa.Table, other: pa.Table) -> None:
    """In every column and entry of a list; NaN is NaN."""
    assert one.schema == other.schema and one.num_rows == other.num_rows
    for name in one.column_names:
        columns = [table[name].combine_chunks() for table in (one, other)]
        if pa.types.is_list(columns[0].type):
            np.testing.assert_array_equal(*(c.value_lengths().to_numpy() for c in columns), err_msg=name)
            columns = [c.flatten() for c in columns]
        np.testing.assert_array_equal(*(c.to_numpy(zero_copy_only=False) for c in columns), err_msg=name)


def test_one_by_one_is_as_all_at_once(files: Path, tmp_path: Path) -> None:
    """In rows, checksums of contents, and counts; a part of every split and process belongs to each file."""
    manifest = made(settings(files), tmp_path / "c")
    options = ImportOptions(events_per_row_group=25)
    whole = import_hdf5([files], tmp_path / "whole", options)
    for split in SPLITS:
        for process in ("higgs_bb", "qcd", "w_qq"):
            one, other = (
                rows(folder, split, process) for folder in (tmp_path / "c" / "dataset", tmp_path / "whole")
            )
            assert_same(one, other)
            assert manifest["digests"][split][process] == whole["digests"][split][process]
    assert manifest["events_without_jets"] == whole["events_without_jets"] == 12
    assert len(manifest["files"]) == 2 * 3 * 3 and manifest["events_of_other_types"] == 0
    assert manifest["lacks"][:1] == ["parton_pdg_id"] and "jet_n2" in manifest["lacks"]
    known = read_manifest(tmp_path / "c" / "dataset" / "manifest.json")
    for part in known.parts:
        assert sha256(known.path(part)) == part.sha256
        found = pq.ParquetFile(known.path(part))
        sizes = [len(set(found.read_row_group(i)["event_id"].to_pylist())) for i in range(found.num_row_groups)]
        assert sum(sizes) == part.events and all(size == 25 for size in sizes[:-1])
    jets = [len(j.store) for j in Reader(tmp_path / "c" / "dataset" / "manifest.json", "qcd", range(1, 2))]
    assert sum(jets) == next(f["rows"] for f in manifest["files"] if f["path"] == "test/qcd-0007.parquet")
    card = (tmp_path / "c" / "dataset" / "card.md").read_text(encoding="utf-8")
    assert "rs3l_2.h5, rs3l" in card and "## Matching efficiency" not in card
    assert not list((tmp_path / "c" / "dataset").glob(".*"))


def test_what_a_killed_job_has_left_goes(files: Path, tmp_path: Path) -> None:
    """Its folder, and parts without an entry: the next job makes all of them anew, as if nothing had been there."""
    whole = made(settings(files), tmp_path / "whole")
    dataset = tmp_path / "killed" / "dataset"
    (dataset / ".import-0002.tmp" / "train").mkdir(parents=True)
    (dataset / ".import-0002.tmp" / "train" / "qcd-0000.parquet").write_bytes(b"PAR1")
    (dataset / "train").mkdir()
    (dataset / "train" / "qcd-0002.parquet").write_bytes(b"PAR1")
    again = made(settings(files), tmp_path / "killed")
    assert again == whole and not list(dataset.glob(".*"))


def test_a_file_is_the_same_whatever_the_others_are(files: Path, tmp_path: Path) -> None:
    config = parse_campaign(settings(files))
    entries = [
        import_file(blocks.import_file(config), files / "rs3l_7.h5", str(tmp_path / name), "0007") for name in "ab"
    ]
    assert entries[0] == entries[1]
    assert {f["path"].rpartition("-")[2] for f in entries[0]["files"]} == {"0007.parquet"}


def test_types_and_variants_choose_what_is_imported(files: Path, tmp_path: Path) -> None:
    """Those that no process takes are left out and counted; a file with its label and its views as they are named."""
    values = settings(
        files,
        processes={"higgs_bb": {"label": "Higgs"}, "charm": {"label": "c", "jet_types": ["c"]}},
        variants={"nominal": {}, "seed": {}, "herwig": {"use": "held_out"}},
        tasks={"t": {"signal": "higgs_bb", "background": "charm"}},
    )
    manifest = made(values, tmp_path)
    everything = made(settings(files), tmp_path / "all")
    assert list(manifest["processes"]) == ["higgs_bb", "charm"]
    counted = manifest["events_of_other_types"] + sum(p["hard_events"] for p in manifest["processes"].values())
    assert counted == sum(p["hard_events"] for p in everything["processes"].values())
    assert manifest["variants"] == {"nominal": "train", "seed": "train", "herwig": "held_out"}
    table = rows(tmp_path / "dataset", "train", "higgs_bb")
    assert set(table["label"].to_pylist()) == {"Higgs"}
    assert set(table["variant"].to_pylist()) == {"nominal", "seed", "herwig"}
    assert set(rows(tmp_path / "dataset", "train", "charm")["jet_type"].to_pylist()) == {"c"}


def test_a_class_or_a_variant_without_jets_is_refused(files: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()

    def change(file: h5py.File) -> None:
        file["singletons"][:, 4], file["jet_pflow_cands"][:, 4] = 0, 0

    public_file(tmp_path / "one" / "rs3l_2.h5", 60, change)
    with pytest.raises(
        CampaignError, match=r"no event with a jet of w_qq; remove it .* 0 events of other types, 3"
    ):
        made(settings(tmp_path / "one"), tmp_path / "a")
    tasks = {"h": {"signal": "higgs_bb", "background": "qcd"}}
    with pytest.raises(CampaignError, match="no jet under the variant herwig; remove it from `variants`"):
        made(settings(tmp_path / "one", tasks=tasks), tmp_path / "b")
    without = {name: {} for name in ("nominal", "seed", "fsr_hi", "fsr_lo")}
    assert made(settings(tmp_path / "one", tasks=tasks, variants=without), tmp_path / "c")["files"]


def with_nan(file: h5py.File) -> None:
    file["jet_pflow_cands"][57, 1, 9, 0] = np.nan


def with_code(file: h5py.File) -> None:
    file["singletons"][57, :, 0] = 42


def with_doubles(file: h5py.File) -> None:
    for name in ("singletons", "jet_pflow_cands"):
        values = file[name][:].astype(np.float64)
        del file[name]
        file[name] = values


def with_more_columns(file: h5py.File) -> None:
    """More variables of jets and candidates than are known, candidates without chunks, and no jet at first."""
    jets, candidates = file["singletons"][:], file["jet_pflow_cands"][:]
    jets[:20], candidates[:20] = 0, 0
    del file["singletons"], file["jet_pflow_cands"]
    file["singletons"] = np.concatenate([jets, np.full((*jets.shape[:2], 7), 5.0, np.float32)], axis=2)
    file["jet_pflow_cands"] = np.concatenate([candidates, np.full_like(candidates[:, :, :2], 9.0)], axis=2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_nan, "jet_pflow_cands, d0: .* first in event 57, variant 1 .* source.invalid: leave_out"),
        (with_code, "event 57 has the jet type 42; .* .source.jet_types in a configuration"),
    ],
)
def test_a_file_that_is_not_right_leaves_nothing(
    tmp_path: Path, change: Callable[[h5py.File], None], message: str
) -> None:
    public_file(tmp_path / "files" / "rs3l_2.h5", change=change)
    config = parse_campaign(settings(tmp_path / "files"))
    with pytest.raises(CampaignError, match=message):
        import_file(blocks.import_file(config), tmp_path / "files" / "rs3l_2.h5", str(tmp_path / "c"), "0002")
    assert not [p for p in (tmp_path / "c").rglob("*") if p.is_file()]


@pytest.mark.parametrize("change", [with_doubles, with_more_columns])
def test_other_widths_and_types_of_numbers_are_the_same(
    tmp_path: Path, change: Callable[[h5py.File], None]
) -> None:
    tasks = {"h": {"signal": "higgs_bb", "background": "qcd"}}
    for name, how in (("plain", None), ("other", change)):
        public_file(tmp_path / name / "rs3l_2.h5", 60, how)
        made(settings(tmp_path / name, tasks=tasks), tmp_path / f"c_{name}")
    first, second = (rows(tmp_path / f"c_{name}" / "dataset", "train", "qcd") for name in ("plain", "other"))
    if change is with_more_columns:
        gone = set(first["event_id"].to_pylist()) - set(second["event_id"].to_pylist())
        first = first.filter(pa.array([key not in gone for key in first["event_id"].to_pylist()]))
        assert 0 < len(gone) < 20
    assert_same(first, second)


def test_invalid_jets_and_own_codes(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        with_nan(file)
        file["singletons"][1::3, :, 0] = np.where(file["singletons"][1::3, :, 0] > 0, 42, 0)

    public_file(tmp_path / "files" / "rs3l_2.h5", change=change)
    values = settings(tmp_path / "files", tasks={"t": {"signal": "top", "background": "qcd"}})
    values["source"] |= {"invalid": "leave_out", "jet_types": {42: "top"}, "columns": {"jet_msd": 2, "jet_n2": 3}}
    manifest = made(values, tmp_path)
    assert manifest["invalid_jets"] == 1 and manifest["processes"]["top"]["hard_events"] > 10
    assert "jet_msd" not in manifest["lacks"]
    assert (rows(tmp_path / "dataset", "train", "top")["jet_msd"].to_numpy() == 0).all()


def test_our_own_files_come_back(tmp_path: Path) -> None:
    """With their keys, splits, processes and labels; blocks of events that files share have checksums of both."""
    manifest = toy.write_dataset(tmp_path / "dataset")
    options = ExportOptions(("nominal", "seed", "fsr_hi", None, "vincia"), events_per_file=25, angles="absolute")
    names = export_hdf5(manifest, tmp_path / "hdf5", options)
    config = parse_campaign(
        {
            "campaign": "c",
            "source": {"hdf5": f"{tmp_path}/hdf5/*.h5"},
            "tasks": {"t": {"signal": "signal", "background": "background"}},
        }
    )
    root = str(tmp_path / "c")
    for number, name in enumerate(names):
        import_file(blocks.import_file(config), tmp_path / "hdf5" / name, root, f"{number:04d}")
    entries = [CampaignPaths(root).imported(f"{number:04d}") for number in range(len(names))]
    back = import_dataset(blocks.import_dataset(config), root, entries)
    assert back["variants"] == toy.VARIANTS
    for split in SPLITS:
        before = rows(tmp_path / "dataset", split, "signal")["event_id"].to_pylist()
        after = rows(tmp_path / "c" / "dataset", split, "signal")["event_id"].to_pylist()
        assert set(after) <= set(before) and len(set(after)) > 10
    damaged = Path(entries[0])
    damaged.write_text(damaged.read_text(encoding="utf-8").replace('"events": 2', '"events": 3'), encoding="utf-8")
    with pytest.raises(CampaignError, match="its contents were changed after it was written"):
        import_dataset(blocks.import_dataset(config), root, entries)


def test_a_data_set_is_used_where_it_lies(tmp_path: Path) -> None:
    manifest = toy.write_dataset(tmp_path / "dataset")
    config = parse_campaign(
        {
            "campaign": "c",
            "source": {"parquet": str(tmp_path)},
            "processes": {"signal": {"label": "S"}, "background": {"use": "downstream"}},
            "variants": {"nominal": {}, "seed": {}},
            "tasks": {"t": {"signal": "signal", "background": "background"}},
        }
    )
    block, root = blocks.import_dataset(config), str(tmp_path / "c")
    for _ in range(2):  # a second time, too
        values = adopt(block, root, manifest)
    known = read_manifest(CampaignPaths(root).manifest)
    assert known.processes["signal"].label == "S" and known.processes["background"].use == "downstream"
    assert list(known.variants) == ["nominal", "seed"] and values["campaign"] == "c"
    for part, other in zip(known.parts, read_manifest(manifest).parts, strict=True):
        assert known.path(part).resolve() == read_manifest(manifest).path(other).resolve()
    path = read_manifest(manifest).path(other)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(CampaignError, match="its SHA-256 is not the manifest's"):
        adopt(block, root, manifest)


def test_the_scripts_do_the_same(files: Path, tmp_path: Path) -> None:
    made(settings(files), tmp_path / "library")
    config = parse_campaign(settings(files))
    root = str(tmp_path / "scripts")
    for name in PARTS.values():
        block = blocks.import_file(config).as_json()
        done = run_script("import_file.py", "--block", block, "--file", str(files / name), "--root", root)
        assert done.returncode == 0, done.stderr
    entries = [CampaignPaths(root).imported(part) for part in PARTS]
    block = blocks.import_dataset(config).as_json()
    done = run_script("import_dataset.py", "--block", block, "--root", root, "--entries", *entries)
    assert done.returncode == 0, done.stderr
    first, second = (tmp_path / name / "dataset" / "manifest.json" for name in ("library", "scripts"))
    assert json.loads(first.read_text(encoding="utf-8")) == json.loads(second.read_text(encoding="utf-8"))
