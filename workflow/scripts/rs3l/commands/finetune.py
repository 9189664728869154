"""Train all classifiers of one task on one pre-training run (or `none`)."""

from rs3l import cli
from rs3l.config import blocks
from rs3l.finetune.finetune import finetune
from rs3l.training.threads import limit_threads


def main() -> None:
    """Parse the arguments and fine-tune."""
    parser = cli.parser(__doc__)
    parser.add_argument("--task", default="", help="with --config: the task")
    parser.add_argument("--run", default="none", help="with --config: the run (default none: baselines)")
    parser.add_argument("--manifest", required=True, help="manifest of the data set (.json)")
    parser.add_argument("--model", help="weights of the run (.safetensors); the run `none` has none")
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
    finetune(block, args.manifest, args.model, args.classifiers, args.history)
