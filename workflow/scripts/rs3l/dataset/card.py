"""Describe the data set for people, in a card of the form that dataset hubs use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rs3l.markdown import escaped
from rs3l.paths import SPLITS


def card_text(manifest: Mapping[str, Any]) -> str:
    """Return the Markdown text of ``card.md``."""
    return "\n\n".join(
        [
            _front_matter(manifest["campaign"]),
            f"# {manifest['campaign']}: re-simulated jets",
            "Each row is a jet: one view of one hard event. The views of an event are adjacent rows with the "
            "same `event_id`; they share the hard process and its decays, and differ in what was re-simulated. "
            f"{_origin(manifest)} "
            "Units: GeV, mm, radians. A hard event is in one split, with all its views. `weight` undoes the "
            "biased sampling of the hard process: a row counts `weight` x cross-section / sum of weights.",
            *_pileup(manifest),
            "## Events",
            _events_table(manifest),
            *_efficiency(manifest),
            "## Columns",
            _schema_table(manifest["schema"]),
            *_substitutes(manifest),
            "## Files",
            _files_table(manifest["files"]),
        ]
    )


def _front_matter(campaign: str) -> str:
    """Return the front matter that Hugging Face hubs read; `validation` is their name of the split in any case."""
    names = {"val": "validation"}
    files = "\n".join(
        f"      - split: {names.get(split, split)}\n        path: {split}/*.parquet" for split in SPLITS
    )
    return (
        f"---\npretty_name: {json.dumps(campaign + ': re-simulated jets')}\n"
        "tags: [physics, jets, simulation, contrastive-learning]\nconfigs:\n  - config_name: default\n"
        f"    data_files:\n{files}\n---"
    )


def _origin(manifest: Mapping[str, Any]) -> str:
    if "source" in manifest:
        return f"Imported from {escaped(manifest['source'])}."
    return (
        f"Simulated with Pythia {manifest['pythia']}; detector response: {manifest['detector']}; "
        f"campaign seed {manifest['seed']}."
    )


def _pileup(manifest: Mapping[str, Any]) -> list[str]:
    """Return the section on pile-up, or none if no variant has some."""
    if "pileup" not in manifest:
        return []
    entry = manifest["pileup"]
    rows = [[escaped(name), f"{s['mean']:g}", s["subtraction"]] for name, s in entry["variants"].items()]
    return [
        "## Pile-up",
        f"Each event and view draws from one pool of {entry['events']} minimum-bias events, turned about "
        f"the beam, mirrored and moved along it. Each of them is used at most {entry['uses']:g} times on average.",
        _markdown(["variant", "mean interactions", "subtraction"], rows),
    ]


def _efficiency(manifest: Mapping[str, Any]) -> list[str]:
    """Return the section on matching, or none for imported files.

    Imported files do not say how many hard events had no jet.
    """
    if "source" in manifest:
        return []
    return [
        "## Matching efficiency",
        "Fraction of hard events with a jet that passes the cuts and lies within the jet radius of the hard "
        "boson or parton. Keeping only events with a jet in every variant would bias the sample to high pT: "
        f"every matched jet is kept here (at least {manifest['min_views']} per event).",
        _efficiency_table(manifest),
    ]


def _substitutes(manifest: Mapping[str, Any]) -> list[str]:
    """Return the section on columns that imported files may lack."""
    if "substitutes" not in manifest:
        return []
    rows = [[f"`{name}`", text] for name, text in manifest["substitutes"].items()]
    return ["Where the files did not have a column, its values are:", _markdown(["column", "substitute"], rows)]


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _events_table(manifest: Mapping[str, Any]) -> str:
    rows = []
    for name, process in manifest["processes"].items():
        events = {
            split: sum(f["events"] for f in manifest["files"] if (f["process"], f["split"]) == (name, split))
            for split in SPLITS
        }
        sigma, weights = "not known", "not known"
        if "cross_section_pb" in process:
            sigma = f"{process['cross_section_pb']:.4g} ± {process['cross_section_error_pb']:.1g}"
            weights = f"{process['sum_weights']:.6g}"
        rows.append(
            [escaped(name), escaped(process["label"]), process["use"], str(process["hard_events"]), sigma]
            + [weights]
            + [str(events[split]) for split in SPLITS]
        )
    header = ["process", "label", "use", "hard events", "cross-section [pb]", "sum of weights"]
    return _markdown([*header, *(f"{split} events" for split in SPLITS)], rows)


def _efficiency_table(manifest: Mapping[str, Any]) -> str:
    rows = [
        [
            escaped(name),
            *(f"{process['matching_efficiency'][variant]:.3f}" for variant in manifest["variants"]),
            f"{process['matching_efficiency_two_variants']:.3f}",
            f"{process['matching_efficiency_all_variants']:.3f}",
        ]
        for name, process in manifest["processes"].items()
    ]
    return _markdown(["process", *map(escaped, manifest["variants"]), "any two", "all"], rows)


def _schema_table(schema: Mapping[str, str]) -> str:
    return _markdown(["column", "type"], [[f"`{name}`", f"`{kind}`"] for name, kind in schema.items()])


def _files_table(files: list[dict[str, Any]]) -> str:
    rows = [[f["path"], str(f["events"]), str(f["rows"]), f"`{f['sha256']}`"] for f in files]
    return _markdown(["file", "events", "rows", "SHA-256"], rows) + "\n"
