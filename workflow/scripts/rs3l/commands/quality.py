"""Measure what one pre-trained encoder knows of the test jets: retrieval, linear fits, effective rank."""

import argparse

from rs3l.embed.quality import write_quality
from rs3l.training.threads import limit_threads


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", required=True, help="manifest of the data set (.json)")
    parser.add_argument("--model", required=True, help="weights of the encoder (.safetensors)")
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the bootstrap (default 0)")
    parser.add_argument("--bootstrap", type=int, default=200, help="replicas (default 200)")
    parser.add_argument("--quality", required=True, help="table of what the encoder knows to write (.parquet)")
    args = parser.parse_args()
    limit_threads(args.threads)
    write_quality(args.manifest, args.model, args.quality, args.seed, args.bootstrap)
