"""The draws of labelled events of a task, and their jets: in memory if they are few, else in a file per draw.

E is the number of events of the task with a nominal jet in the split of labels, n the number of jets of a draw.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rs3l.dataset.store import JetStore
from rs3l.finetune.sample import NOMINAL, Index, Sample, Wanted
from rs3l.finetune.sources import JetsInFile, JetsInMemory, Labelled, Source, write_jets
from rs3l.networks.base import STATISTICS_JETS
from rs3l.types import Ints


@dataclass(frozen=True)
class Draw:
    """One draw of labelled events."""

    labels: int
    repeat: int
    event_id: Ints

    @property
    def key(self) -> tuple[int, int]:
        """Return what tells it from the other draws."""
        return self.labels, self.repeat


class DrawnJets:
    """The jets of all draws.

    The smallest draws are held, as long as all of these have ``held`` jets at most; one pass over the data set
    reads them. Each other draw has files in ``folder``, which another pass writes when they are asked for.
    """

    def __init__(
        self, index: Index, draws: Sequence[Draw], constituents: int, held: int, folder: Path, statistics: bool
    ) -> None:
        """Read the held jets, and with ``statistics`` the jets that inputs are standardised by."""
        self.index, self.constituents, self.folder = index, constituents, folder
        few = _few(index, draws, held)
        self.held = {draw.key for draw in few}
        chosen = index.event_id[:: -(-len(index) // STATISTICS_JETS)] if statistics else index.event_id[:1]
        labelled = np.concatenate([chosen[:0], *(draw.event_id for draw in few)])
        self.sample: Sample = index.read(Wanted(labelled, chosen), constituents)
        self._statistics = chosen

    @property
    def store(self) -> JetStore:
        """The jets that are held."""
        return self.sample.store

    def statistics(self) -> Ints:
        """Return the rows of :attr:`store` that inputs are standardised by: nominal ones, evenly thinned."""
        rows = self.store.rows(variant=NOMINAL)
        return rows[np.isin(self.store.event_id[rows], self._statistics)]

    def jets(self, draw: Draw, every_view: bool) -> Source:
        """Return the nominal jets of a draw, or all their views, in the order of the data set."""
        if draw.key in self.held:
            return JetsInMemory(self._held(draw, every_view))
        return self._file(draw, every_view)

    def observables(self, draw: Draw) -> tuple[NDArray[np.float64], Ints]:
        """Return the observables [n, 4] and the labels [n] of the nominal jets of a draw."""
        if draw.key in self.held:
            jets = self._held(draw, every_view=False)
            return self.sample.observables[jets.rows], jets.y
        return self._file(draw, every_view=False).observables()

    def let_go(self, draw: Draw) -> None:
        """Delete the files of a draw."""
        for path in self.folder.glob(f"{self.name(draw)}-*"):
            path.unlink()

    def name(self, draw: Draw) -> str:
        """Return what the files of a draw begin with."""
        return f"jets-{draw.labels}-{draw.repeat}"

    def _held(self, draw: Draw, every_view: bool) -> Labelled:
        rows = self.store.rows(variant=None if every_view else NOMINAL)
        rows = rows[np.isin(self.store.event_id[rows], draw.event_id)]
        return Labelled(self.store, rows, (self.store.process[rows] == 0).astype(np.int64))

    def _file(self, draw: Draw, every_view: bool) -> JetsInFile:
        path = self._path(draw, every_view)
        if not path.is_file():
            wanted = Wanted(events=draw.event_id) if every_view else Wanted(nominal=draw.event_id)
            logging.info("%d labels, repeat %d: more than is held in memory; copied to %s", *draw.key, path)
            write_jets(path, self.index, wanted, self.constituents)
        return JetsInFile(path, self.index.variants, self.constituents)

    def _path(self, draw: Draw, every_view: bool) -> Path:
        return self.folder / f"{self.name(draw)}-{'all' if every_view else NOMINAL}.parquet"


def _few(index: Index, draws: Sequence[Draw], held: int) -> list[Draw]:
    """Return the smallest draws, which have ``held`` jets at most together."""
    few, total = [], 0
    for draw in sorted(draws, key=lambda draw: draw.key):
        total += index.jets(draw.event_id)
        if total <= held:
            few.append(draw)
    return few
