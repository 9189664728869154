"""Re-simulation: one row per hard event, independent of the batch, shared to the bit where it must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from rs3l import seeds
from rs3l.config import Campaign, blocks
from rs3l.config.blocks import ResimBlock
from rs3l.config.detector import Detector
from rs3l.dataset.schema import CANDIDATE_COLUMNS, HARD_COLUMNS, JET_COLUMNS, Status, jets_schema
from rs3l.errors import DataError, GeneratorError
from rs3l.lhe.lhe import HardEvent, read_shard, write_shard
from rs3l.resim import shower
from rs3l.resim.resim import resimulate, resimulate_shard
from rs3l.resim.shower import Showerer

Events = Callable[[str, int], list[HardEvent]]
N = 24


def block(campaign: Campaign, name: str, process: str = "higgs_bb", **changes: Any) -> ResimBlock:
    return blocks.resim(campaign, process, name).model_copy(update=changes)


def parton_levels(campaign: Campaign, events: list[HardEvent], variant: str) -> tuple[dict[int, Any], pa.Table]:
    """Return the complete parton-level record of each event, bit for bit, and the hadrons' momenta."""
    records: dict[int, Any] = {}

    def record(position: int, event: Any) -> None:
        records[position] = [
            (event[i].id(), event[i].status(), event[i].col(), event[i].acol())
            + (event[i].px(), event[i].py(), event[i].pz(), event[i].e())
            for i in range(event.size())
        ]

    return records, Showerer(block(campaign, variant)).shower(events, record).px


def test_rehadronised_events_share_the_shower_to_the_bit(campaign: Campaign, hard_events: Events) -> None:
    events = hard_events("higgs_bb", N)
    nominal, hadrons = parton_levels(campaign, events, "nominal")
    rehadron, other_hadrons = parton_levels(campaign, events, "rehadron")
    seed, _ = parton_levels(campaign, events, "seed")
    assert sorted(nominal) == list(range(N))
    assert rehadron == nominal
    assert not np.array_equal(hadrons, other_hadrons)
    assert all(seed[i] != nominal[i] for i in range(N))
    # the hard process is the same in all three: incoming partons and the Higgs boson
    assert all(seed[i][5][0] == nominal[i][5][0] for i in range(N))


