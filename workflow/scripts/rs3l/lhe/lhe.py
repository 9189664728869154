"""Hard events in the Les Houches format (hep-ph/0609017), one shard per file."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import io
import json
import re
import struct
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import quoteattr

import pylhe

from rs3l.errors import DataError
from rs3l.files import atomic
from rs3l.lhe.cross_section import Sums, cross_section
from rs3l.lhe.weights import read_columns

INCOMING, FINAL = -1, 1
_BLOCK = 2**18
"""Number of bytes that are read at a time."""
_EVENT_TAG = re.compile(rb'<event evtkey="(\d+)">')
_EVENT_END, _END = b"</event>\n", b"</LesHouchesEvents>"
_COMMENT = re.compile(rb"\A<LesHouchesEvents\b[^<>]*>\s*<!-- rs3l (.*?) -->")
_INTEGERS = 6
"""Number of fields of a particle that are whole numbers, which come first."""
_DAMAGE = (EOFError, OSError, zlib.error, ValueError)
_FORMAT = pylhe.LHEXMLFormat(
    particle="{id:d} {status:d} {mother1:d} {mother2:d} {color1:d} {color2:d} {px:.17g} {py:.17g} {pz:.17g} "
    "{e:.17g} {m:.17g} {lifetime:.17g} {spin:.17g}",
    eventinfo="{nparticles:d} {pid:d} {weight:.17g} {scale:.17g} {aqed:.17g} {aqcd:.17g}",
)


class Particle(NamedTuple):
    """One entry of a hard event in the order of the format, with momenta and mass in GeV and the lifetime in mm.

    ``mother1`` and ``mother2`` are positions of other entries, counted from 1, and 0 stands for none.
    """

    pdg_id: int
    status: int
    mother1: int
    mother2: int
    colour: int
    anticolour: int
    px: float
    py: float
    pz: float
    energy: float
    mass: float
    lifetime: float
    spin: float

    @property
    def mothers(self) -> tuple[int, int]:
        """Positions of the mothers, or zeros."""
        return self.mother1, self.mother2

    @property
    def momentum(self) -> tuple[float, float, float, float]:
        """Its px, py, pz and energy [GeV]."""
        return self.px, self.py, self.pz, self.energy


@dataclass(frozen=True)
class HardEvent:
    """One hard event, with its ``index`` within its process, weight, scale [GeV], couplings and particles.

    ``weights`` are the additional weights of an external file, which are written into the shard but not read back.
    ``columns`` are those of them that become columns of the data set, by column, which are read back.
    """

    index: int
    weight: float
    scale: float
    alpha_qed: float
    alpha_qcd: float
    particles: Sequence[Particle]
    weights: Mapping[str, float] = field(default_factory=dict)
    columns: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ShardInfo:
    """The content of a shard's header.

    ``subprocesses`` are the sums over the phase-space points tried, from which the cross-section follows.
    ``pythia`` is the version of the Pythia that made the events. It is empty for events from external files, whose
    origin is in ``source``. ``weights`` are the additional weights that become columns of the data set, by column.
    """

    process: str
    seed: int
    first: int
    events: int
    pythia: str
    subprocesses: Sums
    source: Mapping[str, Any] | None = None
    weights: Mapping[str, str] | None = None

    @property
    def cross_section(self) -> tuple[float, float]:
        """Cross-section and its statistical error [pb]."""
        return cross_section([self.subprocesses])


def write_shard(
    path: str | Path,
    info: ShardInfo,
    events: Iterable[HardEvent],
    ecm: float,
    header: pylhe.LHEHeader | None = None,
) -> None:
    """Write a gzipped LHE file atomically, with the same bytes each time; ``events`` may be a stream."""
    file = pylhe.LHEFile(
        init=_init(*info.cross_section, ecm),
        events=(_to_pylhe(event) for event in events),
        comment=_comment(info),
        header=header,
    )
    with (
        atomic(path) as temporary,
        open(temporary, "wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as stream,
        io.TextIOWrapper(stream, encoding="utf-8", newline="\n") as text,
    ):
        file.write(text, lheformat=_FORMAT)


def write_plain(path: str | Path, events: Iterable[HardEvent], ecm: float) -> None:
    """Write events as plain text for another program, with weight 1, so that it showers each of them."""
    file = pylhe.LHEFile(
        init=_init(1.0, 0.0, ecm),
        events=(_to_pylhe(dataclasses.replace(event, weight=1.0, weights={})) for event in events),
    )
    with open(path, "w", encoding="utf-8") as stream:
        file.write(stream, lheformat=_FORMAT)
        stream.write("\n")


def read_shard(path: str | Path) -> tuple[ShardInfo, list[HardEvent]]:
    """Read a whole shard; raises :class:`DataError` if it is missing, truncated, damaged or not one of ours."""
    info, events = open_shard(path)
    return info, list(events)


def open_shard(path: str | Path) -> tuple[ShardInfo, Iterator[HardEvent]]:
    """Return the content of a shard's header, and its events one by one.

    The file is first read once to its end, where its checksum is. A file that is missing, truncated, damaged or
    not one of ours therefore raises :class:`DataError` here, and not after hours of work. Errors that only its
    events reveal are raised while they are read.
    """
    with _damage_is_named(path):
        texts = _texts(path)
        info = _info(path, next(texts))
        count = sum(1 for _ in texts)
    if count != info.events:
        raise _other_events(path, info, count)
    return info, _events(path, info)


def _events(path: str | Path, info: ShardInfo) -> Iterator[HardEvent]:
    """Yield the events of a shard and check that they are those that its header announces."""
    count = 0
    with _damage_is_named(path):
        texts = islice(_texts(path), 1, None)
        for count, event in enumerate((_event(text, info.weights or {}) for text in texts), 1):
            if event.index != info.first + count - 1:
                raise _other_events(path, info, info.events)
            yield event
    if count != info.events:
        raise _other_events(path, info, count)


def _other_events(path: str | Path, info: ShardInfo, count: int) -> DataError:
    return DataError(
        f"{path}: its header announces the events {info.first} ... {info.first + info.events - 1}, but it "
        f"holds {count} events that differ from these; delete it and run again"
    )


@contextlib.contextmanager
def _damage_is_named(path: str | Path) -> Iterator[None]:
    """Turn the errors of reading a damaged shard into a :class:`DataError` that names it."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; run the rule hard_process for this shard") from None
    except _DAMAGE as error:
        raise DataError(
            f"{path}: truncated or damaged LHE file ({type(error).__name__}: {error}); delete it and run again"
        ) from None


