"""Write the latents of the test jets under one pre-trained encoder."""

import argparse

from rs3l import cli
from rs3l.model.latents import write_latents
from rs3l.model.quality import write_quality
from rs3l.model.threads import limit_threads


def main() -> None:
    """Parse the arguments and embed the test jets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", required=True, help="manifest of the data set (.json)")
    parser.add_argument("--model", required=True, help="weights of the encoder (.safetensors)")
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    parser.add_argument("--latents", required=True, help="table of latents to write (.parquet)")
    parser.add_argument("--quality", help="table of what the latents know to write (.parquet)")
    parser.add_argument("--seed", type=int, default=0, help="with --quality: seed of the bootstrap (default 0)")
    parser.add_argument("--bootstrap", type=int, default=200, help="with --quality: replicas (default 200)")
    args = parser.parse_args()
    limit_threads(args.threads)
    write_latents(args.manifest, args.model, args.latents)
    if args.quality:
        write_quality(args.manifest, args.model, args.quality, args.seed, args.bootstrap)


if __name__ == "__main__":
    cli.run(main)
