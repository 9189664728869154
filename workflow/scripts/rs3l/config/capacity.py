"""Checks, before anything is simulated, that a campaign has the events, views and files that its settings ask for.

Only what cannot work is refused, because every hard event is assumed to give a jet. A training that finds fewer
jets reports it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from rs3l import seeds
from rs3l.config import methods, source_files
from rs3l.config.campaign import Campaign
from rs3l.config.dataset import Splits
from rs3l.config.losses import kinds_of
from rs3l.config.tasks import Task
from rs3l.config.with_source import lacks_substructure
from rs3l.errors import ConfigError
from rs3l.modes import MODES
from rs3l.paths import Split

EXACT = 5_000
"""The events of a split are counted for up to so many events of a process; beyond that, a bound is taken."""
_SIGMAS = 6.0

_OURS = {
    "random:seed": "`seed`",
    "random:setseed": "`seed`",
    "beams:ecm": "generator.ecm",
    "beams:frametype": "processes.<name>.lhe for events from files",
    "phasespace:pthatmin": "processes.<name>.pt_hat.min",
    "phasespace:pthatmax": "processes.<name>.pt_hat.max",
    "phasespace:bias2selection": "processes.<name>.pt_hat.bias_power",
    "phasespace:bias2selectionpow": "processes.<name>.pt_hat.bias_power",
    "phasespace:bias2selectionref": "processes.<name>.pt_hat.min",
}
"""The workflow sets these settings of Pythia (in small letters) itself, from the keys that are given here."""

_QUARK_TYPES = {1: "q", 2: "q", 3: "q", 4: "c", 5: "b", 6: "top"}
_GLUON_TYPES = ("g", "g_qq", "g_cc", "g_bb", "g_gg")
_BOSON_TYPES = {23: ("Z", "Z_qq", "Z_cc", "Z_bb"), 24: ("W",), 25: ("H",), 21: _GLUON_TYPES}


def most_events(seed: int, splits: Splits, process: str, events: int, split: Split) -> int:
    """Return how many of a process's first ``events`` events are in a split, or for many events an upper bound."""
    divided = splits.divided(process, events)
    found = _most_divided(seed, splits.of("").model_dump_json(), process, divided, split)
    return found + (events - divided if split == "test" else 0)


@cache
def _most_divided(seed: int, fractions: str, process: str, events: int, split: Split) -> int:
    splits = Splits.model_validate_json(fractions)
    if events <= EXACT:
        places = (splits.at(seeds.uniform(seed, process, event, "split")) for event in range(events))
        return sum(place == split for place in places)
    fraction = float(getattr(splits, split))
    spread = math.sqrt(events * fraction * (1 - fraction))
    return min(events, math.ceil(events * fraction + _SIGMAS * spread))


def capacity_problems(config: Campaign) -> Iterator[str]:
    """Yield a line with key and remedy for each thing that the campaign asks for and cannot have."""
    yield from _twice(config)
    yield from _one_code(config)
    yield from _our_settings(config)
    yield from _splits(config)
    yield from _views(config)
    yield from _tasks(config)
    yield from _training(config)
    yield from _observables(config)


def check_capacity(config: Campaign) -> None:
    """Raise :class:`ConfigError` that lists the :func:`capacity_problems`."""
    refuse(list(capacity_problems(config)))


def refuse(problems: Sequence[str]) -> None:
    """Raise :class:`ConfigError` that lists the problems, if there are any."""
    if problems:
        raise ConfigError("the configuration is not valid:\n  " + "\n  ".join(problems))


def _one_code(config: Campaign) -> Iterator[str]:
    """Yield the pairs of processes whose events would have the same keys, as one pair in four million does."""
    codes: dict[int, str] = {}
    for name in config.processes:
        other = codes.setdefault(seeds.process_code(name), name)
        if other != name:
            yield f"processes.{name}: its events would have the keys of those of {other}; rename one of them"


