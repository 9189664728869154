"""Snakemake logger plugin that shows one line of progress at a time (stage, jobs done, events/s, time left).

It is used by `make demo`, or by hand with `snakemake --logger campaign`. Snakemake's own log file stays complete.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_campaign.progress import Progress

MIN_INTERVAL = 2.0
"""This is the number of seconds between two lines of progress."""
MAX_INTERVAL = 10.0
"""After this number of seconds without a line, one says what runs."""

ERROR_TAIL = 15
"""This number of lines of a failed job's log is shown."""


class LogHandler(LogHandlerBase):
    """Turns Snakemake's events into lines of progress on stderr."""

    def __post_init__(self) -> None:
        """Start the clock."""
        self._progress = Progress()
        self._last = time.monotonic()
        self._lock = threading.RLock()
        self._messages: dict[int, str] = {}
        self._handlers = {
            LogEvent.RUN_INFO: self._run_info,
            LogEvent.RESOURCES_INFO: self._resources,
            LogEvent.JOB_INFO: self._job_info,
            LogEvent.JOB_STARTED: self._job_started,
            LogEvent.JOB_FINISHED: self._job_finished,
            LogEvent.JOB_ERROR: self._job_error,
        }
        threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self) -> None:
        """Say what runs when there was nothing to say for a while."""
        while True:
            time.sleep(1.0)
            with self._lock:
                now = time.monotonic()
                if self._progress.is_running and now - self._last >= MAX_INTERVAL:
                    self._last = now
                    self._print(self._progress.running_line(now))

    def emit(self, record: logging.LogRecord) -> None:
        """Handle one event, or print a warning or error as it is."""
        handler = self._handlers.get(getattr(record, "event", None))
        if handler is not None:
            try:
                with self._lock:
                    handler(record)
            except Exception:  # the logging module asks for this, because a display must not stop what it shows
                self.handleError(record)
        elif record.levelno >= logging.WARNING and not str(record.msg).startswith("RuleException"):
            self._print(record.getMessage())
        elif "Nothing to be done" in str(record.msg):
            self._print("Everything is up to date: nothing to do.")

    def _run_info(self, record: logging.LogRecord) -> None:
        self._progress.plan({k: v for k, v in record.stats.items() if k != "total"})
        self._print(self._progress.plan_line())

    def _resources(self, record: logging.LogRecord) -> None:
        self._progress.cores = getattr(record, "cores", None) or self._progress.cores

    def _job_info(self, record: logging.LogRecord) -> None:
        events = record.resources.get("events", 0) if record.resources else 0
        self._messages[record.jobid] = record.rule_msg or record.rule_name
        self._progress.announce(record.jobid, record.rule_name, int(events or 0))

    def _job_started(self, record: logging.LogRecord) -> None:
        jobs = record.jobs if isinstance(record.jobs, list) else [record.jobs]
        for job in jobs:
            self._progress.start(job, time.monotonic())

    def _job_finished(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        self._progress.finish(record.job_id, now)
        if now - self._last >= MIN_INTERVAL or self._progress.complete:
            self._last = now
            self._print(self._progress.line(now))

    def _job_error(self, record: logging.LogRecord) -> None:
        job = getattr(record, "jobid", -1)
        self._progress.fail(job)
        name = self._messages.get(job, "")
        self._print(f"FAILED: {name or record.rule_name} (rule {record.rule_name})")
        for name in getattr(record, "log", None) or []:
            path = Path(str(name).split(" (")[0])
            if path.is_file():
                tail = path.read_text(encoding="utf-8", errors="replace").splitlines()[-ERROR_TAIL:]
                self._print("\n".join([f"  end of {path}:", *(f"    {line}" for line in tail)]))

    def _print(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    @property
    def writes_to_stream(self) -> bool:
        """Return True, because this replaces Snakemake's own output on the terminal."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Return False, because this writes no file."""
        return False

    @property
    def has_filter(self) -> bool:
        """Return True, because this sees all events."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Return True, because this formats its lines itself."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """Return False, because this needs no graph."""
        return False
