"""The benchmark of the scale: its copies are data sets, and its table says what its jobs used."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from rs3l.dataset.manifest import read_manifest
from rs3l.dataset.row_groups import row_groups
from rs3l.seeds import event_index
from support import toy, toy_campaign
from support.places import REPOSITORY

SCRIPT = REPOSITORY / "benchmarks" / "scale.py"


@pytest.fixture(scope="module")
def scale() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scale", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def keys(manifest: Path, split: str, process: str) -> list[int]:
    """Return the keys of all rows of a process, in the order of the parts."""
    contents = read_manifest(manifest)
    paths = [contents.path(part) for part in contents.files(split, process)]
    return [key for path in paths for key in pq.read_table(path)["event_id"].to_pylist()]


def test_copies_are_a_data_set_with_events_of_their_own(tmp_path: Path, scale: ModuleType) -> None:
    original = toy.write_dataset(tmp_path / "one")
    config = {"dataset": {"events_per_part": 100}, "processes": {name: {"events": 1} for name in toy.MULTIPLICITY}}
    made = scale.copy_of(tmp_path / "one", config, 3, tmp_path / "three")
    manifest = tmp_path / "three" / "manifest.json"
    assert read_manifest(manifest).jets() == 3 * read_manifest(original).jets()
    assert {process["events"] for process in made["processes"].values()} == {3 * 2 * 100}
    for split in toy.EVENTS:
        assert len(row_groups(manifest, split, list(toy.MULTIPLICITY))) > 0  # with all checksums
        for process in toy.MULTIPLICITY:
            before, after = keys(original, split, process), keys(manifest, split, process)
            assert after == sorted(after)
            assert after == [key + copy * 200 for copy in range(3) for key in before]
    columns = ["variant", "jet_pt", "cand_pt", "weight"]
    paths = [tmp_path / "three" / "test" / f"signal-{number:04d}.parquet" for number in (0, 2, 4)]
    first, *others = [pq.read_table(path, columns=columns) for path in paths]
    assert all(other.equals(first) for other in others)


def test_another_configuration_than_that_of_the_data_set_is_refused(tmp_path: Path, scale: ModuleType) -> None:
    toy.write_dataset(tmp_path / "one")
    config = {"dataset": {"events_per_part": 20}, "processes": {name: {} for name in toy.MULTIPLICITY}}
    with pytest.raises(SystemExit, match=r"has events beyond its parts: give the configuration"):
        scale.copy_of(tmp_path / "one", config, 2, tmp_path / "two")


def test_a_job_has_its_limit_and_says_what_it_used(tmp_path: Path, scale: ModuleType) -> None:
    job = f"{sys.executable} -c 'print(len(bytearray(300 * 2**20)))' > results/logs/fill.log 2>&1"
    used = scale.run(job, tmp_path, 0.0)
    assert used["exit"] == 0 and 300 < used["peak_mb"] < 400
    assert (tmp_path / "results" / "logs" / "fill.log").read_text(encoding="utf-8") == f"{300 * 2**20}\n"
    assert scale.run(job, tmp_path, 0.2)["exit"] != 0
    assert "MemoryError" in (tmp_path / "results" / "logs" / "fill.log").read_text(encoding="utf-8")


LINES = [
    {"factor": factor, "jets": 1000 * factor, "job": job, "exit": code, "peak_mb": peak, "cpu_s": 2.0 * factor}
    for factor, job, code, peak in [
        (1, "score/a/0", 0, 500.0), (4, "score/a/0", 0, 503.0), (4, "score/a/1", 0, 502.0), (1, "embed/a", 0, 400.0),
        (4, "embed/a", 1, 400.0), (2, "score/a/0", 0, 502.5), (1, "plot/roc", 0, 90.0), (1, "other", 0, 10.0),
    ]
]  # fmt: skip


def test_the_table_has_peaks_and_slopes(tmp_path: Path, scale: ModuleType) -> None:
    text = scale.table(LINES)
    assert text.splitlines() == [
        "| stage | jobs | 1×: 1,000 jets | 2×: 2,000 jets | 4×: 4,000 jets | slope [B/jet] | CPU time [s] |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| `embed` | 1 → 1 | 400 MB |  | 400 MB (failed) | 0 | 2 → 8 |",
        f"| `score` | 1 → 2 | 500 MB | 502 MB | 503 MB | {0.5 * 2**20 / 2000:.0f} | 2 → 16 |",
        "| figures | 1 | 90 MB |  |  |  | 2 |",
        "| `other` | 1 | 10 MB |  |  |  | 2 |",
    ]
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- scale -->\nold\n<!-- /scale -->\nafter\n", encoding="utf-8")
    scale.write_table(page, text)
    assert page.read_text(encoding="utf-8") == f"before\n<!-- scale -->\n{text}\n<!-- /scale -->\nafter\n"
    page.write_text("no markers", encoding="utf-8")
    with pytest.raises(SystemExit, match="has no lines <!-- scale -->"):
        scale.write_table(page, text)


def test_two_figures_on_two_sizes(
    tmp_path: Path, scale: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Real commands of the rules, once: the second call finds all of them done."""
    toy_campaign.write_dataset(toy_campaign.campaign(), tmp_path / "toy")
    values = yaml.safe_load((REPOSITORY / "config" / "test.yaml").read_text(encoding="utf-8"))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    words = [
        "--dataset",
        tmp_path / "toy" / "dataset",
        "--config",
        tmp_path / "config.yaml",
        "--work",
        tmp_path / "w",
    ]
    options = [
        "--factors",
        "1",
        "3",
        "--stages",
        "plot/jet_mass",
        "plot/survival",
        "--limit-gb",
        "3",
        "--changes",
        "{}",
    ]
    monkeypatch.setattr(sys, "argv", ["scale.py", *map(str, words), *options])
    for expected in (4, 0):
        scale.main()
        shown = capsys.readouterr().out.splitlines()
        assert sum(line.endswith(" s") for line in shown) == expected
    jets = read_manifest(tmp_path / "toy" / "dataset" / "manifest.json").jets()
    assert shown[0].startswith(f"| stage | jobs | 1×: {jets:,} jets | 3×: {3 * jets:,} jets |")
    assert re.fullmatch(r"\| figures \| 2 → 2 \| \d+ MB \| \d+ MB \| -?\d+ \| \d+ → \d+ \|", shown[2])
    lines = [json.loads(line) for line in (tmp_path / "w" / "jobs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {(line["factor"], line["job"]) for line in lines} == {
        (factor, f"plot/{name}") for factor in (1, 3) for name in ("jet_mass", "survival")
    }
    for factor in (1, 3):
        points = tmp_path / "w" / f"x{factor}" / "results" / "test" / "figures" / "survival.csv"
        counts = np.genfromtxt(points, delimiter=",", names=True, dtype=None, encoding="utf-8")
        assert counts["nominal_jet"].sum() % factor == 0 and counts["nominal_jet"].sum() > 0
    contents = read_manifest(tmp_path / "w" / "x3" / "results" / "test" / "dataset" / "manifest.json")
    table = pa.concat_tables(pq.read_table(contents.path(part)) for part in contents.files("test", "qcd"))
    assert len({event_index(key) for key in table["event_id"].to_pylist()}) == contents.events("test", "qcd")
