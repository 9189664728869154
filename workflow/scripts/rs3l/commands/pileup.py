"""Make one shard of the pool of minimum-bias events that pile-up is drawn from."""

from rs3l import cli
from rs3l.config import blocks
from rs3l.resim.pileup.minimum_bias import write_pool


def main() -> None:
    """Parse the arguments and make the shard."""
    parser = cli.parser(__doc__)
    parser.add_argument("--shard", type=int, default=0, help="with --config: the shard's number (default 0)")
    parser.add_argument("--out", required=True, help="file to write (.arrow)")
    args = parser.parse_args()
    block = cli.block(args, blocks.PoolShardBlock, lambda config: blocks.pool_shard(config, args.shard))
    write_pool(block, args.out)
