"""The versions and the commit from which a result was made."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

from rs3l import __version__
from rs3l.errors import ConfigError

_PACKAGES = ("pythia8mc", "pythia8", "fastjet", "numpy", "pyarrow", "dask", "pandas", "torch")


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that results depend on, where installed."""
    versions = {"rs3l": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def git_revision() -> str | None:
    """Return the commit of this checkout (``+`` if modified), or None where there is no git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
    try:
        return subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def check_package(checkout: str | Path) -> None:
    """Raise :class:`ConfigError` if this package is not that of the ``checkout`` whose scripts the jobs run.

    ``checkout`` is its folder ``rs3l``. The files are compared, because a version number stays while code changes.
    """
    here = Path(__file__).parent
    if here.resolve() == Path(checkout).resolve():
        return
    if _sources(here) != _sources(Path(checkout)):
        raise ConfigError(
            f"the package that is imported here ({here}) is not that of this workflow ({checkout}), whose scripts "
            f"the jobs run: install it again (pip install {Path(checkout).parents[2]}, or make venv there)"
        )


def _sources(folder: Path) -> dict[str, bytes]:
    """Return the contents of all modules of a package by their path in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.py")}


def provenance(**extra: Any) -> dict[str, Any]:
    """Return versions and commit, with ``extra`` entries, as a JSON-ready mapping."""
    return {**extra, "versions": package_versions(), "git": git_revision()}
