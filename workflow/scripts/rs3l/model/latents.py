"""The latents of the test jets, as a table."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rs3l.data.store import load_views, name_column, read_manifest
from rs3l.files import atomic
from rs3l.model.encoder import embed, load_encoder


def write_latents(manifest: str | Path, model: str | Path, path: str | Path) -> None:
    """Write z of every test jet (all processes, all variants), on the unit sphere, where the loss acts."""
    encoder = load_encoder(model)
    contents = read_manifest(manifest)
    names = list(contents["processes"]), list(contents["variants"])
    store = load_views(manifest, "test", *names, encoder.constituents)
    _, z = embed(encoder, store, store.rows())
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
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
