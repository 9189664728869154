"""Compare two campaigns by the files in their folders: settings, metrics, counts and run times."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rs3l.dataset.manifest import Manifest, read_manifest
from rs3l.errors import DataError
from rs3l.evaluate.marks import SIGNS, with_counts
from rs3l.evaluate.names import method_label, rejection_name
from rs3l.evaluate.spread import unknown
from rs3l.evaluate.tables import SPREAD_COLUMNS
from rs3l.figures.plot_resources import resource_table
from rs3l.figures.plot_results import read_table
from rs3l.paths import CampaignPaths
from rs3l.report.contents import Table, frame_table, read_json
from rs3l.report.sections import number
from rs3l.report.words import apart, sigmas

MISSING = "(none)"
_KEY = ["task", "method", "mode", "labels", "metric"]
_SAME = (
    "B - A, both errors in quadrature; significance by Student's t, of rejections that of their logarithms. A "
    "method with one pre-training, and no other to borrow the spread from, has none. Campaigns with the same seed "
    "and processes share hard events: the true error is then smaller, and the significance too low. Lower limits "
    "have no difference."
)


def compare(first: str | Path, second: str | Path) -> list[Table]:
    """Return the tables of the comparison, without those that have nothing to say.

    Raises :class:`DataError` if a folder has no results of a campaign.
    """
    a, b = (CampaignPaths(str(folder)) for folder in (first, second))
    for paths in (a, b):
        if not Path(paths.summary).is_file():
            raise DataError(f"{paths.root}: no results of a campaign; {paths.summary} is missing")
    tables = [
        frame_table("settings", "Settings that differ", settings_table(a, b), is_open=True),
        frame_table("metrics", "Metrics", metrics_table(a, b), _SAME, is_open=True),
        frame_table("counts", "Data set", counts_table(a, b), is_open=True),
        frame_table("times", "Time per rule", times_table(a, b), "From the benchmark files.", is_open=True),
    ]
    return [table for table in tables if table.rows]


def recorded_settings(paths: CampaignPaths) -> dict[str, str]:
    """Return what the stages recorded of their configuration, as dotted keys with values as text."""
    found: dict[str, Any] = {}
    if Path(paths.merge_provenance).is_file():
        merge = read_json(paths.merge_provenance)
        found |= {"dataset": merge["block"], "versions": merge["versions"]}
        found["resimulation"] = merge.get("resimulation", {})
        found["commit"] = merge["git"]
    for path in sorted((Path(paths.root) / "models").glob("*/provenance.json")):
        found[f"pretrain.{path.parent.name}"] = read_json(path)["block"]
    found["evaluate"] = read_json(paths.summary)["provenance"].get("block", {})
    return dict(_flat(found))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def settings_table(a: CampaignPaths, b: CampaignPaths) -> pd.DataFrame:
    """Return the settings that differ; the same change in many processes and variants is one line."""
    first, second = recorded_settings(a), recorded_settings(b)
    groups: dict[tuple[str, str, str], list[str]] = {}
    for key in [*first, *(key for key in second if key not in first)]:
        values = first.get(key, MISSING), second.get(key, MISSING)
        if values[0] != values[1]:
            where, setting = _place(key)
            groups.setdefault((setting, *values), []).append(where)
    rows = [
        {"setting": setting, "where": _few(where), "A": old, "B": new}
        for (setting, old, new), where in groups.items()
    ]
    return pd.DataFrame(rows)


def _place(key: str) -> tuple[str, str]:
    """Return where a setting is (process and variant, or run), and its name."""
    stage, _, rest = key.partition(".")
    depth = {"resimulation": 2, "pretrain": 1}.get(stage, 0)
    parts = rest.split(".")
    setting = ".".join([stage, *parts[depth:]]) if rest else stage
    return "/".join(parts[:depth]), setting


def _few(where: list[str]) -> str:
    more = f" and {len(where) - 3} more" if len(where) > 3 else ""
    return ", ".join(where[:3]) + more


def metrics_table(a: CampaignPaths, b: CampaignPaths) -> pd.DataFrame:
    """Return AUC and headline rejection of every method that both campaigns have, with the difference B - A."""
    shown = ["auc", rejection_name(read_json(a.summary)["signal_efficiency"])]
    columns = [*_KEY, "value", "error", "lower_limit"]
    known = [*columns, *SPREAD_COLUMNS, *SIGNS]  # older tables lack some of these
    tables = (with_counts(read_table(paths.evaluation("metrics"), columns)) for paths in (a, b))
    first, second = (table.reindex(columns=known) for table in tables)
    both = first.merge(second, on=_KEY, suffixes=("_a", "_b"))
    rows = [_metric(row) for row in both[both["metric"].isin(shown)].to_dict("records")]
    return pd.DataFrame(rows)


def _metric(row: Mapping[Any, Any]) -> dict[str, Any]:
    sides = [{key: row[f"{key}_{side}"] for key in ("value", "error", "lower_limit", *SIGNS)} for side in "ab"]
    difference = row["value_b"] - row["value_a"]
    error = float(np.hypot(row["error_a"], row["error_b"]))
    measured = not (row["lower_limit_a"] or row["lower_limit_b"])
    return {
        "task": row["task"],
        "method": method_label((str(row["method"]), str(row["mode"]))),
        "labels": row["labels"],
        "metric": row["metric"],
        "A": number(sides[0]),
        "B": number(sides[1]),
        "B - A": number({"value": difference, "error": error}) if measured else "",
        "significance": _significance(row) if measured else "",
    }


def _significance(row: Mapping[Any, Any]) -> str:
    """Return the significance of the difference of an AUC, or of the logarithms of a rejection.

    If a term of an error is unknown, the text says so instead.
    """
    names = ("value", "error", *SPREAD_COLUMNS)
    a, b = ({name: row[f"{name}_{side}"] for name in names} for side in "ab")
    if lacking := unknown(a, b):
        return lacking
    if str(row["metric"]).startswith("rejection"):
        a, b = (
            {**side, "value": math.log(side["value"]), "error": side["error"] / side["value"]} for side in (a, b)
        )
    difference, error, dof = apart(b, a)
    size = sigmas(difference, error, dof)
    return f"{math.copysign(size, difference):+.1f} σ" if math.isfinite(size) else ""


def counts_table(a: CampaignPaths, b: CampaignPaths) -> pd.DataFrame:
    """Return hard events, jets and matching efficiency of each process in both campaigns."""
    counts = [_counts(read_manifest(paths.manifest)) for paths in (a, b)]
    names = dict.fromkeys([*counts[0], *counts[1]])
    rows = [
        {"process": process, "what": what, "A": counts[0].get((process, what), MISSING),
         "B": counts[1].get((process, what), MISSING)}
        for process, what in names
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _counts(manifest: Manifest) -> dict[tuple[str, str], str]:
    found = {}
    for name, process in manifest.processes.items():
        found[name, "hard events"] = str(process.hard_events)
        found[name, "jets, all variants"] = str(manifest.jets(process=name))
        for variant, efficiency in process.matching_efficiency.items():
            found[name, f"matched, {variant}"] = "not known" if efficiency is None else f"{efficiency:.4f}"
    return found


def times_table(a: CampaignPaths, b: CampaignPaths) -> pd.DataFrame:
    """Return mean time of a job, core time and peak memory of each rule.

    The table is empty without benchmark files.
    """
    try:
        first, second = (resource_table(paths.benchmarks) for paths in (a, b))
    except DataError:
        return pd.DataFrame()
    both = first.merge(second, on="rule", how="outer", suffixes=(" A", " B"))
    columns = ["jobs", "mean_s", "core_hours", "max_memory_mb"]
    return both[["rule", *(f"{column} {side}" for column in columns for side in "AB")]]
