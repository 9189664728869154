"""The figures that repeat those of the paper show the right numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import pearsonr

from rs3l.config import blocks
from rs3l.config.blocks import Intervention
from rs3l.config.pileup import Pileup
from rs3l.errors import ConfigError, DataError
from rs3l.figures.draw import draw
from rs3l.figures.histograms import Accumulator, add_views
from rs3l.figures.plot_kinematics import TITLES, bins
from rs3l.figures.plot_schematic import stage_kinds
from rs3l.figures.style import Header
from rs3l.pretrain.similarity import Similarities
from support.drawing import given
from support.toy_campaign import (
    campaign,
    write_dataset,
    write_latents,
    write_measures,
    write_robustness,
    write_training,
)

BLOCK = blocks.figures(campaign())
HEADER = Header("toy", 13000.0)


def histogram(frame: pd.DataFrame, column: str) -> np.ndarray:
    """Return the fraction of the weight in each bin, of jets with the quantity."""
    known = frame[frame[column].notna()]
    counts, _ = np.histogram(known[column], bins(BLOCK.jets)[column], weights=known["weight"])
    return np.asarray(counts / known["weight"].sum())


def test_the_schematic_shows_what_the_configuration_says() -> None:
    shared, redone, changed = "as in the nominal", "random numbers of its own", "other settings as well"
    found = {name: list(stage_kinds(value).values()) for name, value in BLOCK.interventions.items()}
    assert found == {
        "nominal": [shared, shared, shared],
        "seed": [redone, redone, redone],
        "fsr_hi": [changed, redone, redone],
        "rehadron": [shared, redone, redone],
    }
    assert BLOCK.interventions["fsr_hi"].changes == ["TimeShower:renormMultFac = 0.707"]


def test_the_schematic_has_the_pile_up_if_some_variant_has() -> None:
    shared, redone, changed = "as in the nominal", "random numbers of its own", "other settings as well"

    def kinds(resample: Any, *changes: str) -> list[str]:
        changed_here = Intervention(resample=resample, held_out=False, changes=list(changes))
        return list(stage_kinds(changed_here, pileup=True).values())

    assert kinds(None) == [shared] * 4
    assert kinds("pileup", "pileup.mean = 60") == [shared, shared, changed, redone]
    assert kinds("shower", "pileup.mean = 60", "Tune:pp = 21") == [changed, redone, changed, redone]
    assert kinds("detector", "pileup.subtraction = none") == [shared, shared, shared, changed]
    config = campaign().model_copy(update={"pileup": Pileup(mean=20)})
    points = draw("schematic", blocks.figures(config), HEADER, given()).points
    assert points["stage"].value_counts()["pileup"] == len(config.variants)


def test_jets_of_each_type_and_variant_are_those_of_the_data_set(tmp_path: Path) -> None:
    manifest = write_dataset(campaign(), tmp_path)
    inputs = given(manifest=manifest, process="qcd")
    jets = pq.read_table(manifest.parent / "test" / "qcd-0000.parquet").to_pandas()
    types = draw("jet_types", BLOCK, HEADER, inputs).points
    variants = draw("jet_variations", BLOCK, HEADER, inputs).points
    for column in TITLES:
        nominal = types[(types["process"] == "qcd") & (types["quantity"] == column)]
        expected = histogram(jets[jets["variant"] == "nominal"], column)
        np.testing.assert_allclose(nominal["fraction"], expected, atol=1e-12)
        varied = variants[(variants["variant"] == "fsr_hi") & (variants["quantity"] == column)]
        np.testing.assert_allclose(
            varied["fraction"], histogram(jets[jets["variant"] == "fsr_hi"], column), atol=1e-12
        )
    assert set(types["jet_type"]) == {"H", "QCD", "W"}  # the toy's types are the labels
    with pytest.raises(ConfigError, match="no process 'x'"):
        draw("jet_variations", BLOCK, HEADER, given(manifest=manifest, process="x"))


def test_correlations_are_those_of_the_nominal_jets(tmp_path: Path) -> None:
    paths = write_latents(campaign(), tmp_path, "rs3l_s0")
    points = draw("latent_corner", BLOCK, HEADER, given(first_latents=paths)).points
    table = pa.concat_tables(map(pq.read_table, paths)).to_pandas()
    chosen = table[(table["process"] == "qcd") & (table["variant"] == "nominal")]
    z = np.stack(chosen["z"].to_list()).astype(float)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    line = points[(points["process"] == "qcd") & (points["first"] == 2) & (points["second"] == 7)].iloc[0]
    assert line["pearson_r"] == pytest.approx(pearsonr(z[:, 1], z[:, 6])[0])
    assert line["jets"] == len(chosen)
    assert len(points) == 3 * 28


def test_the_feature_with_the_largest_spread_is_shown(tmp_path: Path) -> None:
    paths = write_latents(campaign(), tmp_path, "rs3l_s0")
    points = draw("latent_feature", BLOCK, HEADER, given(first_latents=paths)).points
    z = np.stack(pa.concat_tables(map(pq.read_table, paths))["z"].to_numpy(zero_copy_only=False)).astype(float)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    assert set(points["feature"]) == {int(z.std(axis=0).argmax()) + 1}
    inside = points.groupby(["process", "variant"])["fraction"].sum()
    assert ((inside > 0.9) & (inside < 1.0 + 1e-9)).all()


def test_outputs_and_their_errors_are_those_of_the_jets(tmp_path: Path) -> None:
    """The histograms that the measures hold give what the scores of all jets would."""
    measures, _ = write_measures(campaign(), tmp_path, 30)
    paths = [path for path in measures if path.parent.parent.name == "h_vs_qcd"]
    points = draw("tagger_output", BLOCK, HEADER, given(measures=paths, task="h_vs_qcd")).points
    folder = next(path.parent for path in paths if path.parent.name == "none")
    jets = pd.read_parquet(next(folder.glob("predictions/qcd-*.parquet")))
    variants = ["nominal", *(name for name in BLOCK.variants if name != "nominal")]
    sums = Accumulator(len(variants), np.linspace(0.0, 1.0, 26))
    output = 1.0 / (1.0 + np.exp(-jets["scratch/200/0"].to_numpy(float)))
    ids, names = jets["event_id"].to_numpy(), jets["variant"].to_numpy(str)
    add_views(sums, ids, names, variants, output, np.ones(len(jets)))
    expected = sums.shapes()
    found = points.query("method == 'none' and mode == 'scratch' and `class` == 'background'")
    for name in ("fraction", "error", "ratio", "ratio_error", "jets"):
        np.testing.assert_allclose(found[name], getattr(expected, name).ravel(), rtol=1e-9, err_msg=name)


def test_the_score_is_squeezed_and_no_jet_is_lost(tmp_path: Path) -> None:
    measures, _ = write_measures(campaign(), tmp_path)
    paths = [path for path in measures if path.parent.parent.name == "h_vs_qcd"]
    points = draw("tagger_output", BLOCK, HEADER, given(measures=paths, task="h_vs_qcd")).points
    sums = points.groupby(["method", "mode", "class", "variant"])["fraction"].sum()
    assert len(sums) == 5 * 2 * 4
    np.testing.assert_allclose(sums, 1.0)
    assert set(points["method"]) == {"rs3l", "jetclr", "none"}
    with pytest.raises(DataError, match="no measures of task h_vs_qcd for none"):
        draw("tagger_output", BLOCK, HEADER, given(measures=paths[:-1], task="h_vs_qcd"))
    nominal = points[(points["variant"] == "nominal") & (points["mode"] == "probe_h")]
    signal, background = (nominal[nominal["class"] == kind] for kind in ("signal", "background"))
    assert (signal["fraction"] * signal["low"]).sum() > (background["fraction"] * background["low"]).sum() + 0.3


def test_the_change_of_the_mistag_rate_is_that_of_the_table(tmp_path: Path) -> None:
    path = write_robustness(campaign(), tmp_path / "robustness.csv")
    inputs = given(robustness_table=path, task="h_vs_qcd")
    drawing = draw("mistag_change", BLOCK, HEADER, inputs)
    points = drawing.points
    assert points.columns.tolist() == [
        "method", "mode", "variant", "efficiency", "change", "error", "n_runs", "background_passing",
    ]  # fmt: skip
    assert len(points) == 2 * 3 * 2  # the cut on N2 has no panel; three variants, two efficiencies
    one = points[(points["mode"] == "scratch") & (points["variant"] == "fsr_hi")]
    np.testing.assert_allclose(one["change"], 0.04)
    assert one["background_passing"].tolist() == [3, 20]
    drawn = [bar.lines[0].get_xdata() for ax in drawing.figure.axes for bar in ax.containers]
    assert np.allclose(np.concatenate(drawn), 0.7, atol=0.1)  # fewer than ten jets pass at 0.5
    table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    table[table["mode"] == "n2"].to_csv(path, index=False)
    with pytest.raises(DataError, match="no method that is shown"):
        draw("mistag_change", BLOCK, HEADER, inputs)


def test_similarities_are_the_cosines_of_views_and_of_means() -> None:
    rng = np.random.default_rng(0)
    latents, process = rng.normal(size=(2, 20, 8)), np.arange(20) % 2
    result = Similarities(["a", "b", "c"], 8)
    for part in (slice(0, 12), slice(12, 20)):  # batches
        result.add(latents[:, part].reshape(-1, 8), process[part])
    row = result.row()
    unit = latents / np.linalg.norm(latents, axis=2, keepdims=True)
    for k, name in enumerate("ab"):
        cosines = [float(unit[0, i] @ unit[1, i]) for i in range(20) if process[i] == k]
        assert row[f"cosine_views:{name}"] == pytest.approx(np.mean(cosines))
    first, second = (unit[:, process == k].reshape(-1, 8).mean(axis=0) for k in (0, 1))
    expected = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    assert row["cosine_means:a:b"] == pytest.approx(expected)
    assert np.isnan(row["cosine_views:c"]) and np.isnan(row["cosine_means:a:c"])


def test_metrics_without_cosines_are_refused(tmp_path: Path) -> None:
    path = write_training(tmp_path / "rs3l_s0" / "metrics.csv")
    points = draw("similarity", BLOCK, HEADER, given(training=[path])).points
    assert points["cosine"].between(-1.0, 1.0).all() and points["what"].nunique() == 3
    pd.read_csv(path)[["epoch", "train_loss"]].to_csv(path, index=False)
    with pytest.raises(DataError, match="repeat the pre-training"):
        draw("similarity", BLOCK, HEADER, given(training=[path]))


def test_robustness_shows_the_efficiency_with_enough_jets(tmp_path: Path) -> None:
    path = write_robustness(campaign(), tmp_path / "robustness.csv")
    points = draw("robustness", BLOCK, HEADER, given(robustness_table=path, task="h_vs_qcd")).points
    assert points["quantity"].value_counts().to_dict() == {
        "wasserstein": 2 * 3 * 3, "fpr_change_own": 3 * 3, "fpr_change_fixed": 3 * 3,
    }  # fmt: skip
    assert set(points["efficiency"].dropna()) == {0.7} and set(points["task"]) == {"h_vs_qcd"}
    table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    table[table["task"] != "h_vs_qcd"].to_csv(path, index=False)
    with pytest.raises(DataError, match="no lines of task 'h_vs_qcd'"):
        draw("robustness", BLOCK, HEADER, given(robustness_table=path, task="h_vs_qcd"))
