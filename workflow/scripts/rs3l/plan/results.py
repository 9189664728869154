"""The work of the stages that say what was learned: metrics, tables, figures and the report."""

from __future__ import annotations

from rs3l.config import blocks
from rs3l.config.campaign import Campaign
from rs3l.figures.registry import figure_names, lacking
from rs3l.plan.work import Scope, Work, classifiers, test_showers


def measure(config: Campaign, scope: Scope) -> Work:
    """Return the work of the metrics, in scores times replicas; a job holds the jets of its task."""
    jobs = scope.jobs_of_tasks(config)
    jets = {task: test_showers(config, blocks.task_processes(config, task)) for task in config.tasks}
    units = [jets[task] * classifiers(config, task, run) * (config.evaluate.bootstrap + 1) for task, run in jobs]
    return Work("measure", len(jobs), sum(units), max(units), held=max(jets.values()), written=0)


def evaluate(config: Campaign, scope: Scope) -> Work:
    """Return the work of the tables, in classifiers times replicas; the ablations' are a job of their own."""
    number = sum(classifiers(config, task, run) for task, run in scope.jobs_of_tasks(config))
    units = number * len(config.variants) * (config.evaluate.bootstrap + 1)
    return Work("evaluate", 1 + scope.ablations, units * (1 + scope.ablations), units, held=0, written=0)


def figures(config: Campaign, scope: Scope) -> Work:
    """Return the work of the figures, which is drawing them: reading takes little, whatever there is to read."""
    number = len(figure_names(config.processes, config.tasks, scope.ablations, lacking(config)))
    return Work("figures", number, number, 1, held=0, written=0)


def report(config: Campaign, scope: Scope) -> Work:
    """Return the work of the report, in figures."""
    number = len(figure_names(config.processes, config.tasks, scope.ablations, lacking(config)))
    return Work("report", 1, number, number, held=0, written=0)
