"""External hard events in the workflow: the files are inputs, and an edited one redoes what depends on it."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from rs3l.dataset.schema import Status
from rs3l.files import sha256
from rs3l.lhe.lhe import HardEvent, read_shard
from support.lhe_writers import write_lhe
from support.places import REPOSITORY
from support.workflow import Snakemake


@pytest.fixture
def snakemake(tmp_path: Path, test_values: dict[str, Any], hard_events: Any) -> Snakemake:
    """Return a campaign with 20 external events of QCD in two files, two shards of them."""
    values = copy.deepcopy(test_values)
    values["events_per_shard"] = 12
    values["processes"] = {
        "qcd": {"label": "QCD", "events": 20, "lhe": "in put/*.lhe*", "anchor": "outgoing_parton"}
    }
    values["processes"]["higgs_bb"] = {**test_values["processes"]["higgs_bb"], "events": 12}
    values["tasks"] = {"h_vs_qcd": test_values["tasks"]["h_vs_qcd"]}
    values["pretrain"]["batch"], values["finetune"]["labels"] = 4, [10]
    events = hard_events("qcd", 24)
    write_lhe(tmp_path / "in put" / "a.lhe.gz", events[:11])
    write_lhe(tmp_path / "in put" / "b.lhe", events[11:])
    return Snakemake(tmp_path, values, quick=True)


def test_shards_are_made_from_files_and_remade_when_one_changes(snakemake: Snakemake, hard_events: Any) -> None:
    assert snakemake.planned("hard") == {"index_lhe": 1, "hard_process": 3, "hard": 1}
    snakemake("hard")
    folder = snakemake.folder / "results" / "test" / "hard" / "qcd"
    found: list[HardEvent] = [event for i in range(2) for event in read_shard(folder / f"{i:04d}.lhe.gz")[1]]
    assert [event.index for event in found] == list(range(20))
    assert [event.scale for event in found] == [event.scale for event in hard_events("qcd", 20)]
    assert snakemake.planned("hard") == {}
    write_lhe(snakemake.folder / "in put" / "b.lhe", hard_events("qcd", 24)[12:])
    assert snakemake.planned("hard") == {"index_lhe": 1, "hard_process": 2, "hard": 1}
    write_lhe(snakemake.folder / "in put" / "c.lhe", hard_events("qcd", 24)[:3])
    assert "c.lhe" in snakemake("hard", "--dry-run").stdout


def test_missing_and_damaged_files_stop_with_their_name(snakemake: Snakemake) -> None:
    folder = snakemake.folder / "in put"
    (folder / "a.lhe.gz").write_bytes((folder / "a.lhe.gz").read_bytes()[:900])
    result = snakemake("hard", check=False)
    assert result.returncode != 0
    assert "in put/a.lhe.gz: truncated or damaged" in result.stdout + result.stderr
    assert not list((snakemake.folder / "results" / "test" / "hard").glob("qcd/*"))
    for path in folder.iterdir():
        path.unlink()
    result = snakemake("hard", check=False)
    assert "processes.qcd.lhe: no file matches 'in put/*.lhe*'" in result.stdout + result.stderr


def test_a_file_that_is_gone_or_replaced_stops_the_dry_run(snakemake: Snakemake, hard_events: Any) -> None:
    """Even when all that is made of it is there, and Snakemake by itself would find nothing to do."""
    folder = snakemake.folder / "in put"
    values = yaml.safe_load((snakemake.folder / "config.yaml").read_text(encoding="utf-8"))
    values["processes"]["qcd"]["lhe"] = ["in put/a.lhe.gz", "in put/b.lhe"]
    snakemake.configure(values)
    snakemake("hard")
    assert snakemake.planned("hard") == {}
    index = snakemake.folder / "results" / "test" / "hard" / "qcd" / "files.json"
    (folder / "b.lhe").unlink()
    result = snakemake("hard", "--dry-run", check=False)
    assert "processes.qcd.lhe: there is no file 'in put/b.lhe'" in result.stdout + result.stderr
    write_lhe(folder / "b.lhe", hard_events("qcd", 24)[12:])
    os.utime(folder / "b.lhe", ns=(0, index.stat().st_mtime_ns - 10**9))
    result = snakemake("hard", "--dry-run", check=False)
    remedy = "was replaced after results/test/hard/qcd/files.json was made, by a file that is not newer: put"
    assert f"in put/b.lhe {remedy}" in result.stdout + result.stderr
    (folder / "b.lhe").touch()
    snakemake("hard")
    assert json.loads(index.read_text(encoding="utf-8"))["files"][1]["sha256"] == sha256(folder / "b.lhe")


def test_paths_with_brackets_and_braces_are_taken_as_they_are(snakemake: Snakemake, hard_events: Any) -> None:
    """Snakemake takes {x} for a wildcard: such a file is no input, but its change is seen all the same."""
    values = yaml.safe_load((snakemake.folder / "config.yaml").read_text(encoding="utf-8"))
    values["processes"]["qcd"]["lhe"] = ["run [1]/a.lhe", "s{x}/{process}.lhe"]
    snakemake.configure(values)
    events = hard_events("qcd", 24)
    write_lhe(snakemake.folder / "run [1]" / "a.lhe", events[:11])
    write_lhe(snakemake.folder / "s{x}" / "{process}.lhe", events[11:])
    snakemake("hard")
    folder = snakemake.folder / "results" / "test" / "hard" / "qcd"
    found = [event for i in range(2) for event in read_shard(folder / f"{i:04d}.lhe.gz")[1]]
    assert [event.scale for event in found] == [event.scale for event in events[:20]]
    assert snakemake.planned("hard") == {}
    write_lhe(snakemake.folder / "s{x}" / "{process}.lhe", events[12:])
    assert snakemake.planned("hard") == {"index_lhe": 1, "hard_process": 2, "hard": 1}


def test_an_external_generator_is_a_variant_and_an_edit_of_its_files_runs_it_again(
    snakemake: Snakemake, tmp_path: Path
) -> None:
    """Up to the data set, which has the cross-section of the files and the views of both generators."""
    generator = (REPOSITORY / "config" / "generators" / "pythia_hepmc.py").read_text(encoding="utf-8")
    (tmp_path / "generator.py").write_text(generator, encoding="utf-8")
    values = yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    values["variants"]["apart"] = {
        "resample": "shower",
        "generator": {
            "command": "python generator.py {lhe} {out} --seed {init_seed} --seeds {seeds} --set {mpi}",
            "settings": {"mpi": "PartonLevel:MPI = off"},
            "files": ["generator.py"],
        },
    }
    values["variants"] = {name: values["variants"][name] for name in ("nominal", "seed", "apart")}
    values["evaluate"]["variants"] = ["nominal", "seed"]
    values["events_per_shard"] = 20
    snakemake.configure(values)
    target = "results/test/jets/qcd/apart/0000.parquet"
    snakemake("dataset")
    assert pq.read_table(tmp_path / target)["status"].to_pylist().count(Status.FAILED) == 0
    process = json.loads((tmp_path / "results/test/dataset/manifest.json").read_text(encoding="utf-8"))[
        "processes"
    ]["qcd"]
    assert (process["cross_section_pb"], process["hard_events"]) == (6.5, 20)
    assert process["status"]["apart"]["ok"] > 3
    assert snakemake.planned(target) == {}
    (tmp_path / "generator.py").write_text(generator + "# edited\n", encoding="utf-8")
    assert snakemake.planned(target) == {"resimulate": 1}
    (tmp_path / "generator.py").unlink()
    result = snakemake(target, check=False)
    assert "variants.apart.generator.files: generator.py: No such file" in result.stdout + result.stderr
