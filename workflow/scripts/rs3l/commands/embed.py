"""Write the latents of the test jets, or of the jets of any Parquet file, under one pre-trained encoder."""

import argparse

from rs3l.embed.latents import write_latents_of_file
from rs3l.embed.quality import write_latents_and_quality
from rs3l.training.threads import limit_threads


def main() -> None:
    """Parse the arguments and embed the jets."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--manifest", help="manifest of the data set (.json), for its test jets")
    source.add_argument("--jets", help="a file of jets with the columns of the data set (.parquet)")
    parser.add_argument("--model", required=True, help="weights of the encoder (.safetensors)")
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    parser.add_argument("--latents", required=True, help="table of latents to write (.parquet)")
    parser.add_argument("--quality", help="with --manifest: table of what the latents know to write (.parquet)")
    parser.add_argument("--seed", type=int, default=0, help="with --quality: seed of the bootstrap (default 0)")
    parser.add_argument("--bootstrap", type=int, default=200, help="with --quality: replicas (default 200)")
    args = parser.parse_args()
    if args.jets and args.quality:
        parser.error("--quality needs the test jets of a data set: --manifest")
    limit_threads(args.threads)
    if args.jets:
        write_latents_of_file(args.jets, args.model, args.latents)
    else:
        write_latents_and_quality(args.manifest, args.model, args.latents, args.quality, args.seed, args.bootstrap)
