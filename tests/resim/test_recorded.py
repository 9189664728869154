"""A view that another program has simulated before, event by event with the hard processes; Sherpa's colours."""

from __future__ import annotations

import csv
import gzip
import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rs3l.lhe.lhe import HardEvent, write_plain
from rs3l.resim.external.hepmc import read_records
from support.places import REPOSITORY

GENERATORS = REPOSITORY / "config" / "generators"
sys.path.insert(0, str(GENERATORS))

from sherpa_events import GLUON, Parton, decay_colours, lhe_event, production  # noqa: E402

N = 6
ECM = 13000.0


@pytest.fixture(scope="module")
def records(hard_events: Callable[[str, int], list[HardEvent]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Let Pythia simulate N events in a process of its own, and keep its records as two files of three events."""
    folder = tmp_path_factory.mktemp("records")
    events = hard_events("higgs_bb", N)
    for number, part in enumerate((events[:3], events[3:])):
        lhe, out = folder / f"{number}.lhe", folder / f"{number}.hepmc3"
        write_plain(lhe, part, ECM)
        command = [sys.executable, GENERATORS / "pythia_hepmc.py", lhe, out, "--seed", str(number + 1)]
        subprocess.run([*command, "--set", "PartonLevel:MPI=off"], check=True)
    (folder / "1.hepmc3.gz").write_bytes(gzip.compress((folder / "1.hepmc3").read_bytes()))
    (folder / "1.hepmc3").unlink()
    return folder


def pick(folder: Path, out: Path, numbers: dict[int, int]) -> subprocess.CompletedProcess[str]:
    """Ask for the events of a shard: their positions over all files, and the numbers that they shall have."""
    seeds = out.with_name("seeds.csv")
    with seeds.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["number", "key", "shower", "hadronisation"])
        table.writerows([number, key, 1, 1] for key, number in numbers.items())
    command = [sys.executable, GENERATORS / "recorded.py", seeds, out, "--records", f"{folder}/*.hepmc3*"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_events_of_a_shard_are_picked_over_all_files(records: Path, tmp_path: Path) -> None:
    names = [records / "0.hepmc3", records / "1.hepmc3.gz"]
    whole = list(itertools.chain.from_iterable(read_records(name) for name in names))
    out = tmp_path / "out.hepmc3"
    assert pick(records, out, {2: 0, 3: 1, 4: 2}).returncode == 0
    picked = list(read_records(out))
    assert [record.number for record in picked] == [0, 1, 2]
    for record, original in zip(picked, whole[2:5], strict=True):
        assert len(record.pdg_id) > 20
        assert (record.pdg_id == original.pdg_id).all() and (record.momentum == original.momentum).all()
        assert (record.vertex == original.vertex).all()


def test_too_few_records_are_an_error(records: Path, tmp_path: Path) -> None:
    result = pick(records, tmp_path / "out.hepmc3", {5: 0, 6: 1})
    assert result.returncode and "hold 6 events, and event 6 is asked for" in result.stderr


def test_a_truncated_file_is_an_error(records: Path, tmp_path: Path) -> None:
    whole = (records / "0.hepmc3").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "0.hepmc3").write_text("".join(whole[:-9]), encoding="utf-8")
    result = pick(tmp_path, tmp_path / "out", {4: 0})
    assert result.returncode and "0.hepmc3: truncated, or not a HepMC3 file" in result.stderr


def test_no_file_is_an_error(tmp_path: Path) -> None:
    result = pick(tmp_path, tmp_path / "out", {0: 0})
    assert result.returncode and "no file matches" in result.stderr


def partons(codes: tuple[int, ...]) -> list[Parton]:
    return [Parton(code, 1, (1, 2), (0.0, 0.0, 0.0, 0.0, 0.0)) for code in codes]


@pytest.mark.parametrize(
    ("incoming", "outgoing"),
    [
        ((1, -1), ()),
        ((-2, 2), ()),
        ((GLUON, GLUON), ()),
        ((1, -2), (GLUON,)),
        ((-3, 3), (GLUON,)),
        ((GLUON, 4), (4,)),
        ((-5, GLUON), (-5,)),
        ((GLUON, -1), (-2,)),
    ],
)
def test_each_colour_line_begins_once_and_ends_once(incoming: tuple[int, ...], outgoing: tuple[int, ...]) -> None:
    """A colour comes in, or goes out, as often as its anticolour; a quark has a colour, a gluon two different ones."""
    colours = production(partons(incoming), partons(outgoing))
    begins, ends = [], []
    for (colour, anticolour), is_incoming in zip(colours, [True, True, *(False for _ in outgoing)], strict=True):
        begins += [colour if is_incoming else anticolour]
        ends += [anticolour if is_incoming else colour]
    assert sorted(filter(None, begins)) == sorted(filter(None, ends))
    assert len(set(filter(None, begins))) == len(list(filter(None, begins)))
    for code, (colour, anticolour) in zip((*incoming, *outgoing), colours, strict=True):
        assert (colour > 0) == (code > 0) and (anticolour > 0) == (code < 0 or code == GLUON)
        assert colour != anticolour


@pytest.mark.parametrize(("incoming", "outgoing"), [((1, 2), (1, 2)), ((GLUON, GLUON), (GLUON,)), ((1, 1), ())])
def test_colours_that_are_not_unique_are_refused(incoming: tuple[int, ...], outgoing: tuple[int, ...]) -> None:
    with pytest.raises(SystemExit, match="not unique"):
        production(partons(incoming), partons(outgoing))


def test_decays_have_one_line_or_none() -> None:
    assert decay_colours(partons((5, -5)), 503) == [(503, 0), (0, 503)]
    assert decay_colours(partons((-1, 2)), 503) == [(0, 503), (503, 0)]
    assert decay_colours(partons((12, -12)), 503) == [(0, 0), (0, 0)]
    with pytest.raises(SystemExit, match="not unique"):
        decay_colours(partons((GLUON, GLUON)), 503)


def test_the_shower_starts_at_the_smallest_transverse_mass() -> None:
    made = [
        Parton(25, 2, (1, 2), (300.0, 0.0, 10.0, 0.0, 125.0)),
        Parton(23, 2, (1, 2), (-300.0, 0.0, 9.0, 0.0, 91.0)),
    ]
    scale = float(lhe_event(made).splitlines()[1].split()[3])
    assert scale == pytest.approx((300**2 + 91**2) ** 0.5)
