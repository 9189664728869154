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
        "difference_error": "error of the difference",
        "n_events": "events",
        "n_nominal": "nominal jets",
        "n_reference_runs": "runs of the reference",
        "n_varied": "jets under the variant",
        "reference_error": "error of the reference",
        "reference_labels": "labels of the reference",
        "reference_rejection": "rejection of the reference",
        "reference_rejection_error": "error of the rejection of the reference",
        "reference_seen": "variant seen by the reference",
        "reference_value": "value of the reference",
        "rejection_error": "error of the rejection",
        "train events": "training events",
        "val events": "validation events",
        "val_auc": "AUC, validation split",
        "learning_rate": "learning rate",
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
        "top1": "partner is the nearest",
        "train_loss": "loss, training split",
        "undertrained": "undertrained classifiers",
        "val_loss": "loss, validation split",
        "weighted": "value with event weights",
        "weighted_error": "its error",
    }
)
"""Heads by column; other columns are words already, or names of the configuration."""

PREFIXES: Mapping[str, str] = MappingProxyType(
    {"cosine_views:": "cosine of views: ", "cosine_means:": "cosine of means: "}
)
"""Heads of the columns that begin so, before the names of processes."""


def head(column: str) -> str:
    """Return the head of a column in words."""
    for prefix, words in PREFIXES.items():
        if column.startswith(prefix):
            return words + column.removeprefix(prefix).replace(":", ", ")
    return HEADS.get(column, column)
