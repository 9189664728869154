"""A view that another program has simulated before: picks the events of a shard from its HepMC3 files.

The files belong to the Les Houches files of the process, event by event, in the order of their sorted names. It
copies text: what is in the records stays as it is. It uses nothing of this workflow.
"""

from __future__ import annotations

import argparse
import csv
import glob
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

START, END = "HepMC::Asciiv3-START_EVENT_LISTING\n", "HepMC::Asciiv3-END_EVENT_LISTING\n"


def main() -> None:
    """Parse the arguments and copy the events."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", help="table of the shard's events (CSV with the columns number and key)")
    parser.add_argument("out", help="HepMC3 file to write (ASCII)")
    parser.add_argument("--records", nargs="+", required=True, help="HepMC3 files or patterns")
    args = parser.parse_args()
    with Path(args.seeds).open(encoding="utf-8") as stream:
        numbers = {int(row["key"]): int(row["number"]) for row in csv.DictReader(stream)}
    copy(files(args.records), numbers, Path(args.out))


def files(patterns: list[str]) -> list[str]:
    """Return the files that match, sorted as the Les Houches files are."""
    found = sorted({path for pattern in patterns for path in glob.glob(pattern)})  # noqa: PTH207
    if not found:
        raise SystemExit(f"no file matches {' '.join(patterns)}")
    return found


def copy(paths: list[str], numbers: dict[int, int], out: Path) -> None:
    """Write the events whose position over all files is a key of ``numbers``, with their new numbers."""
    position = -1
    with out.open("w", encoding="utf-8") as stream:
        stream.write("HepMC::Version 3\n" + START)
        for path in paths:
            with _open(path) as source:
                keep = False
                for line in _content(path, source):
                    if line.startswith("E "):
                        position += 1
                        keep = position in numbers
                        head, _, rest = line.split(" ", 2)
                        line = f"{head} {numbers.get(position)} {rest}"
                    if keep:
                        stream.write(line)
            if position >= max(numbers):
                break
        stream.write(END)
    if position < max(numbers):
        raise SystemExit(f"the records hold {position + 1} events, and event {max(numbers)} is asked for")


def _open(path: str) -> TextIO:
    with open(path, "rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt", encoding="utf-8") if zipped else open(path, encoding="utf-8")


def _content(path: str, source: TextIO) -> Iterator[str]:
    """Yield the lines of the events; raise if the file is not whole."""
    last = ""
    for line in source:
        if not line.strip():
            continue
        last = line
        if not line.startswith("HepMC::"):
            yield line
    if last != END:
        raise SystemExit(f"{path}: truncated, or not a HepMC3 file")


if __name__ == "__main__":
    main()
