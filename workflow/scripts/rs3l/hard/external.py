"""Stage 1 with external files, which are checked once and then split into shards of events.

Events are keyed by their position over the sorted files. All files are one sample, so their runs must agree in
beams, subprocesses, cross-section and normalisation of the weights.
"""

from __future__ import annotations

import itertools
import json
import logging
import math
import operator
import xml.etree.ElementTree as ElementTree
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pylhe
from pydantic import Field, ValidationError

from rs3l.config.base import SampleKind, Settings
from rs3l.config.blocks import LheBlock, LheSource
from rs3l.errors import DataError
from rs3l.files import sha256, write_text
from rs3l.hard.anchor import Anchor, find_anchor
from rs3l.hard.decays import decayed
from rs3l.lhe.checks import check_event
from rs3l.lhe.cross_section import Sums
from rs3l.lhe.files import Head, read_event, read_head, scan, unique
from rs3l.lhe.inputs import find_files
from rs3l.lhe.kinds import Label, check_kinds, kinds, labels
from rs3l.lhe.lhe import HardEvent, ShardInfo, fingerprint, outgoing, write_shard
from rs3l.lhe.weights import check_present, chosen_columns
from rs3l.pythia import installed_version
from rs3l.repeated import first_repeated

_PROTON = 2212
_PARTONS = (1, 2, 3, 4, 5, 21)
_STRATEGIES = (1, 2, 3, 4)
_SAME_BEAM = 1e-4
_NOTHING = 1e-9
"""Sum of the weights, relative to that of their sizes, that is no more than the rounding of zero."""
_SAME_RUNS = 0.1
"""Largest relative difference of cross-sections, or of constant weights, between the files of one sample."""
_OTHER_SIZE = 10
"""Ratio of two cross-sections of one sample beyond which the weights are hardly variations."""
_SIGMAS = 4
"""Largest difference of two cross-sections, or of one and a mean of weights, in errors, if that allows more."""


class LheFile(Settings):
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
    sum_of_weights: float = Field(description="Of XWGTUP, with their signs.")
    sum_of_sizes: float = Field(description="Of |XWGTUP|.")
    along_the_beam: int = Field(description="Events whose anchor has no transverse momentum: they have no jet.")
    weights: list[str] = Field(description="Identifiers of the additional weights.")
    sums_of_columns: dict[str, float] = Field(
        {}, exclude_if=operator.not_, description="Of the weights that become columns, with their signs."
    )


class LheIndex(Settings):
    """The external files of a process, in the order of their events."""

    source: LheSource
    files: list[LheFile]
    columns: dict[str, str] = Field(
        {}, exclude_if=operator.not_, description="Identifiers of the weights that become columns of the data set."
    )

    @property
    def cross_section(self) -> tuple[float, float]:
        """Cross-section and error [pb], the mean of the runs weighted by the events used."""
        total = sum(f.used for f in self.files)
        sigma = math.fsum(f.used * f.cross_section_pb for f in self.files) / total
        return sigma, math.hypot(*(f.used * f.cross_section_error_pb for f in self.files)) / total

    def cross_section_of(self, column: str) -> float:
        """Cross-section [pb] with the weights of a column in place of XWGTUP."""
        total, own = (
            math.fsum(values)
            for values in ((f.sum_of_weights for f in self.files), (f.sums_of_columns[column] for f in self.files))
        )
        return self.cross_section[0] * own / total

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
    files: list[LheFile] = []
    prints, left = array("Q"), source.events
    columns: dict[str, str] = {}
    for path in find_files(source.process, source.patterns):
        if not left:
            logging.info("%s: not needed for %d events", path, source.events)
            continue
        file = _examine(source, path, left, prints, columns)
        files.append(file)
        left -= file.used
    if left:
        raise DataError(
            f"{', '.join(f.path for f in files)}: {source.events - left} events in all, and "
            f"processes.{source.process}.events asks for {source.events}; lower it, or add files"
        )
    index = LheIndex(source=source, files=files, columns=columns)
    _check_one_sample(index)
    _check_no_event_twice(index, prints)
    _check_sizes(index)
    _notice(index)
    return index


