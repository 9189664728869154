"""Every figure is drawn, byte for byte again, with its points; histogram errors are the right ones."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rs3l.config import blocks
from rs3l.errors import ConfigError, DataError
from rs3l.evaluate.evaluate import evaluate
from rs3l.figures import style
from rs3l.figures.draw import Inputs, draw
from rs3l.figures.histograms import Accumulator, fill, process_files
from rs3l.figures.plot_data import MASS_EDGES
from rs3l.figures.plot_resources import resource_table
from rs3l.figures.plot_results import read_table
from rs3l.figures.registry import FIGURES
from rs3l.figures.style import Drawing, Header
from rs3l.report.known import foreign_names
from support.drawing import given
from support.toy_campaign import (
    ROOT,
    campaign,
    write_benchmarks,
    write_dataset,
    write_latent_quality,
    write_latents,
    write_measures,
    write_robustness,
    write_training,
)

BLOCK = blocks.figures(campaign())
HEADER = Header("toy", 13000.0)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    root = tmp_path_factory.mktemp("toy")
    manifest = write_dataset(campaign(), root)
    measures, histories = write_measures(campaign(), root)
    result = evaluate(blocks.evaluate(campaign()), manifest, measures, histories)
    for name, table in result.tables.items():
        table.to_csv(root / f"{name}.csv", index=False)
    runs = ("rs3l_s0", "jetclr_s0")
    latents = [write_latents(campaign(), root, run) for run in runs]
    return given(
        manifest=manifest,
        latents=[path for paths in latents for path in paths],
        first_latents=latents[0],
        measures=[path for path in measures if path.parent.parent.name == "h_vs_qcd"],
        training=[write_training(root / run / "metrics.csv") for run in runs],
        metrics_table=root / "metrics.csv",
        roc_table=root / "roc.csv",
        stability_table=root / "stability.csv",
        robustness_table=write_robustness(campaign(), root / "robustness.csv"),
        ablations_table=root / "metrics.csv",
        latents_table=write_latent_quality(campaign(), root / "latents.csv"),
        benchmarks=write_benchmarks(root / "benchmarks"),
        task="h_vs_qcd",
        process="qcd",
    )


@pytest.mark.parametrize(("name", "table"), [("stability", "stability_table"), ("ablations", "ablations_table")])
def test_a_task_with_fewer_labels_has_its_panel(name: str, table: str, inputs: Inputs, tmp_path: Path) -> None:
    frame = pd.read_csv(inputs.one(table), keep_default_na=False, na_values=[""])
    frame[(frame["task"] == "h_vs_qcd") | (frame["labels"] == 20)].to_csv(tmp_path / "table.csv", index=False)
    drawing = draw(name, BLOCK, HEADER, replace(inputs, files={**inputs.files, table: [tmp_path / "table.csv"]}))
    assert drawing.points.groupby("task")["labels"].unique().map(list).to_dict() == {
        "h_vs_qcd": [200],
        "w_vs_qcd": [20],
    }
    assert len(drawing.figure.axes) == 2


def written(drawing: Drawing, folder: Path) -> dict[str, bytes]:
    paths = {suffix: folder / f"figure.{suffix}" for suffix in ("svg", "png", "csv")}
    style.write(drawing, **paths)
    return {suffix: path.read_bytes() for suffix, path in paths.items()}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_the_same_twice(name: str, inputs: Inputs, tmp_path: Path) -> None:
    first, again = (draw(name, BLOCK, HEADER, inputs) for _ in range(2))
    files = written(first, tmp_path)
    assert again.points.equals(first.points)
    with style.styled():
        again.figure.savefig(tmp_path / "again.svg", metadata={"Date": None, "Creator": None})
    assert (tmp_path / "again.svg").read_bytes() == files["svg"]
    assert files["svg"].startswith(b"<?xml")
    assert b"<dc:date>" not in files["svg"]
    assert files["png"].startswith(b"\x89PNG")
    assert b"matplotlib" not in files["png"].lower()
    points = read_table(tmp_path / "figure.csv")
    assert len(points) > 0
    if name != "ablations":  # the toy's are the methods
        assert foreign_names(campaign(), name, points) == {}


def test_header_names_campaign_and_energy(inputs: Inputs) -> None:
    figure = draw("matching", BLOCK, HEADER, inputs).figure
    texts = [text.get_text() for text in figure.texts]
    assert texts[0] == "Simulation"
    assert "toy" in texts[1]
    assert "13 TeV" in texts[1]
    assert "TeV" not in Header("toy").text


def test_matching_shows_the_manifest(inputs: Inputs) -> None:
    points = draw("matching", BLOCK, HEADER, inputs).points
    line = points[(points["process"] == "qcd") & (points["what"] == "all")].iloc[0]
    assert line["efficiency"] == 0.6
    assert line["error"] == pytest.approx(np.sqrt(0.6 * 0.4 / 40))


def test_resources_are_those_of_the_benchmark_files(inputs: Inputs, tmp_path: Path) -> None:
    points = draw("resources", BLOCK, HEADER, inputs).points.set_index("rule")
    assert points.loc["resimulate", "jobs"] == 3
    assert points.loc["resimulate", ["mean_s", "max_s"]].tolist() == [2.0, 3.0]
    assert points.loc["resimulate", "core_hours"] == pytest.approx(3 * 4.0 / 3600)
    assert points.loc["resimulate", "max_memory_mb"] == pytest.approx(300 * 1.048576)
    assert points.loc["merge", ["jobs", "mean_s", "core_hours"]].tolist() == [1, 0.1, 0.0]
    with pytest.raises(DataError, match="no benchmark file of any rule"):
        resource_table(tmp_path)


def test_event_views_are_one_event_of_each_class(inputs: Inputs) -> None:
    points = draw("event_views", BLOCK, HEADER, inputs).points
    assert points.groupby("process")["event_id"].nunique().to_dict() == {"higgs_bb": 1, "qcd": 1}
    assert points.groupby("process")["variant"].nunique().to_dict() == {"higgs_bb": 4, "qcd": 4}
    assert points["dphi"].abs().max() < 0.6  # the toy's jets lie at phi = 2.8 ... 3.1, the anchor at -3.1


def test_label_efficiency_shows_the_table_of_metrics(inputs: Inputs) -> None:
    points = draw("label_efficiency", BLOCK, HEADER, inputs).points
    assert set(points["metric"]) == {"rejection_0.5", "auc"}
    assert set(points["task"]) == {"h_vs_qcd"}
    assert set(zip(points["method"], points["mode"], strict=True)) == {
        ("rs3l", "probe_h"), ("rs3l", "tuned"), ("jetclr", "probe_h"),
        ("none", "scratch"), ("none", "scratch_views"), ("none", "random"),
    }  # fmt: skip


def test_latent_components_are_those_of_the_unit_sphere(inputs: Inputs) -> None:
    points = draw("latent", BLOCK, HEADER, inputs).points
    table = read_all(inputs.all("first_latents"))
    z = np.stack(table["z"].to_numpy(zero_copy_only=False)).astype(np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    _, _, axes = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
    expected = pd.DataFrame({"event_id": table["event_id"], "variant": table["variant"]})
    expected["expected"] = np.abs((z - z.mean(axis=0)) @ axes[0])
    one = points[points["run"] == "rs3l_s0"].merge(expected, on=["event_id", "variant"])
    np.testing.assert_allclose(one["first"].abs(), one["expected"], atol=1e-6)
    joined = one[one["joined"]].groupby(["process", "event_id"]).size()
    assert (joined.groupby("process").size() == 3).all()
    assert (joined == 4).all()


def read_all(paths: Sequence[Path]) -> pa.Table:
    """Return the rows of all files of one run, read at once."""
    return pa.concat_tables([pq.read_table(path) for path in paths])


def naive_fraction(value: np.ndarray, weight: np.ndarray, low: float, high: float) -> float:
    present = np.isfinite(value)
    return float(weight[present & (value >= low) & (value < high)].sum() / weight[present].sum())


def test_histogram_errors_are_those_of_a_bootstrap_over_events() -> None:
    rng = np.random.default_rng(0)
    events, edges = 3000, np.array([0.0, 1.0, 2.0])
    hard, weight = rng.normal(1.0, 0.7, events), rng.uniform(0.2, 2.0, events)
    value = hard + rng.normal(0.0, 0.3, size=(2, events))
    value[rng.uniform(size=value.shape) < 0.2] = np.nan
    accumulator = Accumulator(2, edges)
    accumulator.add(value[:, :1000], weight[:1000])
    accumulator.add(value[:, 1000:], weight[1000:])
    shapes = accumulator.shapes()
    fractions = []
    for _ in range(600):
        chosen = rng.integers(0, events, events)
        drawn = [[naive_fraction(v[chosen], weight[chosen], lo, lo + 1) for lo in (0.0, 1.0)] for v in value]
        fractions.append(drawn)
    replicas = np.array(fractions)
    exact = [[naive_fraction(v, weight, lo, lo + 1) for lo in (0.0, 1.0)] for v in value]
    np.testing.assert_allclose(shapes.fraction, exact, rtol=1e-12)
    np.testing.assert_allclose(shapes.error, replicas.std(axis=0), rtol=0.12)
    ratio = replicas[:, 1] / replicas[:, 0]
    np.testing.assert_allclose(shapes.ratio_error[1], ratio.std(axis=0), rtol=0.12)
    assert (shapes.ratio_error[0] == 0.0).all()


def test_histogram_edges_belong_to_the_upper_bin() -> None:
    accumulator = Accumulator(1, np.array([0.0, 1.0, 2.0]))
    accumulator.add(np.array([[-0.1, 0.0, 0.99, 1.0, 2.0, np.nan]]), np.ones(6))
    shapes = accumulator.shapes()
    assert shapes.jets.tolist() == [[2, 1]]
    np.testing.assert_allclose(shapes.fraction, [[0.4, 0.2]])


def test_histograms_read_every_variant(inputs: Inputs) -> None:
    paths = process_files(inputs.manifest, "qcd")
    shapes = fill(paths, "jet_mass", ["nominal", "seed"], MASS_EDGES)
    frame = pq.read_table(paths[0]).to_pandas()
    for v, variant in enumerate(("nominal", "seed")):
        chosen = frame[frame["variant"] == variant]
        counts, _ = np.histogram(chosen["jet_mass"], MASS_EDGES, weights=chosen["weight"])
        np.testing.assert_allclose(shapes.fraction[v], counts / chosen["weight"].sum(), atol=1e-12)


def test_a_missing_input_is_named(inputs: Inputs) -> None:
    with pytest.raises(ConfigError, match="roc needs --input roc_table"):
        draw("roc", BLOCK, HEADER, given(task="h_vs_qcd"))
    with pytest.raises(ConfigError, match="no task 'x'"):
        draw("roc", BLOCK, HEADER, given(task="x", roc_table=inputs.one("roc_table")))


def test_a_table_without_its_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n", encoding="utf-8")
    with pytest.raises(DataError, match="columns b are missing"):
        read_table(tmp_path / "t.csv", ["a", "b"])


def test_the_method_none_is_no_missing_value(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("method,value\nnone,1\nNone,\n", encoding="utf-8")
    table = read_table(tmp_path / "t.csv")
    assert table["method"].tolist() == ["none", "None"]
    assert table["value"].isna().tolist() == [False, True]


def test_a_missing_file_of_the_data_set_is_named(inputs: Inputs) -> None:
    manifest = inputs.manifest
    manifest.parts[0].path = "test/gone.parquet"
    with pytest.raises(DataError, match=r"gone\.parquet: named in"):
        process_files(manifest, manifest.parts[0].process)


def test_script_draws_a_figure(inputs: Inputs, tmp_path: Path) -> None:
    script = str(ROOT / "workflow" / "scripts" / "figures.py")
    outputs = [f"--{suffix}={tmp_path}/f.{suffix}" for suffix in ("svg", "png", "csv")]
    command = [sys.executable, script, "--block", BLOCK.model_dump_json(), "--figure", "matching", *outputs]
    subprocess.run([*command, "--input", "manifest", str(inputs.one("manifest"))], check=True, capture_output=True)
    assert len(pd.read_csv(tmp_path / "f.csv")) == 18
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert "error: figure matching needs --input manifest" in failed.stderr
