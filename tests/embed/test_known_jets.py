"""The quality of latents is measured on a bounded number of hard events, whose files alone are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rs3l.config.encoders import DeepSets
from rs3l.dataset.manifest import read_manifest
from rs3l.dataset.row_groups import RowGroup, row_groups
from rs3l.dataset.store import load_views
from rs3l.embed import known_jets as module
from rs3l.embed.known_jets import OBSERVABLES, KnownJets, known_jets
from rs3l.errors import DataError
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import embed, new_encoder
from support import toy

ALL = list(toy.VARIANTS)


@pytest.fixture(scope="module")
def encoder() -> JetEncoder:
    return new_encoder(DeepSets(hidden=8, representation=8, latent=3), 16, 1).eval()


def test_with_enough_events_it_is_the_whole_split(manifest: Path, encoder: JetEncoder) -> None:
    found = known_jets(manifest, "test", ALL, encoder, 10_000, 3)
    store = load_views(manifest, "test", list(toy.MULTIPLICITY), ALL, encoder.constituents)
    parts = read_manifest(manifest).files("test")
    tables = [
        pd.read_parquet(manifest.parent / part.path)
        for p in toy.MULTIPLICITY
        for part in parts
        if part.process == p
    ]
    table = pd.concat(tables)
    assert found.event_id.tolist() == store.event_id.tolist() == table["event_id"].tolist()
    assert found.variant.tolist() == table["variant"].tolist()
    assert found.jet_type.tolist() == table["jet_type"].tolist()
    expected = table[list(OBSERVABLES)].to_numpy(dtype=np.float64)
    expected[:, 0] = np.log(expected[:, 0])
    np.testing.assert_array_equal(found.observables, expected)
    for own, whole in zip((found.h, found.z), embed(encoder, store, store.rows()), strict=True):
        np.testing.assert_allclose(own, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("events", [4, 10, 30])
def test_each_process_has_its_share_of_the_events(manifest: Path, encoder: JetEncoder, events: int) -> None:
    found = known_jets(manifest, "test", ALL, encoder, events, 3)
    whole = known_jets(manifest, "test", ALL, encoder, 10_000, 3)
    ids = np.unique(found.event_id)
    assert events - 1 <= len(ids) <= events
    processes = {int(key): int(key) >> 40 for key in ids}
    counts = pd.Series(processes).value_counts()
    assert len(counts) == 2 and counts.max() - counts.min() <= 1  # both have the same number of events
    kept = np.isin(whole.event_id, ids)  # whole events
    assert whole.event_id[kept].tolist() == found.event_id.tolist()
    assert whole.variant[kept].tolist() == found.variant.tolist()


def test_another_seed_takes_other_row_groups(manifest: Path, encoder: JetEncoder) -> None:
    assert len(row_groups(manifest, "test", ["signal"])) > 2

    def ids(seed: int) -> set[int]:
        return set(known_jets(manifest, "test", ["nominal"], encoder, 10, seed).event_id.tolist())

    assert ids(3) == ids(3)
    assert len({frozenset(ids(seed)) for seed in range(5)}) > 1


def test_only_what_is_taken_is_read(tmp_path: Path, encoder: JetEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the candidates of other row groups, nor other files, whose checksums may be wrong."""
    manifest = toy.write_dataset(tmp_path)
    read: list[tuple[str, int, int]] = []
    original = module._embedded

    def spied(group: RowGroup, *rest: Any) -> KnownJets:
        result = original(group, *rest)
        read.append((group.path.name, group.index, len(np.unique(result.event_id))))
        return result

    monkeypatch.setattr(module, "_embedded", spied)
    first = known_jets(manifest, "test", ALL, encoder, 2, 3)
    assert [events for _, _, events in read] == [1, 1]
    spoil(manifest, {f"test/{name}" for name, _, _ in read})
    np.testing.assert_array_equal(known_jets(manifest, "test", ALL, encoder, 2, 3).z, first.z)


def spoil(manifest: Path, but: set[str]) -> None:
    """Make the checksums of all files wrong but those of some."""
    contents = json.loads(manifest.read_text(encoding="utf-8"))
    for entry in contents["files"]:
        entry["sha256"] = entry["sha256"] if entry["path"] in but else "0" * 64
    manifest.write_text(json.dumps(contents), encoding="utf-8")


def test_a_changed_file_is_refused(tmp_path: Path, encoder: JetEncoder) -> None:
    manifest = toy.write_dataset(tmp_path)
    spoil(manifest, set())
    with pytest.raises(DataError, match="its SHA-256 is not the manifest's"):
        known_jets(manifest, "test", ALL, encoder, 10, 3)
    with pytest.raises(DataError, match="no jet under rehadron in the split 'val'"):
        known_jets(toy.write_dataset(tmp_path / "other"), "val", ["rehadron"], encoder, 10, 3)
