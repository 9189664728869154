"""The figures of the report, each declared once, as data.

The rules, the paths, the report, the plan and the status read these entries. One more figure takes an entry here,
a function that draws it, and a caption (``captions/<name>.rst``). Nothing here imports the modules that draw,
because Snakemake reads this module too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from rs3l.config import blocks, methods, source_files
from rs3l.config.campaign import Campaign
from rs3l.evaluate.names import losses_text, methods_text, subject_text
from rs3l.groups import latent_files
from rs3l.paths import CampaignPaths

Files = Callable[[Campaign, CampaignPaths], list[str]]

MEMORY_MB = 1000
"""Memory that the job of a figure asks for, whatever the size of the campaign."""
MINUTES = 10
"""Wall time that it asks for."""


@dataclass(frozen=True)
class Figure:
    """One kind of figure.

    ``function`` names a module of :mod:`rs3l.figures` and a function in it. ``inputs`` are names of
    :func:`input_files`. ``after`` are files that must be there but are not read. ``folders`` are read too, but a
    rule cannot wait for them. ``of`` says whether each process or task has a figure of its own. ``section`` is the
    section of report.html, and ``category`` and ``subcategory`` belong to Snakemake's report. ``quotes`` are the
    names of :data:`QUOTES` that the caption takes from the configuration. ``needs`` are things of :data:`LACKS`
    that jets from files may lack; the figure is then left out. ``seen`` names a module of
    :mod:`rs3l.report` and the function that says in words what is seen; with ``headline`` the summary repeats it.
    ``only_ablations`` says that the target ``ablations`` alone makes it.
    """

    name: str
    function: str
    inputs: tuple[str, ...]
    section: str
    category: str
    subcategory: str
    seen: str = ""
    headline: bool = False
    title: str = ""
    of: Literal["campaign", "process", "task"] = "campaign"
    quotes: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    only_ablations: bool = False

    @property
    def shows_data(self) -> bool:
        """Return whether it depends on no method, but on the data set or the configuration alone."""
        return set(self.inputs) <= {"manifest"}

    @property
    def wildcards(self) -> tuple[str, ...]:
        """Return Snakemake's wildcards of its files."""
        return () if self.of == "campaign" else (f"{{{self.of}}}",)

    @property
    def pattern(self) -> str:
        """Return the name of its files, with a wildcard if each process or task has one."""
        return "_".join((self.name, *self.wildcards))

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels by which Snakemake's report sorts it."""
        labels = {"figure": self.name.replace("_", " ")}
        return labels | {name.strip("{}"): name for name in self.wildcards}

    def heading(self, item: str = "") -> str:
        """Return its title, with its process or task."""
        return (self.title or self.name.replace("_", " ").capitalize()) + (f": {item}" if item else "")


_DATA: dict[str, Any] = {"category": "1. Data set", "subcategory": "Re-simulation"}
_TRAINING: dict[str, Any] = {"category": "2. Pre-training", "section": "pretraining"}
_TASK: dict[str, Any] = {"category": "3. Results", "subcategory": "{task}", "of": "task"}

