"""The work of the stage that takes the data set from files."""

from __future__ import annotations

from rs3l.config import source_files
from rs3l.config.campaign import Campaign
from rs3l.plan.work import Scope, Work


def imported(config: Campaign, scope: Scope) -> Work:
    """Return the work of the import, in events of the files: a job per file, and one that makes the data set.

    A data set that is used where it lies is only linked.
    """
    assert config.source is not None
    if config.source.parquet:
        return Work("import", 1, 1, 1, held=0, written=0)
    events = [header.events for header in source_files.headers(config.source)]
    jets = sum(events) * len(config.variants)
    return Work("import", len(events) + 1, sum(events), max(events), held=0, written=jets)
