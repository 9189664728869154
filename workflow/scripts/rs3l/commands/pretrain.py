"""Pre-train one encoder on pairs of views (contrastive); resumes an interrupted run.

SIGTERM and SIGINT stop it after the step that it is in; the same command goes on there.

Started by torchrun, or by srun with several tasks, all processes train one model together.
"""

import logging

from rs3l import cli
from rs3l.config import blocks
from rs3l.pretrain.pretrain import Running, pretrain
from rs3l.training.distributed import join
from rs3l.training.live import Folder, NullMetrics
from rs3l.training.threads import limit_threads
from rs3l.training.tracking import MLFLOW, TRACKER, trackers


def main() -> None:
    """Parse the arguments and pre-train."""
    parser = cli.parser(__doc__)
    parser.add_argument("--run", help="with --config: the run (default: the first of the campaign)")
    parser.add_argument("--manifest", required=True, help="manifest of the data set (.json)")
    parser.add_argument("--state", required=True, help="folder of the resumable state, deleted in the end")
    parser.add_argument("--threads", type=int, default=1, help="threads, shared by torchrun's ranks (default 1)")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: cuda if there is a GPU, else cpu")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs that the job asked for: fewer are an error")
    parser.add_argument("--model", required=True, help="weights to write (.safetensors)")
    parser.add_argument("--metrics", required=True, help="loss and diagnostics per epoch to write (.csv)")
    parser.add_argument("--provenance", required=True, help="settings and versions to write (.json)")
    parser.add_argument("--live", help="folder for the metrics of steps and epochs as they come (.jsonl)")
    parser.add_argument("--tensorboard", action="store_true", help="with --live: events for TensorBoard, too")
    parser.add_argument(
        "--mlflow", metavar="URI",
        help=f"folder or server of MLflow for settings and metrics (default: {MLFLOW} of the environment)",
    )  # fmt: skip
    parser.add_argument(
        "--tracker", metavar="PACKAGE.MODULE:NAME",
        help=f"one's own sink of settings and metrics (default: {TRACKER} of the environment)",
    )  # fmt: skip
    parser.add_argument(
        "--checkpoint-minutes", type=float, default=10.0, help="between two states within an epoch (default 10)"
    )
    parser.add_argument("--on-collapse", choices=["stop", "warn"], help="default: the configuration's; else stop")
    parser.add_argument("--check-every", type=int, help="steps between two looks at the losses; default: likewise")
    args = parser.parse_args()
    live = Folder(args.live, args.tensorboard) if args.live else NullMetrics()
    block = cli.block(
        args, blocks.PretrainBlock, lambda config: blocks.pretrain(config, args.run or blocks.runs(config)[0])
    )
    if args.on_collapse:
        block = block.model_copy(update={"on_collapse": args.on_collapse})
    if args.check_every:
        block = block.model_copy(update={"check_every": args.check_every})
    with join(args.device, args.gpus) as ranks:
        limit_threads(max(1, args.threads // ranks.sharing))
        if not ranks.first:
            logging.getLogger().setLevel(logging.WARNING)
        running = Running(args.checkpoint_minutes, live, trackers(args.mlflow, args.tracker))
        pretrain(block, args.manifest, args.state, args.model, args.metrics, args.provenance, ranks, running)
