"""Make a data set of jets of one's own: Parquet or ROOT files, those of JetClass among them (docs/own_jets.md)."""

import argparse

from rs3l import cli
from rs3l.dataset import write


def main() -> None:
    """Parse the arguments and write the data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    cli.own_files_arguments(parser)
    parser.add_argument("--out", required=True, help="folder to make, e.g. results/mine/dataset")
    parser.add_argument("--name", default="own", help="of the data set (default own)")
    parser.add_argument("--process", default="", help="of all jets whose file and columns name none")
    parser.add_argument("--label", nargs="+", default=[], metavar="PROCESS=TEXT", help="texts for processes")
    parser.add_argument("--downstream", nargs="+", default=[], help="processes that are not for pre-training")
    parser.add_argument("--held-out", nargs="+", default=[], help="variants that are not for training")
    parser.add_argument(
        "--splits", nargs="+", type=float, default=(0.8, 0.1, 0.1), metavar="FRACTION",
        help="fractions, for jets that name no split of train (label) val test (default 0.8 0.1 0.1)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=20240311, help="of the split (default %(default)s)")
    parser.add_argument("--constituents", type=int, help="candidates to store of each jet (default: all)")
    parser.add_argument("--leave-out-invalid", action="store_true", help="jets with NaN or impossible values")
    args = parser.parse_args()
    write(
        cli.own_files(args),
        args.out,
        name=args.name,
        process=args.process,
        labels=cli.pairs("--label", args.label),
        downstream=args.downstream,
        held_out=args.held_out,
        splits=tuple(args.splits),
        seed=args.seed,
        constituents=args.constituents,
        leave_out_invalid=args.leave_out_invalid,
    )