def _our_settings(config: Campaign) -> Iterator[str]:
    """Yield the settings of Pythia that the workflow would silently overwrite."""
    blocks = {
        "generator.pythia": config.generator.pythia,
        **{f"processes.{name}.pythia": process.pythia for name, process in config.processes.items()},
        **{f"variants.{name}.pythia": variant.pythia for name, variant in config.variants.items()},
    }
    for path, settings in blocks.items():
        for key in settings:
            if ours := _OURS.get(key.lower()):
                yield f"{path}.{key}: the workflow sets this by itself; set {ours} instead"


def _in_split(config: Campaign, process: str, split: Split) -> int:
    """Return how many events of a process are in a split; of HDF5 files, how many there can be at most."""
    if config.source and config.source.parquet:
        return source_files.parquet_events(config.source, process, [split])
    if config.source:
        return source_files.total_events(config.source) if getattr(config.dataset.splits, split) else 0
    events = config.processes[process].events
    return most_events(config.seed, config.dataset.splits, process, events, split)


def _twice(config: Campaign) -> Iterator[str]:
    """Yield the lists that name an entry twice, because the second would be run for nothing or be lost."""
    lists: dict[str, Iterable[object]] = {
        "finetune.labels": config.finetune.labels,
        "finetune.modes": config.finetune.modes,
        "finetune.ablation_modes": config.finetune.ablation_modes or [],
        "evaluate.variants": config.evaluate.variants,
        "evaluate.pair": config.evaluate.pair or (),
        "evaluate.efficiencies": config.evaluate.efficiencies,
        "evaluate.change_efficiencies": config.evaluate.change_efficiencies,
        "pretrain.methods": config.pretrain.methods,
        "pretrain.variants": config.pretrain.variants or [],
        **{f"tasks.{name}.labels": task.labels or [] for name, task in config.tasks.items()},
    }
    for path, entries in lists.items():
        found = [f"{entry:g}" if isinstance(entry, float) else str(entry) for entry in entries]
        if twice := sorted({entry for entry in found if found.count(entry) > 1}):
            yield f"{path}: {', '.join(twice)} is there twice; name it once"


def _splits(config: Campaign) -> Iterator[str]:
    """Yield the splits that lack events of a process which is needed there."""
    names = config.dataset.splits.names
    empty = [split for split in names if getattr(config.dataset.splits, split) == 0]
    yield from (
        f"dataset.splits.{split}: 0 leaves it empty, and every campaign needs it; raise it" for split in empty
    )
    for process in dict.fromkeys(p for task in config.tasks.values() for p in (task.signal, task.background)):
        for split in names:
            if split not in empty and _in_split(config, process, split) == 0:
                yield (
                    f"dataset.splits.{split}: none of the {config.processes[process].events} events of {process} "
                    f"is in it; {_remedy(config, process)}"
                )


def _views(config: Campaign) -> Iterator[str]:
    variants = config.variants
    if config.dataset.min_views > len(variants):
        yield f"dataset.min_views: {config.dataset.min_views} of {len(variants)} variants; lower it"
    there = config.dataset.splits.names
    for name, variant in variants.items():
        if variant.use == "train" and not variant.has(there):
            yield f"variants.{name}.splits: `use: train` needs those of {', '.join(there)}; add what is missing"
        if not set(there) & set(variant.splits):
            yield f"variants.{name}.splits: {', '.join(variant.splits)} has no events; name another one"
    for key, names in (("variants", config.evaluate.variants), ("pair", config.evaluate.pair or ())):
        for name in names:
            if "test" not in variants[name].splits:
                yield f"evaluate.{key}: {name} has no events of the test split; add test to variants.{name}.splits"


