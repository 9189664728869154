"""Write the latents of the test jets under one pre-trained encoder."""

import argparse

from rs3l import cli
from rs3l.model.latents import write_latents
from rs3l.model.threads import limit_threads


def main() -> None:
    """Parse the arguments and embed the test jets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", required=True, help="manifest of the data set (.json)")
    parser.add_argument("--model", required=True, help="weights of the encoder (.safetensors)")
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    parser.add_argument("--latents", required=True, help="table of latents to write (.parquet)")
    args = parser.parse_args()
    limit_threads(args.threads)
    write_latents(args.manifest, args.model, args.latents)


if __name__ == "__main__":
    cli.run(main)
