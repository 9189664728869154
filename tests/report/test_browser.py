"""The report of the miniature campaign, opened from disk in Chromium: complete, quiet, and without the network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from browser import chromium, console, missing_packages, open_file, requests
from support.workflow import Snakemake

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(missing_packages()), reason="needs Chromium: `make chromium` installs it"),
]


@pytest.fixture(scope="module")
def page(finished: Snakemake) -> Path:
    """Return the report of the miniature campaign."""
    return finished.folder / "results" / "test" / "report.html"


@pytest.fixture(scope="module")
def driver(page: Path) -> Iterator[Chrome]:
    """Return a browser that has the report open."""
    with chromium() as browser:
        open_file(browser, page)
        yield browser


def test_nothing_is_said_and_nothing_is_asked_for(driver: Chrome, page: Path) -> None:
    assert console(driver) == []
    asked = [url for url in requests(driver) if not url.startswith("data:")]
    assert asked == [page.resolve().as_uri()]


def test_all_pictures_are_there_and_have_words(driver: Chrome, page: Path) -> None:
    script = "return [...document.querySelectorAll('main img')].map((i) => [i.naturalWidth, i.alt])"
    found = driver.execute_script(script)
    figures = list((page.parent / "figures").glob("*.svg"))
    assert len(found) == len(figures) + 1 > 20  # and the graph of the rules
    assert all(width > 0 and len(words) > 20 for width, words in found)


def test_all_links_lead_somewhere(driver: Chrome) -> None:
    script = "return [...document.links].map((a) => a.getAttribute('href'))"
    links = driver.execute_script(script)
    anchors = [link for link in links if link.startswith("#")]
    assert len(anchors) > 25
    assert not [a for a in anchors if driver.execute_script("return !document.querySelector(arguments[0])", a)]
    assert all(link.startswith("data:text/csv") for link in links if link not in anchors)


def test_the_headline_is_on_the_first_screen(driver: Chrome, page: Path) -> None:
    lines = driver.find_elements(By.CSS_SELECTOR, "#overview .headline li")
    expected = [
        entry["text"].replace("+-", "±")
        for entry in json.loads((page.parent / "summary.json").read_text(encoding="utf-8"))["headline"]
    ]
    assert [line.text for line in lines] == expected
    assert all(line.location["y"] < 900 for line in lines)


def test_tables_can_be_sorted(driver: Chrome) -> None:
    table = driver.find_element(By.CSS_SELECTOR, "#table-counts table")
    head = table.find_elements(By.TAG_NAME, "button")[3]
    assert head.text == "hard events"
    orders = []
    for _ in range(2):
        head.click()
        orders.append([row.text.split()[3] for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")])
    assert orders == [["120", "180", "180"], ["180", "180", "120"]]


def test_figures_can_be_enlarged(driver: Chrome) -> None:
    dialog = driver.find_element(By.TAG_NAME, "dialog")
    assert not dialog.is_displayed()
    driver.find_element(By.CSS_SELECTOR, "#figure-jet_mass .zoom").click()
    assert dialog.is_displayed()
    assert dialog.find_element(By.TAG_NAME, "img").get_property("naturalWidth") > 0
    dialog.find_element(By.CLASS_NAME, "close").click()
    assert not dialog.is_displayed()
    assert console(driver) == []


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1280, True)])
def test_it_fits_a_phone_and_follows_the_dark_mode(page: Path, width: int, dark: bool) -> None:
    with chromium(width, dark=dark) as browser:
        open_file(browser, page)
        overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert browser.execute_script(overflow) == 0
        colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        brightness = sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))
        assert (brightness < 200) == dark
        assert console(browser) == []
