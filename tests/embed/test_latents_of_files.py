"""Any file of jets gets its latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from rs3l.config.encoders import DeepSets
from rs3l.dataset import Jets
from rs3l.dataset.checksum import COLLAPSED
from rs3l.dataset.foreign_jets import NEEDED
from rs3l.dataset.own import tables
from rs3l.dataset.store import JetStore
from rs3l.embed.latents import write_latents_of_file
from rs3l.errors import DataError
from rs3l.hdf5.export_hdf5 import ExportOptions, export_hdf5
from rs3l.networks.model_file import embed, save_encoder
from support import root_files
from support.models import PROCESSES, VARIANTS, jets, saved
from support.workflow import run_script


@pytest.fixture(scope="module")
def store(manifest: Path) -> JetStore:
    return jets(manifest)


def frame(manifest: Path, shuffle: bool = False) -> pd.DataFrame:
    """Return the needed columns of the test jets, as plain Python lists; with ``shuffle``, in another order."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for process in PROCESSES:
        for part in (0, 1):
            table = pq.read_table(manifest.parent / "test" / f"{process}-{part:04d}.parquet")
            rows += [row for row in table.to_pylist() if row["variant"] in VARIANTS]
    for row in rows:
        order = rng.permutation(len(row["cand_pt"])) if shuffle else np.arange(len(row["cand_pt"]))
        for name in NEEDED:
            if name.startswith("cand_"):
                row[name] = [row[name][i] for i in order]
    return pd.DataFrame([{"my_number": 3 * i, **{n: row[n] for n in NEEDED}} for i, row in enumerate(rows)])


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_file_of_pandas_gets_its_latents(
    tmp_path: Path, manifest: Path, store: JetStore, shuffle: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "JETS_AT_A_TIME", 17)
    encoder = saved(tmp_path / "m.safetensors", DeepSets(), store)
    frame(manifest, shuffle).to_parquet(tmp_path / "jets.parquet")
    write_latents_of_file(tmp_path / "jets.parquet", tmp_path / "m.safetensors", tmp_path / "latents.parquet")
    result = pd.read_parquet(tmp_path / "latents.parquet")
    assert list(result["my_number"]) == [3 * i for i in range(len(store))]
    assert not [name for name in result if str(name).startswith("cand_")]
    for name, expected in zip(("h", "z"), embed(encoder, store, store.rows()), strict=True):
        np.testing.assert_allclose(np.stack(result[name].to_numpy()), expected, rtol=1e-5, atol=1e-5)


def test_latents_of_a_file_say_that_the_model_collapsed(
    tmp_path: Path, manifest: Path, store: JetStore, caplog: pytest.LogCaptureFixture
) -> None:
    frame(manifest).to_parquet(tmp_path / "jets.parquet")
    model, latents = tmp_path / "m.safetensors", tmp_path / "latents.parquet"
    encoder = saved(model, DeepSets(), store)
    for signs in ([], ["RankMe 1.0 < 2.0", "spread 0.1"]):
        save_encoder(encoder, model, **({"collapsed": signs} if signs else {}))
        write_latents_of_file(tmp_path / "jets.parquet", model, latents)
        found = pq.read_metadata(latents).metadata
        assert found.get(COLLAPSED.encode(), b"").decode() == "; ".join(signs)
        assert ("m.safetensors: its pre-training collapsed: RankMe 1.0" in caplog.text) == bool(signs)