@pytest.mark.parametrize("variant", ["nominal", "fsr_hi", "rehadron"])
def test_jets_do_not_depend_on_shard_or_batch(
    campaign: Campaign, hard_events: Events, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = hard_events("qcd", N)
    whole = resimulate(block(campaign, variant, "qcd"), events)
    pieces = [resimulate(block(campaign, variant, "qcd"), events[a:b]) for a, b in ((0, 7), (7, N))]
    assert pa.concat_tables(pieces).combine_chunks().equals(whole.combine_chunks())
    monkeypatch.setattr(shower, "BATCH", 5)
    assert resimulate(block(campaign, variant, "qcd"), events).combine_chunks().equals(whole.combine_chunks())


def test_there_is_one_row_per_hard_event_with_nulls_unless_ok(campaign: Campaign, hard_events: Events) -> None:
    table = resimulate(block(campaign, "nominal"), hard_events("higgs_bb", N))
    assert table.schema == jets_schema()
    assert table["event_id"].to_pylist() == [seeds.event_id("higgs_bb", i) for i in range(N)]
    ok = table["status"].to_numpy() == Status.OK
    assert 0 < ok.sum() < N
    for name in (*JET_COLUMNS, *CANDIDATE_COLUMNS):
        assert np.array_equal(table[name].is_valid().to_numpy(zero_copy_only=False), ok), name


def test_accepted_jets_pass_the_cuts_and_candidates_fit_the_jet(campaign: Campaign, hard_events: Events) -> None:
    table = resimulate(block(campaign, "nominal"), hard_events("higgs_bb", N))
    jets = table.filter(pc.equal(table["status"], int(Status.OK))).to_pylist()
    cuts = campaign.jets
    for jet in jets:
        assert jet["jet_pt"] > cuts.pt_min
        assert abs(jet["jet_eta"]) < cuts.eta_max
        assert jet["jet_mass"] > cuts.mass_min
        pt, phi = np.array(jet["cand_pt"]), np.array(jet["cand_phi"])
        assert (np.diff(pt) <= 0).all()
        assert len(pt) == min(jet["jet_n_constituents"], cuts.constituents)
        if jet["jet_n_constituents"] <= cuts.constituents:
            total = np.hypot((pt * np.cos(phi)).sum(), (pt * np.sin(phi)).sum())
            assert total == pytest.approx(jet["jet_pt"], rel=1e-5)
            assert sum(jet["cand_energy"]) == pytest.approx(jet["jet_energy"], rel=1e-5)
        distance = np.hypot(
            jet["jet_eta"] - jet["parton_eta"],
            (jet["jet_phi"] - jet["parton_phi"] + np.pi) % (2 * np.pi) - np.pi,
        )
        assert distance < cuts.radius
        charge, d0 = np.array(jet["cand_charge"]), np.array(jet["cand_d0"])
        assert ((charge == 0) == (d0 == 0)).all()
        assert not set(map(abs, jet["cand_pdg_id"])) & {12, 14, 16}


def test_redetected_events_share_the_hadrons_to_the_bit(campaign: Campaign, hard_events: Events) -> None:
    events = hard_events("higgs_bb", N)
    nominal = resimulate(block(campaign, "nominal"), events)
    again = resimulate(block(campaign, "nominal", variant="redetect", resample="detector"), events)
    displaced = ["cand_d0", "cand_dz"]
    assert again.drop_columns(displaced).equals(nominal.drop_columns(displaced))
    assert not again.select(displaced).equals(nominal.select(displaced))


def test_redetected_events_have_other_candidates_from_the_same_hadrons(
    campaign: Campaign, hard_events: Events
) -> None:
    """The response draws from the stream `detector`, and from no other."""
    events = hard_events("higgs_bb", N)
    cms = Detector(response="cms")
    nominal = block(campaign, "nominal", detector=cms)
    redetect = block(campaign, "nominal", variant="redetect", resample="detector", detector=cms)
    hadrons, same_hadrons = (Showerer(b).shower(events) for b in (nominal, redetect))
    for field in fields(hadrons):
        assert np.array_equal(getattr(hadrons, field.name), getattr(same_hadrons, field.name)), field.name
    first, second = resimulate(nominal, events), resimulate(redetect, events)
    assert first.select(list(HARD_COLUMNS)).equals(second.select(list(HARD_COLUMNS)))
    both = (pc.equal(table["status"], int(Status.OK)) for table in (first, second))
    shared = pc.and_(*both)
    assert pc.sum(shared).as_py() > N / 3
    pt = [table.filter(shared)["jet_pt"].to_numpy() for table in (first, second)]
    assert (pt[0] != pt[1]).all()
    assert np.median(np.abs(pt[0] / pt[1] - 1)) < 0.15
    assert resimulate(redetect, events).equals(second)


def test_detected_jets_hold_particle_flow_candidates_whatever_the_batch(
    campaign: Campaign, hard_events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = hard_events("qcd", N)
    detected = block(campaign, "nominal", "qcd", detector=Detector(response="cms"))
    whole = resimulate(detected, events)
    monkeypatch.setattr(shower, "BATCH", 7)
    assert resimulate(detected, events).combine_chunks().equals(whole.combine_chunks())
    codes = pc.list_flatten(whole["cand_pdg_id"]).to_numpy()
    charge, d0 = (pc.list_flatten(whole[name]).to_numpy() for name in ("cand_charge", "cand_d0"))
    assert set(codes.tolist()) <= {22, 130, 211, -211, 11, -11, 13, -13}
    assert np.array_equal(charge != 0, ~np.isin(codes, [22, 130]))
    assert np.array_equal(charge != 0, d0 != 0)


def test_more_radiation_makes_more_constituents(campaign: Campaign, hard_events: Events) -> None:
    """A scale far below the nominal radiates more, on the same hard events: paired, 4 sigma."""
    events = hard_events("higgs_bb", 300)
    counts = []
    for factor in (0.2, 5.0):
        table = resimulate(block(campaign, "fsr_hi", pythia={"TimeShower:renormMultFac": factor}), events)
        counts.append(table["jet_n_constituents"].to_pandas())
    difference = (counts[0] - counts[1]).dropna()
    assert difference.mean() > 4 * difference.std() / len(difference) ** 0.5


def test_an_event_that_pythia_cannot_complete_is_a_row_with_a_status(
    campaign: Campaign, hard_events: Events, hard_shard: Callable[[str, int, int], Path], tmp_path: Path
) -> None:
    """An event whose colours make no sense fails in Pythia; its neighbours are as if it were not there."""
    events = hard_events("higgs_bb", 6)
    whole = resimulate(block(campaign, "nominal"), events)
    broken = [p._replace(colour=901, anticolour=902) if p.pdg_id == 5 else p for p in events[2].particles]
    events = [*events[:2], HardEvent(**{**vars(events[2]), "particles": broken}), *events[3:]]
    table = resimulate(block(campaign, "nominal"), events)
    assert table["status"][2].as_py() == Status.FAILED
    assert table["event_id"].equals(whole["event_id"])
    assert table.take([0, 1, 3, 4, 5]).equals(whole.take([0, 1, 3, 4, 5]))
    info, _ = read_shard(hard_shard("higgs_bb", 0, 6))
    write_shard(tmp_path / "hard.lhe.gz", info, events, 13000.0)
    with pytest.raises(GeneratorError, match=r"failed on 1 of 6 events .*\(hard event 2: Pythia says: "):
        resimulate_shard(block(campaign, "nominal"), tmp_path / "hard.lhe.gz", tmp_path / "x.parquet")
    assert not (tmp_path / "x.parquet").exists()


def test_a_foreign_shard_and_a_refused_variant_leave_no_file(
    campaign: Campaign, hard_shard: Callable[[str, int, int], Path], tmp_path: Path
) -> None:
    hard = hard_shard("qcd", 0, 15)
    with pytest.raises(DataError, match="holds events of qcd, not of higgs_bb"):
        resimulate_shard(block(campaign, "nominal"), hard, tmp_path / "x.parquet")
    with pytest.raises(GeneratorError, match="does not accept"):
        resimulate_shard(block(campaign, "nominal", "qcd", pythia={"No:such": 1}), hard, tmp_path / "x.parquet")
    out_of_range = block(campaign, "nominal", "qcd", pythia={"PartonShowers:model": 3})
    with pytest.raises(GeneratorError, match="does not accept `PartonShowers:model: 3`"):
        resimulate_shard(out_of_range, hard, tmp_path / "x.parquet")
    assert list(tmp_path.iterdir()) == []


def test_the_file_says_what_it_was_made_from(
    campaign: Campaign, hard_shard: Callable[[str, int, int], Path], tmp_path: Path
) -> None:
    made = block(campaign, "fsr_hi", "qcd")
    for name in ("a", "b"):
        resimulate_shard(made, hard_shard("qcd", 15, 25), tmp_path / f"{name}.parquet")
    metadata = pq.read_schema(tmp_path / "a.parquet").metadata
    assert ResimBlock.model_validate_json(metadata[b"rs3l.block"]) == made
    assert (metadata[b"rs3l.first"], metadata[b"rs3l.events"]) == (b"15", b"25")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
