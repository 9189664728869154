"""Results that were damaged after they were written: refused by name with a remedy, or the very same contents."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch

from rs3l.config.encoders import DeepSets
from rs3l.dataset.checksum import (
    COLUMNS,
    HEADER,
    JSON,
    SealedWriter,
    check_json,
    intact_parquet,
    intact_text,
    sealed_json,
    values_sha256,
    write_checked,
    write_sealed,
)
from rs3l.dataset.features import FEATURES
from rs3l.dataset.manifest import Manifest, read_manifest
from rs3l.errors import DataError
from rs3l.evaluate.latent_table import _read
from rs3l.evaluate.measures import read_measures
from rs3l.evaluate.scores import read_jets
from rs3l.evaluate.tables import training_table
from rs3l.figures.latents import intact_latents
from rs3l.figures.latents import latents as latents_in
from rs3l.figures.plot_results import read_table
from rs3l.files import write_json
from rs3l.finetune.finetune import HISTORY
from rs3l.networks.model_file import load_encoder, new_encoder, save_encoder
from rs3l.report.contents import read_json
from rs3l.training.checkpoint import Checkpoint
from support import toy, toy_campaign
from support.damage import flips
from support.pretraining import block

NETWORK = DeepSets(hidden=8, representation=6, latent=4)


class Kind(NamedTuple):
    """A file as it was written, and how a later step reads it; at least so many of 150 flips must be refused."""

    path: Path
    read: Callable[[Path], Any]
    refused: int


def comparable(value: Any) -> Any:
    """Return nested values with tensors, arrays and frames as something that can be compared exactly."""
    if isinstance(value, dict):
        return {key: comparable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [comparable(each) for each in value]
    if isinstance(value, pd.DataFrame):
        return {name: [str(each) for each in value[name]] for name in value}
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    return (value.dtype.str, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value


def model(folder: Path) -> Kind:
    store = toy.store([5, 3, 8])
    encoder = new_encoder(NETWORK, 16, 3, "test")
    encoder.fit_norm(store, store.rows())
    save_encoder(encoder, folder / "model.safetensors", source={"file": "x"})

    def read(path: Path) -> Any:
        found = load_encoder(path)
        return found.config.model_dump(), found.constituents, dict(found.state_dict())

    return Kind(folder / "model.safetensors", read, 100)


def predictions(folder: Path) -> Kind:
    config = toy_campaign.campaign()
    block = toy_campaign.blocks.measure(config, next(iter(config.tasks)), "rs3l_s0")
    path = toy_campaign.write_predictions(config, folder, 5, ["rs3l_s0"])[0][0]

    def read(path: Path) -> Any:
        jets = read_jets([path], block.name, block.task, block.run, block.variants)
        return vars(jets), [jets.scores(column) for column in jets.columns]

    return Kind(path, read, 50)


def measures(folder: Path) -> Kind:
    path = toy_campaign.write_measures(toy_campaign.campaign(), folder, 20, ["rs3l_s0"])[0][0]
    return Kind(path, read_measures, 100)


def latents(folder: Path) -> Kind:
    path = toy_campaign.write_latents(toy_campaign.campaign(), folder, "rs3l_s0", events=5)[0]
    return Kind(path, lambda path: next(latents_in(intact_latents([path]))), 50)


def quality(folder: Path) -> Kind:
    path = toy_campaign.write_qualities(toy_campaign.campaign(), folder)[0]
    return Kind(path, _read, 50)


def history(folder: Path) -> Kind:
    lines = [f"h_vs_qcd,rs3l_s0,probe_h,20,{repeat},3,10,300,0.5,0.9,,,True," for repeat in range(5)]
    write_checked(folder / "history.csv", "\n".join([",".join(HISTORY), *lines, ""]))
    return Kind(folder / "history.csv", lambda path: training_table([path]), 150)


def table(folder: Path) -> Kind:
    """Metrics of a pre-training, and tables of the evaluation."""
    path = toy_campaign.write_training(folder / "metrics.csv")
    write_checked(path, path.read_text(encoding="utf-8"))
    return Kind(path, read_table, 150)


def state(folder: Path) -> Kind:
    checkpoint = Checkpoint(folder / "state", block(), "a")
    encoder = new_encoder(NETWORK, 16, 3, "test")
    checkpoint.save({"encoder": encoder.state_dict(), "rows": [{"epoch": 1.0}], "losses": [0.5]})
    return Kind(checkpoint.path, lambda path: checkpoint.load(), 150)


def values_of(found: Any) -> dict[str, Any]:
    """Return the entries of a JSON file as it was read."""
    return dict(found.model_dump(by_alias=True) if isinstance(found, Manifest) else found)


def of_json(path: Path, value: dict[str, Any], read: Callable[[Path], dict[str, Any]]) -> Kind:
    """Without the checksum, which under another name checks nothing, and all else is whole."""
    contents = sealed_json(value)
    write_json(path, contents)
    return Kind(path, lambda path: [x for x in values_of(read(path)).items() if x[1] != contents[JSON]], 50)


def manifest(folder: Path) -> Kind:
    path = toy.write_dataset(folder, {"train": 2, "val": 2, "test": 2}, parts=1)
    return of_json(path, json.loads(path.read_text(encoding="utf-8")), read_manifest)


def summary(folder: Path) -> Kind:
    value = {"headline": [{"text": "0.98 ± 0.01", "value": 0.98}], "signal_efficiency": 0.5, "labels": [20, 200]}
    return of_json(folder / "summary.json", value, read_json)


KINDS = (
    model, predictions, measures, latents, quality, history, table, state, manifest, summary,
)  # fmt: skip


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    found: Kind = request.param(tmp_path)
    return found


def damages(content: bytes) -> Iterator[bytes]:
    yield from flips(content, 150)


def refused(kind: Kind, damaged: Iterator[bytes]) -> int:
    """Return how many damaged copies are refused; all others must be read as if unharmed."""
    unharmed, count = comparable(kind.read(kind.path)), 0
    for content in damaged:
        kind.path.write_bytes(content)
        try:
            assert comparable(kind.read(kind.path)) == unharmed
        except DataError as error:
            assert str(kind.path) in str(error)
            assert "delete it" in str(error) or "merge the data set again" in str(error) or "run the" in str(error)
            count += 1
    return count


def test_a_flipped_bit_is_found(kind: Kind) -> None:
    assert refused(kind, damages(kind.path.read_bytes())) >= kind.refused


def test_a_cut_is_found(kind: Kind) -> None:
    """The last byte of JSON is the end of its last line, and no more."""
    whole = kind.path.read_bytes()
    cuts = [0, 1, 9, len(whole) // 3, len(whole) // 2, len(whole) - 9, len(whole) - 2]
    assert refused(kind, (whole[:cut] for cut in cuts)) == len(cuts)
    assert refused(Kind(kind.path, lambda path: None, 0), iter([whole])) == 0
    assert refused(kind, iter([whole[:-1]])) == (kind.path.suffix != ".json")


def test_a_table_that_was_cut_at_the_end_of_a_line_is_found(tmp_path: Path) -> None:
    """What is left is a table like any other."""
    path = history(tmp_path).path
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(
        DataError, match=r"history\.csv: its SHA-256 is not that in history\.csv\.sha256.*delete it"
    ):
        training_table([path])


def test_the_checksum_of_a_text_is_that_of_sha256sum(tmp_path: Path) -> None:
    write_checked(tmp_path / "abc", "abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  abc\n"
    assert (tmp_path / "abc.sha256").read_text(encoding="utf-8") == expected
    assert intact_text(tmp_path / "abc") == tmp_path / "abc"
    for record in (b"", b"\xff\xfe", b"ba78"):
        (tmp_path / "abc.sha256").write_bytes(record)
        with pytest.raises(DataError, match=r"abc\.sha256.*delete it"):
            intact_text(tmp_path / "abc")
    (tmp_path / "abc.sha256").unlink()
    assert intact_text(tmp_path / "abc") == tmp_path / "abc", "a table that somebody made by hand"
    write_checked(tmp_path / "abc", "abcd")
    write_checked(tmp_path / "abc", "abc")
    assert (tmp_path / "abc.sha256").read_text(encoding="utf-8") == expected


def test_tables_without_checksums_are_not_taken_for_ours(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(DataError, match=r"x\.parquet: holds no checksum of this version.*delete it and run again"):
        intact_parquet(path)
    with pytest.raises(DataError, match=r"y\.parquet: missing"):
        intact_parquet(tmp_path / "y.parquet")
    path.write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.parquet: truncated or damaged"):
        intact_parquet(path)


@pytest.mark.parametrize("key", [HEADER, COLUMNS])
def test_a_header_that_was_changed_is_found(tmp_path: Path, key: str) -> None:
    """A type that reads the same bytes in another way changes no checksum of values."""
    values = pa.table({"x": pa.array([1, 2**31], pa.uint32())})
    write_sealed(tmp_path / "x.parquet", values)
    entries = pq.read_metadata(tmp_path / "x.parquet").metadata
    entries = {name: value for name, value in entries.items() if name != b"ARROW:schema"}
    other = pa.table({"x": values["x"].combine_chunks().view(pa.int32())})
    if key == HEADER:
        other, entries = values, {**entries, b"rs3l.more": b"1"}
    else:
        assert values_sha256(other) == values_sha256(values)
    pq.write_table(other.replace_schema_metadata(entries), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"x\.parquet: its header is damaged; delete it"):
        intact_parquet(tmp_path / "x.parquet")


@pytest.mark.parametrize("strings", [pa.string(), pa.large_string()])
def test_every_kind_of_column_has_its_checksum(tmp_path: Path, strings: pa.DataType) -> None:
    text = pa.array(["ab", None, "", "cé"], strings)
    z = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(8, dtype=np.float32)), 2)
    values = pa.table({"s": text, "b": [True, False, None, True], "z": z, "l": [[1.0], [], None, [2.0, 3.0]]})
    for part in (values, values.slice(1, 2), values.slice(0, 0)):
        write_sealed(tmp_path / "x.parquet", part, row_group_size=1)
        assert pq.read_table(intact_parquet(tmp_path / "x.parquet")).equals(part)
    seen = {values_sha256(values)}
    for name, column in (("s", ["ab", None, "c", "é"]), ("b", [True, True, None, True])):
        i = values.column_names.index(name)
        seen.add(values_sha256(values.set_column(i, name, pa.array(column, values.schema.field(name).type))))
    seen.add(
        values_sha256(
            values.set_column(2, "z", pa.FixedSizeListArray.from_arrays(z.flatten().cast("float"), 2)[::-1])
        )
    )
    assert len(seen) == 4
    with pytest.raises(ValueError, match="no checksum of a column of type"):
        values_sha256(pa.table({"x": pa.array([{"a": 1}])}))


def test_a_writer_that_fails_leaves_no_checksum(tmp_path: Path) -> None:
    values = pa.table({"x": [1]})
    with pytest.raises(RuntimeError), SealedWriter(tmp_path / "x.parquet", values.schema) as writer:
        writer.write_table(values)
        raise RuntimeError
    with pytest.raises(DataError, match="holds no checksum"):
        intact_parquet(tmp_path / "x.parquet")


def test_json_is_compared_as_it_is_read() -> None:
    value = {"b": [1, 2.5, None], "a": {1: "x"}, "t": (1, 2)}
    found = json.loads(json.dumps(sealed_json(value)))
    check_json("x", found)
    check_json("x", dict(reversed(found.items())))
    check_json("x", {"made": "by hand"})
    with pytest.raises(DataError, match="x: its contents were changed"):
        check_json("x", {**found, "b": [1, 2.5, 0]})


def test_a_model_of_the_older_format_says_what_is_checked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Weights from elsewhere may have no checksum: they are taken where they are given, and only finite ones."""
    encoder, path = new_encoder(NETWORK, 16, 3, "test"), tmp_path / "model.safetensors"
    header = {"format": 1, "encoder": NETWORK.model_dump(), "constituents": 16, "features": FEATURES}
    metadata = {"rs3l": json.dumps(header)}
    safetensors.torch.save_file(encoder.state_dict(), path, metadata=metadata)
    with caplog.at_level(logging.WARNING):
        assert load_encoder(path).config == NETWORK
    assert "model.safetensors: has no checksum; only names, shapes and finite values" in caplog.text
    with pytest.raises(DataError, match=r"model\.safetensors: cannot be used .*not a model of this format"):
        load_encoder(path, given=False)
    spoilt = {**encoder.state_dict(), "projector.0.bias": torch.full((8,), torch.nan)}
    safetensors.torch.save_file(spoilt, path, metadata=metadata)
    with pytest.raises(DataError, match="some of its weights are NaN or infinite"):
        load_encoder(path)
