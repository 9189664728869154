"""Every step is a command: it explains itself, says what is wrong, and works by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from rs3l.config import Campaign, blocks
from support.places import REPOSITORY, SCRIPTS
from support.workflow import run_script

TEST_CONFIG = str(REPOSITORY / "config" / "test.yaml")
NAMES = sorted(path.name for path in SCRIPTS.glob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_help(name: str) -> None:
    result = run_script(name, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith("usage: ") and "INFO" not in result.stderr


def test_hard_process_and_resimulate_by_hand(tmp_path: Path, campaign: Campaign) -> None:
    """A block in a file, as JSON on the command line, or cut out of a configuration: the same job."""
    hard, jets = tmp_path / "0000.lhe.gz", [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    block = blocks.hard(campaign, "qcd", 0).model_copy(update={"events": 20})
    (tmp_path / "block.json").write_text(block.model_dump_json(), encoding="utf-8")
    made = run_script("hard.py", "--block", str(tmp_path / "block.json"), "--out", str(hard))
    assert made.returncode == 0, made.stderr
    assert "command: " in made.stderr and f"wrote {hard} (" in made.stderr
    config = ["--config", TEST_CONFIG, "--process", "qcd", "--variant", "seed"]
    direct = ["--block", blocks.resim(campaign, "qcd", "seed").model_dump_json()]
    for arguments, out in zip((config, direct), jets, strict=True):
        done = run_script("resim.py", *arguments, "--hard", str(hard), "--out", str(out))
        assert done.returncode == 0, done.stderr
        assert "20 events in" in done.stderr
    assert jets[0].read_bytes() == jets[1].read_bytes()


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("hard.py", ["--config", TEST_CONFIG, "--process", "top", "--out", "x"], "error: no process 'top'"),
        ("hard.py", ["--config", "missing.yaml", "--process", "qcd", "--out", "x"], "error: missing.yaml: cannot be read"),
        ("hard.py", ["--block", "{}", "--out", "x"], "error: --block is not a valid HardBlock"),
        ("hard.py", ["--block", "no.json", "--out", "x"], "error: --block: neither JSON nor a file with it: no.json"),
        ("resim.py", ["--config", TEST_CONFIG, "--process", "qcd", "--hard", "no.lhe.gz", "--out", "x"], "error: no.lhe.gz: no such file"),
        ("merge.py", ["--config", TEST_CONFIG, "--root", "nowhere"], "error: nowhere/jets/higgs_bb/nominal/0000.parquet: missing"),
    ],
)  # fmt: skip
def test_errors_name_the_cause_without_a_traceback(name: str, arguments: list[str], expected: str) -> None:
    result = run_script(name, *arguments)
    assert result.returncode == 1
    assert expected in result.stderr
    assert "Traceback" not in result.stderr
    assert not Path("x").exists()
