"""The rules as Snakemake reads them."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

from support.places import REPOSITORY
from support.public_files import public_file


@cache
def rules() -> dict[str, Any]:
    """Return all rules of the workflow by name: those of a simulation, with a shared shower, and of jets from files."""
    simulation = _rules(REPOSITORY / "config" / "test.yaml", {"share_shower": True})
    with tempfile.TemporaryDirectory() as folder:
        public_file(Path(folder) / "rs3l_0.h5", 12)
        values = {
            "campaign": "files",
            "source": {"hdf5": f"{folder}/rs3l_0.h5"},
            "tasks": {"t": {"signal": "higgs_bb", "background": "qcd"}},
        }
        config = Path(folder) / "config.yaml"
        config.write_text(yaml.safe_dump(values), encoding="utf-8")
        small = {"finetune": {"labels": [10]}, "pretrain": {"batch": 2}}
        return {**_rules(config, small), **simulation}


def _rules(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    settings = ConfigSettings(configfiles=[path], config=config)
    with SnakemakeApi(OutputSettings()) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=settings,
            snakefile=REPOSITORY / "Snakefile",
        )
        return {rule.name: rule for rule in workflow._workflow.rules}


def jobs() -> dict[str, Any]:
    """Return the rules that run a command: not the targets."""
    return {name: rule for name, rule in rules().items() if rule.shellcmd}
