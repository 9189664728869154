"""The rules as Snakemake reads them."""

from __future__ import annotations

from functools import cache
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

from support.places import REPOSITORY


@cache
def rules() -> dict[str, Any]:
    """Return all rules of the workflow by name: with the miniature configuration, and with a shared shower."""
    settings = ConfigSettings(configfiles=[REPOSITORY / "config" / "test.yaml"], config={"share_shower": True})
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
