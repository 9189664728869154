"""Make the sections of the report from the files of a campaign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from rs3l.config import blocks
from rs3l.config.campaign import Campaign
from rs3l.config.processes import PtHat
from rs3l.dataset.manifest import Manifest, ProcessCounts, read_manifest
from rs3l.errors import DataError
from rs3l.evaluate.marks import SIGNS, footnote, mark, warnings, with_counts
from rs3l.evaluate.names import headline_efficiency, method_label, rejection_name, task_text
from rs3l.evaluate.spread import WORDS, unknown
from rs3l.evaluate.summary import format_number
from rs3l.evaluate.tables import rows_where
from rs3l.figures.plot_resources import resource_table
from rs3l.figures.plot_results import read_table
from rs3l.paths import CampaignPaths
from rs3l.report.brief import plain_hours
from rs3l.report.contents import (
    SECTIONS,
    Section,
    Table,
    configuration,
    frame_table,
    pictures,
    read_json,
    tables,
    versions,
)
from rs3l.report.known import Known, is_of
from rs3l.report.seen import seen
from rs3l.report.source import SOURCE, not_had, source_tables
from rs3l.report.words import sigma

LACKING = "§"
"""This sign stands beside a value whose error lacks the spread of pre-trainings, or of draws of the labels."""

_SIGNIFICANT = (
    "Significance: standard deviations of a normal distribution that are as improbable as the difference, by "
    "Student's t with as many degrees of freedom as its error has; of rejections, of the logarithm of their ratio."
)


def sections(config: Campaign, paths: CampaignPaths) -> list[Section]:
    """Return the sections that have something to show."""
    figures = pictures(config, paths)
    extra = {
        "simulation": _simulation(config) if config.source is None else source_tables(config, paths),
        "dataset": [dataset_table(read_manifest(paths.manifest), config)],
        "pretraining": _pretraining(config, paths),
        "tasks": _results(config, paths),
        "provenance": _provenance(config, paths),
    }
    calibrated = seen("calibration", "", paths, config)  # no figure shows this table
    about = {"calibration": f"Seen: {calibrated}" if calibrated else ""}
    found = tables(Path(paths.evaluation()).parent, Known.of(config), about)
    ablations = _ablations(config, paths)
    result = []
    for name, title in SECTIONS.items():
        shown = [*extra.get(name, []), *found[name], *(ablations if name == "ablations" else [])]
        heading = SOURCE if name == "simulation" and config.source else title
        section = Section(name, heading, figures[name], shown)
        if name == "simulation" and config.source:
            section = replace(section, text=not_had(config))
        if name == "ablations":
            section = replace(section, text=_ablation_text(config, paths))
        if name == "provenance":
            section = replace(section, code=[("Configuration, with all defaults", configuration(config))])
        result.append(section)
    return [section for section in result if section.pictures or section.tables or section.text]


def number(row: Mapping[str, Any], value: str = "value", error: str = "error") -> str:
    """Return value and error of a line of a table as text, with the marks of its method (or its reference)."""
    limit = {"lower_limit": bool(row["lower_limit"])} if "lower_limit" in row else {}
    text = format_number({"value": float(row[value]), "error": float(row[error]), **limit}).replace("+-", "±")
    lacks = f" {LACKING}" if "±" in text and (value, error) == ("value", "error") and unknown(row) else ""
    return text + lacks + mark(row, "reference_" if value.startswith("reference_") else "")


def lacking(table: pd.DataFrame) -> str:
    """Return what the sign in a table of texts means, or an empty text if the sign is not there."""
    marked = table.map(lambda cell: LACKING in str(cell)).to_numpy().any()
    return f"{LACKING} The error lacks a spread: {' or '.join(WORDS.values())}." if marked else ""


def results_table(metrics: pd.DataFrame, task: str, metric: str) -> pd.DataFrame:
    """Return one metric of a task with its errors, with a line per method and a column per number of labels.

    The method with the largest value at the most labels is first.
    """
    chosen = metrics[(metrics["task"] == task) & (metrics["metric"] == metric)]
    rows: dict[str, dict[str, str]] = {}
    for row in chosen.to_dict("records"):
        name = method_label((str(row["method"]), str(row["mode"])))
        rows.setdefault(name, {})[f"{row['labels']:,} labels"] = number({str(k): v for k, v in row.items()})
    table = pd.DataFrame.from_dict(rows, orient="index").fillna("")
    if chosen.empty:
        return table.rename_axis("method").reset_index()
    best = chosen.sort_values(["labels", "value"], ascending=False, kind="stable")
    order = dict.fromkeys(method_label((row["method"], row["mode"])) for row in best.to_dict("records"))
    return table.loc[list(order)].rename_axis("method").reset_index()


def difference(row: Mapping[Any, Any], value: str = "value", error: str = "error") -> str:
    """Return value and error of the line of a comparison as text, with the marks of both sides."""
    text = number({"value": row[value], "error": row[error]})
    return text + mark({name: row.get(name, 0) + row.get(f"reference_{name}", 0) for name in SIGNS})


def significance_table(differences: pd.DataFrame, task: str, metric: str) -> pd.DataFrame:
    """Return the paired differences of one metric, with their significance."""
    chosen = differences[(differences["task"] == task) & (differences["metric"] == metric)]
    rows = [
        {
            "method": method_label((str(row["method"]), str(row["mode"]))),
            "minus": method_label((str(row["reference_method"]), str(row["reference_mode"]))),
            "labels": row["labels"],
            "difference": difference(row),
            "significance": sigma({str(k): v for k, v in row.items()}),
        }
        for row in chosen.to_dict("records")
    ]
    return pd.DataFrame(rows)


def dataset_table(manifest: Manifest, config: Campaign) -> Table:
    """Return the counts of the data set, with a line per process of the configuration."""
    rows = []
    counted = all(process.is_counted for process in manifest.processes.values())
    for name, process in manifest.processes.items():
        if name not in config.processes:
            continue
        rows.append(
            {
                "process": name,
                "label": process.label,
                "use": process.use,
                "hard events": process.hard_events,
                **{f"{split} events": manifest.events(split, name) for split in manifest.splits},
                "jets, all variants": manifest.jets(process=name),
                **(_matched(process) if counted else {}),
            }
        )
    about = "Hard events with at least one matched jet, by split; a hard event is in one split with all its views."
    return frame_table("counts", "Events and jets", pd.DataFrame(rows), about, is_open=True)


def _matched(process: ProcessCounts) -> dict[str, str]:
    """Return the fractions of a process's hard events that have a jet, which imported data sets do not know."""
    nominal = process.matching_efficiency.get("nominal")
    return {
        "matched, nominal": "" if nominal is None else f"{nominal:.3f}",
        "matched, all variants": f"{process.matching_efficiency_all_variants:.3f}",
    }


