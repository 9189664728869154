"""Les Houches files of other generators (versions 1 to 3, plain or gzipped), read as a stream.

The format looks like XML, but generators write headers that are not XML, so only the tags that matter are looked
for.
"""

from __future__ import annotations

import gzip
import html
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import TextIO

import pylhe

from rs3l.errors import DataError
from rs3l.lhe.lhe import HardEvent, particle

MAX_LINE = 2**20
"""Longest line that is read [characters]; a line with 1,000 weights has a fiftieth of it."""
MAX_HEAD, MAX_EVENT = 2**25, 2**22
"""Longest text before the first event, and longest text of one event [characters]."""

_MAX_ATTRIBUTES = 2000
_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error)
_UNREADABLE = (IndexError, ValueError, OverflowError)
# Each of these is searched for once in a text; none may look from every beginning for an end that is missing.
_TAG = re.compile(r"<(event(?=[\s/>])|eventgroup\b|/(?:event|init|LesHouchesEvents)(?=\s*>))(?:\s*>)?")
_ROOT = re.compile(r"<LesHouchesEvents\b([^<>]*)>")
_VERSION = re.compile(r"\bversion\s*=\s*[\"']\s*(\d+)")
_INIT = re.compile(r"<init(?=[\s>])[^<>]*>")
_ELEMENT = re.compile(r"<(\w+)((?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*+)>([^<]*)")
_ATTRIBUTE = re.compile(r"(?<!\S)([\w:.-]++)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"']++))")
_ENTITY = re.compile(r"&#?\w{1,31};")
_VERSIONS = ("1", "2", "3")


@dataclass(frozen=True)
class Head:
    """The text before the first event, with the numbers of its ``<init>`` block.

    ``declared_weights`` is the ``<initrwgt>`` block, or empty. ``weight_ids`` are the identifiers of the
    additional weights, in the order of their declaration.
    """

    text: str
    init: pylhe.LHEInitInfo
    processes: list[pylhe.LHEProcInfo]
    declared_weights: str
    weight_ids: list[str]

    @property
    def cross_section(self) -> tuple[float, float]:
        """Cross-section and error [pb], summed over the subprocesses."""
        return sum(p.xSection for p in self.processes), sum(p.error**2 for p in self.processes) ** 0.5


def scan(path: str | Path) -> Iterator[str]:
    """Yield the text before the first event, then the text of each event, with only one text in memory at a time.

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
    lines = [line for line in _init_block(text).split("\n") if line.strip()]
    try:
        init = pylhe.LHEInitInfo.fromstring(lines[0])
        processes = [pylhe.LHEProcInfo.fromstring(lines[1 + i]) for i in range(init.numProcesses)]
    except _UNREADABLE:
        raise DataError(
            f"{path}: no usable <init> block (beams, then a line per subprocess); get or generate the file again"
        ) from None
    declared = _declared_weights(text)
    try:
        names = tuple(
            _name(attributes) or "" for tag, attributes, _ in _ELEMENT.findall(declared) if tag == "weight"
        )
    except ValueError as error:
        raise DataError(f"{path}: its <initrwgt> block cannot be read ({error}); correct it") from None
    return Head(text, init, processes, declared, list(unique(names)))


def read_event(path: str | Path, position: int, text: str, index: int, weight_ids: list[str]) -> HardEvent:
    """Return the hard event ``index`` from the text of the event at ``position`` of the file."""
    body = _body(text)
    lines = _lines(body)
    try:
        info = pylhe.LHEEventInfo.fromstring(next(lines, ""))
        rows = islice(lines, max(info.nparticles, 0))
        particles = [particle(pylhe.LHEParticle.fromstring(line)) for line in rows]
        weights = _weights(body, weight_ids)
    except _UNREADABLE as error:
        raise DataError(
            f"{path}: event {position} cannot be read ({error}); get or generate the file again"
        ) from None
    if len(particles) != info.nparticles or not particles:
        raise DataError(
            f"{path}: event {position} announces {info.nparticles} particles and has {len(particles)}; "
            "get or generate the file again"
        )
    return HardEvent(index, info.weight, info.scale, info.aqed, info.aqcd, particles, weights)


def particle_lines(text: str) -> list[str]:
    """Return the lines that hold the particles of an event which has been read before."""
    lines = _lines(_body(text))
    return list(islice(lines, pylhe.LHEEventInfo.fromstring(next(lines)).nparticles))


@lru_cache(maxsize=8)
def unique(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names, with `` (2)`` added to the second of equal ones, `` (3)`` to the third, and so on.

    With equal names, a reader would get only one of the values.
    """
    seen: Counter[str] = Counter()
    result: dict[str, None] = {}
    for name in names:
        seen[name] += 1
        candidate = name if seen[name] == 1 else f"{name} ({seen[name]})"
        while candidate in result:
            seen[name] += 1
            candidate = f"{name} ({seen[name]})"
        result[candidate] = None
    return tuple(result)


def _init_block(text: str) -> str:
    """Return what stands in the last ``<init>`` block of a head."""
    end = text.rfind("</init")
    begin = max((match.end() for match in _INIT.finditer(text, 0, max(end, 0))), default=0)
    return text[begin:end] if begin else ""


def _declared_weights(text: str) -> str:
    begin = text.find("<initrwgt")
    end = text.find("</initrwgt>", begin)
    return _decoded(text[begin:end] + "</initrwgt>") if 0 <= begin < end else ""


def _body(text: str) -> str:
    """Return what stands between the tags of an event."""
    return text[text.index(">") + 1 : text.rindex("</event")]


def _lines(body: str) -> Iterator[str]:
    """Yield the lines of an event that are neither blank nor comments."""
    return (line for line in body.split("\n") if line.strip() and not line.lstrip().startswith("#"))


def _open(path: str | Path) -> TextIO:
    with open(path, "rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    if zipped:
        return gzip.open(path, "rt", encoding="latin-1")
    return open(path, encoding="latin-1")


def _pieces(path: str | Path, stream: TextIO) -> Iterator[str]:
    """Yield the head and the events, and read on to the end, where the checksum of a gzipped file is."""
    cut = _Cutter(path)
    for line in iter(partial(stream.readline, MAX_LINE + 1), ""):
        if len(line) > MAX_LINE:
            raise DataError(f"{path}: a line of more than {MAX_LINE} characters {cut.where}: no Les Houches file")
        if "<" in line:
            yield from cut.tagged(line)
        else:
            cut.keep(line)
    yield from cut.finish()


class _Cutter:
    """Cuts lines into the head and the events of a file; several tags may stand in one line."""

    def __init__(self, path: str | Path) -> None:
        self._path, self._position = path, -1
        self._kept: list[str] = []
        self._size = 0
        self._inside = self._complete = self._initialised = False

    @property
    def where(self) -> str:
        """The present place in the file, in words."""
        if self._inside:
            return f"inside event {self._position}"
        return "before the first event" if self._position < 0 else f"after event {self._position}"

    def keep(self, text: str) -> None:
        """Take text of the head or of an event, and drop text between events."""
        if not self._inside and self._position >= 0:
            return
        self._size += len(text)
        if self._size > (MAX_EVENT if self._inside else MAX_HEAD):
            raise DataError(f"{self._path}: {self._size} characters {self.where}: no Les Houches file")
        self._kept.append(text)

    def tagged(self, line: str) -> Iterator[str]:
        """Take a line with tags, and yield what is complete."""
        start, indent = 0, len(line) - len(line.lstrip())
        for tag in _TAG.finditer(line):
            self._initialised = self._initialised or tag[1] == "/init"
            if not (self._initialised or tag.start() == indent):
                continue  # the tag is in a comment of the header
            if tag[1] == "event":
                yield from self._begin(line[start : tag.start()])
                start = tag.start()
            elif tag[1] == "/event" and self._position >= 0:
                yield self._end(line[start : tag.end()])
                start = tag.end()
            else:
                self._other(tag[1])
        self.keep(line[start:])

    def _begin(self, before: str) -> Iterator[str]:
        """Begin an event; yield the head before the first one."""
        if self._inside or self._complete:
            place = self.where if self._inside else f"after the end of the file's events (event {self._position})"
            raise DataError(f"{self._path}: a new event begins {place}; get the file again")
        if self._position < 0:
            self.keep(before)
            yield self._taken()
        self._inside, self._position = True, self._position + 1

    def _end(self, rest: str) -> str:
        """End an event and return its text."""
        if not self._inside:
            raise DataError(f"{self._path}: an event ends {self.where} that did not begin; get the file again")
        self.keep(rest)
        self._inside = False
        return self._taken()

    def _other(self, tag: str) -> None:
        if tag == "eventgroup":
            raise DataError(
                f"{self._path}: its events are in groups (<eventgroup>) that belong together, as a real emission "
                "and its counter-events do; each would be showered alone. Write single events"
            )
        if tag == "/LesHouchesEvents":
            if self._inside:
                raise DataError(f"{self._path}: the file ends {self.where}; get or generate it again")
            self._complete = True

    def _taken(self) -> str:
        text = "".join(self._kept)
        self._kept, self._size = [], 0
        return text

    def finish(self) -> Iterator[str]:
        """Yield the head of a file without events, and raise :class:`DataError` unless the file is complete."""
        if self._position < 0:
            yield self._taken()
        if not self._complete:
            raise DataError(
                f"{self._path}: truncated: no </LesHouchesEvents> after event {self._position}; "
                "get or generate the file again"
            )


def _weights(body: str, weight_ids: list[str]) -> dict[str, float]:
    """Return the additional weights in the order of the event.

    Weights of ``<rwgt>`` and named ``<weight>`` elements keep their names. Those of ``<weights>`` get the declared
    names, or their number if the count differs from the declared one or some of the names are already taken.
    """
    names: list[str | None] = []
    values: list[float] = []
    elements = [e for e in _ELEMENT.findall(body) if e[0].startswith("w")]
    if len(elements) != body.count("<w"):
        raise ValueError("an additional weight is not written as it should be")
    for tag, attributes, content in elements:
        numbers = [float(content)] if tag == "wgt" else list(map(float, content.split()))
        name = _name(attributes) if len(numbers) == 1 else None
        names += [f"rwgt[{len(names)}]" if tag == "wgt" and name is None else name] * len(numbers)
        values += numbers
    listed = names.count(None)
    known = listed == len(weight_ids) and not set(weight_ids) & set(names)
    others = iter(weight_ids if known else [f"weights[{i}]" for i in range(listed)])
    return dict(zip(unique(tuple(next(others) if n is None else n for n in names)), values, strict=True))


def _name(attributes: str) -> str | None:
    """Return the ``id`` of a weight, or its ``name``, which Whizard writes, or None without either."""
    if len(attributes) > _MAX_ATTRIBUTES:
        raise ValueError(f"a weight has {len(attributes)} characters of attributes")
    return _identifier(attributes)


@lru_cache(maxsize=4096)
def _identifier(attributes: str) -> str | None:
    found = {match[1]: match[2] or match[3] or match[4] or "" for match in _ATTRIBUTE.finditer(attributes)}
    text = found.get("id", found.get("name"))
    return text if text is None else _ENTITY.sub(lambda entity: html.unescape(entity[0]), _decoded(text))


def _decoded(text: str) -> str:
    """Return text that was read as Latin-1 as UTF-8, or unchanged if it is not UTF-8."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
