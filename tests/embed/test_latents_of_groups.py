"""Latents of the test jets are the same whoever makes which part, and are those of the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.nn.functional import normalize

from rs3l.config import blocks
from rs3l.config.campaign import Campaign
from rs3l.config.encoders import DeepSets
from rs3l.dataset.checksum import intact_parquet
from rs3l.dataset.features import features
from rs3l.dataset.parts import Reader
from rs3l.dataset.store import join_stores, load_views
from rs3l.embed.latents import write_latents
from rs3l.errors import DataError
from rs3l.groups import latent_files, prediction_files
from rs3l.networks.model_file import load_encoder, new_encoder, save_encoder
from rs3l.paths import CampaignPaths
from support import toy
from support.workflow import run_script

CONSTITUENTS, PARTS = 12, 3


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.write_dataset(tmp_path_factory.mktemp("dataset"), {"train": 2, "val": 2, "test": 60}, PARTS)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_encoder(new_encoder(DeepSets(hidden=8, representation=8, latent=3), CONSTITUENTS, 1), path)
    return path


@torch.no_grad()
def test_latents_are_those_of_each_jet(tmp_path: Path, manifest: Path, model: Path) -> None:
    write_latents(manifest, model, None, None, tmp_path / "z.parquet")
    table = pq.read_table(intact_parquet(tmp_path / "z.parquet"))
    assert table.column_names == ["event_id", "process", "variant", "z", "jet_mass", "jet_pt"]
    store = load_views(manifest, "test", [*toy.MULTIPLICITY], [*toy.VARIANTS], CONSTITUENTS)
    encoder = load_encoder(model)
    jets = [store.batch(np.array([row])) for row in range(len(store))]
    expected = [normalize(encoder.project(encoder(features(jet), jet.mask)), dim=1)[0].numpy() for jet in jets]
    np.testing.assert_allclose(np.stack(table["z"].to_pylist()), expected, rtol=1e-3, atol=1e-4)
    for name in ("event_id", "jet_mass", "jet_pt"):
        assert np.array_equal(table[name].to_numpy(), getattr(store, name)), name
    assert table["process"].to_pylist() == [store.process_names[code] for code in store.process]
    assert table["variant"].to_pylist() == [store.variant_names[code] for code in store.variant]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_latents_do_not_depend_on_who_makes_which_part(
    tmp_path: Path, manifest: Path, model: Path, size: int
) -> None:
    write_latents(manifest, model, None, None, tmp_path / "whole.parquet")
    found = []
    for process in toy.MULTIPLICITY:
        for first in range(0, PARTS, size):
            found.append(tmp_path / f"{process}-{first}.parquet")
            write_latents(manifest, model, process, range(first, min(first + size, PARTS)), found[-1])
    whole, parts = pq.read_table(tmp_path / "whole.parquet"), pa.concat_tables(map(pq.read_table, found))
    assert parts.combine_chunks().equals(whole.combine_chunks()), "to the last bit"


def test_a_reader_gives_the_jets_of_its_parts_a_row_group_at_a_time(manifest: Path) -> None:
    found = [*Reader(manifest, "signal", range(1, PARTS), constituents=CONSTITUENTS, columns=["jet_type"])]
    groups = [
        pq.ParquetFile(manifest.parent / "test" / f"signal-{part:04d}.parquet").num_row_groups
        for part in range(1, PARTS)
    ]
    assert len(found) == sum(groups) > PARTS
    store = join_stores([jets.store for jets in found])
    whole = load_views(manifest, "test", ["signal"], [*toy.VARIANTS], CONSTITUENTS)
    rows = np.flatnonzero(np.isin(whole.event_id, store.event_id))
    assert np.array_equal(whole.event_id[rows], store.event_id) and 0 < len(rows) < len(whole)
    assert all(torch.equal(*both) for both in zip(whole.batch(rows), store.batch(store.rows()), strict=True))
    assert {name for jets in found for name in jets.table["jet_type"].to_pylist()} == {"q"}


def test_a_changed_part_is_refused_by_those_who_read_it(tmp_path: Path, model: Path) -> None:
    own = toy.write_dataset(tmp_path / "dataset", parts=PARTS)
    path = own.parent / "test" / "signal-0001.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    write_latents(own, model, "signal", range(1), tmp_path / "z.parquet")
    with pytest.raises(DataError, match=r"signal-0001.*SHA-256"):
        write_latents(own, model, "signal", range(1, 2), tmp_path / "z.parquet")
    with pytest.raises(DataError, match=f"no part {PARTS} of signal in the split 'test', which has {PARTS}"):
        write_latents(own, model, "signal", range(2, PARTS + 1), tmp_path / "z.parquet")
    with pytest.raises(DataError, match="no process top"):
        write_latents(own, model, "top", None, tmp_path / "z.parquet")


def test_the_command_takes_a_group(tmp_path: Path, manifest: Path, model: Path) -> None:
    out = tmp_path / "z.parquet"
    arguments = ["--manifest", str(manifest), "--model", str(model), "--latents", str(out)]
    found = run_script("embed.py", *arguments, "--process", "signal", "--parts", "0", "2")
    assert found.returncode == 0, found.stderr
    assert set(pq.read_table(out)["process"].to_pylist()) == {"signal"}
    wrong = run_script("embed.py", *arguments, "--process", "signal", "--parts", "2", "2")
    assert wrong.returncode == 1 and "a first part below the end" in wrong.stderr


@pytest.mark.parametrize(("size", "groups"), [(1, 2), (2, 1), (100, 1)])
def test_groups_cover_all_parts_once(campaign: Campaign, size: int, groups: int) -> None:
    """Of 180 hard events in parts of 100."""
    dataset = campaign.dataset.model_copy(update={"parts_per_job": size})
    config = campaign.model_copy(update={"dataset": dataset})
    assert blocks.n_parts(config, "qcd") == 2 and len(blocks.groups(config, "qcd")) == groups
    parts = [part for group in blocks.groups(config, "qcd") for part in blocks.group_parts(config, "qcd", group)]
    assert parts == [0, 1]
    paths = CampaignPaths("r")
    scores = prediction_files(config, paths, "w_vs_qcd", "none")
    assert scores[0] == "r/downstream/w_vs_qcd/none/predictions/w_qq-0000.parquet"
    assert len(scores) == 2 * groups and len(latent_files(config, paths, "rs3l_s0")) == 3 * groups
