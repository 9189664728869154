"""The model of the package: its format, its card, its sample, and the latents that it gives on any processor."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from rs3l import models
from rs3l.config.encoders import DeepSets
from rs3l.dataset.checksum import intact_parquet
from rs3l.dataset.frames import read_frame
from rs3l.dataset.manifest import read_manifest
from rs3l.errors import DataError
from rs3l.models.model_card import CARD, card_text, read_header
from rs3l.networks.model_file import MODEL_FORMAT, load_encoder
from support.places import REPOSITORY
from support.workflow import run_script

FOLDER = models.FOLDER / "demo"
LATENTS = FOLDER / "latents.parquet"
TOLERANCE = 1e-3
"""Latents are unit vectors. Sums in another order change them by some 1e-6, inputs that are wrong by some 1e-2."""


def stored() -> np.ndarray:
    column = pq.read_table(intact_parquet(LATENTS))["z"].combine_chunks()
    return column.flatten().to_numpy().reshape(len(column), -1)


def test_it_is_of_the_present_format_and_its_checksum_is_right() -> None:
    encoder = load_encoder(models.model_path("demo"), given=False)  # refuses models of an older format
    assert read_header(models.model_path("demo"))["format"] == MODEL_FORMAT
    assert isinstance(encoder.config, DeepSets) and not encoder.training and encoder.displacement
    assert models.model_path("demo").stat().st_size < 1_000_000


def test_all_of_it_is_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 1_000_000


def test_the_card_says_what_the_file_says() -> None:
    assert models.card() == card_text(FOLDER)
    assert (REPOSITORY / "docs" / "model.md").read_text(encoding="utf-8") == models.card()
    header = read_header(models.model_path("demo"))
    card, block = header[CARD], header[CARD]["training"]
    assert block["encoder"] == header["encoder"] and block["constituents"] == header["constituents"]
    assert card["weights"] == sum(value.numel() for value in models.load().parameters())
    auc = {
        line["labels"]: line for line in card["results"] if line["task"] == "h_vs_qcd" and line["metric"] == "auc"
    }
    assert all(line["value"] - line["error"] > 0.5 and 0 < line["error"] < 0.1 for line in auc.values())
    for words in ("MIT", "Pythia", "## Limits", "tools/ship_model.py", "not seen", "w_qq"):
        assert words in models.card(), words


def test_the_numbers_of_the_page_are_those_of_the_card() -> None:
    page = " ".join((REPOSITORY / "docs" / "library.md").read_text(encoding="utf-8").split())
    card = read_header(models.model_path("demo"))[CARD]
    learned = sum(p["events"] for p in card["data"]["processes"].values() if p["use"] == "pretrain")
    assert f"has learned from {learned:,} hard events" in page
    assert f"{card['sample']['events']} hard events of the demo campaign" in page
    assert f"labelled jets of {2 * card['sample']['split']['train']} events and is tested on" in page


def test_the_sample_is_a_data_set_that_says_what_it_is() -> None:
    manifest = read_manifest(models.sample())
    card = read_header(models.model_path("demo"))[CARD]["sample"]
    assert (manifest.events(), manifest.jets()) == (card["events"], card["jets"])
    assert {split: manifest.events(split, "qcd") for split in card["split"]} == card["split"]
    jets = read_frame(models.sample())  # verifies every file
    assert set(jets["variant"]) == set(manifest.variants) and set(jets["process"]) == set(manifest.processes)
    assert jets["cand_pt"].map(len).max() == card["constituents"]
    assert (jets["cand_pt"].map(lambda pt: np.diff(pt).max(initial=-1)) <= 0).all()
    assert re.search("the campaign demo", (models.sample().parent / "card.md").read_text(encoding="utf-8"))


def test_it_embeds_the_sample_to_the_stored_latents() -> None:
    jets = read_frame(models.sample())
    h, z = models.latents(jets)
    assert np.abs(z - stored()).max() < TOLERANCE
    assert np.allclose(np.linalg.norm(z, axis=1), 1, atol=1e-5) and np.isfinite(h).all()
    keys = pq.read_table(LATENTS, columns=["event_id", "variant"]).to_pandas()
    assert (keys["event_id"].to_numpy() == jets["event_id"].to_numpy()).all()
    assert (keys["variant"] == jets["variant"]).all()


def test_the_tolerance_is_far_from_what_another_input_gives() -> None:
    jets = read_frame(models.sample(), variants=["nominal"])
    turned = jets.assign(cand_d0=jets["cand_d0"].map(lambda d0: 0 * d0))
    z, other = models.latents(jets)[1], models.latents(turned)[1]
    assert np.abs(z - other).max(axis=1).mean() > 10 * TOLERANCE


@pytest.mark.parametrize("model", [(), ("--model", "demo")])
def test_the_command_embeds_a_file_at_once(tmp_path: Path, model: tuple[str, ...]) -> None:
    path = models.sample().parent / "test" / "qcd-0000.parquet"
    done = run_script("embed.py", "--jets", str(path), *model, "--latents", str(tmp_path / "l.parquet"))
    assert done.returncode == 0, done.stderr
    table = pq.read_table(tmp_path / "l.parquet")
    rows = read_frame(models.sample())
    chosen = stored()[
        ((rows["process"] == "qcd") & rows["event_id"].isin(table["event_id"].to_numpy())).to_numpy()
    ]
    z = np.array(table["z"].to_pylist())
    assert table.num_rows == len(chosen) and np.abs(z - chosen).max() < TOLERANCE


def test_a_data_set_is_embedded_by_a_model_that_is_named(tmp_path: Path) -> None:
    latents = tmp_path / "l.parquet"
    wrong = run_script("embed.py", "--manifest", str(models.sample()), "--latents", str(latents))
    assert wrong.returncode == 2 and "--manifest needs a --model" in wrong.stderr
    done = run_script("embed.py", "--manifest", str(models.sample()), "--model=demo", "--latents", str(latents))
    assert done.returncode == 0, done.stderr
    assert pq.read_metadata(latents).num_rows == read_manifest(models.sample()).jets("test")


def test_other_models_are_paths(tmp_path: Path) -> None:
    assert models.model_path(tmp_path / "demo") == tmp_path / "demo"
    assert models.model_path("./demo") == Path("demo") != models.model_path("demo")
    with pytest.raises(DataError, match=r"demo2: no such model"):
        models.load("demo2")
