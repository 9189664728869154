"""Hooks of the documentation site (mkdocs.yml): links, pages and names that the files of docs/ leave to it.

The pages of docs/ are written for GitHub as well. Their links may lead out of docs/: to a file that is a page of
the site, too (:data:`PAGES`), or else to the repository if its address is known, and otherwise to a copy of the
file, or a list of the folder's files, in the site. A link that leads nowhere stays as it is, so that the strict
build fails.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from rs3l.config.pages import anchor

REPOSITORY = Path(__file__).resolve().parents[1]

PAGES = {
    "configuration.md": "config/README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "overview.md": "README.md",
}
"""Pages of the site whose source is elsewhere."""

API = "api"
"""The folder of pages that are made from docstrings."""

REST = "More"
"""The section of pages that the navigation does not list."""

_LINK = re.compile(r"(?<=\]\()([^)\s#]+)")
_ROLE = re.compile(r":(?:class|func|data|mod|meth|attr|exc):(<code>)~?")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Take the address of the repository from GitHub's own variable, and make anchors as GitHub does."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = lambda heading, _: anchor(heading)
    if not config.repo_url and "GITHUB_REPOSITORY" in os.environ:
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        config.repo_url = f"{server}/{os.environ['GITHUB_REPOSITORY']}"
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from elsewhere and from docstrings, and all that the navigation lacks."""
    for page, source in PAGES.items():
        if page not in files.src_uris:
            files.append(File.generated(config, page, content=(REPOSITORY / source).read_text(encoding="utf-8")))
    modules = promised((Path(config.docs_dir) / "api.md").read_text(encoding="utf-8"))
    for module in modules:
        files.append(File.generated(config, f"{API}/{module}.md", content=f"# {module}\n\n::: {module}\n"))
    nav: list[Any] = list(config.nav or [])
    nav.append({"API": [f"{API}/{module}.md" for module in modules]})
    rest = sorted({file.src_uri for file in files.documentation_pages()} - set(listed(nav)))
    config.nav = [*nav, {REST: rest}] if rest else nav
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let the links out of docs/ lead to where the site has their targets."""
    folder = posixpath.dirname(source_of(page.file.src_uri))
    return _LINK.sub(lambda match: moved(match[1], folder, page.file.src_uri, config, files), markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Drop the roles of Sphinx that docstrings have, and mark the tables of keys for docs/site.css."""
    if page.file.src_uri.startswith("config/"):
        return f'<div class="config-keys">{html}</div>'
    return _ROLE.sub(r"\1", html) if page.file.src_uri.startswith(f"{API}/") else html


def promised(text: str) -> list[str]:
    """Return the modules of the library that the table of docs/api.md promises."""
    cells = (line.split("|")[1] for line in text.splitlines() if line.startswith("| `rs3l."))
    names = (name for cell in cells for name in re.findall(r"`(rs3l[A-Za-z_.]*)", cell))
    found = {next(filter(is_module, leading(name)), "") for name in names}
    return sorted(found - {""})


def leading(name: str) -> Iterator[str]:
    """Return a dotted name, and what is left of it without its last parts, up to two."""
    while "." in name:
        yield name
        name = name.rpartition(".")[0]


def is_module(name: str) -> bool:
    """Return whether the library has such a module or package."""
    path = REPOSITORY / "workflow" / "scripts" / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def listed(nav: Any) -> Iterator[str]:
    """Return the pages of a navigation."""
    if isinstance(nav, str):
        yield nav
    else:
        for entry in nav.values() if isinstance(nav, dict) else nav:
            yield from listed(entry)


def source_of(page: str) -> str:
    """Return the file of the repository from which a page is made."""
    own = REPOSITORY / "docs" / page
    return f"docs/{page}" if own.is_file() else PAGES.get(page, f"docs/{page}")


def moved(target: str, folder: str, page: str, config: MkDocsConfig, files: Files) -> str:
    """Return where a link to ``target`` from a file in ``folder`` leads from its page."""
    if re.match(r"[a-z]+:", target):
        return target
    path = posixpath.normpath(posixpath.join(folder, target))
    if path.startswith("../") or not (REPOSITORY / path).exists():
        return target
    inside = in_site(path, config, files)
    return inside if "://" in inside else posixpath.relpath(inside, posixpath.dirname(page) or ".")


def in_site(path: str, config: MkDocsConfig, files: Files) -> str:
    """Return the place in the site, or the address, of a file or folder of the repository."""
    pages = {source: page for page, source in PAGES.items()}
    if path in pages:
        return pages[path]
    own = REPOSITORY / path
    if (own / "README.md").is_file():
        return in_site(f"{path}/README.md", config, files)
    inside = path.removeprefix("docs/")
    if inside in files.src_uris:
        return inside
    if config.repo_url:
        return f"{config.repo_url.rstrip('/')}/{'tree' if own.is_dir() else 'blob'}/HEAD/{path}"
    return list_folder(path, inside, config, files) if own.is_dir() else copied(path, inside, config, files)


def copied(path: str, inside: str, config: MkDocsConfig, files: Files) -> str:
    """Return the place in the site of a file of the repository, which is copied there if it is not yet."""
    if inside not in files.src_uris:
        files.append(File.generated(config, inside, abs_src_path=str(REPOSITORY / path)))
    return inside


def list_folder(path: str, inside: str, config: MkDocsConfig, files: Files) -> str:
    """Return the place in the site of a list of a folder's files, all of which are in the site then."""
    index = f"{inside}/index.html"
    if index not in files.src_uris:
        names = sorted(
            file.relative_to(REPOSITORY / path).as_posix()
            for file in (REPOSITORY / path).rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        )
        for name in names:
            copied(f"{path}/{name}", f"{inside}/{name}", config, files)
        lines = "".join(f'<li><a href="{quote(name)}">{escape(name)}</a></li>\n' for name in names)
        head = f'<!doctype html>\n<meta charset="utf-8">\n<title>{path}</title>\n<h1>{path}</h1>\n'
        text = f"{head}<ul>\n{lines}</ul>\n"
        files.append(File.generated(config, index, content=text))
    return index
