"""A conda channel in a folder, made of the packages that are installed in this Python environment.

They are files of PyPI's wheels, at the versions of the lock file; each file is checked against the hash that its
wheel states. The package `python` is a link to the interpreter of this machine.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import platform
import re
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import yaml
from packaging.requirements import Requirement

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SITE = f"lib/python{PYTHON}/site-packages"
SUBDIR = "linux-64"
CONDA_NAMES = {
    "torch": "pytorch", "dask": "dask-core", "matplotlib": "matplotlib-base", "graphviz": "python-graphviz",
}  # fmt: skip
"""Packages that conda-forge and PyPI call by different names."""
PYPI_NAMES = {conda: pypi for pypi, conda in CONDA_NAMES.items()}


class File(NamedTuple):
    """One file of a package, by its path in the environment; ``link`` is the target of a symbolic link."""

    path: str
    content: bytes = b""
    executable: bool = False
    link: str = ""


def normal(name: str) -> str:
    """Return a package's name in the one spelling that is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(package: Distribution) -> list[Requirement]:
    """Return what a package needs on this machine, without extras."""
    found = [Requirement(line) for line in package.requires or []]
    return [need for need in found if need.marker is None or need.marker.evaluate({"extra": ""})]


def closure(envs: list[Path]) -> dict[str, Distribution]:
    """Return the installed packages, by name, that the environments need, with all that these need."""
    lines = [line for path in envs for line in yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]]
    names = {line.split("=")[0] for line in lines} - {"python"}
    todo, found = [PYPI_NAMES.get(name, name) for name in sorted(names)], {}
    while todo:
        name = normal(todo.pop())
        if name not in found:
            found[name] = distribution(name)
            todo += [need.name for need in requirements(found[name])]
    return found


def checked(package: Distribution, path: Any) -> bytes:
    """Return the content of an installed file, which must be the one that its wheel states."""
    content: bytes = path.locate().read_bytes()
    if path.hash is not None:
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        assert digest == path.hash.value, f"{package.name}: {path} was changed after its installation"
    return content


def files(package: Distribution) -> Iterator[File]:
    """Yield the files of a package; its commands are made anew, since they name the interpreter."""
    for path in package.files or []:
        if ".." not in path.parts and "__pycache__" not in path.parts:
            yield File(f"{SITE}/{path}", checked(package, path))
    for entry in package.entry_points.select(group="console_scripts"):
        code = f"import sys\nfrom {entry.module} import {entry.attr.split('.')[0]}\nsys.exit({entry.attr}())\n"
        yield File(f"bin/{entry.name}", b"#!/usr/bin/env python\n" + code.encode(), executable=True)


def python_files() -> Iterator[File]:
    """Yield the files that make a folder an environment of this machine's interpreter."""
    interpreter = Path(sys.executable).resolve()
    yield File("pyvenv.cfg", f"home = {interpreter.parent}\ninclude-system-site-packages = false\n".encode())
    yield File("bin/python", link=str(interpreter))
    yield File("bin/python3", link="python")
    yield File(f"bin/python{PYTHON}", link="python")


def tar(members: list[File]) -> bytes:
    """Return the files as a tar archive, compressed with zstd."""
    sink = pa.BufferOutputStream()
    with (
        pa.CompressedOutputStream(sink, pa.Codec("zstd", compression_level=1).name) as compressed,
        tarfile.open(fileobj=compressed, mode="w|") as archive,
    ):
        for member in members:
            info = tarfile.TarInfo(member.path)
            info.mode = 0o755 if member.executable else 0o644
            info.size = len(member.content)
            if member.link:
                info.type, info.linkname = tarfile.SYMTYPE, member.link
            archive.addfile(info, io.BytesIO(member.content))
    return sink.getvalue().to_pybytes()


def paths_entry(member: File) -> dict[str, Any]:
    """Return what a package's list of contents says of one file."""
    return {
        "_path": member.path,
        "path_type": "softlink" if member.link else "hardlink",
        "sha256": hashlib.sha256(member.content).hexdigest(),
        "size_in_bytes": len(member.content),
    }


def write_package(channel: Path, index: dict[str, Any], contents: list[File]) -> tuple[str, dict[str, Any]]:
    """Write one package in conda's format 2; return its name and its entry in the channel's index."""
    stem = f"{index['name']}-{index['version']}-{index['build']}"
    paths = {"paths_version": 1, "paths": [paths_entry(member) for member in contents]}
    info = [
        File("info/index.json", json.dumps(index).encode()),
        File("info/paths.json", json.dumps(paths).encode()),
    ]
    file = channel / SUBDIR / f"{stem}.conda"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"conda_pkg_format_version": 2}))
        archive.writestr(f"info-{stem}.tar.zst", tar(info))
        archive.writestr(f"pkg-{stem}.tar.zst", tar(contents))
    data = file.read_bytes()
    digests = {"md5": hashlib.md5(data).hexdigest(), "sha256": hashlib.sha256(data).hexdigest()}
    return file.name, {**index, **digests, "size": len(data)}


def index_of(name: str, version: str, depends: list[str]) -> dict[str, Any]:
    """Return the description of a package."""
    return {
        "name": name,
        "version": version.split("+")[0],
        "build": "pypi_0",
        "build_number": 0,
        "depends": depends,
        "subdir": SUBDIR,
        "timestamp": 1_700_000_000_000,
    }


def depends(package: Distribution) -> list[str]:
    """Return a package's needs as conda writes them."""
    needs = [
        f"{CONDA_NAMES.get(normal(need.name), normal(need.name))} {need.specifier}".strip()
        for need in requirements(package)
    ]
    return [f"python {PYTHON}.*", *needs]


def build(envs: list[Path], channel: Path) -> list[str]:
    """Write the channel for these environments; return the names of its packages."""
    assert sysconfig.get_platform() == "linux-x86_64", "the channel is made for Linux on x86-64"
    for subdir in (SUBDIR, "noarch"):
        (channel / subdir).mkdir(parents=True)
    python = {**index_of("python", platform.python_version(), []), "python_site_packages_path": SITE}
    entries = dict([write_package(channel, python, list(python_files()))])
    for name, package in closure(envs).items():
        index = index_of(CONDA_NAMES.get(name, name), package.version, depends(package))
        entries.update([write_package(channel, index, list(files(package)))])
    for subdir, content in ((SUBDIR, entries), ("noarch", {})):
        repodata = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": content, "repodata_version": 1}
        (channel / subdir / "repodata.json").write_text(json.dumps(repodata), encoding="utf-8")
    return sorted(entry["name"] for entry in entries.values())
