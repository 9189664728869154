"""Merge the jets of all variants into the matched data set: Parquet files, manifest and card."""

from rs3l import cli
from rs3l.config import blocks
from rs3l.data.merge import merge


def main() -> None:
    """Parse the arguments and merge."""
    parser = cli.parser(__doc__)
    parser.add_argument("--root", required=True, help="folder of the campaign, e.g. results/demo")
    parser.add_argument("--workers", type=int, default=1, help="Dask worker processes (default 1)")
    args = parser.parse_args()
    merge(cli.block(args, blocks.MergeBlock, blocks.merge), args.root, args.workers)


if __name__ == "__main__":
    cli.run(main)
