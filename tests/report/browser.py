"""Headless Chromium for the tests of the report: found, or installed on Debian by root; driven through Selenium.

As a command, it installs the browser, or says SKIPPED and why; then it runs what stands after ``--``, if anything.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

PROGRAMS = {"chromium": "chromium", "chromedriver": "chromium-driver"}
"""Program and Debian's package that has it."""


def missing_packages() -> list[str]:
    """Return the Debian packages of the programs that are not installed."""
    return [package for program, package in PROGRAMS.items() if shutil.which(program) is None]


def install() -> str:
    """Install what is missing; return why that is impossible, or nothing."""
    missing = missing_packages()
    if not missing:
        return ""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return f"{', '.join(missing)} not installed, and only root on Debian can install it here"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *missing]):
        result = subprocess.run(command, capture_output=True, text=True, env=environment)
    return f"apt-get: {result.stderr.strip()[-300:]}" if result.returncode else ""


@contextmanager
def chromium(width: int = 1280, height: int = 900, dark: bool = False) -> Iterator[Chrome]:
    """Start a browser with a window of this size; it is closed in the end."""
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options, Service(str(shutil.which("chromedriver"))))
    try:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        yield driver
    finally:
        driver.quit()


def open_file(driver: Chrome, path: Path) -> None:
    """Open a file from disk and wait until it is loaded, pictures included."""
    load(driver, path.resolve().as_uri())


def load(driver: Chrome, address: str) -> None:
    """Open an address and wait until it is loaded, pictures included."""
    driver.get(address)
    driver.execute_async_script(
        "const done = arguments[0];"
        "Promise.all([...document.images].map((i) => i.decode().catch(() => null))).then(() => done());"
    )


def console(driver: Chrome) -> list[str]:
    """Return what was written to the console since the last call: errors, warnings, refused resources."""
    return [str(entry["message"]) for entry in driver.get_log("browser")]


def requests(driver: Chrome) -> list[str]:
    """Return the addresses that were asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


def screenshot(driver: Chrome, path: Path) -> None:
    """Write a picture of the whole page, beyond the window."""
    size: dict[str, Any] = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 40000), "scale": 1}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})

    path.write_bytes(base64.b64decode(shot["data"]))


def main() -> int:
    """Install the browser, and run a command with it if there is one."""
    if reason := install():
        print(f"SKIPPED: {reason}")
        return 0
    command = sys.argv[2:]
    return subprocess.run(command).returncode if command else 0


if __name__ == "__main__":
    sys.exit(main())
