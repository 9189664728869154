"""Train all classifiers of one task on one pre-training run (or `none`); resumes an interrupted job.

SIGTERM and SIGINT stop it after the step that it is in; the same command goes on there.
"""

from rs3l import cli
from rs3l.config import blocks
from rs3l.finetune.finetune import Watch, finetune
from rs3l.training.device import choose_device, place
from rs3l.training.stop import Timer
from rs3l.training.threads import limit_threads


def main() -> None:
    """Parse the arguments and fine-tune."""
    parser = cli.parser(__doc__)
    parser.add_argument("--task", default="", help="with --config: the task")
    parser.add_argument("--run", default="none", help="with --config: the run (default none: baselines)")
    parser.add_argument("--manifest", required=True, help="manifest of the data set (.json)")
    parser.add_argument("--model", help="weights of the run (.safetensors); the run `none` has none")
    parser.add_argument("--state", help="folder of what is finished, deleted in the end (default: none is kept)")
    parser.add_argument(
        "--checkpoint-minutes", type=float, default=1.0, help="between two states within a training (default 1)"
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: cuda if there is a GPU, else cpu")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs that the job asked for: fewer are an error")
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    parser.add_argument("--classifiers", required=True, help="trained classifiers to write (.safetensors)")
    parser.add_argument("--history", required=True, help="one line per classifier to write (.csv)")
    parser.add_argument(
        "--on-undertrained", choices=["stop", "warn"], help="default: the configuration's; else stop"
    )
    args = parser.parse_args()
    block = cli.block(args, blocks.FinetuneBlock, lambda config: blocks.finetune(config, args.task, args.run))
    if args.on_undertrained:
        settings = block.finetune.model_copy(update={"on_undertrained": args.on_undertrained})
        block = block.model_copy(update={"finetune": settings})
    limit_threads(args.threads)
    where = place(choose_device(args.device, gpus=args.gpus), threads=args.threads)
    watch = Watch(where, Timer(60 * args.checkpoint_minutes))
    finetune(block, args.manifest, args.model, args.classifiers, args.history, args.state, watch)
