"""Write the latents of test jets, or of the jets of any file, under one pre-trained encoder."""

import argparse

from rs3l import cli
from rs3l.embed.latents import write_latents, write_latents_of_file
from rs3l.models import MODEL_HELP, SHIPPED, model_path
from rs3l.training.device import choose_device, place
from rs3l.training.threads import limit_threads


def main() -> None:
    """Parse the arguments and embed the jets."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--manifest", help="manifest of the data set (.json), for its test jets")
    source.add_argument("--jets", help="a file of jets: .parquet, .root, .h5 (docs/own_jets.md)")
    cli.own_jets_arguments(parser)
    cli.parts_arguments(parser)
    parser.add_argument("--model", help=f"{MODEL_HELP}; with --jets by default {SHIPPED[0]}")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: cuda if there is a GPU, else cpu")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs that the job asked for: fewer are an error")
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    parser.add_argument("--latents", required=True, help="table of latents to write (.parquet)")
    args = parser.parse_args()
    if args.jets and args.process:
        parser.error("--process is one of a data set: --manifest")
    if args.manifest and not args.model:
        parser.error("--manifest needs a --model")
    model = model_path(args.model or SHIPPED[0])
    limit_threads(args.threads)
    where = place(choose_device(args.device, gpus=args.gpus), threads=args.threads)
    if args.jets:
        write_latents_of_file(cli.own_jets(args, args.jets), model, args.latents, where)
    else:
        write_latents(args.manifest, model, args.process, cli.parts(args), args.latents, where)