def _simulation(config: Campaign) -> list[Table]:
    processes = [
        {
            "process": name,
            "label": process.label,
            "use": process.use,
            "events": process.events,
            "pT-hat [GeV]": _range(process.pt_hat),
            "settings": _settings(process.pythia) or ", ".join(process.lhe_patterns),
        }
        for name, process in config.processes.items()
    ]
    variants = [
        {
            "variant": name,
            "simulated again from": variant.resample or "",
            "use": variant.use,
            "settings": _settings(variant.pythia) or (variant.generator.command if variant.generator else ""),
        }
        for name, variant in config.variants.items()
    ]
    general = f"pp at {config.generator.ecm / 1000:g} TeV. {_settings(config.generator.pythia)}"
    return [
        frame_table("processes", "Hard processes", pd.DataFrame(processes), general, is_open=True),
        frame_table("variants", "Variants", pd.DataFrame(variants), is_open=True),
    ]


def _range(cut: PtHat | None) -> str:
    if cut is None:
        return ""
    return f"{cut.min:g} … {cut.max:g}" if cut.max else f"> {cut.min:g}"


def _settings(values: Mapping[str, Any]) -> str:
    return "; ".join(f"{key} = {value}" for key, value in values.items())


def _pretraining(config: Campaign, paths: CampaignPaths) -> list[Table]:
    rows = []
    for run in blocks.runs(config):
        path = Path(paths.model_metrics(run))
        if path.is_file():
            last = read_table(path).iloc[-1].to_dict()
            rows.append({"run": f"{run}{mark({'collapsed': last.get('collapsed', 0)})}", **last})
    if not rows:
        return []
    about = "Metrics after the last epoch of every run; docs/pretrain.md explains them."
    about = f"{about} {footnote(with_counts(pd.DataFrame(rows)))}".rstrip()
    return [frame_table("runs", "Last epoch", pd.DataFrame(rows), about, is_open=True)]


