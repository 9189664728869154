"""The costs that a finished campaign had, from its benchmark files and the sizes of its files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rs3l.config.campaign import Campaign
from rs3l.dataset.manifest import read_manifest
from rs3l.errors import DataError
from rs3l.plan.costs import Cost, CostTable
from rs3l.plan.lines import scope_of
from rs3l.plan.stages import ALL_STAGES, stages_of, work_of
from rs3l.plan.work import Work, events

MEBIBYTE = 1.048576
"""MB of the unit in which Snakemake writes memory."""


def measured(config: Campaign, root: str | Path, costs: CostTable) -> CostTable:
    """Return ``costs`` with what the finished campaign ``root`` of ``config`` took.

    The start of a job and the memory per row stay those of ``costs``, because one campaign cannot tell them.
    Raises :class:`DataError` if a stage has no benchmark file.
    """
    stages = {
        stage: _measured_stage(Path(root), work_of(stage, config, scope_of(costs)), costs.of(stage))
        for stage in stages_of(config)
    }
    return costs.model_copy(
        update={
            "machine": "this machine",
            "how": f"benchmark files of {root}",
            "jets_per_shower": digits(_jets_per_shower(config, Path(root))),
            "stages": {**costs.stages, **stages},
        }
    )


def benchmark_files(root: str | Path, stage: str) -> list[Path]:
    """Return the benchmark files of a stage; raises :class:`DataError` if there are none."""
    folder, rules = Path(root) / "benchmarks", ALL_STAGES[stage].rules
    found = [path for n in rules for path in (*folder.glob(f"{n}.jsonl"), *(folder / n).rglob("*.jsonl"))]
    if not found:
        raise DataError(f"{folder}: no benchmark of {rules[0]}; only a finished campaign can be used")
    return sorted(found)


def _column(root: Path, stage: str, key: str) -> list[float]:
    """Return one column of the benchmark files of a stage."""
    return [
        float(json.loads(path.read_text(encoding="utf-8").splitlines()[-1])[key])
        for path in benchmark_files(root, stage)
    ]


def peak_memory(root: str | Path, stage: str) -> float:
    """Return the largest memory of a job of a stage [MB]."""
    return max(_column(Path(root), stage, "max_rss")) * MEBIBYTE


def _measured_stage(root: Path, work: Work, cost: Cost) -> Cost:
    seconds = _column(root, work.stage, "cpu_time")
    rest = max(sum(seconds) - len(seconds) * cost.start_s, 0.0)
    each = [max(value - cost.start_s, 0.0) * len(seconds) / work.units for value in seconds]
    written = _size(root, work.stage) / work.written if work.written else 0.0
    return cost.model_copy(
        update={
            "unit_s": digits(rest / work.units),
            "unit_s_range": (digits(min(each)), digits(max(each))),
            "memory_mb": round(max(peak_memory(root, work.stage) - work.rows_mb(cost), 0.0)),
            "written_bytes": digits(written),
            "jobs": len(seconds),
        }
    )


def held_kb(points: Sequence[tuple[float, float]]) -> float:
    """Return the memory per held row [kB], from the held rows and the peak memory [MB] of some jobs of a stage.

    The jobs with the fewest and with the most rows count; it is 0 where none holds more than another.
    """
    (few, less), (many, more) = min(points), max(points)
    return digits(max(1000 * (more - less) / (many - few), 0.0)) if many > few else 0.0


def digits(value: float) -> float:
    """Return three digits, because no more were measured."""
    return float(f"{value:.3g}")


def _size(root: Path, stage: str) -> int:
    return sum(path.stat().st_size for path in root.glob(ALL_STAGES[stage].files))


def _jets_per_shower(config: Campaign, root: Path) -> float:
    jets = read_manifest(root / "dataset" / "manifest.json").jets()
    return jets / (events(config) * len(config.variants))
