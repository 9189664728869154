"""Stage 1 with external files: what they hold, checked once, and shards of their events.

Events are keyed by their position over the sorted files. All files are one sample: their runs must agree in
beams, subprocesses, cross-section and normalisation of the weights.
"""

from __future__ import annotations

import itertools
import json
import logging
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pylhe
from pydantic import Field, ValidationError

from rs3l.config.blocks import LheBlock, LheSource
from rs3l.config.models import Block, SampleKind
from rs3l.errors import DataError
from rs3l.files import sha256, write_text
from rs3l.lhe_inputs import find_files
from rs3l.physics.cross_section import Sums
from rs3l.physics.decays import decayed
from rs3l.physics.generator import installed_version
from rs3l.physics.lhe import HardEvent, ShardInfo, outgoing, write_shard
from rs3l.physics.lhe_checks import check_event
from rs3l.physics.lhe_files import Head, read_event, read_head, scan
from rs3l.physics.lhe_kinds import Label, check_kinds, kinds, labels
from rs3l.physics.matching import find_anchor

_PROTON = 2212
_PARTONS = (1, 2, 3, 4, 5, 21)
_STRATEGIES = (1, 2, 3, 4)
_WEIGHTS_IN_PB = (1, 4)
_SAME_BEAM = 1e-4
_SAME_RUNS = 0.1
"""Largest relative difference of cross-sections, or of constant weights, between the files of one sample."""


class LheFile(Block):
    """One external file."""

    path: str
    sha256: str
    bytes: int
    events: int = Field(description="All events of the file.")
    used: int = Field(ge=0, description="The first of them that the process uses.")
    kinds: list[SampleKind]
    strategy: int = Field(description="IDWTUP of its <init> block.")
    subprocesses: list[int]
    cross_section_pb: float
    cross_section_error_pb: float
    smallest_weight: float = Field(description="Of |XWGTUP|.")
    largest_weight: float
    weights: list[str] = Field(description="Identifiers of the additional weights.")


class LheIndex(Block):
    """The external files of a process, in the order of their events."""

    source: LheSource
    files: list[LheFile]

    @property
    def cross_section(self) -> tuple[float, float]:
        """Cross-section and error [pb]: the mean of the runs, weighted by the events used."""
        total = sum(f.used for f in self.files)
        sigma = math.fsum(f.used * f.cross_section_pb for f in self.files) / total
        return sigma, math.hypot(*(f.used * f.cross_section_error_pb for f in self.files)) / total

    def sums(self, events: int) -> Sums:
        """Return what a shard of ``events`` adds to the sums; those of all shards give the cross-section."""
        sigma, error = self.cross_section
        return {"lhe": (events, events * sigma, events * (self.source.events * error**2 + sigma**2))}


def index_files(source: LheSource, out: str | Path) -> LheIndex:
    """Read and check all files of a process, and write what they hold to ``out``."""
    index = make_index(source)
    write_text(out, index.model_dump_json(indent=2) + "\n")
    logging.info("%s: %d files, %.4g pb", out, len(index.files), index.cross_section[0])
    return index


def make_index(source: LheSource) -> LheIndex:
    """Return the index of the files of a process; raises :class:`DataError` if they cannot be used."""
    files, left = [], source.events
    for path in find_files(source.process, source.patterns):
        if not left:
            logging.info("%s: not needed for %d events", path, source.events)
            continue
        file = _examine(source, path, left)
        files.append(file)
        left -= file.used
    if left:
        raise DataError(
            f"{', '.join(f.path for f in files)}: {source.events - left} events in all, and "
            f"processes.{source.process}.events asks for {source.events}; lower it, or add files"
        )
    index = LheIndex(source=source, files=files)
    _check_one_sample(index)
    return index


def read_index(path: str | Path) -> LheIndex:
    """Return the index in ``path``; raises :class:`DataError` if it is none."""
    try:
        return LheIndex.model_validate(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, json.JSONDecodeError, ValidationError) as error:
        raise DataError(f"{path}: no index of external files ({error}); run the rule index_lhe") from None


