"""Write a pre-trained encoder as an ONNX file: raw candidates in, representation and latent out."""

import argparse

from rs3l.models import MODEL_HELP, model_path
from rs3l.networks.onnx_export import export_onnx


def main() -> None:
    """Parse the arguments and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help=MODEL_HELP)
    parser.add_argument("--onnx", required=True, help="file to write (.onnx)")
    args = parser.parse_args()
    export_onnx(model_path(args.model), args.onnx)
