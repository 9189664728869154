"""Make the report of a finished campaign: one HTML file that works offline, and a summary in Markdown."""

from pathlib import Path

from rs3l import cli
from rs3l.config import load_campaign
from rs3l.report.page import write_report


def main() -> None:
    """Parse the arguments and write the report."""
    parser = cli.campaign_parser(__doc__)
    parser.add_argument("--root", help="folder of the results (default: where the configuration puts them)")
    parser.add_argument("--rules", help="output of `snakemake --rulegraph dot`, for the picture of the pipeline")
    parser.add_argument("--html", help="report to write (default: report.html in the folder of the results)")
    parser.add_argument("--markdown", help="summary to write (default: summary.md there)")
    args = parser.parse_args()
    config = load_campaign(args.config)
    rules = Path(args.rules).read_text(encoding="utf-8") if args.rules else ""
    write_report(config, args.root or config.root, rules, args.html, args.markdown)


if __name__ == "__main__":
    cli.run(main)
