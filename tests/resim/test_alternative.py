"""Alternative generators: a real one in a process of its own, and every way in which its command can fail."""

from __future__ import annotations

import copy
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from rs3l.config import Campaign, blocks, parse_campaign
from rs3l.config.blocks import ResimBlock
from rs3l.config.variants import GeneratorCommand
from rs3l.dataset.schema import Status, jets_schema
from rs3l.errors import ConfigError, GeneratorError
from rs3l.hard.hard import generate_shard
from rs3l.lhe.lhe import HardEvent, read_shard
from rs3l.pythia import check_settings, setting_line
from rs3l.resim.external.alternative import Alternative, by_partons
from rs3l.resim.external.hepmc import Record
from rs3l.resim.resim import resimulate, resimulate_shard
from rs3l.resim.shower import Particles, Showerer
from support.places import REPOSITORY, SCRIPTS
from support.workflow import HANGS, wait_until

Events = Callable[[str, int], list[HardEvent]]
Shard = Callable[[str, int, int], Path]
N = 16
GENERATOR = REPOSITORY / "config" / "generators" / "pythia_hepmc.py"
TAMPER = REPOSITORY / "tests" / "support" / "tamper.py"
PYTHON = f"'{sys.executable}'"


@pytest.fixture(autouse=True)
def scratch(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the jobs use a scratch folder of their own, which must be empty again afterwards."""
    folder = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def block(campaign: Campaign, process: str, command: str, variant: str = "seed", **changes: Any) -> ResimBlock:
    generator = GeneratorCommand(command=command, **changes)
    return blocks.resim(campaign, process, variant).model_copy(update={"generator": generator})


def tampered(campaign: Campaign, mode: str, **changes: Any) -> ResimBlock:
    return block(campaign, "qcd", f"{PYTHON} '{TAMPER}' {mode} {{lhe}} {{out}} {{seed}}", **changes)


def exact(campaign: Campaign, process: str, variant: str = "seed") -> ResimBlock:
    """Return the block of a variant by Pythia in its own process, with the settings and seeds of ours."""
    lines = [
        setting_line(k, v).replace(" ", "") for k, v in blocks.resim(campaign, process, variant).pythia.items()
    ]
    command = (
        f"{PYTHON} '{GENERATOR}' {{lhe}} {{out}} --seed {{init_seed}} --seeds {{seeds}} --set {' '.join(lines)}"
    )
    return block(campaign, process, command, variant)


def by_event(batches: Any) -> dict[int, list[tuple[float, ...]]]:
    """Return the particles of each event, sorted."""
    result = {}
    for batch in batches:
        assert isinstance(batch, Particles)
        columns = [
            batch.pdg_id,
            batch.charge,
            batch.px,
            batch.py,
            batch.pz,
            batch.energy,
            batch.vx,
            batch.vy,
            batch.vz,
        ]
        rows = np.stack(columns, axis=1)
        for i, position in enumerate(batch.position.tolist()):
            result[position] = sorted(map(tuple, rows[batch.offsets[i] : batch.offsets[i + 1]].tolist()))
    return result


@pytest.mark.parametrize("process", ["higgs_bb", "qcd"])
def test_particles_are_those_of_pythia_in_our_process(
    campaign: Campaign, hard_events: Events, process: str
) -> None:
    """The same seeds per event give the same particles to the bit: HepMC's text has all digits."""
    events = hard_events(process, N)
    own = by_event([Showerer(blocks.resim(campaign, process, "seed")).shower(events)])
    other = by_event(Alternative(exact(campaign, process), events).batches())
    assert sorted(own) == list(range(N))
    assert other == own


@pytest.mark.parametrize("process", ["higgs_bb", "qcd"])
def test_jets_are_those_of_pythia_in_our_process(campaign: Campaign, hard_events: Events, process: str) -> None:
    events = hard_events(process, N)
    own = resimulate(blocks.resim(campaign, process, "fsr_hi"), events)
    other = resimulate(exact(campaign, process, "fsr_hi"), events)
    assert other.schema == jets_schema()
    assert (own["status"].to_numpy() == Status.OK).sum() > 3
    for name in own.column_names:
        ours, theirs = own[name].combine_chunks(), other[name].combine_chunks()
        if name.startswith("jet_") and pa.types.is_floating(ours.type):  # particles are added in another order
            assert theirs.is_null().equals(ours.is_null())
            assert theirs.drop_null().to_pylist() == pytest.approx(
                ours.drop_null().to_pylist(), rel=1e-6, abs=1e-3
            )
        else:
            assert theirs.equals(ours), name


@pytest.mark.parametrize("process", ["dijets", "top_hadronic"])
def test_alternate_anchors_are_those_of_every_other_variant(
    test_values: Any, tmp_path: Path, process: str
) -> None:
    """Two partons, or tops, in every event: the jet is that of the one whose turn it is."""
    values = copy.deepcopy(test_values)
    values["processes"][process] = {"like": process, "events": N}
    config = parse_campaign(values)
    generate_shard(blocks.hard(config, process, 0), tmp_path / "hard.lhe.gz")
    events = read_shard(tmp_path / "hard.lhe.gz")[1]
    own = resimulate(blocks.resim(config, process, "seed"), events)
    other = resimulate(exact(config, process), events)
    assert other["status"].equals(own["status"]) and (own["status"].to_numpy() == Status.OK).sum() > 3
    assert other["parton_pdg_id"].equals(own["parton_pdg_id"])


def test_with_seeds_per_event_the_shard_plays_no_role(campaign: Campaign, hard_events: Events) -> None:
    events = hard_events("qcd", N)
    whole = resimulate(exact(campaign, "qcd"), events)
    pieces = [resimulate(exact(campaign, "qcd"), events[a:b]) for a, b in ((0, 5), (5, N))]
    assert pa.concat_tables(pieces).combine_chunks().equals(whole.combine_chunks())


def test_with_a_seed_per_shard_the_shard_is_repeatable(campaign: Campaign, hard_events: Events) -> None:
    """A generator that cannot be reseeded: the same shard gives the same jets, another variant or shard others."""
    events = hard_events("qcd", N)
    plain = tampered(campaign, "none")
    first = resimulate(plain, events)
    assert resimulate(plain, events).equals(first)
    assert not resimulate(plain.model_copy(update={"variant": "other"}), events)["jet_pt"].equals(first["jet_pt"])
    assert not resimulate(plain, events[1:])["jet_pt"].equals(first["jet_pt"].slice(1))


@pytest.mark.parametrize("mode", ["zipped", "zipped_without_name", "hepmc2"])
def test_gzipped_output_and_the_older_format_are_read(campaign: Campaign, hard_events: Events, mode: str) -> None:
    events = hard_events("qcd", 6)
    assert resimulate(tampered(campaign, mode), events).equals(resimulate(tampered(campaign, "none"), events))


def test_units_of_the_file_count(campaign: Campaign, hard_events: Events) -> None:
    events = hard_events("qcd", 6)
    ours = by_event(Alternative(tampered(campaign, "none"), events).batches())
    other = by_event(Alternative(tampered(campaign, "centimetres"), events).batches())
    millimetres, ten_times = (max(abs(p[6]) for p in particles[0]) for particles in (ours, other))
    assert ten_times == pytest.approx(10 * millimetres)


def test_events_can_be_assigned_by_their_hard_partons(campaign: Campaign, hard_events: Events) -> None:
    """With numbers that mean nothing: the generator gets the events in reverse order."""
    events = hard_events("qcd", N)
    table = resimulate(tampered(campaign, "reverse", match="partons", first_number=1000), events)
    assert (table["status"].to_numpy() != Status.FAILED).all()
    assert (table["status"].to_numpy() == Status.OK).sum() > 3


def test_partons_that_fit_two_events_or_none_assign_nothing(hard_events: Events) -> None:
    events = hard_events("qcd", 3)
    moved = [p for p in events[1].particles if p.status != -1]

    def record(factor: float) -> Record:
        momentum = factor * np.array([p.momentum for p in moved])
        empty = np.zeros((0, 4))
        return Record(0, np.zeros(0, int), empty, empty, np.array([p.pdg_id for p in moved]), momentum)

    assert by_partons(events)(record(1.0)) == 1
    assert by_partons(events)(record(1.00002)) == 1
    assert by_partons(events)(record(1.01)) is None
    assert by_partons([events[1], events[0], events[1]])(record(1.0)) is None


def test_an_event_that_the_generator_leaves_out_is_a_row_with_a_status(
    campaign: Campaign, hard_events: Events
) -> None:
    """Colours that make no sense fail in Pythia; the neighbours are as if the event were not there."""
    events = hard_events("higgs_bb", 6)
    whole = resimulate(exact(campaign, "higgs_bb"), events)
    broken = [p._replace(colour=901, anticolour=902) if p.pdg_id == 5 else p for p in events[2].particles]
    events = [*events[:2], HardEvent(**{**vars(events[2]), "particles": broken}), *events[3:]]
    table = resimulate(exact(campaign, "higgs_bb"), events)
    assert table["status"][2].as_py() == Status.FAILED
    others = [0, 1, 3, 4, 5]
    assert table.take(others).equals(whole.take(others))


def write_script(folder: Path, text: str) -> str:
    """Return the command of a program with the usual arguments."""
    path = folder / "a program.py"
    path.write_text(f"import os, subprocess, sys, time\nlhe, out, seed = sys.argv[1:]\n{text}\n", encoding="utf-8")
    return f"{PYTHON} '{path}' {{lhe}} {{out}} {{seed}}"


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (
            "print('first'); sys.exit('no PDF set CT14lo')",
            "ended with status 1; it said: .*first.*no PDF set CT14lo",
        ),
        ("os.kill(os.getpid(), 9)", "was killed by SIGKILL; it said nothing"),
        ("print('done')", "it wrote no output"),
        ("open(out, 'w').close()", "its output is not a HepMC3 file"),
        ("open(out, 'w').write('E 0 1 2\\n' * 99)", "its output is not a HepMC3 file"),
        ("open(out, 'wb').write(os.urandom(9999))", "its output is not a HepMC3 file"),
        ("open(out, 'w').write('HepMC::Version 3.02.05\\nHepMC::Asciiv3-END_EVENT_LISTING\\n')", "holds no event"),
    ],
)
def test_commands_that_fail_say_why_and_leave_nothing(
    campaign: Campaign, hard_shard: Shard, tmp_path: Path, scratch: Path, program: str, expected: str
) -> None:
    made = block(campaign, "qcd", write_script(tmp_path, program))
    with pytest.raises(GeneratorError, match=f"(?s)qcd, variant seed: .*{expected}.*variants.seed.generator"):
        resimulate_shard(made, hard_shard("qcd", 0, N), tmp_path / "out" / "x.parquet")
    assert not list((tmp_path / "out").glob("*")) and not list(scratch.iterdir())


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("half", "the external generator failed on 8 of 16 events under the variant seed"),
        ("reverse", "events have a jet where their hard event says"),
        ("twice", "two of its events belong to the hard event 2"),
        ("large", "an event with the number 99, and 16 hard events were numbered from 0"),
        ("cut", "truncated or damaged: . of . events are whole, and the line that ends"),
        ("unfinished", "truncated or damaged: 15 of 15 events are whole, and the line that ends"),
        ("damaged", "truncated or damaged: 0 of 16 events are whole"),
        ("weighted", r"its events have different weights \(3e-05 ... 6e-05\), which would be lost"),
    ],
)
def test_output_that_is_not_the_events_is_refused(
    campaign: Campaign, hard_shard: Shard, tmp_path: Path, scratch: Path, mode: str, expected: str
) -> None:
    with pytest.raises(GeneratorError, match=expected):
        resimulate_shard(tampered(campaign, mode), hard_shard("qcd", 0, N), tmp_path / "x.parquet")
    assert not list(tmp_path.iterdir()) and not list(scratch.iterdir())


