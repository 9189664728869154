"""Say how far a campaign is: jobs per stage, events/s, failures with their cause, time left. Locks nothing."""

from __future__ import annotations

import argparse
import os
import sys

from rs3l.config import load_campaign
from rs3l.errors import CampaignError
from rs3l.status import campaign_status, status_text
from rs3l.streams import speak_any_locale


def number_of_cores(text: str) -> int:
    """Return the jobs at a time that ``text`` says, in which `all` stands for the cores of this machine."""
    if text == "all":
        return os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number above 0 or `all` is expected, found {text!r}")
    return int(text)


def main() -> None:
    """Print the status of one campaign."""
    speak_any_locale()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="config/config.yaml", help="the campaign (default: the demo)")
    parser.add_argument("--directory", default=".", help="where Snakemake runs, if elsewhere (default: here)")
    parser.add_argument(
        "--cores",
        type=number_of_cores,
        default="all",
        help="jobs at a time, for the time left (default: the cores of this machine)",
    )
    args = parser.parse_args()
    try:
        config = load_campaign(args.config)
    except CampaignError as error:
        sys.exit(f"error: {error}")
    print(status_text(config, campaign_status(config, args.directory), args.cores))


if __name__ == "__main__":
    main()
