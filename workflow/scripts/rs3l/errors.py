"""Errors that a user can act on, because they name the file or key and the remedy."""

from __future__ import annotations


class CampaignError(Exception):
    """Base of all errors that a script prints without a traceback."""


class ConfigError(CampaignError):
    """The configuration is wrong; the message names the key's path and the remedy."""


class DataError(CampaignError):
    """A file is missing, damaged or foreign; the message names it and the remedy."""


class StorageError(CampaignError):
    """A file cannot be written because the disk is full, or a quota or limit is reached."""


class WorkerError(CampaignError):
    """Slurm refused the jobs of the merge's workers, or they keep dying."""


class GeneratorError(CampaignError):
    """The event generator refused its settings or failed on too many events."""


class TrainingError(CampaignError):
    """A training diverged, collapsed, or stopped before its best epoch could be told."""


class StoppedError(CampaignError):
    """A training was told to stop, and has saved its state."""
