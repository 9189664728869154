"""Files as RS3L's public ones are known to be: two data sets, no attributes, candidates in any order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from support import toy

Change = Callable[[h5py.File], None]


def public_file(
    path: Path, events: int = 60, change: Change | None = None, absolute: bool = False, seed: int = 3
) -> Path:
    """Write one. Every third event is a Higgs boson, every 20th is empty, every 9th lacks the Herwig jet."""
    jets, candidates = np.zeros((events, 5, 13), np.float32), np.zeros((events, 5, 11, 30), np.float32)
    rng = np.random.default_rng(seed)
    for e, s in np.ndindex(events, 5):
        if e % 20 == 19 or (e % 9 == 8 and s == 4):
            continue
        signal = e % 3 == 0
        jet = toy.jet("signal" if signal else "background", rng, int(rng.integers(2, 25)))
        jets[e, s, 0] = 4 if signal else 1 + e % 3
        jets[e, s, 9:13] = [jet[f"jet_{n}"] for n in ("pt", "eta", "phi", "energy")]
        n = len(jet["cand_pt"])
        order = rng.permutation(n)
        angles = [jet["cand_eta"], jet["cand_phi"]]
        if not absolute:
            angles = [angles[0] - 0.4, np.remainder(angles[1] - 3.1 + np.pi, 2 * np.pi) - np.pi]
        columns = [jet["cand_pt"], jet["cand_pt"], *angles, angles[0], jet["cand_energy"], jet["cand_energy"]]
        columns += [jet[f"cand_{n}"] for n in ("charge", "pdg_id", "d0", "dz")]
        candidates[e, s, :, :n] = np.stack(columns)[:, order]
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["singletons"], file["jet_pflow_cands"] = jets, candidates
        if change:
            change(file)
    return path


def also_w(file: h5py.File) -> None:
    """Turn every sixth event, which is a Higgs boson, into a W boson by the code of the public files' reader."""
    types = file["singletons"][:, :, 0]
    types[::6] = np.where(types[::6] > 0, 9, 0)
    file["singletons"][:, :, 0] = types
