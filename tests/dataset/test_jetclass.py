"""Files in JetClass's layout: what becomes of every branch, and from the file to latents, views and a task."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rs3l.config.blocks import FinetuneBlock, PretrainBlock
from rs3l.config.encoders import DeepSets
from rs3l.config.tasks import Task
from rs3l.dataset import Jets, write
from rs3l.dataset.own.clean import clean
from rs3l.dataset.own.jetclass import BRANCHES, LABELS, NEEDED, branches_table, labels_table
from rs3l.dataset.own.tables import pieces
from rs3l.dataset.store import load_views
from rs3l.errors import DataError
from rs3l.networks.model_file import embed, load_encoder, new_encoder, save_encoder
from rs3l.pretrain.view_source import least_views
from support import pretraining, root_files, tuning
from support.places import REPOSITORY
from support.workflow import run_script

TEN = list(root_files.LABELS)
CODES = {"Photon": lambda q: 22, "Muon": lambda q: -13 * q, "Electron": lambda q: -11 * q}


def rows(folder: Path, process: str) -> list[dict[str, Any]]:
    """Return all rows of a process, in the order of their events."""
    tables = [pq.read_table(path) for path in sorted(folder.glob(f"*/{process}-*.parquet"))]
    return sorted(pa.concat_tables(tables).to_pylist(), key=lambda row: row["event_id"])


def slow_jet(arrays: Any, jet: int) -> dict[str, Any]:
    """Return what must become of a jet, candidate by candidate, in plain Python."""
    own = {name: values[jet] for name, values in arrays.items()}
    found = []
    for i, px in enumerate(own["part_px"]):
        py, pz, charge = own["part_py"][i], own["part_pz"][i], int(own["part_charge"][i])
        pt = (float(px) ** 2 + float(py) ** 2) ** 0.5
        flag = next(name for name in root_files.FLAGS if own[f"part_is{name}"][i])
        code = CODES[flag](charge) if flag in CODES else 211 * charge or 130
        found.append((
            pt, np.arcsinh(pz / pt), np.arctan2(py, px), own["part_energy"][i], charge, code,
            own["part_d0val"][i], own["part_dzval"][i],
        ))  # fmt: skip
    found.sort(key=lambda one: -one[0])
    names = ("pt", "eta", "phi", "energy", "charge", "pdg_id", "d0", "dz")
    lists = {f"cand_{name}": [one[i] for one in found] for i, name in enumerate(names)}
    tau = [float(own[f"jet_tau{n}"]) for n in (1, 2, 3)]
    ratios = [np.nan if lower == 0 else upper / lower for lower, upper in itertools.pairwise(tau)]
    same = {f"jet_{name}": own[f"jet_{name}"] for name in ("pt", "eta", "phi", "energy")}
    return {
        **lists, **same, "jet_msd": own["jet_sdmass"], "jet_n_constituents": own["jet_nparticles"],
        "jet_tau21": ratios[0], "jet_tau32": ratios[1], "jet_n2": np.nan, "parton_pdg_id": 25,
        "parton_pt": own["aux_genpart_pt"], "parton_eta": own["aux_genpart_eta"], "parton_energy": np.nan,
    }  # fmt: skip


def test_every_branch_becomes_what_the_page_says(tmp_path: Path) -> None:
    arrays = root_files.jets(TEN * 3)
    path = root_files.write(tmp_path / "jets.root", arrays, step=7)
    made = write(path, tmp_path / "dataset", downstream=["w_qq"])
    assert set(made["processes"]) == {label.process for label in LABELS}
    assert made["processes"]["w_qq"] == {
        "label": "W", "use": "downstream", "hard_events": 3, "matching_efficiency": {"nominal": None},
    }  # fmt: skip
    assert made["lacks"] == ["jet_mass", "jet_n2", "parton_energy", "weight"]
    for label in LABELS:
        found = rows(tmp_path / "dataset", label.process)
        jets = [i for i, name in enumerate(TEN * 3) if f"label_{name}" == label.branch]
        assert [row["event_id"] % 2**40 for row in found] == [0, 1, 2]  # numbered in order
        for row, jet in zip(found, jets, strict=True):
            assert (row["jet_type"], row["label"], row["weight"]) == (label.jet_type, label.label, 1.0)
            for name, expected in slow_jet(arrays, jet).items():
                np.testing.assert_allclose(row[name], expected, rtol=2e-6, atol=1e-6, err_msg=name)


def test_the_page_has_the_tables() -> None:
    page = (REPOSITORY / "docs" / "own_jets.md").read_text(encoding="utf-8")
    assert branches_table() in page and labels_table() in page
    named = " ".join(f"{columns} {branches}" for columns, (_, branches) in BRANCHES.items())
    read = [name for name in NEEDED if name.startswith(("part_", "jet_", "aux_"))]
    assert [name for name in read if name not in named] == []


def test_a_process_may_be_said_and_labels_are_not_read_then(tmp_path: Path) -> None:
    arrays = {name: values for name, values in root_files.jets(["QCD"] * 5).items() if "label" not in name}
    path = root_files.write(tmp_path / "jets.root", arrays)
    made = write(Jets(path, process="dijets", split="test"), tmp_path / "dataset")
    assert list(made["processes"]) == ["dijets"] and {file["split"] for file in made["files"]} == {"test"}
    with pytest.raises(DataError, match=r"jets\.root: no branch label_QCD.*say of which `process`"):
        write(path, tmp_path / "other")


def changed(name: str, jet: int, value: Any) -> Any:
    """Return a change of one jet's value, or of its first candidate's."""

    def change(arrays: root_files.Arrays) -> None:
        values = arrays[name]
        if isinstance(values, ak.Array):
            count, flat = ak.num(values), np.array(ak.flatten(values))
            flat[int(ak.sum(count[:jet]))] = value
            arrays[name] = ak.unflatten(flat, count)
        else:
            values[jet] = value

    return change


def without(*names: str) -> Any:
    return lambda arrays: [arrays.pop(name) for name in names]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            changed("part_energy", 3, np.nan),
            r"cand_energy \(part_energy\) holds NaN or infinite values, first in row 3 \(1 of",
        ),
        (
            changed("part_charge", 4, 0.5),
            r"cand_charge \(part_charge\) holds values that are not of the type int8, first in row 4",
        ),
        (changed("jet_pt", 2, -1.0), r"jet_pt \(jet_pt, .*\) is not above zero, first in row 2"),
        (changed("label_Hbb", 0, True), r"row 0 has not one label, but label_QCD 1, label_Hbb 1"),
        (changed("label_QCD", 0, 0.0), r"row 0 has not one label, but label_QCD 0"),
        (without("part_pz"), r"no branch part_pz; is it a file in the layout of JetClass\?"),
        (without("part_d0val", "jet_phi"), r"no column jet_phi .*, cand_d0 \(part_d0val\); needed are"),
    ],
)
def test_files_that_are_not_right_leave_nothing(tmp_path: Path, change: Any, message: str) -> None:
    arrays = root_files.jets(["QCD"] * 6)
    change(arrays)
    path = root_files.write(tmp_path / "files" / "jets.root", arrays)
    with pytest.raises(DataError, match=r"jets\.root: " + message):
        write(path, tmp_path / "dataset")
    assert [p.name for p in tmp_path.iterdir()] == ["files"]


def test_trees(tmp_path: Path) -> None:
    import uproot

    arrays = root_files.jets(["QCD"] * 4)
    path = root_files.write(tmp_path / "jets.root", arrays, tree="events")
    with uproot.update(path) as file:
        file.mktree("other", {"x": np.float64})
        file["other"].extend({"x": np.zeros(3)})
    with pytest.raises(DataError, match=r"jets\.root: 2 trees \(events, other\); say which \(`tree`\)"):
        write(path, tmp_path / "dataset")
    with pytest.raises(DataError, match=r"jets\.root: no tree jets \(it has events, other\)"):
        write(Jets(path, tree="jets"), tmp_path / "dataset")
    with pytest.raises(DataError, match=r"jets\.root: the tree other has no branch that is used; it has x"):
        write(Jets(path, tree="other"), tmp_path / "dataset")
    assert write(Jets(path, tree="events"), tmp_path / "dataset")["processes"]["qcd"]["hard_events"] == 4
    (tmp_path / "broken.root").write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"broken\.root: cannot be read as a ROOT file"):
        write(tmp_path / "broken.root", tmp_path / "second")


def test_pieces_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = root_files.write(tmp_path / "jets.root", root_files.jets(TEN * 2), step=6)
    whole = [clean(piece, Jets(path)).table() for piece in pieces(Jets(path))]
    monkeypatch.setattr("rs3l.dataset.own.tables.JETS_AT_A_TIME", 3)
    parts = [clean(piece, Jets(path)).table() for piece in pieces(Jets(path))]
    assert len(whole) < len(parts) and pa.concat_tables(whole).equals(pa.concat_tables(parts))


def test_from_files_to_a_task_and_latents(tmp_path: Path) -> None:
    """Hand-made views of QCD and H, then a task with few labels on W, all by the commands."""
    like = {"QCD": 8, "Hbb": 16, "Wqq": 14}
    names = {"ZJetsToNuNu": "QCD", "HToBB": "Hbb", "WToQQ": "Wqq"}
    args: list[str] = []
    for split, events in (("train", 130), ("val", 60), ("test", 40)):
        args.append(f"--{split}")
        for seed, (file, name) in enumerate(names.items()):
            path = tmp_path / split / f"{file}_000.root"
            root_files.write(path, root_files.jets([name] * events, seed + events, like))
            args.append(str(path))
    dataset, model = tmp_path / "dataset", tmp_path / "model.safetensors"
    done = run_script("write_dataset.py", *args, f"--out={dataset}", "--name=jetclass", "--downstream=w_qq")
    assert done.returncode == 0, done.stderr
    made = json.loads((dataset / "manifest.json").read_text(encoding="utf-8"))
    assert {file["path"]: file["events"] for file in made["files"]}["val/w_qq-0000.parquet"] == 60
    assert "HToBB_000.root" in (dataset / "card.md").read_text(encoding="utf-8")
    changes = {"processes": ["qcd", "higgs_bb"], "variants": ["nominal"]}
    block = pretraining.block("jetclr", **changes, epochs=25, learning_rate=1e-2)
    outputs = [f"--{name}={tmp_path / name}" for name in ("state", "metrics", "provenance")]
    common = (f"--manifest={dataset}/manifest.json", f"--model={model}")
    done = run_script("pretrain.py", "--block", block.model_dump_json(), *common, *outputs)
    assert done.returncode == 0, done.stderr
    settings = tuning.SETTINGS.model_copy(update={"labels": [40], "repeats": 1})
    values = {"task": Task(signal="w_qq", background="qcd"), "variants": ["nominal"]}
    tune = tuning.block("jetclr_s0", settings).model_copy(update=values)
    tune.finetune.modes[:] = ["probe_h", "tuned"]
    outputs = [f"--{name}={tmp_path / name}" for name in ("classifiers", "history")]
    done = run_script("finetune.py", "--block", tune.model_dump_json(), *common, *outputs)
    assert done.returncode == 0, done.stderr
    predictions = tmp_path / "predictions"
    done = run_script(
        "score.py", *common, f"--classifiers={tmp_path / 'classifiers'}", f"--predictions={predictions}"
    )
    assert done.returncode == 0, done.stderr
    assert pq.read_table(predictions).num_rows == 80
    jets, latents = tmp_path / "test" / "WToQQ_000.root", tmp_path / "latents.parquet"
    done = run_script("embed.py", f"--jets={jets}", f"--model={model}", f"--latents={latents}")
    assert done.returncode == 0, done.stderr
    encoder = load_encoder(model)
    store = load_views(dataset / "manifest.json", "test", ["w_qq"], ["nominal"], encoder.constituents)
    found = pd.read_parquet(latents)
    np.testing.assert_allclose(np.stack(found["h"]), embed(encoder, store, store.rows())[0], rtol=1e-4, atol=1e-5)
    assert found["label_Wqq"].tolist() == [1] * 40 and "part_px" not in found


def test_the_blocks_of_the_page_are_for_one_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (REPOSITORY / "docs" / "own_jets.md").read_text(encoding="utf-8")
    (example,) = [e for e in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S) if "load_campaign" in e]
    monkeypatch.chdir(REPOSITORY)
    exec(example.replace("/tmp/", f"{tmp_path}/"), {})
    task = FinetuneBlock.model_validate_json((tmp_path / "task.json").read_text(encoding="utf-8"))
    views = PretrainBlock.model_validate_json((tmp_path / "hand_made.json").read_text(encoding="utf-8"))
    assert task.variants == ["nominal"] and least_views(views) == 1
    known = {label.process for label in LABELS}
    assert {task.task.signal, task.task.background, *views.processes} <= known


def test_latents_need_no_labels(tmp_path: Path) -> None:
    from rs3l.embed.latents import write_latents_of_file

    model = tmp_path / "m.safetensors"
    save_encoder(new_encoder(DeepSets(hidden=8, representation=8, latent=3), 16, 1), model)
    arrays = {name: values for name, values in root_files.jets(["QCD"] * 5).items() if "label" not in name}
    path = root_files.write(tmp_path / "jets.root", arrays)
    write_latents_of_file(path, model, tmp_path / "l.parquet")
    assert pq.read_table(tmp_path / "l.parquet").num_rows == 5
    root_files.write(path, {name: values for name, values in arrays.items() if name != "part_dzval"})
    with pytest.raises(DataError, match=r"no column cand_dz \(part_dzval\)"):
        write_latents_of_file(path, model, tmp_path / "l.parquet")
    write_latents_of_file(Jets(path, fill=["cand_dz"]), model, tmp_path / "filled.parquet")
    assert pq.read_table(tmp_path / "filled.parquet").num_rows == 5
