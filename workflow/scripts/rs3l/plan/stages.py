"""The stages of a campaign, with the rules that make them and what each needs from a profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rs3l.config import blocks
from rs3l.config.campaign import Campaign
from rs3l.plan import learning, results, simulation, source
from rs3l.plan.work import Scope, Work


@dataclass(frozen=True)
class Stage:
    """One stage.

    ``work`` counts its work. ``rules`` are the names of its rules in profiles and benchmark files. ``files`` is
    the pattern of its large files below the folder of the campaign. ``device`` says that its jobs use a GPU if
    they are given one, and ``resumes`` that a job which ran into its wall time goes on where it was.
    """

    work: Callable[[Campaign, Scope], Work]
    rules: tuple[str, ...]
    files: str = ""
    device: bool = False
    resumes: bool = False


STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        "hard_process": Stage(simulation.hard, ("hard_process",), "hard/*/*.lhe.gz"),
        "pileup": Stage(simulation.pileup, ("pileup",), "pileup/*.arrow"),
        "resimulate": Stage(simulation.resimulate, ("resimulate", "resimulate_together"), "jets/*/*/*.parquet"),
        "merge": Stage(simulation.merge, ("merge",), "dataset/*/*.parquet"),
        "pretrain": Stage(learning.pretrain, ("pretrain",), device=True, resumes=True),
        "embed": Stage(learning.embed, ("embed",), "models/*/latents/*.parquet", device=True),
        "quality": Stage(learning.quality, ("quality",)),
        "finetune": Stage(learning.finetune, ("finetune",), device=True, resumes=True),
        "score": Stage(learning.score, ("score",), "downstream/*/*/predictions/*.parquet", device=True),
        "measure": Stage(results.measure, ("measure",)),
        "evaluate": Stage(results.evaluate, ("evaluate", "evaluate_ablations")),
        "figures": Stage(results.figures, ("plot",)),
        "report": Stage(results.report, ("report",)),
    }
)
"""All stages of a campaign that simulates its jets, in their order."""

_SIMULATED = ("hard_process", "pileup", "resimulate", "merge")

SOURCE_STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        "import": Stage(source.imported, ("import_file", "import_dataset"), "dataset/*/*.parquet"),
        **{name: stage for name, stage in STAGES.items() if name not in _SIMULATED},
    }
)
"""All stages of a campaign whose jets exist already, in their order."""

ALL_STAGES: Mapping[str, Stage] = MappingProxyType({**STAGES, **SOURCE_STAGES})
"""The stages of both kinds of campaigns by name."""


def rules_of(stage: str, config: Campaign, ablations: bool) -> list[str]:
    """Return the rules of a stage that have jobs."""
    unused = [] if ablations else ["evaluate_ablations"]
    unused += [] if blocks.has_pileup(config) else ["pileup"]
    unused += [] if blocks.shared_variants(config) else ["resimulate_together"]
    unused += [] if blocks.own_variants(config) else ["resimulate"]
    unused += ["import_file"] if config.source and config.source.parquet else []
    return [rule for rule in ALL_STAGES[stage].rules if rule not in unused]


def stages_of(config: Campaign) -> Mapping[str, Stage]:
    """Return the stages of a campaign, in their order; there is no pool of pile-up if no variant has pile-up."""
    known = SOURCE_STAGES if config.source else STAGES
    return {name: stage for name, stage in known.items() if rules_of(name, config, ablations=False)}


def work_of(stage: str, config: Campaign, scope: Scope | None = None) -> Work:
    """Return the work of a stage, without a scope as if all networks took the same time per multiplication."""
    return ALL_STAGES[stage].work(config, scope or Scope())
