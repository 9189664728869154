"""Compare two campaigns: settings, metrics with the significance of their difference, counts, run times."""

from __future__ import annotations

import argparse
import sys

from rs3l.errors import CampaignError
from rs3l.files import write_text, written
from rs3l.report.compare import compare
from rs3l.report.page import comparison_html, comparison_markdown
from rs3l.streams import speak_any_locale


def main() -> None:
    """Print the comparison as Markdown."""
    speak_any_locale()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", help="A: folder with the results of a campaign (results/<campaign>)")
    parser.add_argument("second", help="B: another one")
    parser.add_argument("--html", help="also write it as a page")
    args = parser.parse_args()
    try:
        tables = compare(args.first, args.second)
    except CampaignError as error:
        sys.exit(f"error: {error}")
    print(comparison_markdown(args.first, args.second, tables))
    if args.html:
        write_text(args.html, comparison_html(args.first, args.second, tables))
        print("\n".join(written()), file=sys.stderr)


if __name__ == "__main__":
    main()
