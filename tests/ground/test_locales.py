"""Under locales without UTF-8 everything that is written and read is UTF-8 all the same."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from rs3l.config import blocks, parse_campaign
from support.places import REPOSITORY, SCRIPTS

LABEL = "H→bb̄ (é, σ)"
RUN = """
import json, runpy, sys
for name, *arguments in json.load(open(sys.argv[1], encoding="utf-8")):
    sys.argv = [name, *arguments]
    runpy.run_path(name, run_name="__main__")
"""


@pytest.fixture(scope="session")
def latin(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a locale of ISO-8859-1, which is made here: few machines have one."""
    folder = tmp_path_factory.mktemp("locales")
    if shutil.which("localedef") is None:
        pytest.skip("localedef is not installed")
    command = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(folder / "en_US.ISO-8859-1")]
    made = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if not (folder / "en_US.ISO-8859-1").is_dir():
        pytest.skip(f"no locale of ISO-8859-1 can be made here: {made.stderr}")
    return environment(LC_ALL="en_US.ISO-8859-1", LOCPATH=str(folder))


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    path = os.pathsep.join([str(SCRIPTS), str(REPOSITORY / "tools")])
    return {**kept, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": path, **variables}


@pytest.fixture(params=["C", "latin"])
def locale(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the environment of a locale: ASCII alone, or ISO-8859-1."""
    if request.param == "C":
        return environment(LC_ALL="C")
    found: dict[str, str] = request.getfixturevalue("latin")
    return found


def run(program: str, *arguments: str, env: dict[str, str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    result = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, env=env, cwd=folder)
    assert result.returncode == 0, result.stderr.decode("utf-8", errors="replace")
    return result


def small(values: dict[str, Any]) -> dict[str, Any]:
    """Return a campaign of two processes under two variants, with a label that no 8-bit encoding has."""
    result = copy.deepcopy(values)
    del result["processes"]["w_qq"], result["tasks"]["w_vs_qcd"]
    result["processes"]["higgs_bb"]["label"] = LABEL
    for process in result["processes"].values():
        process["events"] = 24
    result["variants"] = {name: result["variants"][name] for name in ("nominal", "seed")}
    result["evaluate"]["variants"], result["finetune"]["labels"] = ["nominal"], [10]
    result["pretrain"].update(batch=8)
    return result


def chain(folder: Path, config: str) -> list[list[str]]:
    """Return the commands of a small campaign up to its card, a figure and its status."""
    root, script = folder / "results" / "test", lambda name: str(SCRIPTS / name)
    commands = []
    for process in ("higgs_bb", "qcd"):
        source, hard = ["--config", config, "--process", process], str(root / "hard" / process / "0000.lhe.gz")
        commands.append([script("hard.py"), *source, "--out", hard])
        for variant in ("nominal", "seed"):
            out = str(root / "jets" / process / variant / "0000.parquet")
            commands.append([script("resim.py"), *source, "--variant", variant, "--hard", hard, "--out", out])
    commands.append([script("merge.py"), "--config", config, "--root", str(root)])
    figure = [f"--{suffix}={root}/figures/jet_mass.{suffix}" for suffix in ("svg", "png", "csv")]
    manifest = ["--input", "manifest", str(root / "dataset" / "manifest.json")]
    commands.append([script("figures.py"), "--config", config, "--figure", "jet_mass", *manifest, *figure])
    commands.append([str(REPOSITORY / "tools" / "status.py"), "--config", config])
    return commands


def test_a_campaign_is_the_same_under_another_locale(
    tmp_path: Path, test_values: dict[str, Any], latin: dict[str, str]
) -> None:
    """ISO-8859-1 reads every file without an error, and wrongly; ASCII would stop."""
    config = tmp_path / "config.yaml"
    text = yaml.safe_dump(small(test_values), allow_unicode=True, sort_keys=False)
    config.write_text(text, encoding="utf-8")
    (tmp_path / "commands.json").write_text(json.dumps(chain(tmp_path, str(config))), encoding="utf-8")
    said = run(RUN, "commands.json", env=latin, folder=tmp_path).stderr.decode("ascii")
    assert LABEL in text and "wrote " in said and "Error" not in said
    root = tmp_path / "results" / "test"
    assert f"| higgs_bb | {LABEL} |" in (root / "dataset" / "card.md").read_text(encoding="utf-8")
    manifest = json.loads((root / "dataset" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["processes"]["higgs_bb"]["label"] == LABEL
    assert LABEL in (root / "figures" / "jet_mass.svg").read_text(encoding="utf-8")


def test_a_block_on_the_command_line_is_utf_8(
    tmp_path: Path, test_values: dict[str, Any], locale: dict[str, str]
) -> None:
    """What a person writes, and what a rule passes: ASCII alone, since Snakemake must encode it."""
    program = "import sys; from rs3l.streams import argument_text; print(ascii(argument_text(sys.argv[1])))"
    assert run(program, LABEL, env=locale, folder=tmp_path).stdout.decode("ascii").strip() == ascii(LABEL)
    block = blocks.merge(parse_campaign(small(test_values)))
    assert block.as_json().isascii() and blocks.MergeBlock.model_validate_json(block.as_json()) == block
    plain = blocks.merge(parse_campaign(test_values))
    assert plain.as_json() == plain.model_dump_json()


def test_what_a_terminal_cannot_show_is_escaped(tmp_path: Path, locale: dict[str, str]) -> None:
    program = f"from rs3l.streams import speak_any_locale; speak_any_locale(); print({LABEL!a}, '\\xe9')"
    said = run(program, env=locale, folder=tmp_path).stdout.decode("iso-8859-1")
    assert said.startswith("H\\u2192bb") and said.rstrip().endswith(("é", "\\xe9"))
