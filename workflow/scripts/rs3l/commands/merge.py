"""Merge the jets of all variants into the matched data set: Parquet files, manifest and card."""

from pathlib import Path

from rs3l import cli
from rs3l.config import blocks
from rs3l.merge.merge import merge
from rs3l.merge.workers import Jobs
from rs3l.paths import CampaignPaths


def main() -> None:
    """Parse the arguments and merge."""
    parser = cli.parser(__doc__)
    parser.add_argument("--root", required=True, help="folder of the campaign, e.g. results/demo")
    parser.add_argument("--workers", type=int, default=1, help="Dask worker processes (default 1)")
    parser.add_argument("--jobs", type=int, default=0, help="Slurm jobs as workers, instead of --workers")
    parser.add_argument("--memory", type=int, default=4000, help="with --jobs: MB of each (default 4000)")
    parser.add_argument("--minutes", type=int, default=120, help="with --jobs: run time of each (default 120)")
    args = parser.parse_args()
    logs = Path(CampaignPaths(args.root).worker_logs)
    jobs = Jobs(args.jobs, args.memory, args.minutes, logs) if args.jobs else None
    merge(cli.block(args, blocks.MergeBlock, blocks.merge), args.root, args.workers, jobs)