def _texts(path: str | Path) -> Iterator[bytes]:
    """Yield the text of a shard before its first event, then that of each event without its end tag.

    Raises :class:`ValueError` if the end of the last event is not that of the file.
    """
    with gzip.open(path, "rb") as stream:
        rest = yield from _head(stream)
        while block := stream.read(_BLOCK):
            *events, rest = (rest + block).split(_EVENT_END)
            yield from events
    if rest.strip() != _END:
        raise ValueError(f"no {_END.decode()} after the last event")


def _head(stream: Iterable[bytes]) -> Generator[bytes, None, bytes]:
    """Yield the text before the first event, and return what has been read beyond it."""
    lines: list[bytes] = []
    for line in stream:
        if line.startswith((b"<event ", _END)):
            yield b"".join(lines)
            return line
        lines.append(line)
    raise ValueError("no event and no end")


def _event(text: bytes, columns: Mapping[str, str]) -> HardEvent:
    """Return an event from its text; of the additional weights, which may be far more than the rest, ``columns``.

    This reads what ``write_shard`` writes, and nothing else.
    """
    event, _, weights = text.partition(b"<rwgt>")
    tag, head, *lines = event.splitlines()
    key = _EVENT_TAG.fullmatch(tag)
    count, _, weight, scale, alpha_qed, alpha_qcd = head.split()
    if key is None:
        raise ValueError("an event without its number")
    if int(count) != len(lines):
        raise ValueError(f"an event announces {int(count)} particles and has {len(lines)}")
    numbers = float(weight), float(scale), float(alpha_qed), float(alpha_qcd)
    own = read_columns(weights.decode(), columns) if columns else {}
    return HardEvent(int(key[1]), *numbers, [_particle(line) for line in lines], columns=own)


