"""Figures of latents read files piece by piece, and show what the whole table read at once would give."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rs3l.config import blocks
from rs3l.dataset import event_rows
from rs3l.dataset.checksum import write_sealed
from rs3l.errors import DataError
from rs3l.figures.draw import draw
from rs3l.figures.histograms import fill_all, process_files
from rs3l.figures.latents import Corner, Moments, Plane, by_run, latents, widest_feature
from rs3l.figures.plot_data import MASS_EDGES
from rs3l.figures.style import Header
from rs3l.types import Floats64
from support.drawing import given
from support.toy_campaign import campaign, write_dataset, write_latents

BLOCK = blocks.figures(campaign())
HEADER = Header("toy", 13000.0)


def whole(paths: list[Path]) -> tuple[pd.DataFrame, Floats64]:
    """Return the rows of all files, read at once, and their z on the unit sphere."""
    table = pa.concat_tables(map(pq.read_table, paths)).to_pandas()
    z = np.stack(table.pop("z").to_list()).astype(np.float64)
    return table, np.asarray(z / np.linalg.norm(z, axis=1, keepdims=True))


@pytest.fixture(params=[5, 100_000])
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Read so many rows at a time."""
    monkeypatch.setattr(event_rows, "ROWS", request.param)
    return int(request.param)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return write_latents(campaign(), tmp_path, "rs3l_s0")


def test_pieces_are_the_whole(paths: list[Path], rows: int) -> None:
    pieces = list(latents(paths))
    assert len(pieces) == 2 * len(paths) if rows > 1000 else len(pieces) > 50  # the last event comes apart
    table, z = whole(paths)
    found = pd.concat([jets for jets, _ in pieces], ignore_index=True)
    pd.testing.assert_frame_equal(found, table[list(found.columns)])
    np.testing.assert_allclose(np.concatenate([part for _, part in pieces]), z, rtol=1e-12)


def test_the_shown_jets_and_their_components_are_those_of_the_whole(paths: list[Path], rows: int) -> None:
    plane = Plane(list(BLOCK.labels), 20, 3)
    for jets, z in latents(paths):
        plane.add(jets, z)
    shown, fractions = plane.components()
    table, z = whole(paths)
    centred = z - z.mean(axis=0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(fractions, (singular**2 / (singular**2).sum())[:2], rtol=1e-9)
    table["first"], table["second"] = np.abs(centred @ axes[:2].T).T
    expected = []
    for process in BLOCK.labels:
        own = table[table["process"] == process]
        expected.append(own[own["variant"] == "nominal"].head(20).assign(joined=False))
        views = own.groupby("event_id")["variant"].transform("size")
        chosen = own.loc[views == views.max(), "event_id"].drop_duplicates().head(3)
        expected.append(own[own["event_id"].isin(chosen)].assign(joined=True))
    reference = pd.concat(expected, ignore_index=True)
    shown[["first", "second"]] = shown[["first", "second"]].abs()
    pd.testing.assert_frame_equal(shown, reference[list(shown.columns)], rtol=1e-6, atol=1e-9)


def test_the_range_of_the_widest_feature_is_that_of_quantiles(paths: list[Path], rows: int) -> None:
    found = widest_feature(paths, 0.1)
    _, z = whole(paths)
    assert found.feature == z.std(axis=0).argmax()
    values = np.sort(z[:, found.feature])
    resolution = (values[-1] - values[0]) / 20_000
    first, last = values[int(0.1 * len(values))], values[-1 - int(0.1 * len(values))]
    assert found.low == pytest.approx(first, abs=2 * resolution) and found.high == pytest.approx(
        last, abs=2 * resolution
    )


def test_the_feature_is_filled_as_the_whole(paths: list[Path], rows: int) -> None:
    points = draw("latent_feature", BLOCK, HEADER, given(first_latents=paths)).points
    table, z = whole(paths)
    value = z[:, points["feature"].iloc[0] - 1]
    for (process, variant), lines in points.groupby(["process", "variant"]):
        own = value[(table["process"] == process) & (table["variant"] == variant)]
        edges = np.append(lines["low"], lines["high"].iloc[-1])
        counts = [((own >= low) & (own < high)).sum() for low, high in itertools.pairwise(edges)]
        assert lines["jets"].tolist() == counts
        np.testing.assert_allclose(lines["fraction"], np.array(counts) / len(own), rtol=1e-12)


def test_the_corner_is_that_of_the_whole(paths: list[Path], rows: int) -> None:
    table, z = whole(paths)
    corner = Corner(8, 20, 30)
    for jets, part in latents(paths):
        corner.add(part[(jets["variant"] == "nominal").to_numpy()])
    nominal = z[table["variant"] == "nominal"]
    np.testing.assert_allclose(corner.moments.correlation, np.corrcoef(nominal.T), atol=1e-12)
    np.testing.assert_array_equal(corner.dots, nominal[:30])
    expected = [np.histogram(column, bins=20, range=(-1, 1))[0] for column in nominal.T]
    np.testing.assert_array_equal(corner.counts, expected)


def test_histograms_of_the_data_set_are_those_of_the_whole(tmp_path: Path, rows: int) -> None:
    manifest = write_dataset(campaign(), tmp_path)
    files = process_files(given(manifest=manifest).manifest, "qcd")
    variants = list(campaign().variants)
    shapes = fill_all(files, {"jet_mass": MASS_EDGES}, variants)["jet_mass"]
    jets = pd.concat(map(pd.read_parquet, files))
    for v, variant in enumerate(variants):
        own = jets[jets["variant"] == variant]
        weights, _ = np.histogram(own["jet_mass"], MASS_EDGES, weights=own["weight"])
        counts, _ = np.histogram(own["jet_mass"], MASS_EDGES)
        assert shapes.jets[v].tolist() == counts.tolist()
        np.testing.assert_allclose(shapes.fraction[v], weights / own["weight"].sum(), rtol=1e-12)


def test_moments_of_latents_in_one_point_keep_their_digits() -> None:
    """A collapse: a spread of 1e-7 around one far point."""
    rng = np.random.default_rng(1)
    x = 0.7 + 1e-7 * rng.normal(size=(500, 3))
    moments = Moments()
    for piece in (x[:0], x[:10], x[10:]):
        moments.add(piece)
    np.testing.assert_allclose(moments.covariance, np.cov(x.T, bias=True), rtol=1e-6)
    np.testing.assert_allclose(moments.mean, x.mean(axis=0), rtol=1e-14)


def test_a_collapsed_encoder_has_a_range(tmp_path: Path) -> None:
    z = pa.FixedSizeListArray.from_arrays(pa.array(np.full(40, 0.5, np.float32)), 4)
    ids, names = np.arange(10), ["nominal"] * 10
    table = pa.table({"event_id": ids, "process": ["qcd"] * 10, "variant": names, "z": z})
    write_sealed(tmp_path / "one.parquet", table)
    found = widest_feature([tmp_path / "one.parquet"], 0.002)
    assert 0.4999 < found.low <= 0.5 < found.high < 0.5001
    write_sealed(tmp_path / "none.parquet", table.slice(0, 0))
    with pytest.raises(DataError, match=r"none\.parquet: no jet"):
        widest_feature([tmp_path / "none.parquet"], 0.002)


def test_files_belong_to_their_runs(tmp_path: Path) -> None:
    own = {run: write_latents(campaign(), tmp_path, run) for run in ("rs3l_s0", "jetclr_s0")}
    assert by_run([path for paths in own.values() for path in paths]) == own
