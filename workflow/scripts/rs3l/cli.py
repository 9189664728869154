"""Arguments, the block of the job, errors and logging, which all scripts share."""

from __future__ import annotations

import argparse
import json
import logging
import re
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar, cast

from pydantic import ValidationError

from rs3l.config import Campaign, load_campaign
from rs3l.config.base import Settings
from rs3l.dataset.own.jets import Jets
from rs3l.errors import CampaignError, ConfigError
from rs3l.files import written
from rs3l.paths import EVERY_SPLIT, SPLITS, Split
from rs3l.streams import argument_text, speak_any_locale

B = TypeVar("B", bound=Settings)
C = TypeVar("C", bound=Settings)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the two ways to say what a job depends on.

    ``--block`` takes the JSON that a rule passes (or a file with it). ``--config`` takes a campaign's YAML, from
    which the block is cut out.
    """
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = result.add_mutually_exclusive_group(required=True)
    source.add_argument("--block", help="the job's settings as JSON, or a file that holds them")
    source.add_argument("--config", help="a campaign's configuration (YAML), instead of --block")
    return result


def campaign_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of a command on a whole campaign, by its configuration."""
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--config", default="config/config.yaml", help="the campaign's configuration (YAML)")
    return result


def parts_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose jets of the test split."""
    parser.add_argument("--process", help="test jets of this process alone")
    parser.add_argument(
        "--parts", type=int, nargs=2, metavar=("FIRST", "END"),
        help="with --process: those of its parts FIRST to END - 1 alone",
    )  # fmt: skip


def parts(args: argparse.Namespace) -> range | None:
    """Return the parts that :func:`parts_arguments` chose, or None for all.

    Raises :class:`ConfigError` if they are of no process or none.
    """
    if args.parts is None:
        return None
    first, end = args.parts
    if args.process is None or not 0 <= first < end:
        raise ConfigError(f"--parts {first} {end}: needs a --process, and a first part below the end")
    return range(first, end)


def own_jets_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what files of own jets hold."""
    parser.add_argument("--tree", default="", help="with .root files: the tree, if there are several")
    parser.add_argument(
        "--relative", action="store_true", help="angles of candidates are relative to the jet axis"
    )
    parser.add_argument(
        "--rename", nargs="+", default=[], metavar="NAME=COLUMN", help="columns that have other names than ours"
    )
    parser.add_argument(
        "--fill", nargs="+", default=[], metavar="NAME", help="missing columns that get substitutes"
    )


def own_jets(args: argparse.Namespace, data: str, process: str = "", variant: str = "", split: str = "") -> Jets:
    """Return a file with what :func:`own_jets_arguments` say of it."""
    return Jets(
        data,
        process=process,
        variant=variant,
        split=cast(Split | Literal[""], split),
        rename=pairs("--rename", args.rename),
        tree=args.tree,
        relative=args.relative,
        fill=args.fill,
    )


def own_files_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name files of own jets, and say what they hold."""
    form = "[[PROCESS]/[VARIANT]=]FILE"
    parser.add_argument("--jets", nargs="+", default=[], metavar=form, help="files of jets (.parquet, .root)")
    for name in EVERY_SPLIT:
        parser.add_argument(
            f"--{name if name in SPLITS else 'labelled'}", nargs="+", default=[], metavar=form,
            dest=f"{name}_files", help=f"files of the split {name} alone",
        )  # fmt: skip
    own_jets_arguments(parser)


def own_files(args: argparse.Namespace) -> list[Jets]:
    """Return the files that :func:`own_files_arguments` name; raises :class:`ConfigError` if there is none."""
    given = [(text, "") for text in args.jets]
    given += [(text, split) for split in EVERY_SPLIT for text in getattr(args, f"{split}_files")]
    if not given:
        raise ConfigError("no file of jets: give --jets, or --train, --val and --test")
    return [_own_file(args, text, split) for text, split in given]


def _own_file(args: argparse.Namespace, text: str, split: str) -> Jets:
    """Return one file, perhaps with its process and variant before it."""
    found = None if Path(text).exists() else re.fullmatch(r"([a-z0-9_]*)/([a-z0-9_]*)=(.+)", text)
    process, variant, file = found.groups() if found else ("", "", text)
    return own_jets(args, file, process, variant, split)


def pairs(option: str, values: Sequence[str]) -> dict[str, str]:
    """Return NAME=VALUE pairs of an option as a mapping; raises :class:`ConfigError` for another form."""
    split = [value.partition("=") for value in values]
    if wrong := [value for value, parts in zip(values, split, strict=True) if not all(parts)]:
        raise ConfigError(f"{option} takes NAME=VALUE, not {wrong[0]}")
    return {name: value for name, _, value in split}


def block(
    args: argparse.Namespace,
    kind: type[B],
    cut: Callable[[Campaign], B | C],
    other: tuple[str, type[C]] | None = None,
) -> B | C:
    """Return the block of the job from ``--block``, or ``cut`` out of ``--config``.

    ``other`` is a key, and the kind of the block if it has that key.
    """
    if args.config:
        return cut(load_campaign(args.config))
    text = _block_text(args.block)
    try:
        values = json.loads(text)
        chosen = other[1] if other and other[0] in values else kind
        return chosen.model_validate(values)
    except (ValidationError, json.JSONDecodeError) as error:
        raise ConfigError(f"--block is not a valid {kind.__name__}: {error}") from None


def _block_text(argument: str) -> str:
    """Return the JSON that ``--block`` gives directly or as the path of a file."""
    if argument.lstrip().startswith("{"):
        return argument_text(argument)
    try:
        return Path(argument).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--block: neither JSON nor a file with it: {argument}: {error}") from None


def run(main: Callable[[], None]) -> None:
    """Run a script, log the command that replays it and what it has written, and print errors of users plainly."""
    speak_any_locale()
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
    )
    if not {"-h", "--help"} & set(sys.argv[1:]):
        logging.info("command: %s", _command())
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup sets it
        signal.signal(signal.SIGHUP, _terminate)
    try:
        main()
        for line in written():
            logging.info("%s", line)
    except CampaignError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("error: interrupted")


def _command() -> str:
    """Return the command line that repeats this command, by the command ``rs3l`` or Python and the script."""
    first, *arguments = map(argument_text, sys.argv)
    program = first.split() if first.startswith("rs3l ") else [sys.executable, first]
    return shlex.join([*program, *arguments])


def _terminate(number: int, frame: object) -> None:
    """End by an exception, so that temporary files are removed.

    A cancelled job gets SIGTERM, and a terminal that closes sends SIGHUP.
    """
    sys.exit("error: terminated")
