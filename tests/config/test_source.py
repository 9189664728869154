"""A campaign whose jets exist already: what it need not say, what is refused, and what its files tell."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import h5py
import pytest
import yaml

from rs3l.config import Campaign, blocks, load_campaign, parse_campaign, reads, source_files
from rs3l.config.capacity import check_capacity
from rs3l.config.source import READY_PROCESSES
from rs3l.errors import ConfigError
from rs3l.figures.registry import lacking, left_out
from rs3l.hdf5 import views
from rs3l.hdf5.export_hdf5 import ExportOptions, export_hdf5
from rs3l.hdf5.layout import COLUMNS, JET_TYPES
from rs3l.plan import load_costs, plan
from rs3l.status import campaign_status
from support import toy
from support.changes import changed as one_changed
from support.places import REPOSITORY
from support.public_files import public_file

Values = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files")
    for number, events in ((0, 20), (3, 40)):
        public_file(path / f"rs3l_{number}.h5", events)
    return path


@pytest.fixture
def values(folder: Path) -> Values:
    """All that a campaign must say."""
    return {
        "campaign": "mine",
        "source": {"hdf5": f"{folder}/rs3l_*.h5"},
        "tasks": {"h": {"signal": "higgs_bb", "background": "qcd"}},
    }


def changed(values: Values, changes: Values) -> Values:
    """Return the same with other values at some paths."""
    for path, value in changes.items():
        values = one_changed(values, path, value)
    return copy.deepcopy(values)


def message(values: Values) -> str:
    with pytest.raises(ConfigError) as error:
        check_capacity(parse_campaign(values))
    return str(error.value)


def test_three_blocks_are_enough(values: Values) -> None:
    config = parse_campaign(values)
    assert {name: (p.label, p.use) for name, p in config.processes.items()} == {
        "higgs_bb": ("H", "pretrain"),
        "qcd": ("QCD", "pretrain"),
    }
    assert list(config.variants) == ["nominal", "seed", "fsr_hi", "fsr_lo", "herwig"]
    assert config.finetune.modes == ["probe_h", "probe_z", "tuned", "random", "scratch", "scratch_views"]
    assert config.jets.pt_min == 450
    assert [blocks.n_parts(config, name) for name in config.processes] == [2, 2]
    assert Campaign.model_validate_json(config.as_json()) == config  # as the report gets it


def test_a_task_adds_its_process_and_lists_choose(values: Values) -> None:
    more = changed(values, {"tasks/w": {"signal": "w_qq", "background": "qcd"}})
    assert parse_campaign(more).processes["w_qq"].use == "downstream"
    chosen = changed(
        values,
        {
            "processes": {"quark": {"label": "q", "jet_types": ["q", "c"]}, "higgs_bb": None},
            "variants": {"nominal": None, "seed": {}, "herwig": {"use": "held_out"}},
            "tasks": {"t": {"signal": "higgs_bb", "background": "quark"}},
        },
    )
    config = parse_campaign(chosen)
    assert config.processes["quark"].jet_types == ["q", "c"] and config.processes["higgs_bb"].label == "H"
    assert [config.variants[name].use for name in config.variants] == ["train", "train", "held_out"]


REFUSED = [
    ("events_per_shard", 500, "events_per_shard: belongs to a simulation"),
    ("share_shower", True, "share_shower: belongs to a simulation"),
    ("processes", {"qcd": {"events": 10}}, "processes.qcd.events: belongs to a simulation, and `source` replaces it"),
    ("processes", {"qcd": {"anchor": [25]}}, "processes.qcd.anchor: belongs to a simulation"),
    ("processes", {"qcd": {"lhe": "a.lhe"}}, "processes.qcd.lhe: belongs to a simulation"),
    ("processes", {"qcd": {"labl": "x"}}, "processes.qcd.labl: unknown key; did you mean `label`?"),
    ("processes", {"bb": {"label": "b"}}, "processes.bb.jet_types: required, because the name is none of higgs_bb"),
    ("processes", {"qcd": None, "x": {"label": "x", "jet_types": ["c"]}}, "processes.x.jet_types: c is of qcd, too"),
    ("variants", {"seed": {"resample": "shower"}}, "variants.seed.resample: belongs to a simulation"),
    ("variants", {"nominal": {}, "vincia": {}}, "variants.vincia: the files have none of this name; they have nominal"),
    ("variants", {"seed": {}, "herwig": {}}, "variants.nominal: missing"),
    ("generator", {"pythia": {"Tune:pp": 14}}, "generator.pythia: belongs to a simulation"),
    ("detector", {"response": "cms"}, "detector.response: belongs to a simulation"),
    ("dataset", {"events_per_part": 5}, "dataset.events_per_part: has no effect on jets from files (hdf5)"),
    ("dataset", {"splits": {"test_only_after": {"qcd": 9}}}, "dataset.splits.test_only_after: belongs to a simulation"),
    ("source", {}, "source: give either `hdf5` (files) or `parquet` (a folder)"),
    ("source", {"hdf5": "x_*.h5"}, "source.hdf5: no file matches 'x_*.h5'"),
    ("source", {"hdf5": "x.h5"}, "source.hdf5: there is no file 'x.h5'"),
    ("source", {"parquet": "nowhere"}, "source.parquet: nowhere has no manifest.json"),
    ("source", {"parquet": "x", "columns": {"jet_msd": 13}}, "source: columns: of no use with `parquet`"),
    ("finetune", {"modes": ["probe_h", "n2"]}, "finetune.modes: n2 needs jet_msd and jet_n2, which the files do not"),
    ("finetune", {"labels": [1000]}, "need 500 events of higgs_bb, and at most 60 are in the train split"),
    ("tasks", {"h": {"signal": "qcd", "background": "higgs_bb", "signal_types": ["W"]}}, "has the type W, by its jet_"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "expected"), REFUSED)
def test_what_only_a_simulation_has_is_refused(values: Values, key: str, value: Any, expected: str) -> None:
    assert expected in message({**values, key: value})


def test_a_simulation_still_needs_its_keys(test_values: Values) -> None:
    for path, text in (
        ("events_per_shard", "events_per_shard: required, and missing"),
        ("processes/qcd/anchor", "processes.qcd.anchor: required, and missing"),
    ):
        without = changed(test_values, {})
        *_, key = path.split("/")
        del (without["processes"]["qcd"] if "/" in path else without)[key]
        assert text in message(without)
    assert "jet_types: belongs to `source`" in message(changed(test_values, {"processes/qcd/jet_types": ["q"]}))


def test_damaged_and_doubled_files_are_named(folder: Path, values: Values, tmp_path: Path) -> None:
    (tmp_path / "rs3l_0.h5").write_text("no", encoding="utf-8")
    assert f"{tmp_path}/rs3l_0.h5: not an HDF5 file" in message(
        {**values, "source": {"hdf5": str(tmp_path / "*.h5")}}
    )
    both = [f"{folder}/rs3l_0.h5", str(tmp_path / "rs3l_0.h5")]
    assert "have the same number, by which events are named" in message({**values, "source": {"hdf5": both}})
    (tmp_path / "rs3l_70000.h5").touch()
    assert "the number in its name is above 65535" in message(
        {**values, "source": {"hdf5": f"{tmp_path}/rs3l_70000.h5"}}
    )
    with h5py.File(tmp_path / "rs3l_1.h5", "w") as file:
        file["other"] = [1]
    assert "no data set 'singletons'" in message({**values, "source": {"hdf5": f"{tmp_path}/rs3l_1.h5"}})


def test_files_of_this_project_name_what_they_hold(tmp_path: Path, values: Values) -> None:
    manifest = toy.write_dataset(tmp_path / "dataset")
    export_hdf5(manifest, tmp_path / "hdf5", ExportOptions(slots=("nominal", "seed", "fsr_hi", "-", "vincia")))
    task = {"signal": "signal", "background": "background"}
    config = parse_campaign({**values, "source": {"hdf5": f"{tmp_path}/hdf5/*.h5"}, "tasks": {"t": task}})
    assert list(config.processes) == list(toy.MULTIPLICITY)
    assert {name: variant.use for name, variant in config.variants.items()} == toy.VARIANTS
    assert "n2" in config.finetune.modes and lacking(config) == {"simulation", "counts"}


def test_a_data_set_tells_all(tmp_path: Path, values: Values) -> None:
    manifest = toy.write_dataset(tmp_path / "dataset")
    small = {"finetune": {"labels": [20]}, "pretrain": {"batch": 16}}
    task = {"t": {"signal": "signal", "background": "background"}}
    for place in (manifest.parent, tmp_path):
        config = parse_campaign({**values, **small, "source": {"parquet": str(place)}, "tasks": task})
        check_capacity(config)
    assert {name: variant.use for name, variant in config.variants.items()} == toy.VARIANTS
    assert sum(config.dataset.splits.model_dump().values()) == pytest.approx(1)
    assert "of its 108 are in the train split" in message(
        {**values, "source": {"parquet": str(tmp_path)}, "tasks": task, "finetune": {"labels": [200]}}
    )
    wrong = {**values, "source": {"parquet": str(tmp_path)}, "tasks": task}
    for key, value, text in (
        ("processes", {"top": {}}, "processes.top: the files have none of this name"),
        ("dataset", {"splits": {"train": 0.5}}, "dataset.splits: has no effect on jets from files (parquet)"),
    ):
        assert text in message({**wrong, key: value})
    manifest.write_text(json.dumps({"format": 1}), encoding="utf-8")
    source_files._entries.cache_clear()
    assert "no manifest of a data set" in message(wrong)


def test_the_table_of_processes_is_that_of_the_command() -> None:
    kinds = [kind for ready in READY_PROCESSES.values() for kind in ready.jet_types]
    assert len(kinds) == len(set(kinds)) and set(kinds) == set(JET_TYPES.values())
    assert {views.PROCESSES.get(kind, "qcd") for kind in JET_TYPES.values()} == set(READY_PROCESSES)
    for name, ready in READY_PROCESSES.items():
        assert all(views.PROCESSES.get(kind, "qcd") == name for kind in ready.jet_types)


def test_what_a_job_reads_changes_with_its_settings_alone(values: Values, folder: Path) -> None:
    def of(changes: Values) -> str:
        config = parse_campaign(changed(values, changes))
        return json.dumps(reads.made_with(config, reads.of_task(config, "h")), sort_keys=True)

    before = of({})
    more = {"tasks/w": {"signal": "w_qq", "background": "qcd"}}
    assert of(more) == before  # another process
    assert of({"variants": {"nominal": {}, "seed": {}}}) == before  # fewer views: the checksums of contents tell
    assert of({"source/angles": "relative"}) != before
    assert of({"source/hdf5": f"{folder}/rs3l_0.h5"}) != before


def test_the_public_campaign_is_as_its_page_says(folder: Path) -> None:
    """With files in place of the published ones, and labels that these have."""
    page = yaml.safe_load((REPOSITORY / "config" / "rs3l_public.yaml").read_text(encoding="utf-8"))
    config = parse_campaign(changed(page, {"source/hdf5": f"{folder}/*.h5", "finetune/labels": [20]}))
    check_capacity(changed_batch(config))
    assert list(left_out(config)) == ["schematic", "event_views", "matching", "survival"]
    lines = plan(config, load_costs(REPOSITORY / "benchmarks" / "costs.json"))
    assert lines[0].stage == "import" and lines[0].work.jobs == 3 and lines[0].work.units == 60
    assert [stage.name for stage in campaign_status(config)][:3] == ["import", "data set", "pre-training"]
    block = blocks.pretrain(config, "rs3l_s0")
    assert (block.encoder.kind, block.batch, block.epochs, block.loop.optimizer) == ("edgeconv", 100, 200, "adam")
    with pytest.raises(ConfigError, match=r"no file matches 'data/rs3l_\*\.h5'"):
        load_campaign(REPOSITORY / "config" / "rs3l_public.yaml")


def changed_batch(config: Campaign) -> Campaign:
    """The same with a batch that small files have."""
    return config.model_copy(update={"pretrain": config.pretrain.model_copy(update={"batch": 10})})


def test_columns_are_those_of_the_layout() -> None:
    assert set(source_files.SLOTS) == {"nominal", "seed", "fsr_hi", "fsr_lo", "herwig"}
    assert {"jet_msd", "jet_n2"} < set(COLUMNS)
