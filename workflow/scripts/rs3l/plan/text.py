"""A plan as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from rs3l.plan.lines import Line


def text(lines: Sequence[Line], cores: int) -> str:
    """Return the plan as a table, in which a star marks what is planned on a GPU."""
    head = _columns("stage", "jobs", "core time", "one job", "memory", "disk", f"on {cores} cores")
    total = _columns(
        "total",
        f"{sum(line.work.jobs for line in lines):,}",
        hours(sum(line.core_hours for line in lines)),
        "",
        "",
        gigabytes(sum(line.disk_gb for line in lines)),
        hours(sum(line.wall_hours(cores) for line in lines)),
    )
    return "\n".join([head, *(_row(line, cores) for line in lines), total])


def _row(line: Line, cores: int) -> str:
    return _columns(
        line.stage,
        f"{line.work.jobs:,}",
        hours(line.core_hours),
        hours(line.job_hours) + ("*" if line.gpus else ""),
        gigabytes(line.memory_mb / 1000),
        gigabytes(line.disk_gb),
        hours(line.wall_hours(cores)),
    )


def _columns(stage: str, *values: str) -> str:
    return f"{stage:<12}" + "".join(f"{value:>{12 if i < 5 else 15}}" for i, value in enumerate(values))


def hours(value: float) -> str:
    """Return a time in hours in the unit that suits it."""
    if value < 1 / 60:
        return f"{3600 * value:.0f} s"
    return f"{60 * value:.0f} min" if value < 1.5 else f"{value:,.1f} h"


def gigabytes(value: float) -> str:
    """Return a size in GB in the unit that suits it."""
    if value < 1e-3:
        return "-"
    return f"{1000 * value:.0f} MB" if value < 1 else f"{value:,.1f} GB"
