"""Which files a process names: a path that exists is taken as it is; one that is missing or replaced is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rs3l.errors import ConfigError
from rs3l.files import sha256, write_json
from rs3l.lhe.inputs import find_files, refuse_replaced, split_inputs, stamps

NAMES = ["run [1]/a.lhe", "run [1]/b.lhe", "s{x}/a.lhe", "plain/a.lhe", "a*b/c?.lhe", "{process}/{x,[0-9]{3}}.lhe"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        *((name, [name]) for name in NAMES),
        ("run [1]/*.lhe", ["run [1]/a.lhe", "run [1]/b.lhe"]),
        ("run [1]/[ab].lhe", ["run [1]/a.lhe", "run [1]/b.lhe"]),
        ("run*/a.lhe", ["run [1]/a.lhe"]),
        ("s{x}/*", ["s{x}/a.lhe"]),
        ("**/a.lhe", ["plain/a.lhe", "run [1]/a.lhe", "s{x}/a.lhe"]),
        ("*", []),
        ("plain", []),
        ("run [1]/c.lhe", []),
        ("no.lhe", []),
        ("no/*.lhe", []),
    ],
)
def test_files_of_a_path_or_pattern(folder: Path, pattern: str, expected: list[str]) -> None:
    """Folders are no files."""
    for prefix in ("", f"{folder}/"):
        if expected:
            assert find_files("qcd", [prefix + pattern]) == [prefix + name for name in expected]
        else:
            with pytest.raises(
                ConfigError, match=r"processes.qcd.lhe: (there is no file|no file matches) .*correct the"
            ):
                find_files("qcd", [prefix + pattern])


def test_names_that_snakemake_would_take_for_wildcards(folder: Path) -> None:
    inputs, braces = split_inputs([*NAMES, "a{b-c}.lhe", "{}"])
    assert braces == ["s{x}/a.lhe", "{process}/{x,[0-9]{3}}.lhe"]
    assert inputs == [name for name in [*NAMES, "a{b-c}.lhe", "{}"] if name not in braces]
    before = stamps(braces)
    assert [name for name, *_ in before] == braces
    (folder / braces[0]).write_text("longer than it was", encoding="utf-8")
    assert stamps(braces) != before


def older(path: Path, than: Path) -> None:
    """Give a file a time before that of another."""
    os.utime(path, ns=(0, than.stat().st_mtime_ns - 10**9))


@pytest.mark.parametrize("text", ["another text", "other"])
def test_a_file_that_was_replaced_by_an_older_one_is_named(tmp_path: Path, text: str) -> None:
    """Of another size or of the same; Snakemake sees a newer one itself."""
    file, index = tmp_path / "a.lhe", tmp_path / "files.json"
    refuse_replaced("qcd", index, [str(file)])  # there is no index yet
    file.write_text("first", encoding="utf-8")
    write_json(index, {"files": [{"path": str(file), "bytes": 5, "sha256": sha256(file)}]})
    older(file, index)
    refuse_replaced("qcd", index, [str(file)])
    file.write_text("first", encoding="utf-8")
    older(file, index)
    refuse_replaced("qcd", index, [str(file)])  # the same bytes
    file.write_text(text, encoding="utf-8")
    refuse_replaced("qcd", index, [str(file)])  # it is newer
    older(file, index)
    with pytest.raises(
        ConfigError,
        match=r"processes.qcd.lhe: .*a.lhe was replaced after .*files.json was made, .*`touch` this one",
    ):
        refuse_replaced("qcd", index, [str(file)])
    index.write_text("{", encoding="utf-8")
    refuse_replaced("qcd", index, [str(file)])  # whoever reads the index says what is wrong
