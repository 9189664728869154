"""Name the files in the folder of a campaign that belong to another configuration, with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from rs3l.config import blocks
from rs3l.config.campaign import Campaign
from rs3l.dataset.manifest import read_manifest
from rs3l.evaluate.registry import TABLES
from rs3l.figures.plot_results import read_table
from rs3l.figures.registry import kind_and_item
from rs3l.paths import CampaignPaths
from rs3l.report.contents import read_json
from rs3l.report.known import ABLATIONS, GROWTH, Known, figures, foreign_points, is_of


def left_over(config: Campaign, paths: CampaignPaths) -> list[str]:
    """Return what lies in the folder of the campaign and is not shown, each file with the reason."""
    return [
        *_figures(config, paths),
        *_tables(config, Path(paths.evaluation()).parent),
        *_ablations(config, paths),
        *_dataset(config, paths),
        *_summary(config, paths),
    ]


def _figures(config: Campaign, paths: CampaignPaths) -> Iterator[str]:
    for path in sorted(Path(paths.figure("x")).parent.glob("*.svg")):
        if path.stem == GROWTH and config.ablations:
            continue
        if path.stem not in figures(config):
            yield f"{path}: {_unknown(config, path.stem)}"
        elif foreign := foreign_points(config, paths, path.stem):
            yield f"{path}: {_named(foreign)}; draw it again"


def _unknown(config: Campaign, figure: str) -> str:
    kind, item = kind_and_item(figure)
    if kind is not None and kind.of != "campaign" and item:
        return f"the configuration has no {kind.of} {item}"
    if figure in (ABLATIONS, GROWTH):
        return "the configuration has no ablations"
    return "no figure of this campaign"


def _named(foreign: Mapping[str, list[str]]) -> str:
    texts = [f"{column} {', '.join(cells)}" for column, cells in foreign.items()]
    return f"the configuration has no {'; no '.join(texts)}"


def _tables(config: Campaign, folder: Path, ablations: bool = False) -> Iterator[str]:
    known = Known.of(config, ablations)
    for path in sorted(folder.glob("*.csv")):
        if path.stem == GROWTH and ablations:
            continue
        if path.stem not in TABLES:
            yield f"{path}: no table of the evaluation"
        elif foreign := known.foreign(read_table(path)):
            yield f"{path}, in part: {_named(foreign)}"


def _ablations(config: Campaign, paths: CampaignPaths) -> Iterator[str]:
    folder = Path(paths.ablations()).parent
    if not config.ablations:
        if folder.is_dir():
            yield f"{folder}: the configuration has no ablations"
        return
    yield from _tables(config, folder, ablations=True)
    summary = Path(paths.ablations_summary)
    if summary.is_file() and not is_of(config, read_json(summary), ablations=True):
        yield f"{summary}: of other tasks or methods than the configuration has; run the ablations again"


def _dataset(config: Campaign, paths: CampaignPaths) -> Iterator[str]:
    manifest = read_manifest(paths.manifest)
    foreign = {
        "process": [name for name in manifest.processes if name not in config.processes],
        "variant": [name for name in manifest.variants if name not in config.variants],
    }
    if named := {what: names for what, names in foreign.items() if names}:
        yield f"{paths.dataset}, in part: {_named(named)}; run the merge again"


def _summary(config: Campaign, paths: CampaignPaths) -> Iterator[str]:
    summary = read_json(paths.summary)
    if not is_of(config, summary):
        yield f"{paths.summary}: of other tasks or methods than the configuration has; run the campaign again"
        return
    now = blocks.evaluate(config).model_dump(mode="json")
    made = summary.get("provenance", {}).get("block", now)
    if changed := [key for key in now if made.get(key) != now[key]]:
        yield f"{paths.summary} and tables were made with other {', '.join(changed)}: run the campaign again"
