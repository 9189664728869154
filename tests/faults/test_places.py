"""A full disk, a read-only checkout, paths with spaces."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from disturb import ROOT, can_mount, checkout, in_namespace, results, temporaries
from support.workflow import Snakemake

pytestmark = pytest.mark.faults
Values = dict[str, Any]
FULL = re.compile(
    r"error: results/test/\S+: cannot be written \((.*)\); free space, or raise the quota, and run again"
)


def test_a_limit_on_the_size_of_files(undisturbed: Snakemake, tiny_values: Values, tmp_path: Path) -> None:
    """Shards of jets are larger than the limit: a clear error and no file; resumed without the limit."""
    limited = Snakemake(tmp_path, tiny_values)
    limited("hard")
    command = ["bash", "-c", 'ulimit -f 20; exec "$@"', "bash", *limited.command("evaluation", "--keep-going")]
    result = subprocess.run(command, capture_output=True, text=True, env=limited.environment())
    assert result.returncode != 0
    assert set(FULL.findall(result.stdout + result.stderr)) == {"File too large"}
    assert not list(tmp_path.glob(f"{ROOT}/jets/*/*/*.parquet"))
    assert temporaries(tmp_path) == []
    limited("evaluation")
    assert results(limited) == results(undisturbed)


needs_mount = pytest.mark.skipif(not can_mount(), reason="mounting is not permitted here")


@needs_mount
def test_a_full_disk(undisturbed: Snakemake, tiny_values: Values, tmp_path: Path) -> None:
    """The disk of the results is full in the middle of the re-simulation; then it has space again."""
    full = Snakemake(tmp_path, tiny_values)
    (tmp_path / "results").mkdir()
    script = (
        "mount -t tmpfs -o size=400k tmpfs results\n"
        '"$@" > first.txt 2>&1 && exit 3\n'
        "df results > df.txt; find results -name '.*.tmp' > temporaries.txt; find results -name '*.parquet' > jets.txt\n"
        "mount -o remount,size=100m results\n"
        '"$@"\n'
        "cp -a results kept\n"
    )
    command = full.command("evaluation", "--keep-going")
    result = in_namespace(f"cd {tmp_path}\n{script}", *command, environment=full.environment())
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    first = (tmp_path / "first.txt").read_text(encoding="utf-8")
    assert "No space left on device" in FULL.findall(first), first[-3000:]
    assert (tmp_path / "temporaries.txt").read_text(encoding="utf-8") == ""
    assert len((tmp_path / "jets.txt").read_text(encoding="utf-8").splitlines()) < 8
    (tmp_path / "results").rmdir()
    (tmp_path / "kept").rename(tmp_path / "results")
    assert results(full) == results(undisturbed)


@needs_mount
def test_a_read_only_checkout_and_paths_with_spaces(
    undisturbed: Snakemake, tiny_values: Values, tmp_path: Path
) -> None:
    """The workflow lies on a read-only file system, works elsewhere, and both paths have spaces."""
    repository = checkout(tmp_path / "a read-only checkout")
    elsewhere = Snakemake(tmp_path / "the work is here", tiny_values, repository)
    before = sorted(repository.rglob("*"))
    script = (
        'mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"\n'
        'if touch "$1/x" 2> /dev/null; then exit 3; fi\n'
        'cd "$2"; shift 2; "$@"\n'
    )
    arguments = [
        str(repository),
        str(elsewhere.folder),
        *elsewhere.command("evaluation", str(ROOT / "figures/matching.svg")),
    ]
    result = in_namespace(script, *arguments, environment=elsewhere.environment())
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert results(elsewhere) == results(undisturbed)
    assert (elsewhere.folder / ROOT / "figures/matching.svg").is_file()
    assert sorted(repository.rglob("*")) == before