def _results(config: Campaign, paths: CampaignPaths) -> list[Table]:
    names = Known.of(config)
    metrics, differences = (names.rows(read_table(paths.evaluation(name))) for name in ("metrics", "differences"))
    efficiency = headline_efficiency(config.evaluate.efficiencies)
    rejection = rejection_name(efficiency)
    result = []
    for task in dict.fromkeys(metrics["task"]):
        words = task_text(config, str(task))
        for metric, what in ((rejection, f"rejection at {efficiency:.0%} signal efficiency"), ("auc", "AUC")):
            shown = results_table(metrics, task, metric)
            notes = [lacking(shown), footnote(rows_where(metrics, {"task": task, "metric": metric}))]
            about = " ".join(note for note in notes if note)
            result.append(frame_table(f"{task}-{metric}", f"{words}: {what}", shown, about, is_open=True))
        paired = significance_table(differences, task, rejection)
        title = f"{words}: paired differences of the rejection"
        about = f"{_SIGNIFICANT} {footnote(rows_where(differences, {'task': task}))}".rstrip()
        result.append(frame_table(f"{task}-paired", title, paired, about))
    return result


def _ablations(config: Campaign, paths: CampaignPaths) -> list[Table]:
    if not config.ablations:
        return []
    found = tables(Path(paths.ablations()).parent, Known.of(config, ablations=True))
    return [table for group in found.values() for table in group]


def _ablation_text(config: Campaign, paths: CampaignPaths) -> list[str]:
    path = Path(paths.ablations_summary)
    if not config.ablations or not path.is_file():
        return []
    summary = read_json(path)
    if not is_of(config, summary, ablations=True):
        return []
    return [*(entry["text"] for entry in summary["headline"]), *warnings(summary)]


def _provenance(config: Campaign, paths: CampaignPaths) -> list[Table]:
    made = [("merge", paths.merge_provenance)]
    made += [(run, paths.model_provenance(run)) for run in blocks.runs(config)]
    entries = [{"what": what, **read_json(path)} for what, path in made if Path(path).is_file()]
    entries.append({"what": "evaluate", **read_json(paths.summary)["provenance"]})
    seeds = [{"what": "campaign", "seed": config.seed}]
    trained = [run for run in blocks.runs(config) if blocks.imported_model(config, run) is None]
    seeds += [{"what": run, "seed": blocks.pretrain(config, run).seed} for run in trained]
    result = [
        frame_table("versions", "Versions and commits", versions(entries), "By stage.", is_open=True),
        frame_table(
            "seeds", "Seeds", pd.DataFrame(seeds), "All random numbers belong to one of these and a name."
        ),
    ]
    try:
        jobs = resource_table(paths.benchmarks)
    except DataError:
        return result
    return [*result, frame_table("jobs", "Time and memory per rule", _readable(jobs), "From the benchmark files.")]


def _readable(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return the table of the jobs with times and memory as people write them."""
    hours = {"core_hours": [plain_hours(hours) for hours in jobs["core_hours"]]}
    rounded = {name: [f"{value:,.1f}" for value in jobs[name]] for name in ("mean_s", "max_s")}
    memory = {"max_memory_mb": [f"{value:,.0f}" for value in jobs["max_memory_mb"]]}
    return jobs.assign(**hours, **rounded, **memory).rename(columns={"core_hours": "core time of all jobs"})