_ALL = (
    Figure(
        "schematic", "plot_schematic.schematic", (), needs=("simulation",),
        section="simulation", category="1. Data set", subcategory="Intervention",
    ),
    Figure(
        "event_views", "plot_data.event_views", ("manifest",), needs=("anchor",),
        section="simulation", quotes=("jets",), **_DATA,
    ),
    Figure(
        "matching", "plot_data.matching", ("manifest",), needs=("counts",),
        section="simulation", quotes=("jets",), **_DATA,
    ),
    Figure(
        "survival", "plot_data.survival", ("manifest",), needs=("counts",),
        section="simulation", quotes=("jets",), **_DATA,
    ),
    Figure(
        "jet_types", "plot_kinematics.jet_types", ("manifest",),
        section="dataset", quotes=("jets",), **_DATA,
    ),
    Figure(
        "jet_mass", "plot_data.jet_mass", ("manifest",),
        section="dataset", quotes=("jets",), **_DATA,
    ),
    Figure(
        "multiplicity", "plot_data.multiplicity", ("manifest",),
        section="dataset", quotes=("jets",), **_DATA,
    ),
    Figure(
        "jet_variations", "plot_kinematics.jet_variations", ("manifest",), needs=("variations",),
        section="dataset", of="process", quotes=("jets",),
        **_DATA,
    ),
    Figure(
        "training", "plot_results.training", ("training",),
        subcategory="Training", quotes=("loss",), **_TRAINING,
    ),
    Figure(
        "similarity", "plot_latents.similarity", ("training",),
        subcategory="Training", quotes=("loss",), **_TRAINING,
    ),
    Figure(
        "latent", "plot_latents.latent", ("latents",),
        subcategory="Latent space", title="Latent space", **_TRAINING,
    ),
    Figure(
        "latent_feature", "plot_latents.latent_feature", ("first_latents",),
        subcategory="Latent space", quotes=("run",), **_TRAINING,
    ),
    Figure(
        "latent_corner", "plot_latents.latent_corner", ("first_latents",),
        subcategory="Latent space", quotes=("run",),
        **_TRAINING,
    ),
    Figure(
        "latent_quality", "plot_tables.latent_quality", ("latents_table",),
        subcategory="Latent space", seen="seen_latents.latent_quality", headline=True, **_TRAINING,
    ),
    Figure(
        "roc", "plot_results.roc", ("roc_table",),
        section="tasks", seen="seen_results.roc", headline=True, title="ROC", quotes=("evaluate",), **_TASK,
    ),
    Figure(
        "label_efficiency", "plot_results.label_efficiency", ("metrics_table",),
        section="tasks", seen="seen_results.label_efficiency", headline=True,
        quotes=("evaluate", "methods"), **_TASK,
    ),
    Figure(
        "stability", "plot_results.stability", ("stability_table",), needs=("pair",),
        section="robustness", category="3. Results", subcategory="Stability", seen="seen_results.stability",
        headline=True, quotes=("evaluate",),
    ),
    Figure(
        "robustness", "plot_tables.robustness", ("robustness_table",), needs=("variations",),
        section="robustness", seen="seen_results.robustness", headline=True, **_TASK,
    ),
    Figure(
        "tagger_output", "plot_scores.tagger_output", ("measures",), needs=("variations",),
        section="robustness", **_TASK,
    ),
    Figure(
        "mistag_change", "plot_tables.mistag_change", ("robustness_table",), needs=("variations",),
        section="robustness", seen="seen_results.mistag_change", headline=True, **_TASK,
    ),
    Figure(
        "ablations", "plot_tables.ablations", ("ablations_table",),
        section="ablations", category="4. Ablations", subcategory="Ablations", seen="seen_results.ablations",
        quotes=("subject",), only_ablations=True,
    ),
    Figure(
        "resources", "plot_resources.resources", (),
        section="provenance", category="4. Provenance", subcategory="Jobs",
        title="Time and memory", after=("summary",), folders=("benchmarks",),
    ),
)  # fmt: skip

FIGURES: Mapping[str, Figure] = MappingProxyType({figure.name: figure for figure in _ALL})
"""All kinds of figures by name, in the order of the report."""

QUOTES: Mapping[str, Callable[[Campaign], Any]] = MappingProxyType(
    {
        "jets": lambda config: config.jets.model_dump(),
        "evaluate": lambda config: config.evaluate.model_dump(),
        "loss": losses_text,
        "methods": methods_text,
        "subject": subject_text,
        "run": lambda config: blocks.runs(config)[0],
        "energy": lambda config: f"{config.generator.ecm:g}",
    }
)
"""What captions say of a configuration, by name; a figure depends on what its caption quotes."""

