"""Write one shard of hard events as a Les Houches file (.lhe.gz): by Pythia 8, or from external files."""

from rs3l import cli
from rs3l.config import blocks
from rs3l.hard.hard_shard import write_hard_shard


def main() -> None:
    """Parse the arguments and write the shard."""
    parser = cli.parser(__doc__)
    parser.add_argument("--process", help="with --config: the process")
    parser.add_argument("--shard", type=int, default=0, help="with --config: the shard's number (default 0)")
    parser.add_argument("--index", help="what the external files hold (index_lhe.py); by default they are read")
    parser.add_argument("--out", required=True, help="LHE file to write (.lhe.gz)")
    args = parser.parse_args()
    block: blocks.HardBlock | blocks.LheBlock = cli.block(
        args,
        blocks.HardBlock,
        lambda config: blocks.hard(config, args.process, args.shard),
        other=("source", blocks.LheBlock),
    )
    write_hard_shard(block, args.out, args.index)