def _tasks(config: Campaign) -> Iterator[str]:
    split = config.dataset.splits.labelled
    for name, task in config.tasks.items():
        yield from (f"tasks.{name}.{problem}" for problem in _type_problems(config, task))
        most = max(task.labels or config.finetune.labels)
        key = f"tasks.{name}.labels" if task.labels else "finetune.labels"
        for process, needed in ((task.signal, most // 2), (task.background, most - most // 2)):
            there = _in_split(config, process, split)
            if needed > there:
                is_counted = config.source is None or config.source.parquet
                of_all = f" of its {config.processes[process].events}" if is_counted else ""
                yield (
                    f"{key}: {most} labels of the task {name} need {needed} events of {process}, and at most "
                    f"{there}{of_all} are in the {split} split; lower it, or {_more(config, process, split)}"
                )


def _type_problems(config: Campaign, task: Task) -> Iterator[str]:
    sides = (("signal", task.signal, task.signal_types), ("background", task.background, task.background_types))
    for side, process, types in sides:
        possible = _possible_types(config, process)
        unknown = [name for name in types or [] if possible is not None and name not in possible]
        if unknown:
            why = "by its anchor" if config.source is None else "by its jet_types"
            yield (
                f"{side}_types: no jet of {process} has the type {', '.join(unknown)}, {why}; possible "
                f"are {', '.join(possible or [])}"
            )


def _possible_types(config: Campaign, process: str) -> list[str] | None:
    """Return the jet types of a process, or None where only its files know."""
    settings = config.processes[process]
    return (settings.jet_types or None) if config.source else anchor_types(settings.anchor)


def anchor_types(anchor: str | Sequence[int]) -> list[str]:
    """Return the jet types that an anchor can have (docs/resim.md)."""
    codes = [*_QUARK_TYPES, 21] if isinstance(anchor, str) else [abs(code) for code in anchor]
    types = [name for code in codes for name in _BOSON_TYPES.get(code, (_QUARK_TYPES.get(code, str(code)),))]
    return list(dict.fromkeys([*types, *(map(str, anchor) if not isinstance(anchor, str) else ())]))


def _training_events(config: Campaign, processes: Sequence[str]) -> int:
    """Return how many training events some processes have together, at most."""
    if config.source and config.source.patterns:
        return source_files.total_events(config.source)
    return sum(_in_split(config, name, "train") for name in processes)


def _training(config: Campaign) -> Iterator[str]:
    """Yield the batches and numbers of training events that exceed the events there are."""
    used = [name for name, process in config.processes.items() if process.use == "pretrain"]
    there = _training_events(config, used)
    blocks = {
        "pretrain": config.pretrain,
        **{f"pretrain.methods.{name}": block for name, block in methods.methods(config).items()},
        **{f"ablations.{name}": block for name, block in methods.ablations(config).items()},
    }
    base, more = config.pretrain, f"lower it, or {_more(config, '<name>')}"
    for path, block in blocks.items():
        own = path == "pretrain"
        if block.batch > there and (own or block.batch != base.batch):
            yield f"{path}.batch: {block.batch} of at most {there} training events; {more}"
        if isinstance(block.events, int) and block.events > there and (own or block.events != base.events):
            yield f"{path}.events: {block.events} of at most {there} training events; {more}"
        classes = [kind.name for kind in kinds_of(block.loss) if kind.compares == "processes"]
        if classes and len(used) < 2 and (own or base.loss != block.loss):
            only = f"only {used[0]} has `use: pretrain`"
            yield f"{path}.loss: {classes[0]} tells processes apart, and {only}; add one"


def _observables(config: Campaign) -> Iterator[str]:
    """Yield the modes whose observables are not in the files."""
    modes = [name for name in config.finetune.modes if MODES[name].has_observables]
    if config.source and modes and lacks_substructure(config.source):
        where = ", or name their places in `singletons`: source.columns" if config.source.patterns else ""
        yield (
            f"finetune.modes: {', '.join(modes)} needs jet_msd and jet_n2, which the files do not name; leave it "
            f"out{where}"
        )


def _more(config: Campaign, process: str, split: Split = "train") -> str:
    """Return what gives a process more events of a split."""
    if config.source:
        return "give more files" if config.source.parquet else f"give more files, or raise dataset.splits.{split}"
    return f"raise processes.{process}.events or dataset.splits.{split}"


def _remedy(config: Campaign, process: str) -> str:
    """Return what gives a process events of a split."""
    if config.source:
        return "give more files" if config.source.parquet else "raise it, or give more files"
    return f"raise it, or processes.{process}.events"
