"""The report of the miniature campaign, opened from disk in Chromium: complete, quiet, and without the network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browser import chromium, console, missing_packages, open_file, requests
from support.workflow import Snakemake

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(missing_packages()), reason="needs Chromium: `make chromium` installs it"),
]


LARGEST_REPORT = 4_000_000
"""Bytes that a report may have."""

UNFOLD = "for (const part of document.querySelectorAll('details')) part.open = true"

CONTRASTS = """
const light = (c) => { const v = c / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
const parts = (text) => text.match(/[\\d.]+/g).map(Number);
const brightness = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
const behind = (part) => {
  for (; part; part = part.parentElement) {
    const colour = parts(getComputedStyle(part).backgroundColor);
    if (colour.length === 3 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const words = (part) => [...part.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
return [...document.body.querySelectorAll("*")].filter((p) => words(p) && p.offsetParent && p.tagName !== "SCRIPT")
  .map((part) => {
    const [a, b] = [parts(getComputedStyle(part).color), behind(part)].map(brightness);
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), part.tagName + " " + part.className];
  });
"""
"""Contrast of every text to its background, by the formula of WCAG 2.1."""


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
    assert len(found) == len(figures) + 2 > 20  # and the graph of the rules, and the figure of the first screen
    assert all(width > 0 and len(words) > 20 for width, words in found)


def test_all_links_lead_somewhere(driver: Chrome) -> None:
    script = "return [...document.links].map((a) => a.getAttribute('href'))"
    links = driver.execute_script(script)
    anchors = [link for link in links if link.startswith("#")]
    assert len(anchors) > 25
    assert not [a for a in anchors if driver.execute_script("return !document.querySelector(arguments[0])", a)]
    assert all(link.startswith("data:text/csv") for link in links if link not in anchors)


def test_findings_figure_and_table_are_on_the_first_screen(driver: Chrome) -> None:
    lines = driver.find_elements(By.CSS_SELECTOR, "#overview .headline li")
    assert 1 <= len(lines) <= 3 and all("rejects" in line.text or "showered" in line.text for line in lines)
    table = driver.find_element(By.ID, "table-best")
    figure = driver.find_element(By.CSS_SELECTOR, ".first figure")
    assert all(part.location["y"] < 900 for part in (*lines, table, figure))
    assert table.find_elements(By.CSS_SELECTOR, "td strong")
    assert not driver.find_elements(By.CSS_SELECTOR, "details.section[open]"), "the rest is folded"


def test_it_is_small_and_painted_at_once(driver: Chrome, page: Path) -> None:
    assert page.stat().st_size < LARGEST_REPORT
    script = "return performance.getEntriesByName('first-contentful-paint').length"
    assert driver.execute_script(script) == 1
    assert (
        driver.execute_script("return document.querySelectorAll('link[rel=stylesheet], script[src]').length") == 0
    )


def test_links_unfold_what_they_lead_to(driver: Chrome) -> None:
    driver.execute_script("location.hash = ''; location.hash = '#figure-jet_mass'")
    assert driver.find_element(By.CSS_SELECTOR, "#dataset > details").get_property("open")
    driver.execute_script(UNFOLD)


def test_tables_can_be_sorted(driver: Chrome) -> None:
    driver.execute_script(UNFOLD)
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
    driver.execute_script(UNFOLD)
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
        browser.execute_script(UNFOLD)
        overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert browser.execute_script(overflow) == 0
        colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        brightness = sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))
        assert (brightness < 200) == dark
        assert console(browser) == []


@pytest.mark.parametrize("dark", [False, True])
def test_all_texts_can_be_read(page: Path, dark: bool) -> None:
    with chromium(dark=dark) as browser:
        open_file(browser, page)
        browser.execute_script(UNFOLD)
        found = browser.execute_script(CONTRASTS)
    assert len(found) > 300
    assert not [text for contrast, text in found if contrast < 4.5]


def test_headings_names_and_roles(driver: Chrome) -> None:
    count = "return document.querySelectorAll(arguments[0]).length"
    assert driver.execute_script(count, "h1") == driver.execute_script(count, "main") == 1
    assert driver.execute_script(count, "html[lang]") == 1
    assert driver.execute_script(count, "img:not([alt]), th:not([scope])") == 0
    named = "return [...document.querySelectorAll('button')].filter((b) => !(b.ariaLabel || b.textContent.trim()))"
    assert driver.execute_script(named) == []


def test_the_keyboard_unfolds_and_enlarges(page: Path) -> None:
    with chromium() as browser:
        open_file(browser, page)
        skip = browser.switch_to.active_element
        skip.send_keys(Keys.TAB)
        assert browser.switch_to.active_element.get_attribute("class") == "skip"
        section = browser.find_element(By.CSS_SELECTOR, "#dataset > details")
        section.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
        assert section.get_property("open")
        browser.find_element(By.CSS_SELECTOR, "#figure-jet_mass .zoom").send_keys(Keys.ENTER)
        dialog = browser.find_element(By.TAG_NAME, "dialog")
        assert dialog.is_displayed()
        dialog.find_element(By.CLASS_NAME, "close").send_keys(Keys.ESCAPE)
        assert not dialog.is_displayed()
