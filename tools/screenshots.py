"""Pictures of a report in Chromium, at the width of a desk and of a phone, light and dark, folded and unfolded.

``make chromium`` installs the browser.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "report"))

from browser import chromium, missing_packages, open_file, screenshot

WIDTHS = {"desktop": 1400, "phone": 390}
"""Widths of the window [pixels]."""

_UNFOLD = "for (const part of document.querySelectorAll('details.section')) part.open = true"


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, help="report.html of a campaign")
    parser.add_argument("--folder", type=Path, default=Path("build/screenshots"), help="where the pictures go")
    args = parser.parse_args()
    if not args.report.is_file():
        sys.exit(f"error: {args.report}: no such file; run the campaign first, or name its report")
    if missing := missing_packages():
        sys.exit(f"error: {', '.join(missing)} not installed: make chromium")
    args.folder.mkdir(parents=True, exist_ok=True)
    for device, width in WIDTHS.items():
        for dark in (False, True):
            for path in pictures(args.report, args.folder, device, width, dark):
                print(path)


def pictures(report: Path, folder: Path, device: str, width: int, dark: bool) -> list[Path]:
    """Write the first screen, and the whole page with all of its sections unfolded; return the files."""
    name = f"{device}-{'dark' if dark else 'light'}"
    first, whole = folder / f"{name}-first.png", folder / f"{name}-whole.png"
    with chromium(width, dark=dark) as driver:
        open_file(driver, report)
        driver.save_screenshot(str(first))
        driver.execute_script(_UNFOLD)
        screenshot(driver, whole)
    return [first, whole]


if __name__ == "__main__":
    main()
