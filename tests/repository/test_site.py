"""The documentation site: strict, from docs/ and elsewhere, with nothing from the network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

import documentation_site as hooks
from rs3l.files import sha256
from support.places import REPOSITORY

TABLE = "| `rs3l.errors.CampaignError` and its subclasses | errors |\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a small site with the settings of the real one."""
    for name in ("GITHUB_REPOSITORY", "GITHUB_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Home\n\n## A place\n", encoding="utf-8")
    (tmp_path / "docs" / "api.md").write_text(f"# API\n\n{TABLE}", encoding="utf-8")
    return tmp_path


def built(folder: Path, page: str, monkeypatch: pytest.MonkeyPatch, **changes: object) -> str:
    """Build the site with one more page; return that page's HTML."""
    (folder / "docs" / "more.md").write_text(page, encoding="utf-8")
    own = {
        "INHERIT": str(REPOSITORY / "mkdocs.yml"),
        "docs_dir": "docs",
        "site_dir": "site",
        "nav": ["index.md", "api.md"],
        "hooks": [hooks.__file__],
        "plugins": ["search"],
        **changes,
    }
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(own), encoding="utf-8")
    config = load_config(str(folder / "mkdocs.yml"), strict=True)
    (loaded,) = config.hooks.values()
    monkeypatch.setattr(loaded, "PAGES", {"configuration.md": "LICENSE"})
    build(config)
    return (folder / "site" / "more.html").read_text(encoding="utf-8")


def test_links_out_of_the_folder_lead_into_the_site(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is copied, of a folder there is a list; a page that the navigation lacks is under its last section."""
    html = built(
        site,
        "# More\n\n[a](../config/reference.yaml) [b](../config/tunes) [c](../LICENSE) [d](index.md#a-place)\n",
        monkeypatch,
    )
    links = re.findall(r'<a href="([^"]+)">[abcd]</a>', html)
    assert links == [
        "config/reference.yaml",
        "config/tunes/index.html",
        "configuration.html",
        "index.html#a-place",
    ]
    assert sha256(site / "site" / links[0]) == sha256(REPOSITORY / "config" / "reference.yaml")
    assert '<a href="cp5.yaml">' in (site / "site" / links[1]).read_text(encoding="utf-8")
    assert (site / "site" / "config" / "tunes" / "cp5.yaml").is_file()
    assert hooks.REST in html and "api/rs3l.errors.html" in html


def test_with_an_address_they_lead_to_the_repository(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_REPOSITORY", "somebody/something")
    html = built(site, "# More\n\n[a](../config/reference.yaml) [b](../config/tunes)\n", monkeypatch)
    address = "https://github.com/somebody/something"
    assert f'href="{address}/blob/HEAD/config/reference.yaml"' in html
    assert f'href="{address}/tree/HEAD/config/tunes"' in html


@pytest.mark.parametrize("link", ["nowhere.md", "index.md#nowhere", "../config/nowhere.yaml", "#nowhere"])
def test_a_broken_link_fails(site: Path, monkeypatch: pytest.MonkeyPatch, link: str) -> None:
    with pytest.raises(Abort, match="in strict mode"):
        built(site, f"# More\n\n[a]({link})\n", monkeypatch)


def test_anchors_are_those_of_github(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a heading with angle brackets."""
    html = built(site, "# More\n\n## `variants.<name>.pileup`\n\n[a](#variantsnamepileup)\n", monkeypatch)
    assert '<h2 id="variantsnamepileup">' in html


def test_tables_of_keys_are_marked_for_the_style(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "docs" / "config").mkdir()
    (site / "docs" / "config" / "jets.md").write_text("# Jets\n", encoding="utf-8")
    assert 'class="config-keys"' not in built(site, "# More\n", monkeypatch)
    assert 'class="config-keys"' in (site / "site" / "config" / "jets.html").read_text(encoding="utf-8")


def test_nothing_comes_from_elsewhere(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No script, style, font or picture."""
    html = built(site, "# More\n", monkeypatch)
    loaded = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="([^"]+)"', html)
    loaded += re.findall(r'<link[^>]*rel="(?:stylesheet|icon|preload)"[^>]*href="([^"]+)"', html)
    assert loaded and not [address for address in loaded if "//" in address]
    assert (site / "site" / "search" / "search_index.json").is_file()


def test_the_reference_has_what_the_page_promises() -> None:
    modules = hooks.promised((REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8"))
    assert {"rs3l.dataset.manifest", "rs3l.networks", "rs3l.pretrain.losses", "rs3l.config"} <= set(modules)
    assert hooks.promised("| `rs3l.no_such_thing.name` | none |") == []


def test_the_navigation_names_pages_that_exist() -> None:
    text = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    nav = yaml.safe_load(text.split("\nnav:\n")[1].split("\nhooks:")[0])
    pages = list(hooks.listed(nav))
    assert len(set(pages)) == len(pages)
    assert not [p for p in pages if p not in hooks.PAGES and not (REPOSITORY / "docs" / p).is_file()]
