"""A dry run is a full check: what cannot be read, is there twice, or cannot be had stops it with the key and remedy."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.workflow import Snakemake

Values = dict[str, Any]


def text_of(values: Values) -> str:
    return yaml.safe_dump(values, sort_keys=False)


@pytest.mark.parametrize(
    ("damage", "options", "expected"),
    [
        (lambda t: t.replace("  pt_min", "\tpt_min"), [], ["config.yaml", "\n    ^", "YAML takes no tab"]),
        (lambda t: f"{t}\nseed: 8\n", [], ["config.yaml, line ", "the key `seed` is there already, in line 2"]),
        (lambda t: f"{t}\nseed: 8\n", ["--workflow-profile", "none"], ["the key `seed` is there already, in line 2"]),
        (lambda t: t.replace("  - 20", "  - 2000"), [], ["finetune.labels: 2000 labels of the task h_vs_qcd need"]),
    ],
    ids=["tab", "twice", "twice, without the profile", "labels"],
)  # fmt: skip
def test_a_wrong_file_stops_the_dry_run(
    tmp_path: Path, test_values: Values, damage: Any, options: list[str], expected: list[str]
) -> None:
    snakemake = Snakemake(tmp_path, copy.deepcopy(test_values))
    text = text_of(test_values)
    assert damage(text) != text
    (tmp_path / "config.yaml").write_text(damage(text), encoding="utf-8")
    result = snakemake("hard", "--dry-run", *options, check=False)
    said = result.stdout + result.stderr
    assert result.returncode != 0 and all(part in said for part in expected), said
    assert "Traceback" not in said and "hard_process" not in result.stdout


def test_a_file_that_is_not_there_is_named(tmp_path: Path, test_values: Values) -> None:
    snakemake = Snakemake(tmp_path, copy.deepcopy(test_values))
    (tmp_path / "config.yaml").unlink()
    result = snakemake("hard", "--dry-run", check=False)
    assert result.returncode != 0 and "Traceback" not in result.stdout + result.stderr
    assert f"{tmp_path / 'config.yaml'}: cannot be read: there is no such file" in result.stderr


def test_numbers_in_any_form_and_a_missing_model(tmp_path: Path, test_values: Values) -> None:
    values = copy.deepcopy(test_values)
    values["events_per_shard"] = "6e1"
    snakemake = Snakemake(tmp_path, values)
    assert snakemake.planned("hard")["hard_process"] == 8
    values["pretrain"]["methods"] = {"rs3l": {}, "own": {"model": "models/own.safetensors"}}
    snakemake.configure(values)
    result = snakemake("hard", "--dry-run", check=False)
    said = result.stdout + result.stderr
    assert "pretrain.methods.own.model: there is no file models/own.safetensors; make it (import_model.py)" in said
