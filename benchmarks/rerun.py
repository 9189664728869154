"""Checks that changing one variant's settings in a finished campaign of 10^4 jobs re-runs only what needs it.

Nothing is simulated, because Snakemake's touch executor is replaced by one that also creates the files, so that
Snakemake records every job as it would have run it. It then plans again and finds nothing to do. With one setting
of one variant changed, it plans the jobs of that variant, the merge, and what follows the merge. Prints one JSON
line; a wrong number of jobs is an error.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from dag import REPOSITORY, campaign

INSTANT = """
import sys
from pathlib import Path
from snakemake.cli import main
from snakemake.executors import touch
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

def run_job(self, job):
    for file in [*job.output, *filter(None, [job.benchmark])]:
        path = Path(file)
        (path if file.is_directory else path.parent).mkdir(parents=True, exist_ok=True)
        if not file.is_directory:
            path.touch()
    info = SubmittedJobInfo(job=job)
    self.report_job_submission(info)
    self.report_job_success(info)

touch.Executor.run_job = run_job
main()
"""
VARIANT = "fsr_hi"


def snakemake(folder: Path, *arguments: str) -> tuple[str, float]:
    """Run Snakemake on the campaign in ``folder`` and return its output and the seconds of wall clock."""
    (folder / "instant.py").write_text(INSTANT, encoding="utf-8")
    common = ["--snakefile", str(REPOSITORY / "Snakefile"), "--configfile", "config.yaml", "--cores", "64"]
    start = time.monotonic()
    result = subprocess.run(
        [sys.executable, "instant.py", *arguments, *common],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if result.returncode:
        raise SystemExit(result.stdout[-3000:] + result.stderr[-3000:])
    return result.stdout, time.monotonic() - start


def planned(folder: Path) -> tuple[Counter[str], Counter[str], float]:
    """Return the jobs that a dry run announces by rule, the re-simulations by variant, and its seconds."""
    output, seconds = snakemake(folder, "--dry-run")
    table = output.partition("Job stats:")[2].partition("total")[0]
    rules = Counter({rule: int(number) for rule, number in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)})
    variants = Counter(re.findall(r": re-simulate \w+, variant (\w+), shard", output))
    return rules, variants, seconds


def check(name: str, found: Any, expected: Any) -> None:
    """Stop with the difference if ``found`` is not ``expected``."""
    if found != expected:
        raise SystemExit(f"{name}: {found}, expected {expected}")


def main() -> None:
    """Make the finished campaign, change a setting, and compare the plans."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=8_500, help="re-simulation jobs; hard processes are a fifth")
    args = parser.parse_args()
    values = campaign(args.jobs)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        first, _, _ = planned(folder)
        _, seconds = snakemake(folder, "--touch", "--quiet", "rules", "progress")
        rules, _, nothing_s = planned(folder)
        check("after the campaign", dict(rules), {})
        values["variants"][VARIANT]["pythia"]["TimeShower:renormMultFac"] = 0.5
        config.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        again, variants, changed_s = planned(folder)
    per_variant = first["resimulate"] // len(values["variants"])
    check("re-simulations", dict(variants), {VARIANT: per_variant})
    check("hard processes", again["hard_process"], 0)
    after = {rule: n for rule, n in first.items() if rule not in ("hard_process", "resimulate")}
    check("what follows", {r: n for r, n in again.items() if r != "resimulate"}, after)
    print(
        json.dumps(
            {
                "benchmark": "one variant changed in a finished campaign",
                "jobs": first.total(),
                "rerun": again.total(),
                "of_the_variant": variants[VARIANT],
                "finishing_s": round(seconds, 1),
                "plan_nothing_s": round(nothing_s, 1),
                "plan_changed_s": round(changed_s, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