def read_index(path: str | Path) -> LheIndex:
    """Return the index in ``path``; raises :class:`DataError` if it is not an index."""
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
        weights=index.columns or None,
    )
    events = _events(block, pieces)
    if block.decays:
        events = decayed(block, events)
    write_shard(path, info, _anchored(block, pieces, events), block.source.ecm, _header(block, pieces))
    logging.info("%s: %d hard events from %s", path, block.events, ", ".join(file.path for file, *_ in pieces))
    return info


class _Tally:
    """The properties of a file that are collected while its events pass by."""

    def __init__(self, prints: array[int], columns: dict[str, str]) -> None:
        self.prints, self.columns = prints, columns
        self.sums_of_columns: dict[str, float] = {}
        self.events = self.used = 0
        self.smallest, self.largest = math.inf, 0.0
        self.sum = self.sizes = self.sum_of_squares = 0.0
        self.along_the_beam = 0
        self.multiplicities: set[int] = set()
        self.labels: set[Label] = set()

    def add(self, event: HardEvent, text: str, anchor: Anchor | None) -> None:
        """Count an event that is used, and append its fingerprint to those of the process."""
        self.prints.append(fingerprint(event))
        self.labels |= labels(text)
        self.along_the_beam += anchor is not None and not anchor.has_direction
        size = abs(event.weight)
        self.used += 1
        self.smallest, self.largest = min(self.smallest, size), max(self.largest, size)
        self.sum += event.weight
        self.sizes += size
        self.sum_of_squares += size**2
        for column, name in self.columns.items():
            self.sums_of_columns[column] = self.sums_of_columns.get(column, 0.0) + event.weights[name]
        self.multiplicities.add(sum(abs(p.pdg_id) in _PARTONS for p in outgoing(event)))

    @property
    def mean_weight(self) -> tuple[float, float]:
        """Mean of XWGTUP and its error, which is the cross-section [pb] if the weights are in pb."""
        mean = self.sum / self.used
        return mean, math.sqrt(max(self.sum_of_squares / self.used - mean**2, 0.0) / self.used)


def _examine(source: LheSource, path: str, wanted: int, prints: array[int], columns: dict[str, str]) -> LheFile:
    """Read a file to its end, check the events that are used, and append their fingerprints to ``prints``.

    The first event of all fills ``columns`` with the weights that are asked for.
    """
    texts = scan(path)
    head = read_head(path, next(texts))
    _check_init(source, path, head)
    first, tally = "", _Tally(prints, columns)
    for text in texts:
        first = first or text
        if tally.used < wanted:
            event = read_event(path, tally.events, text, source.events - wanted + tally.events, head.weight_ids)
            where = f"{path}: event {tally.events}"
            check_event(where, event, text, source)
            if not prints:
                columns.update(chosen_columns(where, source.weights, event.weights))
            check_present(where, columns, event.weights)
            tally.add(event, text, _anchor(source, where, event))
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
        sum_of_weights=tally.sum,
        sum_of_sizes=tally.sizes,
        along_the_beam=tally.along_the_beam,
        weights=head.weight_ids,
        sums_of_columns=tally.sums_of_columns,
    )


def _anchor(source: LheSource, where: str, event: HardEvent) -> Anchor | None:
    """Return the anchor of an event, or None for an event that is not decayed yet and has none."""
    try:
        return find_anchor(event, source.anchor, source.anchor_choice)
    except DataError as error:
        if source.undecayed:
            return None
        raise DataError(f"{where}: {error}") from None


