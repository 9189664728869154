"""Trackers of experiments: MLflow offline for real, over stops and ranks; one's own; and what fails."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from test_resume_training import KillAt, outputs, settings

from rs3l.errors import ConfigError, StoppedError
from rs3l.pretrain.pretrain import Running, pretrain
from rs3l.training import tracking
from rs3l.training.live import EPOCHS, STEPS, Folder, NullMetrics, Several
from rs3l.training.mlflow_tracker import EXPERIMENT, MlflowRun, connected
from rs3l.training.tracking import Training, described, trackers
from support.places import SCRIPTS
from support.pretraining import block, train
from support.ranks import launch

OWN = block(epochs=2, batch=16)


def runs(store: Path) -> tuple[Any, list[Any]]:
    """Return a client of MLflow, and all runs in a folder."""
    client = connected(str(store))
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    return client, list(client.search_runs([experiment.experiment_id]))


def lines(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class NeverTold(MlflowRun):
    """The same in a process that is killed: nobody tells it of the end."""

    def end(self, how: Any) -> None:
        """Do nothing, and forget what waits."""


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RS3L_MLFLOW", "RS3L_TRACKER", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_alarm")
@pytest.mark.parametrize("kind", [MlflowRun, NeverTold])
def test_a_resumed_training_goes_on_with_its_run(tmp_path: Path, manifest: Path, kind: type[MlflowRun]) -> None:
    """Every step once, with the values of the JSON lines; twice stopped within an epoch."""
    store, live = tmp_path / "runs", Folder(tmp_path / "live")
    for at in (3, 9, 0):
        sinks, own = Several([live, KillAt(at)]), kind if at else MlflowRun
        running = Running(live=sinks, trackers=[partial(own, str(store))])
        if at:
            with pytest.raises(StoppedError):
                pretrain(OWN, manifest, tmp_path / "state", *outputs(tmp_path), running=running)
            _, (run,) = runs(store)
            assert run.info.status == ("KILLED" if kind is MlflowRun else "RUNNING")
        else:
            pretrain(OWN, manifest, tmp_path / "state", *outputs(tmp_path), running=running)
    client, (run,) = runs(store)
    assert run.info.status == "FINISHED" and run.info.run_name == "rs3l, seed 5"
    for group, path in (("step", STEPS), ("epoch", EPOCHS)):
        rows = lines(tmp_path / "live" / path)
        for name in {"step": ["loss", "learning_rate"], "epoch": ["train_loss", "val_loss", "rank"]}[group]:
            history = client.get_metric_history(run.info.run_id, f"{group}/{name}")
            recorded = sorted((metric.step, metric.value) for metric in history)
            assert recorded == [(row["steps"], row[name]) for row in rows], name
    assert len(lines(tmp_path / "live" / STEPS)) == 14
    assert run.data.params["batch"] == "16" and run.data.params["loop.optimizer"] == "adamw"
    assert run.data.params["encoder.kind"] == "deepsets" and run.data.params["variants"] == "nominal, seed, fsr_hi"


@pytest.mark.usefixtures("no_alarm")
def test_a_finished_run_stays_as_it_is(tmp_path: Path, manifest: Path) -> None:
    """The same training once more, and one with other settings, are runs of their own."""
    store = tmp_path / "runs"
    for number, own in enumerate((OWN, OWN, block(epochs=1, batch=16))):
        running = Running(trackers=[partial(MlflowRun, str(store))])
        pretrain(own, manifest, tmp_path / "state", *outputs(tmp_path), running=running)
        assert len(runs(store)[1]) == number + 1


def test_the_first_of_two_ranks_writes_alone(tmp_path: Path, manifest: Path, monkeypatch: Any) -> None:
    """By the variable of the environment, as from a rule."""
    monkeypatch.setenv("RS3L_MLFLOW", str(tmp_path / "runs"))
    paths = zip(("--model", "--metrics", "--provenance"), map(str, outputs(tmp_path)), strict=True)
    own = settings("in memory", epochs=1)
    arguments = ["--block", own.model_dump_json(), "--manifest", str(manifest), "--state", str(tmp_path / "state")]
    arguments.append("--on-collapse=warn")
    result = launch(2, SCRIPTS / "pretrain.py", *arguments, *(word for pair in paths for word in pair))
    assert result.returncode == 0, result.stderr[-4000:]
    client, (run,) = runs(tmp_path / "runs")
    history = client.get_metric_history(run.info.run_id, "step/loss")
    assert run.info.status == "FINISHED" and [metric.step for metric in history] == list(range(1, 8))


class Failing(NullMetrics):
    """Fails in a step; with ``at`` 0, in the beginning."""

    def __init__(self, training: Training, at: int = 3) -> None:
        self.at, self.name, self.taken = at, training.name, 0

    def begin(self, step: int) -> None:
        """Fail."""
        if self.at == 0:
            raise OSError("no route to the server")

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Fail."""
        self.taken += 1
        if step == self.at:
            raise OSError("the server went away")


@pytest.mark.usefixtures("no_alarm")
def test_a_tracker_that_fails_costs_no_training(
    tmp_path: Path, manifest: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = train(tmp_path / "whole", manifest, OWN)
    made: list[Failing] = []

    def make(training: Training) -> Failing:
        made.append(Failing(training))
        return made[0]

    pretrain(OWN, manifest, tmp_path / "state", *outputs(tmp_path), running=Running(trackers=[make]))
    assert [path.read_bytes() for path in outputs(tmp_path)[:2]] == [path.read_bytes() for path in whole[:2]]
    assert caplog.text.count("the tracker Failing failed and gets nothing more") == 1 and made[0].taken == 3


def test_one_that_cannot_begin_is_an_error_at_once(tmp_path: Path, manifest: Path) -> None:
    running = Running(trackers=[partial(Failing, at=0)])
    with pytest.raises(ConfigError, match="the tracker Failing cannot begin: no route to the server"):
        pretrain(OWN, manifest, tmp_path / "state", *outputs(tmp_path), running=running)


def test_ones_own_by_import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    training = described(OWN, "0123")
    path = f"{Failing.__module__}:Failing"
    (sink,) = tracking.guarded_trackers(trackers(None, path), training)
    assert isinstance(sink, tracking.Guarded) and isinstance(sink._sink, Failing)
    assert sink._sink.name == "rs3l, seed 5"
    monkeypatch.setenv("RS3L_TRACKER", path)
    assert len(trackers(None, None)) == 1
    with pytest.raises(ConfigError, match="--tracker: nobody_has.this:Tracker: No module named 'nobody_has'"):
        trackers(None, "nobody_has.this:Tracker")


def test_nothing_is_imported_without_a_tracker() -> None:
    assert trackers(None, None) == []
    assert "mlflow" not in (SCRIPTS / "rs3l" / "training" / "tracking.py").read_text().split("def trackers")[0]


def test_a_database_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"--mlflow sqlite:///.*: No module named .*; .* databases need the whole"
    ):
        MlflowRun(f"sqlite:///{tmp_path}/runs.db", described(OWN, "0123"))
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
