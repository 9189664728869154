"""Fit how a claim grows with the number of pre-training events, and extrapolate it: a table and a figure."""

from rs3l import cli
from rs3l.config.load import load_campaign
from rs3l.dataset.checksum import write_checked
from rs3l.dataset.manifest import read_manifest
from rs3l.evaluate.growth import TARGET, chosen, growth
from rs3l.figures import style
from rs3l.figures.plot_growth import draw_growth


def main() -> None:
    """Parse the arguments, fit, write table and figure."""
    parser = cli.campaign_parser(__doc__)
    parser.add_argument("--manifest", required=True, help="manifest of the data set (.json)")
    parser.add_argument(
        "--runs", required=True, nargs="+", help="evaluation/runs.csv and ablations/runs.csv of the campaign"
    )
    parser.add_argument("--events", type=float, default=TARGET, help="to extrapolate to (default %(default)g)")
    for name in ("task", "mode", "labels", "metric"):
        kind = int if name == "labels" else str
        text = f"draw these alone (of each {name}, if it is not given)"
        parser.add_argument(f"--{name}", nargs="+", type=kind, default=[], help=text)
    parser.add_argument("--table", required=True, help="table to write (.csv)")
    for suffix in ("svg", "png", "csv"):
        parser.add_argument(f"--{suffix}", required=True, help=f"figure, or its points, to write (.{suffix})")
    args = parser.parse_args()
    config = load_campaign(args.config)
    series, table = growth(config, read_manifest(args.manifest), args.runs, [args.events])
    write_checked(args.table, table.to_csv(index=False, float_format="%.7g"))
    drawn = chosen(series, tasks=args.task, modes=args.mode, labels=args.labels, metrics=args.metric)
    with style.styled():
        drawing = draw_growth(drawn, style.Header(config.campaign), args.events)
    style.write(drawing, args.svg, args.png, args.csv)