def _cross_section(path: str, head: Head, tally: _Tally) -> tuple[float, float]:
    """Return cross-section and error [pb] as IDWTUP says (hep-ph/0109068, table 1).

    With +-1, the weights are in pb, their mean is the cross-section, and XSECUP is not used. With +-2 and +-3, the
    cross-section is XSECUP. With +-4, it is the mean of the weights too, but XSECUP is more precise where it is
    given; some generators normalise the weights to a sum of XSECUP instead. POWHEG writes -1 for some processes,
    and leaves the cross-section to the weights.
    """
    strategy, (sigma, error) = abs(head.init.weightingStrategy), head.cross_section
    usable = math.isfinite(sigma) and math.isfinite(error) and sigma > 0
    if strategy in (1, 4) and tally.used and (strategy == 1 or not usable):
        mean, spread = tally.mean_weight
        if usable and not _agree((sigma, error), (mean, spread)):
            logging.warning("%s: XSECUP is %g pb; used is the mean of the weights, %g pb", path, sigma, mean)
        return mean, spread
    if not usable:
        raise DataError(
            f"{path}: no usable <init> block: the cross-section XSECUP is {sigma:g} pb; it is needed to weigh the "
            "jets. Write it into the file"
        )
    if strategy == 4 and tally.used:
        _check_mean(path, head, tally)
    return sigma, error


def _check_mean(path: str, head: Head, tally: _Tally) -> None:
    """Raise :class:`DataError` unless XSECUP is the mean of the weights in pb, or their sum over the file."""
    mean, spread = tally.mean_weight
    means = (mean, spread), (mean * tally.events, spread * tally.events)
    if not any(_agree(head.cross_section, value) for value in means):
        raise DataError(
            f"{path}: the cross-section XSECUP is {head.cross_section[0]:g} pb, the mean of the weights XWGTUP "
            f"{mean:g} +- {spread:g} pb, and IDWTUP = {head.init.weightingStrategy} says that they are the same: "
            "one is wrong. Correct XSECUP (-1: take the mean), or IDWTUP (3: the weights are not in pb)"
        )


