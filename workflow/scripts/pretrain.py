"""Pre-train one encoder on pairs of views (contrastive); resumes an interrupted run.

Started by torchrun, or by srun with several tasks, all processes train one model together.
"""

import logging

from rs3l import cli
from rs3l.config import blocks
from rs3l.model.distributed import join
from rs3l.model.pretrain import pretrain
from rs3l.model.threads import limit_threads


def main() -> None:
    """Parse the arguments and pre-train."""
    parser = cli.parser(__doc__)
    parser.add_argument("--run", default="rs3l_s0", help="with --config: the run (default rs3l_s0)")
    parser.add_argument("--manifest", required=True, help="manifest of the data set (.json)")
    parser.add_argument("--state", required=True, help="folder of the resumable state, deleted in the end")
    parser.add_argument("--threads", type=int, default=1, help="threads, shared by torchrun's ranks (default 1)")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: cuda if there is a GPU, else cpu")
    parser.add_argument("--model", required=True, help="weights to write (.safetensors)")
    parser.add_argument("--metrics", required=True, help="loss and diagnostics per epoch to write (.csv)")
    parser.add_argument("--provenance", required=True, help="settings and versions to write (.json)")
    args = parser.parse_args()
    block = cli.block(args, blocks.PretrainBlock, lambda config: blocks.pretrain(config, args.run))
    with join(args.device) as ranks:
        limit_threads(max(1, args.threads // ranks.sharing))
        if not ranks.first:
            logging.getLogger().setLevel(logging.WARNING)
        pretrain(block, args.manifest, args.state, args.model, args.metrics, args.provenance, ranks)


if __name__ == "__main__":
    cli.run(main)
