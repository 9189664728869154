"""Run a campaign with progress, and print where its report is and the headline numbers."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import hang_up
from rs3l.config import load_campaign
from rs3l.errors import CampaignError
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
        root = Path(load_campaign(args.config).root)
    except CampaignError as error:
        sys.exit(f"error: {error}")
    start = time.monotonic()
    code = snakemake("--cores", args.cores, "--logger", "campaign", "--configfile", args.config)
    if code:
        sys.exit(f"the campaign stopped: see above and {root}/logs; the same command goes on where it was")
    print(f"\n{time.monotonic() - start:.0f} s   report: {root / 'report.html'}")
    for number in json.loads((root / "summary.json").read_text(encoding="utf-8"))["headline"]:
        print(f"  {number['text']}")


if __name__ == "__main__":
    main()
