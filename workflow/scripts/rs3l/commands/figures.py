"""Draw one figure of the report: SVG, PNG, and the points that it shows (CSV)."""

from rs3l import cli
from rs3l.config import blocks
from rs3l.figures import style
from rs3l.figures.draw import Inputs, draw
from rs3l.figures.registry import FIGURES


def main() -> None:
    """Parse the arguments and draw the figure."""
    parser = cli.parser(__doc__)
    parser.add_argument("--figure", required=True, choices=FIGURES, help="which figure")
    parser.add_argument("--task", default="", help="figures of one task: which")
    parser.add_argument("--process", default="", help="figures of one process: which")
    parser.add_argument(
        "--input", nargs="+", action="append", default=[], metavar=("NAME", "FILE"),
        help="what the figure is drawn from, e.g. --input manifest dataset/manifest.json; without it, the message "
        "names what is missing",
    )  # fmt: skip
    parser.add_argument("--ecm", type=float, help="centre-of-mass energy to write above the figure [GeV]")
    for suffix in ("svg", "png", "csv"):
        parser.add_argument(f"--{suffix}", required=True, help=f"{suffix.upper()} file to write")
    args = parser.parse_args()
    block = cli.block(args, blocks.FiguresBlock, blocks.figures)
    inputs = Inputs({name: files for name, *files in args.input}, args.task, args.process)
    drawing = draw(args.figure, block, style.Header(block.campaign, args.ecm), inputs)
    style.write(drawing, args.svg, args.png, args.csv)
