"""Label savings, calibration and latent quality, against slow references."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, r2_score

from rs3l.config import blocks
from rs3l.config.encoders import DeepSets
from rs3l.embed.quality import (
    balanced_accuracy,
    effective_rank,
    nearest,
    quality,
    r_squared,
    write_quality,
)
from rs3l.errors import DataError
from rs3l.evaluate.bootstrap import combine
from rs3l.evaluate.calibration import BINS, calibration
from rs3l.evaluate.latent_table import latents_table
from rs3l.evaluate.robustness import scaled
from rs3l.evaluate.savings import log_factor, savings_table
from rs3l.evaluate.spread import Runs
from rs3l.networks.model_file import new_encoder, save_encoder
from support import toy
from support.toy_campaign import campaign, write_qualities
from support.toy_metrics import metrics, weights_of
from support.workflow import run_script

COUNTS = np.array([10, 100, 1000])


def factor(value: float, curve: list[float], labels: int = 10) -> tuple[float, int]:
    logarithm, limit = log_factor(np.array([value]), COUNTS, np.array(curve)[:, None], labels)
    return float(np.exp(logarithm[0])), limit


def test_the_labels_are_interpolated_in_their_logarithm() -> None:
    assert factor(0.85, [0.7, 0.8, 0.9]) == (pytest.approx(10**1.5), 0)
    assert factor(0.9, [0.7, 0.8, 0.9], labels=100) == (pytest.approx(10), 0)
    assert factor(0.75, [0.7, 0.8, 0.9], labels=100) == (pytest.approx(10**-0.5), 0)


def test_what_is_never_reached_is_a_limit() -> None:
    assert factor(0.95, [0.7, 0.8, 0.9]) == (pytest.approx(100), 1)
    assert factor(0.6, [0.7, 0.8, 0.9]) == (pytest.approx(1), -1)


def test_a_falling_stretch_is_not_a_second_crossing() -> None:
    assert factor(0.79, [0.7, 0.8, 0.75])[0] == pytest.approx(10**0.9)
    assert factor(0.85, [0.7, 0.8, 0.75])[1] == 1


def test_savings_and_their_errors() -> None:
    scratch = {10: 0.7, 100: 0.8, 1000: 0.9}
    auc = {
        ("none", "scratch", n, r, 0): v + 0.01 * r for (n, v), r in itertools.product(scratch.items(), range(2))
    }
    auc |= {(f"rs3l_s{s}", "probe_h", 10, r, 0): 0.85 + 0.02 * s for s, r in itertools.product(range(2), range(2))}
    auc |= {("none", "random", n, r, 0): 0.99 for n, r in itertools.product(scratch, range(2))}
    table = savings_table([metrics(auc)])
    assert set(table["mode"]) == {"probe_h"} and set(table["metric"]) == {"auc", "rejection_0.5"}
    line = table[table["metric"] == "auc"].iloc[0]
    assert line["value"] == pytest.approx(10 ** (1 + (0.86 - 0.805) / 0.1))
    repeats = [np.log(10) * -shift / 0.1 for shift in (0.0, 0.01)]  # scratch of the other repeat alone
    seeds = [np.log(10) * shift / 0.1 for shift in (0.0, 0.02)]
    variance = sum(0.5 * np.sum((np.array(x) - np.mean(x)) ** 2) for x in (repeats, seeds))
    assert line["run_error"] == pytest.approx(line["value"] * np.sqrt(variance))
    assert line["bootstrap"] > 0 and line["error"] == pytest.approx(np.hypot(line["run_error"], line["bootstrap"]))
    assert (line["limit"], line["n_runs"], line["n_reference_runs"]) == ("", 4, 2)
    rejection = table[table["metric"] == "rejection_0.5"].iloc[0]
    assert rejection["value"] == pytest.approx(line["value"]), "rejections are compared by their logarithm"


def test_a_method_with_other_networks_has_its_own_reference() -> None:
    auc = {("none", "scratch", n, 0, 0): 0.5 for n in (10, 100)}
    auc |= {("none_blind_s0", "scratch", n, 0, 0): v for n, v in ((10, 0.7), (100, 0.8))}
    auc |= {(run, "tuned", 10, 0, 0): 0.75 for run in ("blind_s0", "rs3l_s0")}
    table = savings_table([metrics(auc)])
    table = table[table["metric"] == "auc"].set_index("method")
    assert table["reference_method"].to_dict() == {"blind": "none_blind", "rs3l": "none"}
    assert table["limit"].to_dict() == {"blind": "", "rs3l": "more"}
    assert np.isfinite(table.loc["blind", "error"]) and np.isnan(table.loc["rs3l", "error"])


def test_calibration_is_that_of_resampled_jets_of_equal_classes() -> None:
    rng = np.random.default_rng(0)
    signal = rng.uniform(size=200) < 0.3
    output = np.clip(0.3 + 0.4 * signal + rng.normal(0, 0.2, 200), 1e-3, 1 - 1e-3)
    counts = np.concatenate([np.ones((1, 200), dtype=int), rng.multinomial(200, np.full(200, 1 / 200), 4)])
    logit = np.log(output / (1 - output)).astype(np.float32)
    output, found = scaled(logit), calibration(logit, signal, *weights_of(counts))
    for r in range(len(counts)):
        y, p = np.repeat(signal, counts[r]), np.repeat(output, counts[r])
        w = np.where(y, 0.5 / y.sum(), 0.5 / (~y).sum())
        assert found["brier"][r] == pytest.approx(brier_score_loss(y, p, sample_weight=w))
        expected = 0.0
        for low in np.arange(BINS) / BINS:
            chosen = (p >= low) & ((p < low + 1 / BINS) | (low + 1 / BINS > 0.999))
            if chosen.any():
                share = w[chosen].sum()
                expected += share * abs(
                    np.average(y[chosen], weights=w[chosen]) - np.average(p[chosen], weights=w[chosen])
                )
        assert found["calibration_error"][r] == pytest.approx(expected)


def test_the_latent_table_averages_over_runs(tmp_path: Path) -> None:
    config = campaign()
    paths = write_qualities(config, tmp_path)
    block = blocks.evaluate(config)
    table = latents_table(paths, block)
    lines = [pq.read_table(path).to_pandas() for path in paths if path.parent.name.startswith("rs3l")]
    values = np.stack([line[line["quantity"] == "r2"]["values"].iloc[0] for line in lines])
    expected = combine(values, Runs(np.arange(2), np.zeros(2, dtype=int), has_repeats=False))
    line = table[(table["method"] == "rs3l") & (table["quantity"] == "r2")].iloc[0]
    assert (line["value"], line["error"], line["n_runs"]) == (expected.value, expected.error, 2)
    seen = table[table["quantity"] == "retrieval"].set_index("method")["seen"].to_dict()
    assert seen == {"jetclr": False, "rs3l": True}
    with pytest.raises(DataError, match="no latent quality of jetclr_s1"):
        latents_table(paths[:-1], block)


def resampled(counts: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts)


def test_quality_functions_are_those_of_resampled_jets() -> None:
    rng = np.random.default_rng(1)
    x, value = rng.normal(size=(60, 5)) * [3, 2, 1, 0.1, 0], rng.normal(size=60)
    fit = value + 0.3 * rng.normal(size=60)
    truth, found = rng.choice(["a", "b", "c"], 60), rng.choice(["a", "b", "c"], 60)
    counts = np.concatenate([np.ones((1, 60), dtype=int), rng.multinomial(60, np.full(60, 1 / 60), 3)])
    ranks, scores = effective_rank(x, counts), r_squared(value, fit, counts)
    accuracies = balanced_accuracy(truth, found, np.array(["a", "b", "c"]), counts)
    for r, count in enumerate(counts):
        rows = resampled(count)
        singular = np.linalg.svd(x[rows], compute_uv=False)
        share = singular[singular > 1e-12] / singular.sum()
        assert ranks[r] == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-6)
        assert scores[r] == pytest.approx(r2_score(value[rows], fit[rows]))
        assert accuracies[r] == pytest.approx(balanced_accuracy_score(truth[rows], found[rows]))


def test_the_nearest_is_the_nearest() -> None:
    rng = np.random.default_rng(2)
    query, gallery = rng.normal(size=(20, 4)), rng.normal(size=(30, 4))
    expected = [min(range(30), key=lambda j: np.linalg.norm(gallery[j] - q)) for q in query]
    assert nearest(query, gallery).tolist() == expected


def test_quality_of_an_encoder(tmp_path: Path) -> None:
    manifest = toy.write_dataset(tmp_path)
    encoder = new_encoder(DeepSets(hidden=16, representation=16, latent=4), 16, 1)
    lines = {(line.space, line.quantity, line.subject): line for line in quality(manifest, encoder, 3, 5, 100)}
    assert all(line.values.shape == (6,) and np.isfinite(line.values).all() for line in lines.values())
    files = [
        entry["path"]
        for entry in json.loads(manifest.read_text(encoding="utf-8"))["files"]
        if entry["split"] == "test"
    ]
    test = pd.concat([pd.read_parquet(tmp_path / name) for name in files])
    both = set(test.query("variant == 'nominal'")["event_id"]) & set(test.query("variant == 'vincia'")["event_id"])
    line = lines["z", "retrieval", "vincia"]
    assert line.n == line.classes == len(both), "held-out variants are retrieved, too"
    assert ("h", "r2", "jet_n_constituents") in lines and ("h", "r2", "jet_mass") not in lines, "a constant mass"
    assert lines["h", "r2", "jet_n_constituents"].values[0] > 0.5, "a random sum over candidates counts them"
    assert 1 <= lines["z", "effective_rank", ""].values[0] <= 4


def test_identical_views_are_always_retrieved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nominal itself as a variant: every event is its own neighbour."""
    original = toy.rows_of

    def copies(process: str, events: list[int], seed: int = 0) -> list[dict[str, object]]:
        rows = [row for row in original(process, events, seed) if row["variant"] == "nominal"]
        return [{**row, "variant": variant} for row in rows for variant in toy.VARIANTS]

    monkeypatch.setattr(toy, "rows_of", copies)
    encoder = new_encoder(DeepSets(hidden=16, representation=16, latent=4), 16, 1)
    manifest = toy.write_dataset(tmp_path)
    lines = quality(manifest, encoder, 3, 2, 100)
    found = [line for line in lines if line.quantity == "retrieval"]
    assert len(found) == 2 * 3 and all((line.values == 1).all() for line in found)


def test_the_command_writes_the_quality(tmp_path: Path) -> None:
    manifest, model = toy.write_dataset(tmp_path), tmp_path / "m.safetensors"
    encoder = new_encoder(DeepSets(hidden=8, representation=8, latent=3), 16, 1)
    save_encoder(encoder, model)
    write_quality(manifest, model, tmp_path / "direct.parquet", 3, 4, 30)
    made = run_script(
        "quality.py", "--manifest", str(manifest), "--model", str(model), "--quality", str(tmp_path / "q.parquet"),
        "--seed", "3", "--bootstrap", "4", "--events", "30",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert pq.read_table(tmp_path / "q.parquet").equals(pq.read_table(tmp_path / "direct.parquet"))