def _particle(line: bytes) -> Particle:
    fields = line.split()
    if len(fields) != len(Particle._fields):
        raise ValueError(f"a particle has {len(fields)} numbers")
    return Particle._make([*map(int, fields[:_INTEGERS]), *map(float, fields[_INTEGERS:])])


def fingerprint(event: HardEvent) -> int:
    """Return 64 bits of a hash of an event's particles, which a copy with another key or weight shares.

    Two of 10^7 different events have the same fingerprint with a probability of 3 * 10^-6.
    """
    numbers = [
        number + 0.0 for p in event.particles for number in (p.pdg_id, p.status, *p.momentum)
    ]  # -0.0 is 0.0
    packed = struct.pack(f"<{len(numbers)}d", *numbers)
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "little")


def incoming(event: HardEvent) -> Iterator[Particle]:
    """Yield the two incoming partons."""
    return (p for p in event.particles if p.status == INCOMING)


def final(event: HardEvent) -> Iterator[Particle]:
    """Yield the outgoing particles after the decays of resonances."""
    return (p for p in event.particles if p.status == FINAL)


def outgoing(event: HardEvent) -> Iterator[Particle]:
    """Yield the particles that leave the hard process, before the decays of resonances."""
    for p in event.particles:
        mothers = [event.particles[m - 1] for m in p.mothers if m > 0]
        if p.status != INCOMING and all(mother.status == INCOMING for mother in mothers):
            yield p


def check_conservation(event: HardEvent, tolerance: float = 1e-6) -> None:
    """Raise :class:`DataError` unless incoming and outgoing four-momenta agree, relative to the energy."""
    energy = sum(p.energy for p in incoming(event))
    for component, name in ((6, "px"), (7, "py"), (8, "pz"), (9, "E")):
        change = sum(p[component] for p in final(event)) - sum(p[component] for p in incoming(event))
        if not abs(change) <= tolerance * energy:
            raise DataError(f"hard event {event.index}: {name} changes by {change:g} GeV")


def _init(sigma: float, error: float, ecm: float) -> pylhe.LHEInit:
    return pylhe.LHEInit(
        initInfo=pylhe.LHEInitInfo(2212, 2212, ecm / 2, ecm / 2, 0, 0, 0, 0, 3, 1),
        procInfo=[pylhe.LHEProcInfo(sigma, error, 1.0, 9999)],
        generators=[],
    )


def _comment(info: ShardInfo) -> str:
    """Return the first comment of a shard.

    A `--` is escaped, because it would end the comment and file names may have it.
    """
    values = {name: value for name, value in vars(info).items() if value is not None}
    return "rs3l " + json.dumps(values).replace("--", "-\\u002d")


def _to_pylhe(event: HardEvent) -> pylhe.LHEEvent:
    return pylhe.LHEEvent(
        eventinfo=pylhe.LHEEventInfo(
            len(event.particles), 9999, event.weight, event.scale, event.alpha_qed, event.alpha_qcd
        ),
        particles=[pylhe.LHEParticle(*particle) for particle in event.particles],
        attributes={"evtkey": str(event.index)},
        optional=_weight_lines(event.weights),
    )


def _weight_lines(weights: Mapping[str, float]) -> list[str]:
    """Return the ``<rwgt>`` block with all digits, because pylhe's own has only five."""
    if not weights:
        return []
    lines = [f"<wgt id={quoteattr(name)}>{value:.17g}</wgt>" for name, value in weights.items()]
    return ["<rwgt>", *lines, "</rwgt>"]


def particle(p: pylhe.LHEParticle) -> Particle:
    """Return a particle as this workflow keeps it."""
    return Particle(
        p.id, p.status, p.mother1, p.mother2, p.color1, p.color2,
        p.px, p.py, p.pz, p.e, p.m, p.lifetime, p.spin,
    )  # fmt: skip


def _info(path: str | Path, head: bytes) -> ShardInfo:
    """Return what the first comment of a shard says."""
    comment = _COMMENT.search(head)
    if comment is None:
        raise DataError(
            f"{path}: not a shard written by the rule hard_process (its first comment is missing); delete it"
        )
    try:
        return ShardInfo(**json.loads(comment[1]))
    except TypeError:
        raise DataError(f"{path}: written by another version of this workflow; delete it and run again") from None
