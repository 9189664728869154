"""Run a campaign with progress, make its report, and print where it is and the headline numbers."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "workflow" / "scripts"
sys.path.insert(0, str(SCRIPTS))

import hang_up  # noqa: E402
from rs3l.config import load_campaign  # noqa: E402
from rs3l.errors import CampaignError  # noqa: E402
from rs3l.streams import speak_any_locale  # noqa: E402

SCRIPT = SCRIPTS / "report.py"


def snakemake(*arguments: str) -> int:
    """Run Snakemake and return its exit code; on Ctrl-C, or if the terminal closes, it ends its jobs."""
    process = hang_up.start([sys.executable, "-m", "snakemake", *arguments])
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def report_is_current(report: Path, root: Path) -> bool:
    """Return whether the report is newer than every figure and the summary."""
    sources = [root / "summary.json", *(root / "figures").glob("*")]
    return report.exists() and all(report.stat().st_mtime >= source.stat().st_mtime for source in sources)


def rule_graph(config: str) -> str:
    """Return the graph of the rules for the report; empty, with the cause on stderr, if there is none."""
    command = [sys.executable, "-m", "snakemake", "--rulegraph", "dot", "--configfile", config]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if result.returncode:
        sys.stderr.write(result.stdout + result.stderr)
    return result.stdout if result.returncode == 0 else ""


def make_report(config: str) -> int:
    """Make the report; its messages are shown only if it fails."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".dot") as rules:
        rules.write(rule_graph(config))
        rules.flush()
        command = [sys.executable, str(SCRIPT), "--config", config, "--rules", rules.name]
        result = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if result.returncode:
        sys.stderr.write(result.stdout + result.stderr)
    return result.returncode


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
    report = root / "report.html"
    if not report_is_current(report, root) and make_report(args.config):
        sys.exit("the campaign is complete, but its report could not be made: see above")
    print(f"\n{time.monotonic() - start:.0f} s   report: {report}")
    for number in json.loads((root / "summary.json").read_text(encoding="utf-8"))["headline"]:
        print(f"  {number['text']}")


if __name__ == "__main__":
    main()
