"""The tables of costs and plans in the documents, the configuration of the paper's size and the profile.

They stand between two markers, or in square brackets in the comments of the profile, and are made anew from
``benchmarks/costs.json``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rs3l.config.load import load_campaign, parse_campaign
from rs3l.config.yaml_file import read_mapping
from rs3l.errors import DataError
from rs3l.plan.costs import Cost, CostTable, load_costs
from rs3l.plan.lines import Line, plan, scaled
from rs3l.plan.profile import Limits, asked_rules, load_profile, misfits
from rs3l.plan.text import gigabytes, hours, text

CORES = 200
"""Cores of the plans in the documents."""
JETS = 1e8
"""Jets of the large plan in docs/scale.md."""
NODE_MB = 64_000
"""Memory of the nodes in the documents [MB]."""
LARGE_SHARDS = 100_000
"""Hard events per shard of the large plan."""


def documents(repository: Path) -> dict[Path, str]:
    """Return all files that hold tables, with new ones."""
    costs = load_costs(repository / "benchmarks" / "costs.json")
    paper, laptop = (repository / "config" / f"{name}.yaml" for name in ("paper", "config"))
    scale, profile = repository / "docs" / "scale.md", repository / "profiles" / "slurm"
    large = scaled(load_campaign(paper), JETS, costs).model_copy(update={"events_per_shard": LARGE_SHARDS})
    lines = plan(load_campaign(paper), costs)
    pages = {
        "costs": _markdown_costs(costs),
        "plan": _code(text(lines, CORES)),
        "plan 1e8": _code(text(plan(large, costs), CORES)),
        "misfits": _code("\n".join(_example(paper, costs, profile))),
    }
    entries = (profile / "config.yaml").read_text(encoding="utf-8")
    shown = plan(load_campaign(laptop), costs)
    return {
        scale: _replaced_all(scale, pages, "<!-- {} -->"),
        paper: _replaced_all(paper, {"plan": _comment(text(lines, CORES))}, "# <{}>"),
        profile / "config.yaml": with_memory(entries, _memory_of_rules(shown, lines, profile)),
    }


def _example(paper: Path, costs: CostTable, profile: Path) -> list[str]:
    """Return what a plan says of a campaign of the paper's size with a million labels, and no stream."""
    values = read_mapping(paper)
    values["pretrain"]["loop"] = {"stream": False}
    values["finetune"]["labels"] = [1_000_000]
    return misfits(plan(parse_campaign(values), costs), load_profile(profile), Limits(node_mb=NODE_MB))


def _replaced_all(path: Path, blocks: Mapping[str, str], marker: str) -> str:
    content = path.read_text(encoding="utf-8")
    for name, block in blocks.items():
        content = replaced(content, marker.format(name), marker.format(f"/{name}"), block, path.name)
    return content


def replaced(content: str, begin: str, end: str, block: str, name: str) -> str:
    """Return ``content`` with ``block`` between its two markers; raises :class:`DataError` if one is missing."""
    before, first, rest = content.partition(f"{begin}\n")
    _, last, after = rest.partition(end)
    if not first or not last:
        raise DataError(f"{name}: the markers {begin} and {end} are needed, each on its own line")
    return f"{before}{begin}\n{block}\n{end}{after}"


def _code(block: str) -> str:
    return f"\n```\n{_trimmed(block)}\n```\n"


def _comment(block: str) -> str:
    return "\n".join(f"#   {line}" for line in _trimmed(block).splitlines())


def _trimmed(block: str) -> str:
    return "\n".join(line.rstrip() for line in block.splitlines())


def _markdown_costs(costs: CostTable) -> str:
    head = ["stage", "start of a job", "per unit of work", "range over jobs", "memory", "disk"]
    rows = [head, ["---"] * len(head), *(_cells(name, cost) for name, cost in costs.stages.items())]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"\n{table}\n\nMeasured on: {costs.machine}, {costs.date}; {costs.how}.\n"


def _cells(stage: str, cost: Cost) -> list[str]:
    spread = " to ".join(map(_seconds, cost.unit_s_range))
    held = f" + {cost.held_kb:.2g} kB per row held" if cost.held_kb else ""
    return [
        f"`{stage}`",
        f"{cost.start_s:.1f} s",
        f"{_seconds(cost.unit_s)} per {cost.unit}",
        f"{spread} ({cost.jobs} jobs)" if cost.jobs > 1 else "1 job" if cost.jobs else "an estimate",
        f"{cost.memory_mb:.0f} MB{held}",
        f"{cost.written_bytes:.3g} B per row" if cost.written_bytes else "",
    ]


def _seconds(value: float) -> str:
    """Return a time with two digits and the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{float(f'{value / size:.2g}'):g} {unit}"
    return f"{float(f'{value / 1e-9:.2g}'):g} ns"


def _memory_of_rules(laptop: Sequence[Line], paper: Sequence[Line], folder: Path) -> dict[str, str]:
    """Return what the comments of the profile say of each rule: memory and hours of its largest job, twice."""
    profile = load_profile(folder)
    return {
        rule: f"[{_short(small)}; {_short(large)}]"
        for small, large in zip(laptop, paper, strict=True)
        for rule in asked_rules(small, profile)
    }


def _short(line: Line) -> str:
    return f"{gigabytes(line.memory_mb / 1000)}, {hours(line.job_hours)}"


def with_memory(profile: str, found: Mapping[str, str]) -> str:
    """Return the text of a profile with new numbers where a line of brackets begins the comment of a rule."""
    for rule, numbers in found.items():
        above = rf"(?m)^  # \[[^\]]*\]\n((?:  # .*\n)*  {re.escape(rule)}:)"
        profile = re.sub(above, rf"  # {numbers}\n\1", profile)
    return profile
