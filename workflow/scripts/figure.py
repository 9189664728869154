"""Draw one figure of the report: SVG, PNG, and the points that it shows (CSV)."""

from rs3l import cli
from rs3l.config import blocks
from rs3l.eval import style
from rs3l.eval.figures import FIGURES, Inputs, draw


def main() -> None:
    """Parse the arguments and draw the figure."""
    parser = cli.parser(__doc__)
    parser.add_argument("--figure", required=True, choices=FIGURES, help="which figure")
    parser.add_argument("--task", default="", help="figures of one task: which")
    parser.add_argument("--process", default="", help="jet_variations: the process")
    parser.add_argument("--manifest", default="", help="figures of the data set: its manifest")
    parser.add_argument("--latents", nargs="+", default=[], help="latent space: {run}/latents.parquet of the runs")
    parser.add_argument(
        "--training", nargs="+", default=[], help="training, similarity: {run}/metrics.csv of the runs"
    )
    parser.add_argument(
        "--predictions", nargs="+", default=[], help="scores: {task}/{run}/predictions.parquet of the runs"
    )
    parser.add_argument("--metrics-table", default="", help="label_efficiency: metrics.csv of the evaluation")
    parser.add_argument("--roc-table", default="", help="roc: roc.csv of the evaluation")
    parser.add_argument("--stability-table", default="", help="stability: stability.csv of the evaluation")
    parser.add_argument(
        "--robustness-table", default="", help="robustness, mistag_change: robustness.csv of the evaluation"
    )
    parser.add_argument("--ablations-table", default="", help="ablations: metrics.csv of the ablations")
    parser.add_argument("--latents-table", default="", help="latent_quality: latents.csv of the evaluation")
    parser.add_argument("--benchmarks", default="", help="resources: the campaign's folder of benchmark files")
    parser.add_argument("--ecm", type=float, help="centre-of-mass energy to write above the figure [GeV]")
    for suffix in ("svg", "png", "csv"):
        parser.add_argument(f"--{suffix}", required=True, help=f"{suffix.upper()} file to write")
    args = parser.parse_args()
    block = cli.block(args, blocks.FiguresBlock, blocks.figures)
    inputs = Inputs(**{name: getattr(args, name) for name in Inputs.__dataclass_fields__})
    drawing = draw(args.figure, block, style.Header(block.campaign, args.ecm), inputs)
    style.write(drawing, args.svg, args.png, args.csv)


if __name__ == "__main__":
    cli.run(main)