def test_a_file_of_the_data_set_by_the_script(tmp_path: Path, manifest: Path, store: JetStore) -> None:
    saved(tmp_path / "m.safetensors", DeepSets(), store)
    path = manifest.parent / "test" / "signal-0000.parquet"
    done = run_script(
        "embed.py",
        f"--jets={path}",
        f"--model={tmp_path / 'm.safetensors'}",
        f"--latents={tmp_path / 'l.parquet'}",
    )
    assert done.returncode == 0, done.stderr
    table = pq.read_table(tmp_path / "l.parquet")
    assert table.num_rows == pq.read_metadata(path).num_rows and "event_id" in table.column_names


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns=["jet_eta", "cand_dz"]), r"no column jet_eta, cand_dz; needed are jet_pt,"),
        (lambda f: f.assign(cand_pt=1.0), r"cand_pt: must be lists, one entry per candidate"),
        (lambda f: f.assign(jet_pt=[np.nan, *f["jet_pt"][1:]]), r"jet_pt has 1 empty values, first in row 0"),
        (lambda f: f.assign(cand_d0=[None, *f["cand_d0"][1:]]), r"cand_d0 has 1 empty values"),
        (lambda f: f.assign(cand_d0=[[0.0], *f["cand_d0"][1:]]), r"cand_d0 and cand_pt differ in length"),
        (
            lambda f: f.assign(cand_pdg_id=[[0.5] * len(x) for x in f["cand_pt"]]),
            r"cand_pdg_id holds .* type int32, first in row 0",
        ),
        (lambda f: f.assign(z=1.0), r"has a column h or z already"),
        (lambda f: f.head(0), r"holds no jet"),
    ],
)
def test_files_that_cannot_be_used(
    tmp_path: Path, manifest: Path, store: JetStore, change: Any, message: str
) -> None:
    saved(tmp_path / "m.safetensors", DeepSets(), store)
    change(frame(manifest)).to_parquet(tmp_path / "jets.parquet")
    with pytest.raises(DataError, match=r"jets\.parquet: " + message):
        write_latents_of_file(tmp_path / "jets.parquet", tmp_path / "m.safetensors", tmp_path / "latents.parquet")
    assert not (tmp_path / "latents.parquet").exists()


def test_what_is_no_parquet_file(tmp_path: Path, store: JetStore) -> None:
    saved(tmp_path / "m.safetensors", DeepSets(), store)
    (tmp_path / "jets.parquet").write_text("jet_pt,jet_eta", encoding="utf-8")
    with pytest.raises(DataError, match=r"jets\.parquet: cannot be read as Parquet"):
        write_latents_of_file(tmp_path / "jets.parquet", tmp_path / "m.safetensors", tmp_path / "latents.parquet")


def test_arrays_and_other_files_get_the_same_latents(tmp_path: Path, manifest: Path, store: JetStore) -> None:
    """A file of ROOT, arrays in memory, and RS3L's HDF5 layout, with angles relative to the axis."""
    encoder = saved(tmp_path / "m.safetensors", DeepSets(), store)
    rows = frame(manifest, shuffle=True)
    columns = {str(name): ak.Array(list(rows[name])) for name in rows}
    path = root_files.write(tmp_path / "jets.root", columns, step=9)
    expected = embed(encoder, store, store.rows())[0]
    options = ("--rename", "jet_pt=jet_pt", "--fill", "cand_d0")  # a column that is there is not filled
    latents = tmp_path / "l.parquet"
    done = run_script(
        "embed.py", f"--jets={path}", f"--model={tmp_path / 'm.safetensors'}", f"--latents={latents}", *options
    )
    assert done.returncode == 0, done.stderr
    found = pd.read_parquet(latents)
    np.testing.assert_allclose(np.stack(found["h"].to_numpy()), expected, rtol=1e-5, atol=1e-5)
    assert list(found["my_number"]) == [3 * i for i in range(len(store))]
    write_latents_of_file(Jets(ak.Array(columns)), tmp_path / "m.safetensors", latents)
    np.testing.assert_allclose(np.stack(pd.read_parquet(latents)["h"].to_numpy()), expected, rtol=1e-5, atol=1e-5)


def test_views_of_an_hdf5_file_are_jets(tmp_path: Path, manifest: Path, store: JetStore) -> None:
    encoder = saved(tmp_path / "m.safetensors", DeepSets(), store)
    slots = (*VARIANTS, None, None, None)
    export_hdf5(manifest, tmp_path / "hdf5", ExportOptions(slots=slots, complete=False, candidates=64))
    (path,) = (p for p in sorted((tmp_path / "hdf5").iterdir()) if h5py.File(p).attrs["split"] == "test")
    latents = tmp_path / "l.parquet"
    write_latents_of_file(path, tmp_path / "m.safetensors", latents)
    found = pd.read_parquet(latents)
    assert len(found) == len(store) and set(found["variant"]) == set(VARIANTS)
    expected = embed(encoder, store, store.rows())[0]
    mine = {float(pt): h for pt, h in zip(store.jet_pt, expected, strict=True)}
    assert len(mine) == len(store)
    for pt, h in zip(found["jet_pt"], found["h"], strict=True):
        np.testing.assert_allclose(h, mine[float(pt)], rtol=1e-3, atol=1e-4)
