"""Records a training as a run of MLflow, on a server, or offline in a folder.

A training that goes on, goes on with its run. The steps that it takes again have the results that the run already
has, and are not recorded twice.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from rs3l import __version__
from rs3l.errors import ConfigError
from rs3l.training.live import End
from rs3l.training.tracking import Training

EXPERIMENT = "rs3l"
"""The experiment of all runs, unless MLflow's own variable MLFLOW_EXPERIMENT_NAME says otherwise."""

TAG = "rs3l.training"
"""The tag that holds :attr:`Training.identity`, by which the run of a training that goes on is found."""

PARAMS, METRICS = 100, 1000
"""The numbers of parameters and of metrics that MLflow takes in one call."""

WAITING = 400
"""Metrics that wait for the next call at most, besides those of one step."""

SECONDS = 10.0
"""Metrics are passed on after this time [s], for somebody who watches."""

LONGEST = 500
"""Settings of more characters than this are cut: older servers refuse longer ones."""

STATUS: dict[End, str] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


class MlflowRun:
    """The run of one training at ``uri``, which is MLflow's tracking URI or a folder.

    Raises :class:`ConfigError` if MLflow is not installed.
    """

    def __init__(self, uri: str, training: Training) -> None:
        self.training, self.uri = training, uri
        self.client = connected(uri)
        self.run = ""
        self._logged = {"step": 0, "epoch": 0}
        self._waiting: list[Any] = []
        self._passed_on = time.monotonic()

    def begin(self, step: int) -> None:
        """Go on with the run of this training, or begin one."""
        experiment = self._experiment()
        unfinished = "attributes.status != 'FINISHED'"
        found = self.client.search_runs(
            [experiment], f"tags.`{TAG}` = '{self.training.identity}' and {unfinished}", max_results=1
        )
        if found:
            self.run = found[0].info.run_id
            self._logged = {group: self._last(group, found[0].data.metrics) for group in self._logged}
            self.client.update_run(self.run, status="RUNNING")
        else:
            self._begin_anew(experiment)

    def step(self, step: int, values: Mapping[str, float]) -> None:
        """Take the metrics of a step."""
        self._take("step", step, values)
        if len(self._waiting) >= WAITING or time.monotonic() - self._passed_on > SECONDS:
            self.flush()

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        """Take the metrics of an epoch that ended with ``step``."""
        self._take("epoch", step, values)
        self.flush()

    def flush(self) -> None:
        """Pass on what waits."""
        waiting, self._waiting = self._waiting, []
        for first in range(0, len(waiting), METRICS):
            self.client.log_batch(self.run, metrics=waiting[first : first + METRICS])
        self._passed_on = time.monotonic()

    def end(self, how: End) -> None:
        """Pass on what waits, and mark the run as finished, killed or failed."""
        self.flush()
        self.client.set_terminated(self.run, STATUS[how])

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = self.client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self.client.create_experiment(name))

    def _begin_anew(self, experiment: str) -> None:
        from mlflow.entities import Param

        tags = {TAG: self.training.identity, "rs3l.version": __version__}
        self.run = self.client.create_run(experiment, tags=tags, run_name=self.training.name).info.run_id
        params = [Param(name, str(value)[:LONGEST]) for name, value in self.training.settings.items()]
        for first in range(0, len(params), PARAMS):
            self.client.log_batch(self.run, params=params[first : first + PARAMS])

    def _last(self, group: str, metrics: Mapping[str, float]) -> int:
        """Return the last step of which the run has metrics of this group."""
        histories = (self.client.get_metric_history(self.run, name) for name in metrics if name.startswith(group))
        return max((metric.step for history in histories for metric in history), default=0)

    def _take(self, group: str, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        if step > self._logged[group]:
            now = int(1000 * time.time())
            self._waiting += [Metric(f"{group}/{name}", value, now, step) for name, value in values.items()]


def connected(uri: str) -> Any:
    """Return MLflow's client of a folder or server; raises :class:`ConfigError` if MLflow cannot have one."""
    # MLflow keeps runs in a folder only where this says so; a database would need further packages.
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=uri)
    except ImportError as error:
        raise ConfigError(
            f"--mlflow {uri}: {error}; python -m pip install mlflow-skinny, which takes folders and servers; "
            "databases need the whole mlflow"
        ) from None
    except Exception as error:
        raise ConfigError(f"--mlflow {uri}: {(str(error).splitlines() or [repr(error)])[0]}") from None
