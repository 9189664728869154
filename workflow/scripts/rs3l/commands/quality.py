"""Measure what a pre-trained encoder knows of a bounded number of hard events, with bootstrap replicas."""

import argparse

from rs3l.config.evaluate import Evaluate
from rs3l.embed.quality import write_quality
from rs3l.models import MODEL_HELP, model_path
from rs3l.training.threads import limit_threads


def main() -> None:
    """Parse the arguments and measure the quality."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", required=True, help="manifest of the data set (.json)")
    parser.add_argument("--model", required=True, help=MODEL_HELP)
    parser.add_argument("--quality", required=True, help="table to write (.parquet)")
    parser.add_argument("--seed", type=int, default=0, help="seed of sample and bootstrap (default 0)")
    known = Evaluate()
    parser.add_argument("--bootstrap", type=int, default=known.bootstrap, help="replicas (default %(default)s)")
    parser.add_argument(
        "--events", type=int, default=known.quality_events, help="hard events of a split (default %(default)s)"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    args = parser.parse_args()
    limit_threads(args.threads)
    write_quality(args.manifest, model_path(args.model), args.quality, args.seed, args.bootstrap, args.events)
