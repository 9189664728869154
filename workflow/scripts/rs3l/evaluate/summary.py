"""The headline numbers of a campaign, with their errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from rs3l.config.blocks import EvaluateBlock
from rs3l.dataset.manifest import Manifest
from rs3l.evaluate.marks import SIGNS, collapsed_runs, mark, undertrained
from rs3l.evaluate.names import (
    Method,
    baseline_of,
    baselines_of,
    headline_efficiency,
    method_label,
    methods_of,
    peer_of,
    rejection_name,
)
from rs3l.evaluate.spread import unknown
from rs3l.evaluate.tables import rows_where
from rs3l.provenance import provenance

Tables = Mapping[str, pd.DataFrame]
Number = dict[str, Any]


def summarise(block: EvaluateBlock, manifest: Manifest, tables: Tables) -> dict[str, Any]:
    """Return the summary of the first task, with the counts of the data set and the versions.

    ``headline`` has three sentences (two, if no views are compared), each with ``text``, ``value`` and ``error``.
    A number that the campaign does not have, because a method was not run, is None there.
    """
    task = next(iter(block.tasks))
    metrics = tables["metrics"]
    metrics = metrics[metrics["task"] == task]
    labels = sorted({int(metrics["labels"].min()), int(metrics["labels"].max())})
    efficiency = headline_efficiency(block.evaluate.efficiencies)
    any_row = metrics.iloc[0]
    return {
        "campaign": block.campaign,
        "task": task,
        "signal": block.tasks[task].signal,
        "background": block.tasks[task].background,
        "signal_efficiency": efficiency,
        "headline": _headline(block, manifest, tables, task, labels[0]),
        "methods": [
            _method_entry(tables, task, method, count, efficiency, block.evaluate.pair)
            for count in labels
            for method in _headline_methods(block)
        ],
        "test_sample": {
            "variants": block.evaluate.variants,
            **{f"{kind}_jets": int(any_row[f"n_{kind}"]) for kind in ("signal", "background")},
            **{f"{kind}_events": int(any_row[f"n_{kind}_events"]) for kind in ("signal", "background")},
            "bootstrap_replicas": block.evaluate.bootstrap,
        },
        "classifiers": len(tables["training"]),
        "collapsed": collapsed_runs(tables["training"]),
        "undertrained": undertrained(tables["training"]),
        "dataset": _dataset(manifest),
        "provenance": provenance(version=block.version, block=block.model_dump(mode="json")),
    }


def _headline_methods(block: EvaluateBlock) -> tuple[Method, ...]:
    peers = [(name, "probe_h") for name in methods_of(block.runs)[1:]]
    return (block.subject, "probe_h"), (_baseline(block), "scratch"), *peers, (_baseline(block), "random")


def _baseline(block: EvaluateBlock) -> str:
    return baseline_of(block.subject, baselines_of(block.runs))


def _method_entry(
    tables: Tables, task: str, method: Method, labels: int, efficiency: float, paired: tuple[str, str] | None
) -> dict[str, Any]:
    key = {"task": task, "method": method[0], "mode": method[1], "labels": labels}
    pair = {
        **key,
        "class": "signal",
        "quantity": "spearman",
        **dict(zip(("first", "second"), paired or ("", ""), strict=True)),
    }
    return {
        "method": method[0],
        "mode": method[1],
        "labels": labels,
        "auc": _number(tables["metrics"], {**key, "metric": "auc"}),
        "rejection": _number(tables["metrics"], {**key, "metric": rejection_name(efficiency)}),
        "paired_correlation": _number(tables["stability"], pair),
    }


def _number(table: pd.DataFrame, key: Mapping[str, Any]) -> Number | None:
    """Return value and error of the line of ``table`` with these entries, or None."""
    if table.empty:
        return None
    found = rows_where(table, key)
    if found.empty or not math.isfinite(float(found["value"].iloc[0])):
        return None
    row = found.iloc[0]
    result: Number = {"value": float(row["value"]), "error": float(row["error"])}
    if "lower_limit" in found.columns:
        result["lower_limit"] = bool(row["lower_limit"])
    result |= {name: str(row[name]) for name in ("seed_spread", "repeat_spread") if name in found.columns}
    return {**result, **{name: int(row[name]) for name in SIGNS if row.get(name, 0)}}


def _headline(
    block: EvaluateBlock, manifest: Manifest, tables: Tables, task: str, labels: int
) -> list[dict[str, Any]]:
    efficiency = headline_efficiency(block.evaluate.efficiencies)
    signal, background = (
        manifest.processes[name].label for name in (block.tasks[task].signal, block.tasks[task].background)
    )
    entries = {
        m: _method_entry(tables, task, m, labels, efficiency, block.evaluate.pair)
        for m in _headline_methods(block)
    }
    rejection = f"Rejection of {background} at {efficiency:.0%} {signal} efficiency with {labels} labels"
    scratch, peer = (_baseline(block), "scratch"), _peer(block, entries)
    sentences = [
        _sentence(rejection, "rejection", entries, scratch),
        _sentence(rejection, "rejection", entries, peer),
    ]
    if block.evaluate.pair:
        pair = ", ".join(block.evaluate.pair)
        pairing = f"Score correlation of the same {signal} event showered twice ({pair}), {labels} labels"
        sentences.append(_sentence(pairing, "paired_correlation", entries, scratch))
    return sentences


def _peer(block: EvaluateBlock, entries: Mapping[Method, dict[str, Any]]) -> Method:
    """Return the peer of the subject, or the random network if there is none."""
    peer = peer_of(block)
    if peer is None or entries[peer, "probe_h"]["rejection"] is None:
        return _baseline(block), "random"
    return peer, "probe_h"


def _sentence(
    what: str, quantity: str, entries: Mapping[Method, dict[str, Any]], reference: Method
) -> dict[str, Any]:
    method = next(iter(entries))
    subject = entries[method][quantity]
    other = entries[reference][quantity]
    numbers = [
        f"{format_number(n)} ({'; '.join(filter(None, (method_label(m), unknown(n or {}))))})"
        for n, m in ((subject, method), (other, reference))
    ]
    return {
        "text": f"{what}: {' against '.join(numbers)}",
        "value": None if subject is None else subject["value"],
        "error": None if subject is None else subject["error"],
    }


def format_number(number: Number | None) -> str:
    """Return ``value +- error`` with two digits of the error, or ``> value`` for a lower limit, with its marks."""
    return "not measured" if number is None else f"{_rounded(number)}{mark(number)}"


def _rounded(number: Number) -> str:
    value, error = number["value"], number["error"]
    if number.get("lower_limit"):
        return f"> {value:.3g}"
    exact = error <= 1e-9 * abs(value) or not math.isfinite(error)  # the rest is rounding
    digits = 3 if exact else 1 - math.floor(math.log10(error))
    places = max(0, digits)
    return f"{round(value, digits):.{places}f} +- {round(error, digits):.{places}f}"


def _dataset(manifest: Manifest) -> dict[str, Any]:
    processes = {
        name: {
            "label": process.label,
            "hard_events": process.hard_events,
            "events": {split: manifest.events(split, name) for split in manifest.splits},
            "jets": manifest.jets(process=name),
            "matching_efficiency": process.matching_efficiency,
        }
        for name, process in manifest.processes.items()
    }
    return {"variants": manifest.variants, "processes": processes}
