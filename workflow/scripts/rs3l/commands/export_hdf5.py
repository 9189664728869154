"""Write the data set in the HDF5 layout of RS3L's public data set (rs3l_{i}.h5), for readers of those files."""

import argparse

from rs3l.hdf5.export_hdf5 import ExportOptions, export_hdf5

SLOTS = 5


def main() -> None:
    """Parse the arguments and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", required=True, help="manifest of the data set (.json)")
    parser.add_argument("--out", required=True, help="folder to make, for the files rs3l_{i}.h5")
    parser.add_argument(
        "--variants",
        nargs=SLOTS,
        metavar="NAME",
        help="variants of the five places of the layout, - for an empty one (default: nominal seed fsr_hi fsr_lo "
        "herwig, where the data set has them)",
    )
    parser.add_argument("--incomplete", action="store_true", help="also events without a jet in some variant")
    parser.add_argument("--candidates", type=int, default=100, help="candidates per jet (default 100)")
    parser.add_argument("--events-per-file", type=int, default=100_000, help="default 100000")
    parser.add_argument("--absolute", action="store_true", help="eta and phi of candidates as they are")
    args = parser.parse_args()
    options = ExportOptions(
        slots=args.variants or (),
        complete=not args.incomplete,
        candidates=args.candidates,
        events_per_file=args.events_per_file,
        angles="absolute" if args.absolute else "relative",
    )
    export_hdf5(args.manifest, args.out, options)
