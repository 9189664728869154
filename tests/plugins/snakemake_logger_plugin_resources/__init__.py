"""Snakemake logger plugin of the tests: one line of JSON per job, with what it asks for."""

from __future__ import annotations

import json
import logging

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent


class LogHandler(LogHandlerBase):
    """Prints the resources of each announced job on stdout, and errors as they are."""

    def emit(self, record: logging.LogRecord) -> None:
        """Handle one event."""
        if getattr(record, "event", None) == LogEvent.JOB_INFO:
            resources = {name: value for name, value in record.resources.items() if isinstance(value, int | str)}
            print(json.dumps({"rule": record.rule_name, **resources}), flush=True)
        elif record.levelno >= logging.ERROR:
            print(record.getMessage(), flush=True)

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False
