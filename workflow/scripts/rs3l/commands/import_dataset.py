"""Make the data set of all imported files of a campaign, or use one where it lies: manifest, card, digests."""

from rs3l import cli
from rs3l.config import blocks
from rs3l.dataset.adopt import adopt
from rs3l.hdf5.import_file import import_dataset


def main() -> None:
    """Parse the arguments and write."""
    parser = cli.parser(__doc__)
    parser.add_argument("--root", required=True, help="folder of the campaign, e.g. results/rs3l_public")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--entries", nargs="+", help="what import_file.py has written of each file")
    source.add_argument("--adopt", metavar="MANIFEST", help="manifest of a data set to use where it lies")
    args = parser.parse_args()
    block = cli.block(args, blocks.ImportedBlock, blocks.import_dataset)
    if args.adopt:
        adopt(block, args.root, args.adopt)
    else:
        import_dataset(block, args.root, args.entries)
