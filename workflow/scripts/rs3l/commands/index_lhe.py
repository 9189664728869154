"""Read and check the external Les Houches files of a process, and write down what they hold (JSON)."""

from rs3l import cli
from rs3l.config import blocks
from rs3l.hard.external import index_files


def main() -> None:
    """Parse the arguments and read the files."""
    parser = cli.parser(__doc__)
    parser.add_argument("--process", help="with --config: the process")
    parser.add_argument("--out", required=True, help="index to write (.json)")
    args = parser.parse_args()
    source = cli.block(args, blocks.LheSource, lambda config: blocks.lhe_source(config, args.process))
    index_files(source, args.out)
