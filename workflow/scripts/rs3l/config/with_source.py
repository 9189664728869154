"""Fill in what a campaign whose jets exist already need not say, and refuse what only a simulation has.

A campaign with the block `source` has processes and variants as any other, so that all that follows the data set
is the same. Their names come from its files or from the table of the public ones, and their numbers of events from
the headers. Those of HDF5 files do not say how many events a process has: their total is divided evenly, for
plans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from rs3l.config import source_files
from rs3l.config.base import Settings
from rs3l.config.source import READY_PROCESSES, SUBSTRUCTURE, Source
from rs3l.errors import ConfigError
from rs3l.modes import MODES
from rs3l.paths import EVERY_SPLIT

PUBLIC_PT_MIN = 450.0
"""Smallest pT of the public jets [GeV] (arXiv:2403.07066), for the axes of figures."""

_TOP = ("events_per_shard", "share_shower", "pileup")
_PROCESS = ("label", "about", "use", "jet_types")
_VARIANT = ("about", "reference", "use")
_DETECTOR = ("d0", "dz")
_DATASET = {"hdf5": ("splits", "events_per_row_group", "parts_per_job"), "parquet": ("parts_per_job",)}
_SIMULATES = "belongs to a simulation, and `source` replaces it; remove it"


def with_source(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with its processes, variants and further defaults, if it has the block `source`.

    Raises :class:`ConfigError` for keys that only a simulation has, and for files that are missing or damaged.
    What is wrong in the block itself is left to the models.
    """
    source = _source(values)
    if source is None:
        return dict(values)
    if problems := list(_problems(values, "hdf5" if source.patterns else "parquet")):
        raise ConfigError("the configuration is not valid:\n  " + "\n  ".join(problems))
    result = {**values, "processes": _processes(values, source), "variants": _variants(values, source)}
    if source.patterns:
        result["jets"] = {"pt_min": PUBLIC_PT_MIN, **_block(values, "jets")}
    else:
        result["dataset"] = {**_block(values, "dataset"), "splits": _splits(source)}
    if len(result["variants"]) == 1:
        result["evaluate"] = {"pair": None, **_block(values, "evaluate")}
    finetune = _block(values, "finetune")
    if "modes" not in finetune and lacks_substructure(source):
        result["finetune"] = {**finetune, "modes": _modes_without_substructure()}
    return result


def _source(values: Mapping[str, Any]) -> Source | None:
    if not isinstance(values.get("source"), Mapping):
        return None
    try:
        return Source.model_validate(values["source"])
    except ValidationError:
        return None


