"""Marks of what has failed and was used all the same: collapsed pre-trainings and under-trained classifiers.

The marks come from the histories of the classifiers. Tables count them in columns, whereas texts and figures show
a sign.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rs3l.evaluate.names import method_of
from rs3l.runs import is_baseline

SIGNS = {"collapsed": "†", "undertrained": "‡"}
"""These columns of the tables count the marks, and each has its sign."""

MEANINGS = {
    "collapsed": "a pre-training of this method collapsed, and was used all the same (pretrain.on_collapse)",
    "undertrained": "a classifier is under-trained, and was used all the same (finetune.on_undertrained)",
}

_CLASSIFIER = ("task", "run", "method", "mode", "labels", "repeat")
_MOST = 5
"""A warning names at most this many classifiers."""


def mark(row: Mapping[str, Any], prefix: str = "") -> str:
    """Return the signs of a line of a table, after a space.

    With the ``prefix`` "reference_" these are the signs of its reference, otherwise those of its method.
    """
    signs = [sign for column, sign in SIGNS.items() if row.get(f"{prefix}{column}", 0) > 0]
    return f" {''.join(signs)}" if signs else ""


def counts_of(table: pd.DataFrame) -> dict[str, int]:
    """Return the largest number in each column of marks, or zero where a table has no such column."""
    found = {column: [name for name in (column, f"reference_{column}") if name in table] for column in SIGNS}
    return {
        column: int(np.nan_to_num(table[names].to_numpy(float)).max(initial=0)) for column, names in found.items()
    }


def mark_of(table: pd.DataFrame) -> str:
    """Return the signs of the lines of a table that belong to one method, after a space."""
    return mark(counts_of(table))


def footnote(table: pd.DataFrame) -> str:
    """Return what the signs in a table or a figure mean, or an empty text if there are none."""
    return legend("".join(SIGNS[column] for column, count in counts_of(table).items() if count))


def legend(text: str) -> str:
    """Return what the signs in a text mean, or an empty text if there are none."""
    meanings = [f"{sign} {MEANINGS[column]}." for column, sign in SIGNS.items() if sign in text]
    return " ".join(meanings)


def with_counts(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the columns of marks, filled with zero if an older version made it without them."""
    return table.assign(**{column: 0 for column in SIGNS if column not in table})


def marked(table: pd.DataFrame, training: pd.DataFrame) -> pd.DataFrame:
    """Return a table of the evaluation with the marks of its methods, and of its references.

    ``collapsed`` says how many of the method's pre-trainings collapsed, or whether this run did. ``undertrained``
    says how many of the classifiers behind the line are under-trained. ``reference_collapsed`` and
    ``reference_undertrained`` say the same of a reference. The ``training`` table itself is returned unchanged
    because it says line by line what has failed.
    """
    if "converged" in table:
        return table
    training = training.assign(method=[method_of(run) for run in training["run"]])
    collapsed = training[training["collapsed"] != ""].drop_duplicates("run")
    failed = training[~training["converged"]]
    for prefix in ("", "reference_"):
        if f"{prefix}method" in table:
            keys = _reference(table) if prefix else {name: name for name in _CLASSIFIER if name in table}
            who = {"run": "run"} if "run" in keys else {f"{prefix}method": "method"}
            table = table.assign(**{f"{prefix}collapsed": _count(table, collapsed, who)})
            if "space" not in table:  # the quality of a latent space involves no classifier
                table = table.assign(**{f"{prefix}undertrained": _count(table, failed, keys)})
    return table


def _reference(table: pd.DataFrame) -> dict[str, str]:
    """Return the columns of a table that identify its references, with the names that the training uses for them.

    References without labels of their own have the labels of the line. A reference without a mode stands for
    everything that it was trained with.
    """
    keys = {"task": "task", "reference_method": "method"}
    if "reference_mode" in table:
        keys |= {"reference_mode": "mode"}
        keys |= {"reference_labels" if "reference_labels" in table else "labels": "labels"}
    return keys


def _count(table: pd.DataFrame, failed: pd.DataFrame, keys: Mapping[str, str]) -> list[int]:
    """Return, for each line, how many of ``failed`` have the same values in the ``keys``.

    The ``keys`` map a column of the table to the column of ``failed``.
    """
    counts = Counter(zip(*(failed[name] for name in keys.values()), strict=True))
    return [counts[key] for key in zip(*(table[column] for column in keys), strict=True)]


def collapsed_runs(training: pd.DataFrame) -> dict[str, str]:
    """Return the pre-trainings that collapsed, each with the signs of it."""
    found = training[training["collapsed"] != ""].drop_duplicates("run")
    return {str(run): str(signs) for run, signs in zip(found["run"], found["collapsed"], strict=True)}


def undertrained(training: pd.DataFrame) -> list[str]:
    """Return the classifiers that are under-trained, in words."""
    failed = training[~training["converged"]]
    return [f"{r.task}/{r.run} {r.mode}, {r.labels} labels, repeat {r.repeat}" for r in failed.itertuples()]


def warnings(summary: Mapping[str, Any]) -> list[str]:
    """Return a sentence per mark of a summary; one without marks, or of an older version, gives none."""
    result = [
        f"{SIGNS['collapsed']} The pre-training {run} collapsed, and was used all the same: {signs}."
        for run, signs in summary.get("collapsed", {}).items()
    ]
    if names := summary.get("undertrained", []):
        result.append(
            f"{SIGNS['undertrained']} {len(names)} of {summary['classifiers']} classifiers are under-trained, and "
            f"were used all the same: {few(names)}."
        )
    return result


def few(names: Sequence[str]) -> str:
    """Return the first of several names, and how many more there are."""
    more = f"; and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return "; ".join(names[:_MOST]) + more


def collapsed_methods(summary: Mapping[str, Any]) -> list[str]:
    """Return the methods of a summary that have a collapsed pre-training."""
    return list(dict.fromkeys(method_of(run) for run in summary.get("collapsed", {}) if not is_baseline(run)))
