"""Stand-in for the command `conda`: the calls that Snakemake makes, and no others.

Environments are really solved, downloaded and linked, by py-rattler: the library behind pixi. What differs from
conda is the channel: CONDA_STAND_IN_CHANNELS maps names to addresses, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import rattler
import yaml

PLATFORM = "linux-64"
VERSION = "26.1.0"
"""A version of conda that Snakemake accepts."""


def options(arguments: list[str]) -> argparse.Namespace:
    """Return the options of a command that makes or lists an environment."""
    parser = argparse.ArgumentParser()
    for name in ("--file", "--prefix"):
        parser.add_argument(name, type=Path)
    for flag in ("--quiet", "--yes", "--no-default-packages", "--explicit", "--md5"):
        parser.add_argument(flag, action="store_true")
    return parser.parse_args(arguments)


async def solve(specs: list[str], channels: list[str]) -> list[Any]:
    """Return the packages that fulfil ``specs``."""
    return await rattler.solve(
        [rattler.Channel(channel) for channel in channels],
        specs,
        platforms=[rattler.Platform(PLATFORM), rattler.Platform("noarch")],
        virtual_packages=[package.into_generic() for package in rattler.VirtualPackage.detect()],
    )


async def install(records: list[Any], prefix: Path) -> None:
    """Link the packages into ``prefix``."""
    await rattler.install(records, prefix, cache_dir=os.environ["CONDA_STAND_IN_CACHE"], show_progress=False)


async def create_from_yaml(file: Path, prefix: Path) -> None:
    """Make an environment from its description."""
    env = yaml.safe_load(file.read_text(encoding="utf-8"))
    known = json.loads(os.environ["CONDA_STAND_IN_CHANNELS"])
    channels = [known.get(channel, channel) for channel in env["channels"] if channel != "nodefaults"]
    await install(await solve(env["dependencies"], channels), prefix)


async def create_from_pins(file: Path, prefix: Path) -> None:
    """Make an environment of exactly the packages of a pin file: address#md5, one a line."""
    lines = [line for line in file.read_text(encoding="utf-8").split() if line.startswith(("file:", "http"))]
    pins = {url: md5 for url, _, md5 in (line.partition("#") for line in lines)}
    channels = {url.rsplit("/", 2)[0] for url in pins}
    names = [url.rsplit("/", 1)[1].removesuffix(".conda").rsplit("-", 2) for url in pins]
    specs = [f"{name}[version='=={version}', build='{build}']" for name, version, build in names]
    records = await solve(specs, sorted(channels))
    found = {str(record.url): record.md5.hex() for record in records}
    wrong = [url for url, md5 in pins.items() if found.get(url) != md5] + sorted(set(found) - set(pins))
    if wrong:
        raise ValueError("the pin file does not fit the channel: " + ", ".join(wrong))
    await install(records, prefix)


def list_explicit(prefix: Path) -> None:
    """Print the packages of an environment in the form of a pin file."""
    print(f"# platform: {PLATFORM}\n@EXPLICIT")
    for path in sorted((prefix / "conda-meta").glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        print(f"{record['url']}#{record['md5']}")


def run(task: Any) -> None:
    """Run ``task``, and end with its error as conda would."""
    code = 0
    try:
        asyncio.run(task)
    except Exception as error:
        print(f"conda (stand-in): {error}", file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # py-rattler 0.26 can crash when the interpreter is shut down


def main(arguments: list[str]) -> None:
    """Do what one call asks for."""
    match arguments:
        case ["--version"]:
            print(f"conda {VERSION}")
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": str(Path(__file__).parent), "platform": PLATFORM}))
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["env", "create", *rest]:
            run(create_from_yaml(options(rest).file, options(rest).prefix))
        case ["create", *rest]:
            run(create_from_pins(options(rest).file, options(rest).prefix))
        case ["clean", *_]:
            pass  # the packages' archives, of which the cache keeps none
        case ["list", *rest]:
            list_explicit(options(rest).prefix)
        case _:
            sys.exit(f"conda (stand-in): cannot do {' '.join(arguments)}")


if __name__ == "__main__":
    main(sys.argv[1:])
