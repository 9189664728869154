"""Describe the data set for people, in a card of the form that dataset hubs use."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rs3l.markdown import escaped
from rs3l.paths import splits_with


def card_text(manifest: Mapping[str, Any]) -> str:
    """Return the Markdown text of ``card.md``."""
    return "\n\n".join(
        [
            _front_matter(_title(manifest), _splits(manifest)),
            f"# {_title(manifest)}",
            "Each row is a jet: one view of one hard event. The views of an event are adjacent rows with the "
            f"same `event_id`; {_what_views_share(manifest)} {_origin(manifest)} "
            "Units: GeV, mm, radians. A hard event is in one split, with all its views. `weight` undoes the "
            "biased sampling of the hard process: a row counts `weight` x cross-section / sum of weights.",
            *_pileup(manifest),
            "## Events",
            _events_table(manifest),
            *_notices(manifest),
            *_efficiency(manifest),
            "## Columns",
            _schema_table(manifest["schema"]),
            *_substitutes(manifest),
            *_weights(manifest),
            "## Files",
            _files_table(manifest["files"]),
        ]
    )


def _title(manifest: Mapping[str, Any]) -> str:
    return f"{manifest['campaign']}: {manifest.get('title', 're-simulated jets')}"


def _what_views_share(manifest: Mapping[str, Any]) -> str:
    if "title" in manifest:
        return "what they share, and what they differ in, is for those to say who made them."
    return "they share the hard process and its decays, and differ in what was re-simulated."


def _splits(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    return splits_with({file["split"] for file in manifest["files"]})


def _front_matter(title: str, splits: Sequence[str]) -> str:
    """Return the front matter that Hugging Face hubs read; `validation` is their name of the split in any case."""
    names = {"val": "validation"}
    files = "\n".join(
        f"      - split: {names.get(split, split)}\n        path: {split}/*.parquet" for split in splits
    )
    return (
        f"---\npretty_name: {json.dumps(title)}\n"
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


_NOTICES = {
    "powheg": "its POWHEG events are showered from SCALUP on (pTmaxMatch = 1), without the veto of emissions that "
    "POWHEG has made before: a part of phase space is filled twice, and another not at all",
    "mcatnlo": "its MC@NLO events are next-to-leading order with the settings of the nominal's shower alone; a "
    "variant that changes the shower is not",
    "merged": "its events of several multiplicities are showered without the veto of merging: some configurations "
    "count twice",
}
"""What a user must know of a process whose external files are of such a kind."""


def _notices(manifest: Mapping[str, Any]) -> list[str]:
    """Return what is missing where external files of some kinds were accepted."""
    lines = [
        f"- {escaped(name)}: {_NOTICES[kind]}."
        for name, process in manifest["processes"].items()
        for kind in process.get("accepted", ())
        if kind in _NOTICES
    ]
    return ["**Beware:**", "\n".join(lines)] if lines else []


def _weights(manifest: Mapping[str, Any]) -> list[str]:
    """Return the section on further weights, or none without them."""
    rows = [
        [f"`{column}`", escaped(name), escaped(variant), escaped(_origin_of(entry, variant)), *_numbers(own)]
        for name, process in manifest["processes"].items()
        for column, entry in process.get("weights", {}).items()
        for variant, own in entry["variants"].items()
    ]
    if not rows:
        return []
    header = ["column", "process", "variant", "what it is", "sum / sum of `weight`", "cross-section [pb]"]
    return [
        "## Further weights",
        "Each is the weight of the row under a variation: take it in place of `weight`, with the same "
        "cross-section and sum of weights. It is NaN for a row that has none: another process, or a view with a "
        "shower of its own. Those of the hard events are the same in all views of an event, but for what the "
        "shower counts. The effective fraction is (sum)² / (sum of squares), relative to that of `weight`.",
        _markdown([*header, "effective fraction"], rows),
    ]


def _origin_of(entry: Mapping[str, Any], variant: str) -> str:
    """Return the identifier of a weight of the hard events, or the variation of a shower."""
    return f"weight {entry['lhe']} of the files" if "lhe" in entry else str(entry["bands"][variant])


def _numbers(own: Mapping[str, Any]) -> list[str]:
    if "ratio" not in own:
        return ["none"] * 3
    ratio, error = own["ratio"]
    return [f"{ratio:.4g} ± {error:.1g}", f"{own['cross_section_pb']:.4g}", f"{own['effective']:.3g}"]


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _events_table(manifest: Mapping[str, Any]) -> str:
    rows, splits = [], _splits(manifest)
    for name, process in manifest["processes"].items():
        events = {
            split: sum(f["events"] for f in manifest["files"] if (f["process"], f["split"]) == (name, split))
            for split in splits
        }
        sigma, weights = "not known", "not known"
        if "cross_section_pb" in process:
            sigma = f"{process['cross_section_pb']:.4g} ± {process['cross_section_error_pb']:.1g}"
            weights = f"{process['sum_weights']:.6g}"
        rows.append(
            [escaped(name), escaped(process["label"]), process["use"], str(process["hard_events"]), sigma]
            + [weights]
            + [str(events[split]) for split in splits]
        )
    header = ["process", "label", "use", "hard events", "cross-section [pb]", "sum of weights"]
    return _markdown([*header, *(f"{split} events" for split in splits)], rows)


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
