"""Re-simulate one LHE shard under one variant: shower, hadronisation, detector and jets."""

from rs3l import cli
from rs3l.config import blocks
from rs3l.resim.resim import resimulate_shard


def main() -> None:
    """Parse the arguments and re-simulate the shard."""
    parser = cli.parser(__doc__)
    parser.add_argument("--process", help="with --config: the process")
    parser.add_argument("--variant", default="nominal", help="with --config: the variant (default nominal)")
    parser.add_argument("--hard", required=True, help="LHE shard to read (.lhe.gz)")
    parser.add_argument("--shard", type=int, help="the number that the shard must have")
    parser.add_argument("--shard-events", type=int, help="with --shard: the hard events of a whole shard")
    parser.add_argument("--pileup", nargs="*", default=[], help="files of the pile-up pool, if there is pile-up")
    parser.add_argument("--out", required=True, help="table of jets to write (.parquet)")
    args = parser.parse_args()
    block = cli.block(args, blocks.ResimBlock, lambda config: blocks.resim(config, args.process, args.variant))
    first = blocks.first_event(args.shard, args.shard_events)
    resimulate_shard(block, args.hard, args.out, first, args.pileup)
