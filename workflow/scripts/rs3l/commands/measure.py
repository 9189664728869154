"""Measure all classifiers of one task and run on the test jets, under every bootstrap replica."""

from rs3l import cli
from rs3l.config import blocks
from rs3l.evaluate.measure import measure


def main() -> None:
    """Parse the arguments, measure, write the measures."""
    parser = cli.parser(__doc__)
    parser.add_argument("--task", default="", help="with --config: the task")
    parser.add_argument("--run", default="none", help="with --config: the run (default none: baselines)")
    parser.add_argument(
        "--predictions", required=True, nargs="+", help="{process}-{group}.parquet of the task and run"
    )
    parser.add_argument("--measures", required=True, help="measures to write (.parquet)")
    args = parser.parse_args()
    block = cli.block(args, blocks.MeasureBlock, lambda config: blocks.measure(config, args.task, args.run))
    measure(block, args.predictions, args.measures)
