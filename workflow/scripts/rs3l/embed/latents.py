"""Writes the latents of jets as a table, either of the test split or of any file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rs3l.dataset.checksum import COLLAPSED, write_sealed
from rs3l.dataset.foreign_jets import read_jets
from rs3l.dataset.manifest import read_manifest
from rs3l.dataset.store import JetStore, load_views, name_column
from rs3l.errors import DataError
from rs3l.files import atomic
from rs3l.networks.base import JetEncoder
from rs3l.networks.model_file import embed, load_encoder, signs_in


def write_latents_of_file(jets: str | Path, model: str | Path, path: str | Path) -> None:
    """Write h and z of every jet of a Parquet file, in its order, with those of its columns that are no lists.

    z is on the unit sphere. Memory does not grow with the file. The metadata of the table say whether the model
    collapsed. Raises :class:`DataError` if ``jets`` lacks columns, or has columns called h or z.
    """
    encoder, signs = load_encoder(model), "; ".join(signs_in(model))
    if signs:
        logging.warning("%s: its pre-training collapsed: %s", model, signs)
    with atomic(path) as temporary:
        writer: pq.ParquetWriter | None = None
        for table, store in read_jets(jets, encoder.constituents):
            if {"h", "z"} & set(table.column_names):
                raise DataError(f"{jets}: has a column h or z already; rename it")
            for name, values in zip(("h", "z"), embed(encoder, store, store.rows()), strict=True):
                lists = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
                table = table.append_column(name, lists)
            if signs:
                table = table.replace_schema_metadata({**(table.schema.metadata or {}), COLLAPSED: signs})
            writer = writer or pq.ParquetWriter(temporary, table.schema, compression="zstd")
            writer.write_table(table)
        if writer is None:
            raise DataError(f"{jets}: holds no jet")
        writer.close()


class EmbeddedJets(NamedTuple):
    """Test jets of all processes and variants with their h and z; z is on the unit sphere, where the loss acts."""

    store: JetStore
    h: NDArray[np.float32]
    z: NDArray[np.float32]


def embed_test_jets(manifest: str | Path, encoder: JetEncoder) -> EmbeddedJets:
    """Return the test jets of a data set under an encoder."""
    contents = read_manifest(manifest)
    names = list(contents.processes), list(contents.variants)
    store = load_views(manifest, "test", *names, encoder.constituents)
    return EmbeddedJets(store, *embed(encoder, store, store.rows()))


def write_test_latents(manifest: str | Path, model: str | Path, path: str | Path) -> None:
    """Write the latents of the test jets of a data set under the encoder in the file ``model``."""
    write_latents(embed_test_jets(manifest, load_encoder(model)), path, signs_in(model))


def write_latents(latents: EmbeddedJets, path: str | Path, signs: Sequence[str] = ()) -> None:
    """Write z of the test jets with what the figures need to know of them, and the ``signs`` of a collapse."""
    store, _, z = latents
    table = pa.table(
        {
            "event_id": store.event_id,
            "process": name_column(store.process, store.process_names),
            "variant": name_column(store.variant, store.variant_names),
            "z": pa.FixedSizeListArray.from_arrays(pa.array(z.reshape(-1)), z.shape[1]),
            "jet_mass": store.jet_mass,
            "jet_pt": store.jet_pt,
        }
    )
    if signs:
        table = table.replace_schema_metadata({COLLAPSED: "; ".join(signs)})
    with atomic(path) as temporary:
        write_sealed(temporary, table)
