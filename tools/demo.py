"""Run a campaign with progress, and print what was found and which file to open."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import hang_up
from rs3l.config import load_campaign
from rs3l.errors import CampaignError
from rs3l.paths import CampaignPaths
from rs3l.report.brief import findings
from rs3l.streams import speak_any_locale


def snakemake(*arguments: str) -> int:
    """Run Snakemake and return its exit code; on Ctrl-C, or if the terminal closes, it ends its jobs."""
    process = hang_up.start([sys.executable, "-m", "snakemake", *arguments])
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def main() -> None:
    """Run the campaign."""
    speak_any_locale()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="config/config.yaml")
    parser.add_argument("--cores", default="all")
    args = parser.parse_args()
    try:
        config = load_campaign(args.config)
    except CampaignError as error:
        sys.exit(f"error: {error}")
    root, start = Path(config.root), time.monotonic()
    code = snakemake("--cores", args.cores, "--logger", "campaign", "--configfile", args.config)
    if code:
        sys.exit(f"the campaign stopped: see above and {root}/logs; the same command goes on where it was")
    print(f"\nfinished after {time.monotonic() - start:.0f} s")
    for sentence in findings(CampaignPaths(str(root)), config):
        print(f"- {sentence}")
    print(f"open {root / 'report.html'} in a browser")


if __name__ == "__main__":
    main()