def test_a_weight_that_all_events_have_plays_no_role(campaign: Campaign, hard_events: Events) -> None:
    events = hard_events("qcd", 4)
    assert resimulate(tampered(campaign, "weighted_alike"), events).equals(
        resimulate(tampered(campaign, "none"), events)
    )


def test_how_many_events_may_be_missing_is_configured(
    campaign: Campaign, hard_shard: Shard, tmp_path: Path
) -> None:
    made = tampered(campaign, "half", max_failed=0.5)
    resimulate_shard(made, hard_shard("qcd", 0, N), tmp_path / "x.parquet")
    table = pq.read_table(tmp_path / "x.parquet")
    assert (table["status"].to_numpy() == Status.FAILED).tolist() == [False] * 8 + [True] * 8


HANGING = "child = subprocess.Popen(['sleep', '300']); print('pids', os.getpid(), child.pid, flush=True); time.sleep(300)"


def pids(text: str) -> list[int]:
    return [int(word) for word in text.split("pids ")[1].split()[:2]]


def test_a_command_that_hangs_is_ended_with_all_that_it_started(
    campaign: Campaign, hard_events: Events, tmp_path: Path, scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a program.sh").write_text("sleep 600 & echo pids $$ $!\nwait\n", encoding="utf-8")
    made = block(campaign, "qcd", f"sh '{tmp_path}/a program.sh' {{lhe}} {{out}} {{seed}}", timeout=0.05)
    with pytest.raises(GeneratorError, match=r"took more than 0.05 min and was ended; it said: pids \d+ \d+"):
        resimulate(made, hard_events("qcd", 3))
    assert not any(map(alive, pids(capsys.readouterr().err)))
    assert not list(scratch.iterdir())


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def by_hand(made: ResimBlock, hard_shard: Shard, folder: Path) -> list[str]:
    """Return the arguments of the script, as a rule gives them."""
    hard, out = hard_shard("qcd", 0, N), folder / "x.parquet"
    return ["--block", made.model_dump_json(), "--hard", str(hard), "--out", str(out)]


def started_job(
    campaign: Campaign, hard_shard: Shard, tmp_path: Path
) -> tuple[subprocess.Popen[bytes], list[int]]:
    """Start a job by hand, as a rule would, whose command hangs; return it and the processes of its command."""
    made = block(campaign, "qcd", write_script(tmp_path, HANGING))
    arguments = by_hand(made, hard_shard, tmp_path)
    (tmp_path / "scratch").mkdir()
    with (tmp_path / "log").open("w") as log:
        job = subprocess.Popen(
            [sys.executable, str(SCRIPTS / "resim.py"), *arguments],
            stderr=log,
            env={**os.environ, "TMPDIR": str(tmp_path / "scratch")},
        )
    wait_until(lambda: re.search(r"pids \d+ \d+\n", (tmp_path / "log").read_text(encoding="utf-8")))
    started = pids((tmp_path / "log").read_text(encoding="utf-8"))
    assert all(map(alive, started))
    return job, started


def test_a_cancelled_job_ends_its_command(campaign: Campaign, hard_shard: Shard, tmp_path: Path) -> None:
    """The command's messages are in the log of the job, and nothing is left."""
    job, started = started_job(campaign, hard_shard, tmp_path)
    job.send_signal(signal.SIGTERM)
    assert job.wait(HANGS) == 1
    assert not any(map(alive, started))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a program.py", "log", "scratch"]
    assert not list((tmp_path / "scratch").iterdir())


def test_the_command_of_a_killed_job_ends(campaign: Campaign, hard_shard: Shard, tmp_path: Path) -> None:
    """SIGKILL: the job itself can do nothing any more."""
    job, started = started_job(campaign, hard_shard, tmp_path)
    watchers = [p.pid for p in psutil.Process(job.pid).children() if p.pid not in started]
    assert len(watchers) == 1
    job.send_signal(signal.SIGKILL)
    assert job.wait(HANGS) == -signal.SIGKILL
    wait_until(lambda: not any(map(alive, [*started, *watchers])))


def test_a_full_disk_is_named(campaign: Campaign, hard_shard: Shard, tmp_path: Path) -> None:
    """No file may be larger than 8 kB: the scratch folder cannot take the hard events."""
    made = block(campaign, "qcd", GOOD)
    arguments = by_hand(made, hard_shard, tmp_path)
    command = [
        "bash",
        "-c",
        'ulimit -f 8; exec "$@"',
        "-",
        sys.executable,
        str(SCRIPTS / "resim.py"),
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 1
    assert (
        f"error: {tmp_path} (scratch of the external generator): cannot be written (File too large)" in done.stderr
    )
    assert not list(tmp_path.iterdir())


def test_a_command_that_is_not_there(campaign: Campaign, hard_events: Events) -> None:
    with pytest.raises(GeneratorError, match="cannot be started: /no/herwig: No such file or directory"):
        resimulate(block(campaign, "qcd", "/no/herwig {lhe} {out} {seed}"), hard_events("qcd", 3))


def test_no_shell_sees_the_command(campaign: Campaign, hard_events: Events, tmp_path: Path) -> None:
    """Words stay words: neither a setting with spaces nor a semicolon becomes anything else."""
    command = write_script(tmp_path, "").replace("{seed}", "{seed};touch'{what}'")
    made = block(campaign, "qcd", f"{command}", settings={"what": f" {tmp_path}/x; $(touch {tmp_path}/y)"})
    with pytest.raises(GeneratorError, match="it wrote no output"):
        resimulate(made, hard_events("qcd", 3))
    assert [p.name for p in tmp_path.iterdir()] == ["a program.py"]


def test_the_recipe_of_herwig_calls_it_with_a_complete_card(
    campaign: Campaign, hard_events: Events, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Herwig itself is not here: what it would be called with, and that its failure stops the job."""
    herwig, called = tmp_path / "Herwig", tmp_path / "called"
    herwig.write_text(
        f'#!/bin/sh\necho "$@" >> {called}\ncp herwig7.in {tmp_path}\n[ "$1" = read ]\n', encoding="utf-8"
    )
    herwig.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    recipe = REPOSITORY / "config" / "generators" / "herwig7.sh"
    made = block(
        campaign, "qcd", f"bash '{recipe}' {{lhe}} {{out}} {{seed}} {{events}} {{folder}}", match="partons"
    )
    with pytest.raises(GeneratorError, match="ended with status 1"):
        resimulate(made, hard_events("qcd", 3))
    read, run = called.read_text(encoding="utf-8").splitlines()
    assert read == "read herwig7.in"
    assert re.fullmatch(r"run herwig7.run -N 3 -s \d+", run)
    card = (tmp_path / "herwig7.in").read_text(encoding="utf-8")
    assert re.search(r"FileName /.*/in.lhe\n", card) and re.search(r"Filename /.*/out.hepmc\n", card)
    assert "@" not in card.split("read snippets/PPCollider.in")[1]


def parsed(values: dict[str, Any], **variant: Any) -> Campaign:
    values = copy.deepcopy(values)
    values["variants"]["herwig"] = {"resample": "shower", **variant}
    return parse_campaign(values)


GOOD = "herwig {lhe} {out} {seed}"


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ({"generator": {"command": "herwig {lhe} {seed}"}}, "variants.herwig.generator: the command needs the placeholder out"),
        ({"generator": {"command": "herwig {lhe} {out}"}}, "needs the placeholder seed"),
        ({"generator": {"command": f"{GOOD} {{card}}"}}, "unknown placeholder card; known: events"),
        ({"generator": {"command": f"{GOOD} 'open"}}, "the command cannot be read"),
        ({"generator": {"command": GOOD, "settings": {"tune": 1}}}, "settings without a placeholder: tune"),
        ({"generator": {"command": GOOD, "settings": {"lhe": 1}}}, "settings may not be called lhe"),
        ({"generator": {"command": GOOD, "timeout": 0}}, "variants.herwig.generator.timeout"),
        ({"generator": {"comand": GOOD}}, "variants.herwig.generator.comand: unknown key; did you mean `command`"),
        ({"generator": {"command": GOOD}, "resample": "hadronisation"}, "it needs `resample: shower`"),
        ({"generator": {"command": GOOD}, "pythia": {"TimeShower:pTmin": 1.0}}, "`pythia` has no effect on another"),
    ],
)  # fmt: skip
def test_wrong_blocks_are_refused(test_values: dict[str, Any], variant: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        parsed(test_values, **variant)


def test_the_files_of_a_generator_belong_to_its_block(test_values: dict[str, Any], tmp_path: Path) -> None:
    card = tmp_path / "card.in"
    card.write_text("a", encoding="utf-8")
    config = parsed(test_values, generator={"command": GOOD, "files": [str(card)]})
    first = blocks.resim(config, "qcd", "herwig")
    card.write_text("b", encoding="utf-8")
    assert blocks.resim(config, "qcd", "herwig") != first
    assert blocks.resim(config, "qcd", "nominal").generator_files == {}
    card.unlink()
    with pytest.raises(ConfigError, match=r"variants.herwig.generator.files: .*card.in: No such file"):
        blocks.resim(config, "qcd", "herwig")


def test_hard_events_for_the_command_are_all_digits(campaign: Campaign, hard_shard: Shard, tmp_path: Path) -> None:
    """The file that the command reads holds the events of the shard, with weight 1 and plain."""
    keep = tmp_path / "kept.lhe"
    program = write_script(tmp_path, f"import shutil; shutil.copy(lhe, {str(keep)!r})")
    _, events = read_shard(hard_shard("qcd", 0, N))
    with pytest.raises(GeneratorError, match="no output"):
        resimulate(block(campaign, "qcd", program), events)
    text = keep.read_text(encoding="utf-8").split("<event")
    assert len(text) == N + 1
    for event, part in zip(events, text[1:], strict=True):
        lines = part.splitlines()
        assert f'evtkey="{event.index}"' in lines[0]
        assert [float(x) for x in lines[1].split()][2:4] == [1.0, event.scale]
        assert [tuple(float(x) for x in line.split()) for line in lines[2 : 2 + len(event.particles)]] == list(
            event.particles
        )


@pytest.mark.parametrize("page", ["hard", "resim"])
def test_examples_of_the_pages_are_valid(test_values: dict[str, Any], page: str) -> None:
    """External hard events and alternative generators as docs/ shows them; their files are there."""
    text = (REPOSITORY / "docs" / f"{page}.md").read_text(encoding="utf-8")
    values = copy.deepcopy(test_values)
    for example in text.split("```yaml\n")[1:]:
        for key, entries in yaml.safe_load(example.split("```")[0]).items():
            values[key] = {**values[key], **entries} if isinstance(entries, dict) else entries
    config = parse_campaign(values)
    check_settings(config)
    assert config != parse_campaign(test_values)
    for variant in config.variants.values():
        assert all((REPOSITORY / path).exists() for path in (variant.generator.files if variant.generator else []))
