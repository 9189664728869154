"""Write the report as one HTML file, and its summary as Markdown."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from rs3l import __version__
from rs3l.config.campaign import Campaign
from rs3l.dataset.manifest import read_manifest
from rs3l.evaluate.marks import warnings
from rs3l.evaluate.names import method_label
from rs3l.files import write_text
from rs3l.markdown import escaped
from rs3l.paths import CampaignPaths
from rs3l.report.brief import findings
from rs3l.report.contents import Table, frame_table, read_json
from rs3l.report.first_screen import facts, main_figure, main_table
from rs3l.report.graph import graph_svg
from rs3l.report.known import is_of
from rs3l.report.left_over import left_over
from rs3l.report.sections import dataset_table, lacking, number, sections
from rs3l.report.seen import headlines

_TEMPLATES = Path(__file__).parent / "templates"


def write_report(
    config: Campaign, root: str | Path, html: str | Path | None = None, summary: str | Path | None = None
) -> None:
    """Write the report and the summary of the campaign in ``root``.

    By default they go to the campaign's own paths.
    """
    paths = CampaignPaths(str(root))
    write_text(html or paths.report, report(config, root))
    write_text(summary or paths.summary_text, markdown(config, root))


def report(config: Campaign, root: str | Path) -> str:
    """Return the report of the campaign in the folder ``root`` as one HTML file without external resources.

    Raises :class:`~rs3l.errors.DataError` if the campaign has no summary yet.
    """
    paths = CampaignPaths(str(root))
    summary = read_json(paths.summary)
    picture = base64.b64encode(graph_svg(config).encode()).decode()
    is_own, found = is_of(config, summary), sections(config, paths)
    return _page(
        "report.html.j2",
        config=config,
        summary=summary,
        facts=facts(paths, summary),
        findings=(findings(paths, config) or headline(summary)) if is_own else [],
        best=main_table(config, paths) if is_own else None,
        main_figure=main_figure(config, found) if is_own else None,
        headline=headline(summary) if is_own else [],
        warnings=warnings(summary) if is_of(config, summary) else [],
        methods=methods_table(summary) if is_of(config, summary) else None,
        left_over=left_over(config, paths),
        graph=f"data:image/svg+xml;base64,{picture}",
        sections=found,
    )


def _page(template: str, **values: Any) -> str:
    """Return a page from its template, with style and script embedded; all values are escaped."""
    loader = jinja2.FileSystemLoader(_TEMPLATES)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(
        **values,
        version=__version__,
        css=Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8")),
        script=Markup((_TEMPLATES / "report.js").read_text(encoding="utf-8")),
    )


def headline(summary: Mapping[str, Any]) -> list[str]:
    """Return the headline sentences."""
    return [entry["text"].replace("+-", "±") for entry in summary["headline"]]


def methods_table(summary: Mapping[str, Any]) -> Table:
    """Return the main methods of the first task, at the fewest and the most labels."""
    rows = [
        {
            "method": method_label((entry["method"], entry["mode"])),
            "labels": entry["labels"],
            "AUC": _number(entry["auc"]),
            f"rejection at {summary['signal_efficiency']:.0%}": _number(entry["rejection"]),
            "correlation of scores": _number(entry["paired_correlation"]),
        }
        for entry in summary["methods"]
    ]
    sample = summary["test_sample"]
    about = (
        f"Task {summary['task']}; test split: {sample['signal_jets']} signal and {sample['background_jets']} "
        f"background jets of {sample['signal_events']} and {sample['background_events']} hard events. "
        "Errors: finite number of runs and bootstrap over hard events. The last column is the rank "
        "correlation of the scores of the same signal event showered twice: never without the AUC, for a "
        "tagger that knows nothing is stable."
    )
    shown = pd.DataFrame(rows)
    return frame_table("methods", "Main results", shown, f"{about} {lacking(shown)}".rstrip(), is_open=True)


def _number(value: Mapping[str, Any] | None) -> str:
    return "not measured" if value is None else number(value)


def markdown(config: Campaign, root: str | Path) -> str:
    """Return the summary of a campaign as Markdown, with headline numbers, results, data set and provenance."""
    paths = CampaignPaths(str(root))
    summary = read_json(paths.summary)
    counts = dataset_table(read_manifest(paths.manifest), config)
    made = summary["provenance"]
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    return "\n".join(
        [
            f"# Campaign {summary['campaign']}",
            "",
            *(_main_results(summary) if is_of(config, summary) else []),
            *_what_is_seen(config, paths),
            "## Data set",
            "",
            counts.about,
            "",
            *markdown_table(counts),
            "",
            *_not_shown(config, paths),
            "## Provenance",
            "",
            f"Seed {config.seed}; variants {', '.join(config.variants)}; {summary['classifiers']} classifiers; "
            f"commit {made['git'] or 'unknown'}; {versions}.",
            "",
        ]
    )


def _main_results(summary: Mapping[str, Any]) -> list[str]:
    table = methods_table(summary)
    sentences = [f"- {escaped(sentence)}" for sentence in headline(summary)]
    marks = [line for warning in warnings(summary) for line in (f"**{escaped(warning)}**", "")]
    return [*sentences, "", *marks, "## Main results", "", table.about, "", *markdown_table(table), ""]


def _not_shown(config: Campaign, paths: CampaignPaths) -> list[str]:
    """Return a list of what lies in the folder and is not shown, or nothing if all of it is shown."""
    lines = [f"- {escaped(text)}" for text in left_over(config, paths)]
    return ["## Not shown", "", *lines, ""] if lines else []


def _what_is_seen(config: Campaign, paths: CampaignPaths) -> list[str]:
    """Return a list of what is seen in the figures of the results, or nothing if there is nothing to say."""
    lines = [f"- **{heading}.** {escaped(text)}" for heading, text in headlines(paths, config)]
    return ["## What is seen", "", *lines, ""] if lines else []


def markdown_table(table: Table) -> list[str]:
    """Return the lines of a table in Markdown."""
    head, *rows = [[escaped(cell) for cell in row] for row in (table.columns, *table.rows)]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def comparison_markdown(first: str, second: str, tables: Sequence[Table]) -> str:
    """Return the comparison of two campaigns as Markdown."""
    lines = ["# Two campaigns", "", f"A: {escaped(first)}", "", f"B: {escaped(second)}"]
    for table in tables:
        about = [table.about, ""] if table.about else []
        lines += ["", f"## {table.title}", "", *about, *markdown_table(table)]
    return "\n".join(lines)


def comparison_html(first: str, second: str, tables: Sequence[Table]) -> str:
    """Return the comparison of two campaigns as one HTML file."""
    return _page("compare.html.j2", first=first, second=second, tables=tables)
