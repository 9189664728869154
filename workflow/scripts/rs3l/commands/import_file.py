"""Import one file of jets of a campaign with `source`: a part of every split and process, and an entry."""

from rs3l import cli
from rs3l.config import blocks
from rs3l.config.source_files import file_number
from rs3l.hdf5.import_file import import_file
from rs3l.paths import shard_name


def main() -> None:
    """Parse the arguments and import."""
    parser = cli.parser(__doc__)
    parser.add_argument("--file", required=True, help="file in the HDF5 layout of RS3L, rs3l_{i}.h5")
    parser.add_argument("--root", required=True, help="folder of the campaign, e.g. results/rs3l_public")
    args = parser.parse_args()
    part = shard_name(file_number(args.file))
    import_file(cli.block(args, blocks.ImportBlock, blocks.import_file), args.file, args.root, part)
