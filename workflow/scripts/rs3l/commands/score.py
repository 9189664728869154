"""Score the test jets of a task with all its classifiers on one pre-training run (or `none`)."""

import argparse

from rs3l import cli
from rs3l.finetune.score import score
from rs3l.training.device import choose_device, place
from rs3l.training.threads import limit_threads


def main() -> None:
    """Parse the arguments and score the jets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classifiers", required=True, help="classifiers of finetune.py (.safetensors)")
    parser.add_argument("--manifest", required=True, help="manifest of the data set (.json)")
    cli.parts_arguments(parser)
    parser.add_argument("--model", help="weights of the run (.safetensors); the run `none` has none")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: cuda if there is a GPU, else cpu")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs that the job asked for: fewer are an error")
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    parser.add_argument("--predictions", required=True, help="scores of the test jets to write (.parquet)")
    args = parser.parse_args()
    limit_threads(args.threads)
    where = place(choose_device(args.device, gpus=args.gpus), threads=args.threads)
    score(args.classifiers, args.model, args.manifest, args.process, cli.parts(args), args.predictions, where)