def _block(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = values.get(name)
    return dict(found) if isinstance(found, Mapping) else {}


def _entries(values: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """Return a block of blocks by name, where an empty one is written as nothing."""
    return {str(key): dict(entry or {}) for key, entry in _block(values, name).items() if _is_block(entry)}


def _is_block(entry: Any) -> bool:
    return entry is None or isinstance(entry, Mapping)


def _problems(values: Mapping[str, Any], kind: str) -> Iterator[str]:
    """Yield each key that only a simulation has."""
    yield from (f"{key}: {_SIMULATES}" for key in _TOP if key in values)
    blocks = {
        "generator": (_block(values, "generator"), ("ecm",)),
        "detector": (_block(values, "detector"), _DETECTOR),
        **{f"processes.{name}": (entry, _PROCESS) for name, entry in _entries(values, "processes").items()},
        **{f"variants.{name}": (entry, _VARIANT) for name, entry in _entries(values, "variants").items()},
    }
    for path, (block, allowed) in blocks.items():
        yield from (f"{path}.{key}: {_SIMULATES}" for key in block if key not in allowed and _is_key(path, key))
    dataset = _block(values, "dataset")
    for key in dataset:
        if key not in _DATASET[kind] and _is_key("dataset", key):
            yield f"dataset.{key}: has no effect on jets from files ({kind}); remove it"
    if "test_only_after" in _block(dataset, "splits"):
        yield f"dataset.splits.test_only_after: {_SIMULATES}"
    for name, entry in _entries(values, "processes").items():
        if kind == "parquet" and "jet_types" in entry:
            yield f"processes.{name}.jet_types: has no effect on a data set that has its processes; remove it"


def _is_key(path: str, key: str) -> bool:
    """Return whether a block knows a key at all; the models name the nearest one of a key that none knows."""
    from rs3l.config.campaign import Campaign

    first, _, second = path.partition(".")
    annotation: Any = Campaign.model_fields[first].annotation
    model: type[Settings] = annotation.__args__[1] if second else annotation
    return key in model.model_fields


def _processes(values: Mapping[str, Any], source: Source) -> dict[str, dict[str, Any]]:
    """Return the processes with all their keys; those that the configuration names, or those of the files."""
    given = _entries(values, "processes")
    known = _known_processes(source)
    names = list(given) or _default_processes(values, source, known)
    found = {name: {**known.get(name, {}), **given.get(name, {})} for name in names}
    typeless = [name for name, entry in found.items() if "jet_types" not in entry]
    if source.parquet or source_files.stated_processes(source):
        _refuse_unknown("processes", [name for name in names if source.parquet or name in typeless], known)
    elif typeless:
        raise ConfigError(
            f"the configuration is not valid:\n  processes.{typeless[0]}.jet_types: required, because the name is "
            f"none of {', '.join(known)}"
        )
    if source.parquet:
        events = {name: source_files.parquet_events(source, name, EVERY_SPLIT) for name in names}
    else:
        events = dict.fromkeys(names, source_files.total_events(source) // max(len(names), 1))
    return {name: {**entry, "events": max(events[name], 1)} for name, entry in found.items()}


def _known_processes(source: Source) -> dict[str, dict[str, Any]]:
    """Return label, use and jet types of the processes that the files name, or that the public ones can have."""
    if source.parquet:
        entries = source_files.manifest_entries(source)["processes"]
        return {
            name: {"label": entry["label"], "use": entry["use"], "jet_types": []}
            for name, entry in entries.items()
        }
    stated = source_files.stated_processes(source)
    if stated:
        return {
            name: {"label": entry["label"], "use": entry["use"], "jet_types": []} for name, entry in stated.items()
        }
    return {
        name: {"label": ready.label, "use": ready.use, "jet_types": list(ready.jet_types)}
        for name, ready in READY_PROCESSES.items()
    }


def _default_processes(
    values: Mapping[str, Any], source: Source, known: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return all processes that the files name, or of the public ones those of pre-training and of tasks."""
    if source.parquet or source_files.stated_processes(source):
        return list(known)
    tasks = [entry for entry in _entries(values, "tasks").values() if entry]
    named = {task.get(side) for task in tasks for side in ("signal", "background")}
    return [name for name, entry in known.items() if entry["use"] == "pretrain" or name in named]


def _variants(values: Mapping[str, Any], source: Source) -> dict[str, dict[str, Any]]:
    """Return the variants with their use, those that the configuration names or all of the files."""
    if source.parquet:
        known = dict(source_files.manifest_entries(source)["variants"])
    else:
        found = [header.variants for header in source_files.headers(source)]
        known = dict(found[0])
        if any(set(other) != set(known) for other in found):
            raise ConfigError("source.hdf5: the files do not have the same variants; import them apart")
    given = _entries(values, "variants")
    names = list(given) or list(known)
    _refuse_unknown("variants", names, known)
    return {name: {"use": known[name], **given.get(name, {})} for name in names}


def _refuse_unknown(block: str, names: list[str], known: Mapping[str, Any]) -> None:
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(
            f"the configuration is not valid:\n  {block}.{unknown[0]}: the files have none of this name; they "
            f"have {', '.join(known)}"
        )


def _splits(source: Source) -> dict[str, float]:
    """Return the fractions of the events of a data set in each split, in their order, which sum to one."""
    names = source_files.manifest_entries(source)["processes"]
    events = {
        split: sum(source_files.parquet_events(source, name, [split]) for name in names) for split in EVERY_SPLIT
    }
    total = max(sum(events.values()), 1)
    found: dict[str, float] = {s: round(number / total, 4) for s, number in events.items() if s != "test"}
    return {**found, "test": max(1.0 - found["train"] - found["label"] - found["val"], 0.0)}


def lacks_substructure(source: Source) -> bool:
    """Return whether jets from files lack soft-drop mass or N2, as HDF5 files do whose columns nobody named."""
    if source.patterns:
        return not set(SUBSTRUCTURE) <= source_files.known_columns(source)
    return bool(set(SUBSTRUCTURE) & set(source_files.manifest_entries(source).get("lacks", [])))


def _modes_without_substructure() -> list[str]:
    from rs3l.config.finetune import Finetune

    default: list[str] = Finetune.model_fields["modes"].default
    return [name for name in default if not MODES[name].has_observables]
