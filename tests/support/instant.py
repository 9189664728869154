"""A campaign whose jobs take no time: Snakemake runs and records them, and their files say what they are made with.

A shard holds the settings of its job. The merge writes a manifest with a checksum of each split, process and
variant, made from the settings in the shards of this process and variant, as the checksums of contents would change.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rs3l.paths import SPLITS, CampaignPaths
from support.places import REPOSITORY
from support.workflow import Snakemake


def run(snakemake: Snakemake, *arguments: str) -> None:
    """Run the campaign to its end."""
    command = [sys.executable, "-m", "support.instant", *snakemake.command(*arguments)[3:]]
    path = os.pathsep.join([str(REPOSITORY / "tests"), os.environ.get("PYTHONPATH", "")])
    environment = {**snakemake.environment(), "PYTHONPATH": path}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]


def write_outputs(job: Any) -> None:
    """Write what a job has to."""
    text = f"{job.rule.name} {job.params.get('block', '')}"
    for file in [*job.output, *filter(None, [job.benchmark])]:
        path = Path(file)
        (path if file.is_directory else path.parent).mkdir(parents=True, exist_ok=True)
        if not file.is_directory:
            path.write_text(text, encoding="utf-8")
    if job.rule.name == "merge":
        manifest = Path(job.output.manifest)
        manifest.write_text(json.dumps(manifest_of(json.loads(job.params.block), manifest)), encoding="utf-8")


def manifest_of(block: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the checksums of a merge with the settings ``block``."""
    paths = CampaignPaths(str(path.parents[1]))
    digests: dict[str, Any] = {split: {process: {} for process in block["processes"]} for split in SPLITS}
    for process, info in block["processes"].items():
        after = block["splits"].get("test_only_after", {}).get(process, info["events"])
        for variant in block["variants"]:
            made = Path(paths.jets(process, variant, "0000")).read_text(encoding="utf-8")
            for split in block["limited"].get(variant, SPLITS):
                events = info["events"] if split == "test" else min(after, info["events"])
                digests[split][process][variant] = digest(made, events, block["min_views"])
    parts = {
        process: -(-info["events"] // block["events_per_part"]) for process, info in block["processes"].items()
    }
    files = [
        {"path": f"test/{process}-{part:04d}.parquet", "sha256": digest(digests["test"][process], part)}
        for process, count in parts.items()
        for part in range(count)
    ]
    return {"digests": digests, "files": files}


def digest(*words: Any) -> str:
    """Return a checksum of words."""
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def main() -> None:
    """Run Snakemake with jobs that take no time."""
    from snakemake.cli import main as snakemake
    from snakemake.executors import local
    from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

    def run_job(self: Any, job: Any) -> None:
        for single in job if job.is_group() else [job]:
            assert not single.rule.shellcmd or single.shellcmd, "as a job does, with its params"
            write_outputs(single)
        info = SubmittedJobInfo(job=job)
        self.report_job_submission(info)
        self.report_job_success(info)

    local.Executor.run_job = run_job
    snakemake()


if __name__ == "__main__":
    main()