_FILES: Mapping[str, Files] = MappingProxyType(
    {
        "manifest": lambda config, paths: [paths.manifest],
        "summary": lambda config, paths: [paths.summary],
        "benchmarks": lambda config, paths: [paths.benchmarks],
        "training": lambda config, paths: [
            paths.model_metrics(run) for run in blocks.runs(config) if blocks.imported_model(config, run) is None
        ],
        "latents": lambda config, paths: [
            path for method in methods.methods(config) for path in latent_files(config, paths, f"{method}_s0")
        ],
        "first_latents": lambda config, paths: latent_files(config, paths, blocks.runs(config)[0]),
        "measures": lambda config, paths: [
            paths.measures(run=run) for run in [*blocks.runs(config), *blocks.baselines(config)]
        ],
        "ablations_table": lambda config, paths: [paths.ablations("metrics")],
    }
)


def input_files(name: str, config: Campaign, paths: CampaignPaths) -> list[str]:
    """Return the files of an input, with the wildcard ``{task}`` where it belongs to a task.

    ``<name>_table`` is that table of the evaluation; the other names are listed here.
    """
    if name in _FILES:
        return _FILES[name](config, paths)
    return [paths.evaluation(name.removesuffix("_table"))]


LACKS: Mapping[str, str] = MappingProxyType(
    {
        "simulation": "what each variant changes",
        "anchor": "the momentum of the hard boson or parton",
        "counts": "the number of hard events without a jet",
        "pair": "two views of an event to compare (`evaluate.pair`)",
        "variations": "a second view of an event",
    }
)
"""What jets from files may lack, in words."""


def lacking(config: Campaign) -> set[str]:
    """Return what a campaign lacks, of :data:`LACKS`."""
    views = {"pair": config.evaluate.pair, "variations": len(config.variants) > 1}
    return {name for name, there in views.items() if not there} | _lacking_in_files(config)


def _lacking_in_files(config: Campaign) -> set[str]:
    """Return what the files of a campaign lack; a simulation lacks nothing."""
    source = config.source
    if source is None:
        return set()
    if source.patterns:
        has_anchor = {"parton_eta", "parton_phi"} <= source_files.known_columns(source)
        return {"simulation", "counts", *(() if has_anchor else ("anchor",))}
    entries = source_files.manifest_entries(source)
    processes = [entries["processes"][name] for name in config.processes]
    counted = all(process.get("matching_efficiency_all_variants") is not None for process in processes)
    has_anchor = counted if "lacks" not in entries else "parton_eta" not in entries["lacks"]
    return {"simulation", *(() if counted else ("counts",)), *(() if has_anchor else ("anchor",))}


def left_out(config: Campaign) -> dict[str, list[str]]:
    """Return the figures that the files of a campaign are not enough for, with what each lacks in words."""
    missing = lacking(config)
    found = {figure.name: [LACKS[need] for need in figure.needs if need in missing] for figure in _ALL}
    return {name: needs for name, needs in found.items() if needs}


def figures_of(
    processes: Iterable[str], tasks: Iterable[str], ablations: bool = False, missing: Collection[str] = ()
) -> list[tuple[Figure, str]]:
    """Return each figure of a campaign as its kind and its process or task (an empty text if it has neither).

    Those that need what is ``missing`` (:func:`lacking`) are left out.
    """
    items = {"campaign": [""], "process": list(processes), "task": list(tasks)}
    return [
        (figure, item)
        for figure in _ALL
        if (ablations or not figure.only_ablations) and not set(missing) & set(figure.needs)
        for item in items[figure.of]
    ]


def figure_names(
    processes: Iterable[str], tasks: Iterable[str], ablations: bool = False, missing: Collection[str] = ()
) -> list[str]:
    """Return the names of the files of all figures of a campaign but those that need what is ``missing``."""
    found = figures_of(processes, tasks, ablations, missing)
    return ["_".join(filter(None, (figure.name, item))) for figure, item in found]


def kind_and_item(name: str) -> tuple[Figure | None, str]:
    """Return the kind of a figure's file (None if it is not known), and its task or process.

    If the name begins with several kinds, the longest one counts.
    """
    kinds = [kind for kind in FIGURES if name == kind or name.startswith(f"{kind}_")]
    if not kinds:
        return None, ""
    kind = max(kinds, key=len)
    return FIGURES[kind], name[len(kind) + 1 :]
