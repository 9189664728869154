"""The figures by name: which inputs each needs, and which function draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rs3l.config.blocks import FiguresBlock
from rs3l.data.manifest import read_counts, read_manifest
from rs3l.errors import ConfigError, DataError
from rs3l.eval import (
    plot_data,
    plot_kinematics,
    plot_latents,
    plot_resources,
    plot_results,
    plot_schematic,
    plot_scores,
    plot_tables,
    style,
)
from rs3l.eval.style import Drawing, Header


@dataclass(frozen=True)
class Inputs:
    """Files that figures are drawn from; each figure needs some of them."""

    manifest: str | Path = ""
    latents: list[str | Path] = field(default_factory=list)
    predictions: list[str | Path] = field(default_factory=list)
    training: list[str | Path] = field(default_factory=list)
    metrics_table: str | Path = ""
    roc_table: str | Path = ""
    stability_table: str | Path = ""
    robustness_table: str | Path = ""
    ablations_table: str | Path = ""
    latents_table: str | Path = ""
    benchmarks: str | Path = ""
    task: str = ""
    process: str = ""


Draw = Callable[[FiguresBlock, Header, Inputs], Drawing]

FIGURES: dict[str, tuple[tuple[str, ...], Draw]] = {
    "schematic": ((), lambda b, h, i: plot_schematic.schematic(b, h)),
    "jet_types": (
        ("manifest",),
        lambda b, h, i: plot_kinematics.jet_types(b, h, i.manifest, read_manifest(i.manifest)),
    ),
    "jet_variations": (
        ("manifest", "process"),
        lambda b, h, i: plot_kinematics.jet_variations(b, h, i.manifest, read_manifest(i.manifest), i.process),
    ),
    "jet_mass": (("manifest",), lambda b, h, i: plot_data.jet_mass(b, h, i.manifest, read_manifest(i.manifest))),
    "multiplicity": (
        ("manifest",),
        lambda b, h, i: plot_data.multiplicity(b, h, i.manifest, read_manifest(i.manifest)),
    ),
    "event_views": (
        ("manifest",),
        lambda b, h, i: plot_data.event_views(b, h, i.manifest, read_manifest(i.manifest)),
    ),
    "matching": (("manifest",), lambda b, h, i: plot_data.matching(b, h, read_counts(i.manifest))),
    "survival": (("manifest",), lambda b, h, i: plot_data.survival(b, h, i.manifest, read_manifest(i.manifest))),
    "training": (("training",), lambda b, h, i: plot_results.training(h, i.training)),
    "latent": (("latents",), lambda b, h, i: plot_results.latent(b, h, i.latents)),
    "latent_feature": (("latents",), lambda b, h, i: plot_latents.latent_feature(b, h, i.latents[0])),
    "latent_corner": (("latents",), lambda b, h, i: plot_latents.latent_corner(b, h, i.latents[0])),
    "similarity": (("training",), lambda b, h, i: plot_latents.similarity(b, h, i.training)),
    "roc": (("roc_table", "task"), lambda b, h, i: plot_results.roc(b, h, i.roc_table, i.task)),
    "label_efficiency": (
        ("metrics_table", "task"),
        lambda b, h, i: plot_results.label_efficiency(b, h, i.metrics_table, i.task),
    ),
    "tagger_output": (
        ("predictions", "task"),
        lambda b, h, i: plot_scores.tagger_output(b, h, i.predictions, i.task),
    ),
    "mistag_change": (
        ("robustness_table", "task"),
        lambda b, h, i: plot_tables.mistag_change(b, h, i.robustness_table, i.task),
    ),
    "stability": (("stability_table",), lambda b, h, i: plot_results.stability(b, h, i.stability_table)),
    "robustness": (
        ("robustness_table", "task"),
        lambda b, h, i: plot_tables.robustness(b, h, i.robustness_table, i.task),
    ),
    "ablations": (("ablations_table",), lambda b, h, i: plot_tables.ablations(b, h, i.ablations_table)),
    "latent_quality": (("latents_table",), lambda b, h, i: plot_tables.latent_quality(b, h, i.latents_table)),
    "resources": (("benchmarks",), lambda b, h, i: plot_resources.resources(h, i.benchmarks)),
}
"""Name of the figure: the inputs that it needs, and its function."""


def draw(name: str, block: FiguresBlock, header: Header, inputs: Inputs) -> Drawing:
    """Return one figure.

    Raises :class:`ConfigError` if an input is missing or the task unknown, and :class:`DataError` if a file does
    not fit the configuration.
    """
    needed, function = FIGURES[name]
    for option in needed:
        if not getattr(inputs, option):
            raise ConfigError(f"figure {name} needs --{option.replace('_', '-')}")
    if "task" in needed and inputs.task not in block.tasks:
        raise ConfigError(f"no task {inputs.task!r} in the configuration; known: {', '.join(block.tasks)}")
    if "process" in needed and inputs.process not in block.labels:
        raise ConfigError(f"no process {inputs.process!r} in the configuration; known: {', '.join(block.labels)}")
    if "manifest" in needed:
        _check_manifest(block, inputs.manifest)
    with style.styled():
        return style.footnote(function(_shown(block), header, inputs))


def _check_manifest(block: FiguresBlock, path: str | Path) -> None:
    """Raise :class:`DataError` if the data set is not that of the configuration."""
    manifest = read_manifest(path)
    for what, names in (("process", block.labels), ("variant", block.variants)):
        known = manifest["processes" if what == "process" else "variants"]
        if missing := [name for name in names if name not in known]:
            raise DataError(
                f"{path}: no {what} {missing[0]!r} in this data set of another configuration; run the merge again"
            )


def _shown(block: FiguresBlock) -> FiguresBlock:
    """Return the block with its labels as figures show them; names are plain already."""
    labels = {name: style.text(label) for name, label in block.labels.items()}
    return block.model_copy(update={"labels": labels})
