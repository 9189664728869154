"""Make the report of a finished campaign: one HTML file that works offline, and a summary in Markdown."""

from rs3l import cli
from rs3l.config import Campaign
from rs3l.report.page import write_report


def main() -> None:
    """Parse the arguments and write the report."""
    parser = cli.parser(__doc__)
    parser.add_argument("--root", help="folder of the results (default: where the configuration puts them)")
    parser.add_argument("--html", help="report to write (default: report.html in the folder of the results)")
    parser.add_argument("--markdown", help="summary to write (default: summary.md there)")
    args = parser.parse_args()
    config = cli.block(args, Campaign, lambda campaign: campaign)
    write_report(config, args.root or config.root, args.html, args.markdown)
