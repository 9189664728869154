"""Make a data set of files in the HDF5 layout of RS3L's public data set (rs3l_{i}.h5)."""

import argparse

from rs3l.config.dataset import splits_of
from rs3l.hdf5.import_hdf5 import import_hdf5
from rs3l.hdf5.source import ImportOptions, parse_columns, parse_jet_types


def main() -> None:
    """Parse the arguments and import."""
    defaults = ImportOptions()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", nargs="+", required=True, help="files, or folders with files rs3l_{i}.h5")
    parser.add_argument("--out", required=True, help="folder to make, e.g. results/rs3l/dataset")
    parser.add_argument("--name", default=defaults.name, help=f"of the data set (default {defaults.name})")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="of the split (default %(default)s)")
    parser.add_argument(
        "--splits", nargs="+", type=float, default=(0.8, 0.1, 0.1), metavar="FRACTION",
        help="fractions, for files that name no split of train (label) val test (default 0.8 0.1 0.1)",
    )  # fmt: skip
    parser.add_argument("--angles", choices=["relative", "absolute"], help="of candidates (default: found out)")
    parser.add_argument(
        "--column", nargs="+", default=[], metavar="NAME=INDEX", help="further columns, e.g. jet_msd=13"
    )
    parser.add_argument(
        "--jet-type", nargs="+", default=[], metavar="CODE=NAME", help="other codes of jet types, e.g. 12=top"
    )
    parser.add_argument("--leave-out-invalid", action="store_true", help="jets with NaN or impossible values")
    args = parser.parse_args()
    options = ImportOptions(
        name=args.name,
        seed=args.seed,
        splits=splits_of(args.splits, "--splits"),
        columns=parse_columns(args.column),
        jet_types=parse_jet_types(args.jet_type),
        angles=args.angles,
        leave_out_invalid=args.leave_out_invalid,
    )
    import_hdf5(args.files, args.out, options)
