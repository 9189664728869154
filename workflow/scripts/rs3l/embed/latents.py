"""Writes the latents of jets as a table, either of the test split or of any file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.dataset.checksum import COLLAPSED, SealedWriter
from rs3l.dataset.foreign_jets import read_jets
from rs3l.dataset.manifest import read_manifest
from rs3l.dataset.own.jets import Jets
from rs3l.dataset.own.tables import package, source_name
from rs3l.dataset.parquet import scores_options
from rs3l.dataset.parts import Reader
from rs3l.dataset.store import JetStore, name_column
from rs3l.errors import DataError
from rs3l.files import atomic
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import embed, load_encoder, signs_in
from rs3l.training.device import Placement
from rs3l.types import Floats32

HERE = Placement()
HDF5_SUFFIXES = (".h5", ".hdf5")


def write_latents_of_file(
    jets: Jets | str | Path, model: str | Path, path: str | Path, place: Placement = HERE
) -> None:
    """Write h and z of every jet of a source, in its order, with those of its columns that are no lists.

    A source is what :func:`rs3l.dataset.write` takes, or a file in RS3L's HDF5 layout, with a jet per view. z is
    on the unit sphere. Memory does not grow with the file. The metadata of the table say whether the model
    collapsed. Raises :class:`DataError` if ``jets`` lacks columns, or has columns called h or z.
    """
    own = jets if isinstance(jets, Jets) else Jets(jets)
    encoder, signs = load_encoder(model).to(place.device), "; ".join(signs_in(model))
    if signs:
        logging.warning("%s: its pre-training collapsed: %s", model, signs)
    with atomic(path) as temporary:
        writer: pq.ParquetWriter | None = None
        for table, store in _read(own, encoder.constituents):
            if {"h", "z"} & set(table.column_names):
                raise DataError(f"{source_name(own)}: has a column h or z already; rename it")
            for name, values in zip(("h", "z"), embed(encoder, store, store.rows(), place.put), strict=True):
                table = table.append_column(name, _vectors(values))
            if signs:
                table = table.replace_schema_metadata({**(table.schema.metadata or {}), COLLAPSED: signs})
            writer = writer or pq.ParquetWriter(temporary, table.schema, compression="zstd")
            writer.write_table(table)
        if writer is None:
            raise DataError(f"{source_name(own)}: holds no jet")
        writer.close()


def _read(jets: Jets, constituents: int) -> Iterator[tuple[pa.Table, JetStore]]:
    if isinstance(jets.data, str | Path) and Path(jets.data).suffix in HDF5_SUFFIXES:
        package("h5py", "HDF5 files")
        from rs3l.hdf5.jets import read_hdf5_jets

        return read_hdf5_jets(jets.data, constituents)
    return read_jets(jets, constituents)


def write_latents(
    manifest: str | Path,
    model: str | Path,
    process: str | None,
    parts: range | None,
    path: str | Path,
    place: Placement = HERE,
) -> None:
    """Write z of the test jets of some ``parts`` of a process, with what the figures need to know of them.

    None stands for all processes, and for all parts. One row group at a time is in memory, and batches are cut
    inside it, so that the latents are the same however the parts are shared among jobs. z is on the unit sphere.
    The metadata of the table have the signs of a collapse of the model.
    """
    encoder, signs = load_encoder(model).to(place.device), signs_in(model)
    schema = _schema(encoder.config.latent)
    if signs:
        schema = schema.with_metadata({COLLAPSED: "; ".join(signs)})
    with atomic(path) as temporary, SealedWriter(temporary, schema, **scores_options(schema)) as writer:
        for one in [process] if process else read_manifest(manifest).processes:
            for jets in Reader(manifest, one, parts, constituents=encoder.constituents):
                writer.write_table(_table(encoder, jets.store, schema, place))


def _schema(latent: int) -> pa.Schema:
    kinds = {
        "event_id": pa.int64(),
        "process": pa.string(),
        "variant": pa.string(),
        "z": pa.list_(pa.float32(), latent),
        "jet_mass": pa.float32(),
        "jet_pt": pa.float32(),
    }
    return pa.schema(kinds)


def _table(encoder: JetEncoder, store: JetStore, schema: pa.Schema, place: Placement = HERE) -> pa.Table:
    """Return the rows of the jets of a store, in their order."""
    columns = [
        store.event_id,
        name_column(store.process, store.process_names),
        name_column(store.variant, store.variant_names),
        _vectors(embed(encoder, store, store.rows(), place.put)[1]),
        store.jet_mass,
        store.jet_pt,
    ]
    return pa.table([pa.array(column) for column in columns], schema=schema)


def _vectors(values: Floats32) -> pa.FixedSizeListArray:
    """Return vectors [n, D] as an Arrow column."""
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
