"""Turn weights published by the authors of RS3L (torch or safetensors) into a model file of this project."""

import argparse

from rs3l.networks.published import import_checkpoint


def main() -> None:
    """Parse the arguments and convert the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="the authors' weights (.pt or .safetensors)")
    parser.add_argument(
        "--constituents", type=int, default=100, help="candidates per jet (default 100, the paper's)"
    )
    parser.add_argument(
        "--candidate-pt-min", type=float, default=1.0,
        help="candidates below are not shown to it [GeV] (default 1; 0: all)",
    )  # fmt: skip
    parser.add_argument("--model", required=True, help="model to write (.safetensors)")
    args = parser.parse_args()
    import_checkpoint(args.checkpoint, args.constituents, args.candidate_pt_min, args.model)