def _agree(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Return whether two cross-sections with their errors may be the same."""
    difference, error = abs(one[0] - other[0]), math.hypot(one[1], other[1])
    return difference <= max(_SAME_RUNS * max(abs(one[0]), abs(other[0])), _SIGMAS * error)


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
    _check_sum(index)
    _check_directions(index)


def _check_no_event_twice(index: LheIndex, prints: array[int]) -> None:
    """Raise :class:`DataError` if two events are the same but for their weights; takes 24 bytes per event.

    The merge would find most of them hours later, but not those decayed here, because each copy decays in its own
    way.
    """
    if found := first_repeated(np.frombuffer(prints, np.uint64)):
        first, second, pairs = found
        raise DataError(
            f"{_place(index, second)} is {_place(index, first)} once more ({pairs} such pairs in all): it would "
            "count twice, and could be in training and test; take it out, or generate the file again with another "
            "random seed"
        )


def _place(index: LheIndex, event: int) -> str:
    """Return the file of an event of the process, and its position there."""
    for file in index.files:
        if event < file.used:
            return f"{file.path}: event {event}"
        event -= file.used
    raise IndexError(event)


def _check_sum(index: LheIndex) -> None:
    """Raise :class:`DataError` if the weights add up to zero, or to a sum of the wrong sign."""
    names = ", ".join(file.path for file in index.files)
    total, sizes = (
        math.fsum(getattr(f, name) for f in index.files) for name in ("sum_of_weights", "sum_of_sizes")
    )
    if abs(total) <= _NOTHING * sizes:
        raise DataError(
            f"{names}: the weights XWGTUP of the events add up to {total:g}: nothing can be normalised by that. "
            "Get or generate the files again"
        )
    sigma = index.cross_section[0]
    if total * sigma < 0:
        raise DataError(
            f"{names}: the weights XWGTUP add up to {total:g}, and the cross-section is {sigma:g} pb: every jet "
            "would count with the wrong sign. Take more events, or correct the files"
        )


def _check_sizes(index: LheIndex) -> None:
    """Say which cross-sections the columns have, and warn of one that is of another size than that of XWGTUP."""
    for column, name in index.columns.items():
        sigma, own = index.cross_section[0], index.cross_section_of(column)
        logging.info("%s: the weight %s (%s) has %.5g pb", index.source.process, name, column, own)
        if not sigma / _OTHER_SIZE < own < sigma * _OTHER_SIZE:
            logging.warning(
                "%s: with the weights %r the cross-section would be %.4g pb instead of %.4g pb: are they factors, "
                "or in other units than XWGTUP?",
                index.source.process, name, own, sigma,
            )  # fmt: skip


def _notice(index: LheIndex) -> None:
    """Say what is missing where POWHEG events are showered."""
    kinds_found = {kind for file in index.files for kind in file.kinds}
    if "powheg" in kinds_found or "powheg" in index.source.accept:
        logging.warning(
            "%s: POWHEG events: the showers begin at SCALUP, and the veto of Pythia's PowhegHooks is missing; "
            "docs/hard.md says what that costs",
            index.source.process,
        )


def _check_directions(index: LheIndex) -> None:
    """Raise :class:`DataError` if no event can have a jet, and warn of events that can have none."""
    names = ", ".join(file.path for file in index.files)
    none, used = (sum(getattr(file, name) for file in index.files) for name in ("along_the_beam", "used"))
    if none == used:
        raise DataError(
            f"{names}: in all {used} events the anchor {index.source.anchor} moves along the beam, as at leading "
            "order in gg -> H or pp -> Z: it has no direction that a jet could be near. Generate it with a parton "
            f"that it recoils against, or change processes.{index.source.process}.anchor"
        )
    if none:
        logging.warning(
            "%s: in %d of %d events the anchor moves along the beam: these have no jet", names, none, used
        )


def _differences(first: LheFile, other: LheFile) -> Iterator[str]:
    if other.subprocesses != first.subprocesses:
        yield f"subprocesses {other.subprocesses} and {first.subprocesses}"
    if other.strategy != first.strategy:
        yield f"weighting strategies {other.strategy} and {first.strategy}"
    one, two = ((f.cross_section_pb, f.cross_section_error_pb) for f in (first, other))
    if not _agree(one, two):
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
    """Yield the events of a shard and check them; each file is read up to the last of them."""
    index = block.first
    for file, start, stop in pieces:
        _check_unchanged(block, file)
        texts = scan(file.path)
        next(texts)
        read = 0
        for position, text in enumerate(itertools.islice(texts, start, stop), start):
            event = read_event(file.path, position, text, index, file.weights)
            check_event(f"{file.path}: event {position}", event, text, block.source)
            yield event
            index, read = index + 1, read + 1
        if read != stop - start:
            raise _replaced(block, file)


def _check_unchanged(block: LheBlock, file: LheFile) -> None:
    """Raise :class:`DataError` unless the file is the one that was indexed, whatever its time and size."""
    if not Path(file.path).is_file() or sha256(file.path) != file.sha256:
        raise _replaced(block, file)


def _replaced(block: LheBlock, file: LheFile) -> DataError:
    return DataError(
        f"{file.path}: changed, replaced or removed since its index was made (another SHA-256): put the old "
        f"file back, or `touch` this one and run again: the index of {block.process} is made anew"
    )


def _anchored(block: LheBlock, pieces: Sequence[Piece], events: Iterable[HardEvent]) -> Iterator[HardEvent]:
    """Yield the events after checking that each has one anchor."""
    origin = [(file.path, position) for file, start, stop in pieces for position in range(start, stop)]
    for (path, position), event in zip(origin, events, strict=True):
        try:
            find_anchor(event, block.source.anchor, block.source.anchor_choice)
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
        header = pylhe.LHEHeader.fromstring(f"<header>{declared}</header>")
        weights = list(header.initrwgt.iter_weights())
        for weight, name in zip(weights, unique(tuple(w.id for w in weights)), strict=True):
            weight.id = name
        return header
    except (ElementTree.ParseError, AttributeError):
        logging.warning("%s: its <initrwgt> block is no XML; the weights keep their names only", path)
        return None
