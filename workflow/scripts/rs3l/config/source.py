"""The block `source`, for a campaign whose jets exist already."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rs3l.config.base import FOLDER_PATH, Name, Settings


class Source(Settings):
    """Jets from files, in place of a simulation. Either `hdf5` or `parquet` is given."""

    hdf5: str | list[str] = Field(
        [],
        exclude_if=operator.not_,
        description="Files `rs3l_{i}.h5` in the layout of RS3L's public data set (docs/hdf5.md): a path, a "
        "pattern, or a list of them, relative to the working directory. Each is imported by a job of its own.",
    )
    parquet: Annotated[str, Field(pattern=FOLDER_PATH)] | None = Field(
        None,
        exclude_if=operator.not_,
        description="Folder of a data set with its `manifest.json` (or of a campaign that has one), which is used "
        "where it lies, as it is split.",
    )
    jet_types: dict[Annotated[int, Field(ge=0)], str] = Field(
        {},
        exclude_if=operator.not_,
        description="With `hdf5`: names of further codes of jet types, or other names of known ones.",
    )
    columns: dict[Name, Annotated[int, Field(ge=0)]] = Field(
        {},
        exclude_if=operator.not_,
        description="With `hdf5`: places of further columns of `singletons`, e.g. `jet_msd: 13`.",
    )
    angles: Literal["relative", "absolute"] | None = Field(
        None,
        exclude_if=operator.not_,
        description="With `hdf5`: whether the angles of candidates are relative to the jet axis; by default that "
        "is found out.",
    )
    invalid: Literal["stop", "leave_out"] = Field(
        "stop",
        description="With `hdf5`: what a jet with values that cannot be used does. stop: an error names it. "
        "leave_out: it is left out and counted.",
    )

    @property
    def patterns(self) -> list[str]:
        """Return the paths and patterns of the HDF5 files, which are none for a data set of Parquet files."""
        return [self.hdf5] if isinstance(self.hdf5, str) else self.hdf5

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if bool(self.patterns) == bool(self.parquet):
            raise ValueError("give either `hdf5` (files) or `parquet` (a folder)")
        own = {"jet_types": self.jet_types, "columns": self.columns, "angles": self.angles}
        if unused := [name for name, value in own.items() if value] if self.parquet else []:
            raise ValueError(f"{', '.join(unused)}: of no use with `parquet`; remove it")
        return self


@dataclass(frozen=True)
class ReadyProcess:
    """A process of the public files by its name: its label, its use and its jet types."""

    label: str
    use: Literal["pretrain", "downstream"]
    jet_types: tuple[str, ...]


READY_PROCESSES: Mapping[str, ReadyProcess] = MappingProxyType(
    {
        "higgs_bb": ReadyProcess("H", "pretrain", ("H",)),
        "qcd": ReadyProcess("QCD", "pretrain", ("q", "c", "b", "g_qq", "g_cc", "g_bb", "g_gg", "g")),
        "w_qq": ReadyProcess("W", "downstream", ("W",)),
        "z_qq": ReadyProcess("Z", "downstream", ("Z", "Z_qq", "Z_cc")),
        "z_bb": ReadyProcess("Zbb", "downstream", ("Z_bb",)),
        "top": ReadyProcess("top", "downstream", ("top",)),
        "other": ReadyProcess("other", "downstream", ("other",)),
    }
)
"""The processes that jet types imply, under the names of config/; the paper's pre-training has two of them."""

SLOTS = ("nominal", "seed", "fsr_hi", "fsr_lo", "herwig")
"""Variants of axis 1 of the public files: Pythia 8; a new seed; mu_R^2 of the final-state shower x 0.707, x 1.414;
Herwig 7."""

SUBSTRUCTURE = ("jet_msd", "jet_n2")
"""Columns of jets that observables, and some figures, are made of, and that public files may lack."""
