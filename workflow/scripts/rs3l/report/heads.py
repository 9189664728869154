"""Heads of the tables in words, with units, for the columns of the campaign's files."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

HEADS: Mapping[str, str] = MappingProxyType(
    {
        "auc_error": "error of the AUC",
        "auc": "AUC",
        "background_passing": "background jets that pass",
        "best_epoch": "best epoch",
        "bootstrap": "error by bootstrap",
        "collapsed": "collapsed pre-trainings",
        "core_hours": "core time [h]",
        "dof": "degrees of freedom",
        "efficiency": "signal efficiency",
        "high_68": "68% interval, upper end",
        "high_95": "95% interval, upper end",
        "jobs": "jobs",
        "low_68": "68% interval, lower end",
        "low_95": "95% interval, lower end",
        "lower_limit": "is a lower limit",
        "max_memory_mb": "largest memory [MB]",
        "max_s": "longest job [s]",
        "mean_s": "mean time of a job [s]",
        "n_background": "background jets",
        "n_background_events": "background events",
        "n_runs": "runs",
        "n_signal": "signal jets",
        "n_signal_events": "signal events",
        "p_bootstrap": "p-value by bootstrap",
        "p_value": "p-value",
        "rank": "effective rank of z",
        "ratio_error": "error of the ratio",
        "reference_collapsed": "collapsed pre-trainings of the reference",
        "reference_method": "reference",
        "reference_mode": "mode of the reference",
        "reference_undertrained": "undertrained classifiers of the reference",
        "repeat_spread": "spread of repeats",
        "run_error": "error by runs",
        "seed_spread": "spread of pre-trainings",
        "std": "standard deviation of runs",
        "train_loss": "loss, training split",
        "undertrained": "undertrained classifiers",
        "val_loss": "loss, validation split",
        "weighted": "value with event weights",
        "weighted_error": "its error",
    }
)
"""Heads by column; other columns are named by words already, or have their underscores replaced."""


def head(column: str) -> str:
    """Return the head of a column in words."""
    return HEADS.get(column, column.replace("_", " "))
