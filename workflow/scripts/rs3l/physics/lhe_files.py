"""Les Houches files of other generators (versions 1 to 3, plain or gzipped), read as a stream.

The format looks like XML, but generators write headers that are not: only the tags that matter are looked for.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pylhe

from rs3l.errors import DataError
from rs3l.physics.lhe import HardEvent, particle

_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error)
_BEGIN = re.compile(r"\s*<event[\s>]")
_END = re.compile(r"\s*</event>")
_ROOT = re.compile(r"<LesHouchesEvents\b([^>]*)>")
_VERSION = re.compile(r"\bversion\s*=\s*[\"']\s*(\d+)")
_INIT = re.compile(r"<init\b[^>]*>(.*?)</init>", re.DOTALL)
_INITRWGT = re.compile(r"<initrwgt\b.*?</initrwgt>", re.DOTALL)
_WEIGHT_ID = re.compile(r"<weight\s[^>]*?\bid\s*=\s*[\"']([^\"']+)[\"']")
_RWGT = re.compile(r"<wgt\s[^>]*?\bid\s*=\s*[\"']?([^\"'>\s]+)[\"']?[^>]*>([^<]*)</wgt>")
_WEIGHTS = re.compile(r"<weights\b[^>]*>([^<]*)</weights>")
_VERSIONS = ("1", "2", "3")


@dataclass(frozen=True)
class Head:
    """What stands before the first event: the whole text, and the numbers of its ``<init>`` block."""

    text: str
    init: pylhe.LHEInitInfo
    processes: list[pylhe.LHEProcInfo]

    @property
    def cross_section(self) -> tuple[float, float]:
        """Cross-section and error [pb]: the sum of the subprocesses."""
        return sum(p.xSection for p in self.processes), sum(p.error**2 for p in self.processes) ** 0.5

    @property
    def weight_ids(self) -> list[str]:
        """Identifiers of the additional weights, in the order of their declaration."""
        return _WEIGHT_ID.findall(self.declared_weights)

    @property
    def declared_weights(self) -> str:
        """The ``<initrwgt>`` block, or nothing."""
        found = _INITRWGT.search(self.text)
        return found[0] if found else ""


def scan(path: str | Path) -> Iterator[str]:
    """Yield the text before the first event, then the text of each event; memory is that of one event.

    Raises :class:`DataError` where the file turns out to be missing, damaged, truncated or no LHE file.
    """
    done = -1
    try:
        with _open(path) as stream:
            for text in _pieces(path, stream):
                yield text
                done += 1
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; correct the key `lhe` of the process, or make the file") from None
    except (*_DAMAGE, OSError) as error:
        raise DataError(
            f"{path}: truncated or damaged after event {done} ({type(error).__name__}: {error}); "
            "get or generate the file again"
        ) from None


def read_head(path: str | Path, text: str) -> Head:
    """Return the head of a file from the text before its first event."""
    root = _ROOT.search(text)
    if root is None:
        raise DataError(f"{path}: not a Les Houches file: no <LesHouchesEvents> in its first lines")
    version = _VERSION.search(root[1])
    if version and version[1] not in _VERSIONS:
        raise DataError(f"{path}: Les Houches version {version[1]}; 1 to 3 can be read")
    blocks = _INIT.findall(text)
    lines = [line for line in blocks[-1].splitlines() if line.strip()] if blocks else []
    try:
        init = pylhe.LHEInitInfo.fromstring(lines[0])
        processes = [pylhe.LHEProcInfo.fromstring(lines[1 + i]) for i in range(init.numProcesses)]
    except (IndexError, ValueError):
        raise DataError(
            f"{path}: no usable <init> block (beams, then a line per subprocess); get or generate the file again"
        ) from None
    return Head(text, init, processes)


def read_event(path: str | Path, position: int, text: str, index: int, weight_ids: list[str]) -> HardEvent:
    """Return the hard event ``index`` from the text of the event at ``position`` of the file."""
    body = text[text.index(">") + 1 : text.rindex("</event>")]
    lines = body.strip().splitlines()
    try:
        info = pylhe.LHEEventInfo.fromstring(lines[0])
        particles = [particle(pylhe.LHEParticle.fromstring(line)) for line in lines[1 : 1 + info.nparticles]]
        weights = _weights(body, weight_ids)
    except (IndexError, ValueError) as error:
        raise DataError(
            f"{path}: event {position} cannot be read ({error}); get or generate the file again"
        ) from None
    if len(particles) != info.nparticles or not particles:
        raise DataError(
            f"{path}: event {position} announces {info.nparticles} particles and has {len(particles)}; "
            "get or generate the file again"
        )
    return HardEvent(index, info.weight, info.scale, info.aqed, info.aqcd, particles, weights)


def _open(path: str | Path) -> TextIO:
    with open(path, "rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    if zipped:
        return gzip.open(path, "rt", encoding="latin-1")
    return open(path, encoding="latin-1")


def _pieces(path: str | Path, stream: TextIO) -> Iterator[str]:
    """Yield head and events, and read on to the end, where the checksum of a gzipped file is."""
    lines: list[str] = []
    inside, complete, position = False, False, -1
    for line in stream:
        tag = "<" in line
        if tag and _BEGIN.match(line):
            if inside or complete:
                raise DataError(f"{path}: a new event begins {_where(inside, position)}; get the file again")
            if position < 0:
                yield "".join(lines)
            inside, position, lines = True, position + 1, []
        if inside or position < 0:
            lines.append(line)
        if inside and tag and _END.match(line):
            yield "".join(lines)
            inside = False
        complete = complete or (tag and "</LesHouchesEvents>" in line)
    if position < 0:
        yield "".join(lines)
    if not complete:
        raise DataError(
            f"{path}: truncated: no </LesHouchesEvents> after event {position}; get or generate the file again"
        )


def _where(inside: bool, position: int) -> str:
    return f"inside event {position}" if inside else f"after the end of the file's events (event {position})"


def _weights(body: str, weight_ids: list[str]) -> dict[str, float]:
    """Return the additional weights: of ``<rwgt>`` by name, or of ``<weights>`` in the order of declaration."""
    named = {name: float(value) for name, value in _RWGT.findall(body)}
    listed = [float(value) for values in _WEIGHTS.findall(body) for value in values.split()]
    names = weight_ids if len(weight_ids) == len(listed) else [str(i) for i in range(len(listed))]
    return {**dict(zip(names, listed, strict=True)), **named}
