"""The sentence below each figure: what its points say, and nothing beyond their errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rs3l.config.campaign import Campaign
from rs3l.figures.histograms import Shapes
from rs3l.paths import CampaignPaths
from rs3l.report.brief import brief, findings, plain_hours
from rs3l.report.heads import HEADS, head
from support.toy_campaign import campaign

TASK = "h_vs_qcd"
ROW = {"task": TASK, "labels": 20, "metric": "rejection_0.5", "lower_limit": False}
PAIR = {"task": TASK, "method": "rs3l", "mode": "probe_h", "labels": 20, "metric": "rejection_0.5", "value": 1.0}


@pytest.fixture
def paths(tmp_path: Path) -> CampaignPaths:
    for folder in ("evaluation", "figures"):
        (tmp_path / folder).mkdir()
    return CampaignPaths(str(tmp_path))


@pytest.fixture
def config() -> Campaign:
    return campaign()


def write(path: str, rows: Sequence[Mapping[str, Any]]) -> None:
    pd.DataFrame(rows).to_csv(path, index=False)


def write_rejections(paths: CampaignPaths, ratio: float, ratio_error: float) -> None:
    """Write rejections of two networks and of boosted trees, with the paired ratio to the trees."""
    methods = (("rs3l", "probe_h", 30.0), ("none", "scratch", 20.0), ("none", "gbt", 40.0))
    write(
        paths.evaluation("metrics"),
        [{**ROW, "method": name, "mode": mode, "value": value, "error": 2.0} for name, mode, value in methods],
    )
    pairs = {"scratch": (1.5, 1.0), "gbt": (ratio, ratio_error)}
    write(
        paths.evaluation("differences"),
        [
            {
                **PAIR,
                "error": 1.0,
                "reference_method": "none",
                "reference_mode": mode,
                "ratio": r,
                "ratio_error": e,
            }
            for mode, (r, e) in pairs.items()
        ],
    )


def test_a_rejection_is_compared_with_boosted_trees(paths: CampaignPaths, config: Campaign) -> None:
    write_rejections(paths, 0.75, 0.05)
    text = brief("roc", TASK, paths, config)
    assert "RS3L rejects 30.0 ± 2.0 QCD jets for each that passes, at 50% H efficiency" in text
    assert "from scratch 20.0 ± 2.0; boosted trees 40.0 ± 2.0" in text
    assert text.endswith("less than boosted trees by more than 2σ.") and findings(paths, config) == [text]
    write_rejections(paths, 0.75, 0.5)
    assert brief("roc", TASK, paths, config).endswith("no difference beyond 2σ.")


def test_the_variant_with_the_largest_deviation_is_named(paths: CampaignPaths, config: Campaign) -> None:
    rows = [
        {"variant": variant, "process": "qcd", "deviation_sigma": sigma, "low": low}
        for variant, sigma in (("nominal", np.nan), ("seed", 0.4), ("fsr_hi", 6.1))
        for low in (0, 1)
    ]
    write(paths.figure("jet_mass", "csv"), rows)
    expected = "Furthest from the nominal is fsr_hi (QCD), 6.1σ; 1 of 2 comparisons is beyond 2σ."
    assert brief("jet_mass", "", paths, config) == expected
    write(paths.figure("jet_mass", "csv"), [{**row, "deviation_sigma": np.nan} for row in rows])
    assert brief("jet_mass", "", paths, config) == "Too few jets to compare the variants."


def test_nothing_is_said_without_points(paths: CampaignPaths, config: Campaign) -> None:
    assert [brief(kind, TASK, paths, config) for kind in ("roc", "matching", "robustness", "schematic")] == [
        ""
    ] * 4
    assert findings(paths, config) == []


def shapes(ratio: Sequence[float], error: float, jets: int = 100) -> Shapes:
    """Return a variant whose ratios to the nominal are known."""
    zeros, ones = np.zeros((2, len(ratio))), np.ones(len(ratio))
    both = np.full(zeros.shape, jets)
    return Shapes(np.arange(len(ratio) + 1.0), zeros, zeros, np.stack([ones, ratio]), zeros + error, both)


def test_the_significance_of_all_bins_is_that_of_chi_squared() -> None:
    rng = np.random.default_rng(1)
    found = [shapes(1.0 + 0.1 * rng.normal(size=12), 0.1).significance(10)[1] for _ in range(2000)]
    assert np.mean(np.array(found) > 1.0) == pytest.approx(0.159, abs=0.03)
    assert shapes([1.5] * 12, 0.1).significance(10)[1] > 5.0
    assert np.isnan(shapes([1.5] * 12, 0.1, jets=9).significance(10)[1])


def test_heads_are_words() -> None:
    assert head("core_hours") == "core time [h]" and head("fsr_hi") == "fsr_hi"
    assert head("cosine_means:a:b") == "cosine of means: a, b"
    assert not any("_" in text for text in HEADS.values())


@pytest.mark.parametrize(("hours", "text"), [(0.001, "4 s"), (0.5, "30 min"), (1234.0, "1,234 h")])
def test_times_have_the_unit_that_suits_them(hours: float, text: str) -> None:
    assert plain_hours(hours) == text