def external_shard(block: LheBlock, path: str | Path, index: LheIndex | None = None) -> ShardInfo:
    """Write the hard events ``block.first ... first + events - 1`` of the files to ``path``.

    Without ``index``, the files are read and checked as a whole first.
    """
    index = make_index(block.source) if index is None else index
    if index.source != block.source:
        raise DataError(f"the index is of other files than those of {block.process}; run the rule index_lhe")
    pieces = _pieces(block, index)
    info = ShardInfo(
        process=block.process,
        seed=block.seed,
        first=block.first,
        events=block.events,
        pythia=installed_version() if block.decays else "",
        subprocesses=index.sums(block.events),
        source={"files": [[file.path, file.sha256, start, stop] for file, start, stop in pieces]},
    )
    events = _events(block, pieces)
    if block.decays:
        events = decayed(block, events)
    write_shard(path, info, _anchored(block, pieces, events), block.source.ecm, _header(block, pieces))
    logging.info("%s: %d hard events from %s", path, block.events, ", ".join(file.path for file, *_ in pieces))
    return info


class _Tally:
    """What is known of a file once its events have passed by."""

    def __init__(self) -> None:
        self.events = self.used = 0
        self.smallest, self.largest = math.inf, 0.0
        self.sum = self.sum_of_squares = 0.0
        self.multiplicities: set[int] = set()
        self.labels: set[Label] = set()

    def add(self, event: HardEvent, text: str) -> None:
        """Count an event that is used."""
        self.labels |= labels(text)
        size = abs(event.weight)
        self.used += 1
        self.smallest, self.largest = min(self.smallest, size), max(self.largest, size)
        self.sum += event.weight
        self.sum_of_squares += size**2
        self.multiplicities.add(sum(abs(p[0]) in _PARTONS for p in outgoing(event)))

    @property
    def mean_weight(self) -> tuple[float, float]:
        """Mean of XWGTUP and its error: the cross-section [pb], if that is their unit."""
        mean = self.sum / self.used
        return mean, math.sqrt(max(self.sum_of_squares / self.used - mean**2, 0.0) / self.used)


def _examine(source: LheSource, path: str, wanted: int) -> LheFile:
    """Read a file to its end and check the events that are used."""
    texts = scan(path)
    head = read_head(path, next(texts))
    _check_init(source, path, head)
    first, tally = "", _Tally()
    for text in texts:
        first = first or text
        if tally.used < wanted:
            where = f"{path}: event {tally.events}"
            event = read_event(path, tally.events, text, tally.events, head.weight_ids)
            check_event(where, event, source.ecm, source.undecayed)
            tally.add(event, text)
        tally.events += 1
    found = kinds(head.text, first, tally.events, tally.multiplicities, tally.labels)
    check_kinds(path, head.text, found, source.accept)
    sigma, error = _cross_section(path, head, tally)
    return LheFile(
        path=path,
        sha256=sha256(path),
        bytes=Path(path).stat().st_size,
        events=tally.events,
        used=tally.used,
        kinds=found,
        strategy=head.init.weightingStrategy,
        subprocesses=sorted(p.procId for p in head.processes),
        cross_section_pb=sigma,
        cross_section_error_pb=error,
        smallest_weight=min(tally.smallest, tally.largest),
        largest_weight=tally.largest,
        weights=head.weight_ids,
    )


def _cross_section(path: str, head: Head, tally: _Tally) -> tuple[float, float]:
    """Return the cross-section of the ``<init>`` block; some POWHEG files write -1 and leave it to the weights."""
    sigma, error = head.cross_section
    if math.isfinite(sigma) and math.isfinite(error) and sigma > 0:
        return sigma, error
    if abs(head.init.weightingStrategy) in _WEIGHTS_IN_PB and tally.used and tally.sum:
        return tally.mean_weight
    raise DataError(
        f"{path}: no usable <init> block: the cross-section XSECUP is {sigma:g} pb; it is needed to weigh the "
        "jets. Write it into the file"
    )


def _check_init(source: LheSource, path: str, head: Head) -> None:
    """Raise :class:`DataError` unless the file is of pp collisions at the campaign's energy."""
    init = head.init
    if (init.beamA, init.beamB) != (_PROTON, _PROTON):
        raise DataError(f"{path}: beams {init.beamA} and {init.beamB}: only pp collisions can be re-simulated")
    for energy in (init.energyA, init.energyB):
        if not math.isclose(energy, source.ecm / 2, rel_tol=_SAME_BEAM):
            raise DataError(
                f"{path}: beams of {energy:g} GeV, and generator.ecm / 2 is {source.ecm / 2:g} GeV; set "
                "generator.ecm to the energy of the files"
            )
    if abs(init.weightingStrategy) not in _STRATEGIES:
        raise DataError(
            f"{path}: no usable <init> block: the weighting strategy IDWTUP is {init.weightingStrategy}"
        )


