"""From predictions to measures: any cutting into files, and files that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from rs3l.config import blocks
from rs3l.errors import DataError
from rs3l.evaluate.measure import measure
from rs3l.evaluate.measures import CLASSES, Key, read_measures
from support.toy_campaign import campaign, write_predictions, write_scores
from support.workflow import run_script

TASK, RUN = "h_vs_qcd", "none"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the predictions of one task and run: a file of signal, and one of background."""
    found, _ = write_predictions(campaign(), tmp_path_factory.mktemp("toy"), 20, [RUN])
    return [path for path in found if path.parent.parent.parent.name == TASK]


def measured(files: list[Path], path: Path) -> Path:
    measure(blocks.measure(campaign(), TASK, RUN), files, path)
    return path


def frame(path: Path) -> pd.DataFrame:
    found: pd.DataFrame = pq.read_table(path).to_pandas()
    return found


def test_measures_are_the_same_however_parts_are_grouped(files: list[Path], tmp_path: Path) -> None:
    cut = []
    for path in files:
        jets = frame(path)
        first = jets["event_id"].isin(jets["event_id"].unique()[:7])
        for group, chosen in enumerate((first, ~first)):
            cut.append(write_scores(jets[chosen], tmp_path / f"{path.stem[:-4]}{group:04d}.parquet"))
    whole, parts = measured(files, tmp_path / "whole.parquet"), measured(cut, tmp_path / "parts.parquet")
    assert len(cut) == 4 and whole.read_bytes() == parts.read_bytes()


def test_a_classifier_is_measured_the_same_whatever_others_there_are(files: list[Path], tmp_path: Path) -> None:
    kept = [f"{mode}/{labels}/0" for mode in ("scratch", "n2") for labels in (20, 200)]
    fewer = []
    for path in files:
        jets = frame(path)
        fewer.append(write_scores(jets[[*jets.columns[:7], *kept]], tmp_path / path.name))
    _, _, alone = read_measures(measured(fewer, tmp_path / "fewer.parquet"))
    _, _, among = read_measures(measured(files, tmp_path / "all.parquet"))
    assert [column.name for column in alone] == sorted(kept)
    for column, values in alone.items():
        assert values.keys() == among[column].keys()
        assert all(np.array_equal(each, among[column][key]) for key, each in values.items())


def other_classifiers(jets: pd.DataFrame) -> pd.DataFrame:
    return jets.drop(columns="scratch/20/0")


def twice(jets: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([jets, jets.iloc[:1]])


def not_finite(jets: pd.DataFrame) -> pd.DataFrame:
    return jets.assign(**{"scratch/20/1": np.float32(np.inf)})


def other_class(jets: pd.DataFrame) -> pd.DataFrame:
    return jets.assign(is_signal=~jets["is_signal"])


def other_run(jets: pd.DataFrame) -> pd.DataFrame:
    return jets.assign(run="rs3l_s0")


def other_variant(jets: pd.DataFrame) -> pd.DataFrame:
    return jets.assign(variant="unheard")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (other_classifiers, "not the classifiers of"),
        (twice, "a jet is there twice"),
        (not_finite, "scratch/20/1 is not finite"),
        (other_class, "is_signal does not say"),
        (other_run, "of the run rs3l_s0 and not none"),
        (other_variant, "a variant that the configuration does not have"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    files: list[Path], tmp_path: Path, spoil: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    spoiled = write_scores(spoil(frame(files[1])), tmp_path / files[1].name)
    with pytest.raises(DataError, match=message):
        measured([files[0], spoiled], tmp_path / "measures.parquet")
    assert not (tmp_path / "measures.parquet").exists()


def test_an_event_in_two_files_and_a_missing_class_are_refused(files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a hard event is in two files"):
        measured([*files, files[1]], tmp_path / "measures.parquet")
    with pytest.raises(DataError, match=r"\d+ signal and 0 background jets of nominal"):
        measured(files[:1], tmp_path / "measures.parquet")


def test_replicas_without_two_events_have_no_correlation(files: list[Path], tmp_path: Path) -> None:
    """Some replicas of three events hold one of them, or none."""
    few = []
    for path in files:
        jets = frame(path)
        kept = (jets["variant"] == "nominal") | jets["event_id"].isin(jets["event_id"].unique()[:3])
        few.append(write_scores(jets[kept], tmp_path / path.name))
    sample, _, found = read_measures(measured(few, tmp_path / "few.parquet"))
    assert {sample.pairs[f"nominal/seed/{side}"] for side in CLASSES.values()} <= {2, 3}
    replicas = blocks.measure(campaign(), TASK, RUN).evaluate.bootstrap
    for column, values in found.items():
        for side in CLASSES.values():
            correlations = values[Key("spearman", "nominal", "seed", side)]
            shifts = values[Key("rank_shift", "nominal", "seed", side)]
            assert 2 < len(correlations) < len(shifts) <= replicas + 1, column
            assert np.isfinite(shifts).all() and (column.mode == "n2" or np.isfinite(correlations).all())


def test_the_command_writes_what_the_library_does(files: list[Path], tmp_path: Path) -> None:
    made = run_script(
        "measure.py", "--block", blocks.measure(campaign(), TASK, RUN).model_dump_json(),
        "--predictions", *map(str, files), "--measures", str(tmp_path / "script.parquet"),
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    direct = measured(files, tmp_path / "direct.parquet")
    assert (tmp_path / "script.parquet").read_bytes() == direct.read_bytes()
