"""What is trained again: jobs depend on what they read of the data set, by dry runs of a campaign that has run."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rs3l.config import parse_campaign
from support import instant
from support.workflow import Snakemake

Values = dict[str, Any]
Change = Callable[[Values], None]
TRAININGS = {"pretrain", "finetune"}
SIMULATION = {"hard_process", "resimulate"}


@pytest.fixture(scope="module")
def made(test_values: Values, tmp_path_factory: pytest.TempPathFactory) -> Snakemake:
    """Run the campaign once; tests only dry-run on it."""
    values = copy.deepcopy(test_values)
    values["variants"]["lo"] = {"resample": "shower", "use": "held_out", "splits": ["test"]}
    snakemake = Snakemake(tmp_path_factory.mktemp("made"), values)
    instant.run(snakemake)
    return snakemake


@pytest.fixture
def planned(made: Snakemake) -> Iterator[Callable[[Change], dict[str, int]]]:
    """Return a function that gives the jobs of a dry run by rule, with another configuration."""
    before = (made.folder / "config.yaml").read_text(encoding="utf-8")

    def plan(change: Change) -> dict[str, int]:
        made.configure(configuration(made, change))
        return made.planned()

    yield plan
    (made.folder / "config.yaml").write_text(before, encoding="utf-8")


def configuration(snakemake: Snakemake, change: Change) -> Values:
    """Return the changed configuration, which is a valid one."""
    import yaml

    values: Values = yaml.safe_load((snakemake.folder / "config.yaml").read_text(encoding="utf-8"))
    change(values)
    parse_campaign(values)
    return values


def nothing(values: Values) -> None:
    pass


def held_out(values: Values) -> None:
    own = {"resample": "shower", "pythia": {"TimeShower:renormMultFac": 1.414}, "use": "held_out"}
    values["variants"]["fsr_lo"] = own


def limited(values: Values) -> None:
    held_out(values)
    values["variants"]["fsr_lo"]["splits"] = ["test"]


def downstream(values: Values) -> None:
    values["processes"]["z_qq"] = {**values["processes"]["w_qq"], "label": "Z"}
    values["tasks"]["z_vs_qcd"] = {"signal": "z_qq", "background": "qcd"}


def more_test_events(values: Values) -> None:
    values["dataset"]["splits"]["test_only_after"] = {"qcd": 180}
    values["processes"]["qcd"]["events"] = 400


def training_variant(values: Values) -> None:
    values["variants"]["fsr_hi"]["pythia"]["TimeShower:renormMultFac"] = 0.5


def test_the_second_run_has_nothing_to_do(planned: Any) -> None:
    assert planned(nothing) == {}


@pytest.mark.parametrize("change", [held_out, limited])
def test_a_held_out_variant_trains_nothing(planned: Any, change: Change) -> None:
    jobs = planned(change)
    assert jobs["resimulate"] == 5 and jobs["merge"] == 1
    assert not TRAININGS & set(jobs) and "hard_process" not in jobs
    assert jobs["embed"] == 6 and jobs["score"] == 12 and jobs["quality"] == 2 and jobs["evaluate"] == 1


def test_events_for_labels_alone_run_nothing_unless_there_are_some(planned: Any) -> None:
    assert planned(lambda values: values["dataset"]["splits"].update(label=0)) == {}
    jobs = planned(lambda values: values["dataset"]["splits"].update(train=0.2, label=0.3))
    assert (jobs["merge"], jobs["pretrain"], jobs["finetune"]) == (1, 2, 6)
    assert "hard_process" not in jobs


def test_a_downstream_process_trains_its_own_task_alone(planned: Any) -> None:
    jobs = planned(downstream)
    assert "pretrain" not in jobs and jobs["finetune"] == 3 and jobs["merge"] == 1
    assert jobs["embed"] == 2, "the latents of the other processes stay"
    assert jobs["score"] == 6


def test_test_events_train_nothing(planned: Any) -> None:
    jobs = planned(more_test_events)
    assert jobs["resimulate"] >= 2 * 5 and jobs["merge"] == 1
    assert not TRAININGS & set(jobs)
    assert jobs["embed"] == 2 and jobs["score"] == 6, "those of qcd"


def test_events_that_are_divided_among_the_splits_train_what_reads_them(planned: Any) -> None:
    jobs = planned(lambda values: values["processes"]["w_qq"].update(events=300))
    assert "pretrain" not in jobs and jobs["finetune"] == 3


def test_a_training_variant_trains_all_that_reads_it(planned: Any) -> None:
    jobs = planned(training_variant)
    assert jobs["resimulate"] == 5 and "hard_process" not in jobs
    assert jobs["pretrain"] == 2 and jobs["finetune"] == 6 and jobs["embed"] == 6 and jobs["score"] == 12


def test_a_training_variant_of_one_method_trains_the_others_not(test_values: Values, tmp_path: Path) -> None:
    values = copy.deepcopy(test_values)
    values["pretrain"]["methods"] = {"rs3l": {"variants": ["nominal", "seed"]}, "all": {}}
    snakemake = Snakemake(tmp_path, values)
    instant.run(snakemake, "models")
    snakemake.configure(configuration(snakemake, training_variant))
    assert snakemake.planned("models")["pretrain"] == 1


def test_two_changes_at_once_are_both_seen(planned: Any) -> None:
    """One makes the merge run, which trains nothing; the other is of the training alone."""

    def both(values: Values) -> None:
        held_out(values)
        values["pretrain"]["temperature"] = 0.2

    jobs = planned(both)
    assert jobs["merge"] == 1 and jobs["pretrain"] == 2 and jobs["finetune"] == 4


@pytest.mark.parametrize(("min_views", "trained"), [(1, False), (3, True)])
def test_a_complete_variant_counts_where_views_are_demanded(
    test_values: Values, tmp_path: Path, min_views: int, trained: bool
) -> None:
    """Then it decides which events are kept; one of the test split alone plays no part in it."""
    values = copy.deepcopy(test_values)
    values["dataset"]["min_views"] = min_views
    snakemake = Snakemake(tmp_path, values)
    instant.run(snakemake, "models")
    for change, expected in ((held_out, trained), (limited, False)):
        snakemake.configure(values)
        snakemake.configure(configuration(snakemake, change))
        assert ("pretrain" in snakemake.planned("models")) == expected


def test_other_contents_under_equal_settings_are_seen(made: Snakemake, planned: Any) -> None:
    """Of the training split of one process: of the tasks, those that read it."""
    path = made.folder / "results" / "test" / "dataset" / "manifest.json"
    before = path.read_text(encoding="utf-8")
    manifest = json.loads(before)
    manifest["digests"]["train"]["w_qq"]["seed"] = "other"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    try:
        jobs = planned(nothing)
    finally:
        path.write_text(before, encoding="utf-8")
    assert jobs["finetune"] == 3 and not {"pretrain", "embed", "merge"} & set(jobs)


def test_after_a_change_all_is_recorded_at_once(test_values: Values, tmp_path: Path) -> None:
    """The run after the change plans with the data set before it; what it records is that after it."""
    snakemake = Snakemake(tmp_path, test_values)
    instant.run(snakemake)
    for change in (training_variant, downstream, more_test_events):
        values = configuration(snakemake, change)
        snakemake.configure(values)
        assert snakemake.planned()["merge"] == 1
        instant.run(snakemake)
        assert snakemake.planned() == {}, change.__name__