def _check_one_sample(index: LheIndex) -> None:
    """Raise :class:`DataError` unless the files are runs of one process, normalised alike, and all different."""
    files, first = index.files, index.files[0]
    seen: dict[str, str] = {}
    for file in files:
        if file.sha256 in seen:
            raise DataError(
                f"{file.path}: the same bytes as {seen[file.sha256]}: its events would be used twice; remove one"
            )
        seen[file.sha256] = file.path
        for difference in _differences(first, file):
            raise DataError(
                f"{file.path}: not of one sample with {first.path}: {difference}; make a process of its own of it"
            )


def _differences(first: LheFile, other: LheFile) -> Iterator[str]:
    if other.subprocesses != first.subprocesses:
        yield f"subprocesses {other.subprocesses} and {first.subprocesses}"
    if other.strategy != first.strategy:
        yield f"weighting strategies {other.strategy} and {first.strategy}"
    if not math.isclose(other.cross_section_pb, first.cross_section_pb, rel_tol=_SAME_RUNS):
        yield f"cross-sections {other.cross_section_pb:g} and {first.cross_section_pb:g} pb"
    if all(f.smallest_weight == f.largest_weight for f in (first, other)) and not math.isclose(
        other.largest_weight, first.largest_weight, rel_tol=_SAME_RUNS
    ):
        yield f"weights of {other.largest_weight:g} and {first.largest_weight:g} (normalised by their number?)"


Piece = tuple[LheFile, int, int]
"""A file and the range of its events that belong to a shard."""


def _pieces(block: LheBlock, index: LheIndex) -> list[Piece]:
    """Return the files that hold the events of a shard, in order."""
    pieces, begin = [], 0
    for file in index.files:
        start, stop = max(block.first, begin), min(block.first + block.events, begin + file.used)
        if start < stop:
            pieces.append((file, start - begin, stop - begin))
        begin += file.used
    return pieces


def _events(block: LheBlock, pieces: Sequence[Piece]) -> Iterator[HardEvent]:
    """Yield the events of a shard, checked: each file is read up to the last of them."""
    index = block.first
    for file, start, stop in pieces:
        _check_unchanged(file)
        texts = scan(file.path)
        next(texts)
        read = 0
        for position, text in enumerate(itertools.islice(texts, start, stop), start):
            event = read_event(file.path, position, text, index, file.weights)
            check_event(f"{file.path}: event {position}", event, block.source.ecm, block.source.undecayed)
            yield event
            index, read = index + 1, read + 1
        if read != stop - start:
            raise DataError(f"{file.path}: ends before event {stop}, after its index was made; run again")


def _check_unchanged(file: LheFile) -> None:
    size = Path(file.path).stat().st_size if Path(file.path).exists() else 0
    if size != file.bytes:
        raise DataError(f"{file.path}: changed or removed since its index was made; run the rule index_lhe again")


def _anchored(block: LheBlock, pieces: Sequence[Piece], events: Iterable[HardEvent]) -> Iterator[HardEvent]:
    """Yield the events once they are known to have one anchor each."""
    origin = [(file.path, position) for file, start, stop in pieces for position in range(start, stop)]
    for (path, position), event in zip(origin, events, strict=True):
        try:
            find_anchor(event, block.anchor, block.anchor_choice)
        except DataError as error:
            raise DataError(f"{path}: event {position}: {error}") from None
        yield event


def _header(block: LheBlock, pieces: Sequence[Piece]) -> pylhe.LHEHeader | None:
    """Return the declaration of the additional weights, from the first file of a shard."""
    path = pieces[0][0].path
    declared = read_head(path, next(scan(path))).declared_weights
    if not declared:
        return None
    try:
        return pylhe.LHEHeader.fromstring(f"<header>{declared}</header>")
    except (ElementTree.ParseError, AttributeError):
        logging.warning("%s: its <initrwgt> block is no XML; the weights keep their names only", path)
        return None
