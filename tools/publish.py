"""Copy summary, tables and figures of a finished campaign to a folder, and renew the tables of the page there."""

from __future__ import annotations

import argparse
import sys

from rs3l.errors import CampaignError
from rs3l.files import written
from rs3l.report.results_page import publish


def main() -> None:
    """Publish a campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("campaign", help="folder with its results, e.g. results/reference")
    parser.add_argument("folder", help="where to, e.g. docs/results; the tables of README.md there are renewed")
    args = parser.parse_args()
    try:
        publish(args.campaign, args.folder)
        print("\n".join(written()))
    except CampaignError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
