"""Files in JetClass's layout, made with uproot: the branches and the types of the published ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

LABELS = ("QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl")
FLAGS = ("ChargedHadron", "NeutralHadron", "Photon", "Electron", "Muon")
_FLAG_OF = {211: "ChargedHadron", 130: "NeutralHadron", 22: "Photon", 11: "Electron", 13: "Muon"}
_LABEL_TYPES = {"QCD": np.float32, **dict.fromkeys(("Hbb", "Hcc", "Hgg", "H4q", "Hqql"), bool)}
"""The published files mix three types of labels; the others are int32."""

Arrays = dict[str, Any]


def jets(classes: list[str], seed: int = 0, like: Mapping[str, int] | None = None) -> Arrays:
    """Return the branches of jets of some classes; ``like`` gives a multiplicity by class."""
    rng = np.random.default_rng(seed)
    count = np.array([1 + rng.poisson((like or {}).get(name, 12)) for name in classes])
    total = int(count.sum())
    jet_eta, jet_phi = rng.uniform(-1.9, 1.9, len(count)), rng.uniform(-np.pi, np.pi, len(count))
    jet = np.repeat(np.arange(len(count)), count)
    pt = rng.exponential(30.0, total) + 0.5
    eta, phi = jet_eta[jet] + rng.normal(0, 0.2, total), jet_phi[jet] + rng.normal(0, 0.2, total)
    kind = rng.choice([*_FLAG_OF], total)
    charge = np.where(np.isin(kind, (22, 130)), 0, rng.choice([-1, 1], total))
    own: Arrays = {
        "part_px": pt * np.cos(phi),
        "part_py": pt * np.sin(phi),
        "part_pz": pt * np.sinh(eta),
        "part_energy": pt * np.cosh(eta) * 1.001,
        "part_deta": (eta - jet_eta[jet]) * np.sign(jet_eta[jet]),
        "part_dphi": phi - jet_phi[jet],
        "part_charge": charge,
    }
    for name, width in (("d0", 0.1), ("dz", 0.2)):
        own[f"part_{name}val"] = rng.normal(0, width, total) * (charge != 0)
        own[f"part_{name}err"] = np.abs(charge) * 0.01
    lists = {name: ak.unflatten(values.astype(np.float32), count) for name, values in own.items()}
    for flag in FLAGS:
        mine = np.array([_FLAG_OF[int(code)] == flag for code in kind], np.int32)
        lists[f"part_is{flag}"] = ak.unflatten(mine, count)
    return {**lists, **_labels(classes), **_jet_columns(own, jet, jet_eta, jet_phi, count)}


def _labels(classes: list[str]) -> Arrays:
    names = np.array(classes)
    return {f"label_{name}": (names == name).astype(_LABEL_TYPES.get(name, np.int32)) for name in LABELS}


def _jet_columns(own: Arrays, jet: Any, eta: Any, phi: Any, count: Any) -> Arrays:
    pt = np.bincount(jet, np.hypot(own["part_px"], own["part_py"]))
    tau = {f"jet_tau{n}": np.where(count > 2, 0.5 / n, 0.0) for n in (1, 2, 3, 4)}
    truth = {"eta": eta, "phi": phi, "pid": np.full(len(count), 25.0), "pt": pt * 1.1}
    columns = {
        "jet_pt": pt,
        "jet_eta": eta,
        "jet_phi": phi,
        "jet_energy": np.bincount(jet, own["part_energy"]) + 1.0,
        "jet_nparticles": count,
        "jet_sdmass": np.full(len(count), 80.0),
        **tau,
        **{f"aux_genpart_{name}": values for name, values in truth.items()},
        "aux_truth_match": np.ones(len(count)),
    }
    return {name: np.asarray(values, np.float32) for name, values in columns.items()}


def write(path: Path, arrays: Mapping[str, Any], tree: str = "tree", step: int | None = None) -> Path:
    """Write arrays as a tree, in baskets of ``step`` jets."""
    path.parent.mkdir(parents=True, exist_ok=True)
    n = len(next(iter(arrays.values())))
    with uproot.recreate(path) as file:
        file.mktree(tree, {name: _kind(values) for name, values in arrays.items()})
        for first in range(0, n, step or n):
            file[tree].extend({name: values[first : first + (step or n)] for name, values in arrays.items()})
    return path


def _kind(values: Any) -> Any:
    return ak.type(values).content if isinstance(values, ak.Array) else values.dtype
