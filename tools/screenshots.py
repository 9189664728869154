"""Pictures in Chromium of a report, or of the site, at the width of a desk and of a phone, light and dark.

Of a report: folded and unfolded. Of the site: its start, pages and the search. ``make chromium`` installs the
browser.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "report"))

from browser import chromium, load, missing_packages, open_file, screenshot

WIDTHS = {"desktop": 1400, "phone": 390}
"""Widths of the window [pixels]."""

PAGES = ("index", "evaluate", "results/no_interactions/index", "config/index", "config/pretrain")
"""Pages of the site that are photographed: the start, prose, figures, and two of the configuration."""

QUERY = "latent"
"""What is searched for."""

_UNFOLD = "for (const part of document.querySelectorAll('details.section')) part.open = true"
_SEARCH = "document.getElementById('__search').click()"


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", type=Path, help="report.html of a campaign, or the folder of the site")
    parser.add_argument("--folder", type=Path, default=Path("build/screenshots"), help="where the pictures go")
    args = parser.parse_args()
    if not args.place.exists():
        sys.exit(f"error: {args.place}: no such file; run the campaign or `make site` first, or name its report")
    if missing := missing_packages():
        sys.exit(f"error: {', '.join(missing)} not installed: make chromium")
    args.folder.mkdir(parents=True, exist_ok=True)
    for device, width in WIDTHS.items():
        for dark in (False, True):
            start = str(args.folder / f"{device}-{'dark' if dark else 'light'}")
            with chromium(width, dark=dark) as driver:
                for path in (of_site if args.place.is_dir() else of_report)(driver, args.place, start):
                    print(path)


def of_report(driver: Chrome, report: Path, start: str) -> Iterator[str]:
    """Write the first screen, and the whole page with all of its sections unfolded; yield the files."""
    open_file(driver, report)
    yield first_screen(driver, f"{start}-first.png")
    driver.execute_script(_UNFOLD)
    yield whole_page(driver, f"{start}-whole.png")


def of_site(driver: Chrome, site: Path, start: str) -> Iterator[str]:
    """Write pages and the search; yield the files."""
    if missing := [page for page in PAGES if not (site / f"{page}.html").is_file()]:
        sys.exit(f"error: {site}: has no page {', '.join(missing)}; run `make site`")
    with served(site) as address:
        for page in PAGES:
            load(driver, f"{address}/{page}.html")
            yield whole_page(driver, f"{start}-{page.replace('/', '-')}.png")
        driver.execute_script(_SEARCH)
        driver.find_element(By.CSS_SELECTOR, ".md-search__input").send_keys(QUERY)
        WebDriverWait(driver, 60).until(lambda d: d.find_elements(By.CSS_SELECTOR, ".md-search-result__item"))
        yield first_screen(driver, f"{start}-search.png")


def first_screen(driver: Chrome, path: str) -> str:
    """Write what the window shows."""
    driver.save_screenshot(path)
    return path


def whole_page(driver: Chrome, path: str) -> str:
    """Write the page from its begin to its end."""
    screenshot(driver, Path(path))
    return path


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine, because the search does not work from a disk; give its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


if __name__ == "__main__":
    main()
