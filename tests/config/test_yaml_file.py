"""YAML that people get wrong: each fault is named by file, line and remedy, wherever the project reads YAML."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rs3l.config import library as library_module
from rs3l.config import load_campaign
from rs3l.config.library import library
from rs3l.config.yaml_file import read_mapping, read_yaml
from rs3l.errors import ConfigError
from support.places import REPOSITORY


def message(path: Path, contents: bytes) -> str:
    path.write_bytes(contents)
    with pytest.raises(ConfigError) as error:
        read_yaml(path)
    return str(error.value)


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        (b"a:\n\tb: 1\n", ['line 2, column 1', "    \tb: 1\n    ^", "YAML takes no tab"]),
        (b"a: 1\n  b: 2\n", ["line 2, column 4", "      b: 2\n       ^", "look at the indentation"]),
        (b"a:\n   b: 1\n  c: 2\n", ["line 3, column 3", "look at the indentation"]),
        (b"a: [1\n", ["line 1, column 4", "line 2, column 1"]),
        (b"a: 1\nb: \xe9\n", ["line 2: is not UTF-8 (byte 0xe9)"]),
        (b"a: \x00\n", ["remove the character"]),
        (b"a: 1\n---\nb: 2\n", ["another document", "line 2"]),
        (b"a: !!python/object/apply:os.system [x]\n", ["could not determine a constructor", "line 1"]),
        (b"a: 2020-13-45\n", ["month must be in 1..12"]),
        (b"[" * 2_000, ["cannot be read as YAML"]),
    ],
)  # fmt: skip
def test_what_is_no_yaml_is_named_by_line(tmp_path: Path, contents: bytes, expected: list[str]) -> None:
    text = message(tmp_path / "c.yaml", contents)
    assert str(tmp_path / "c.yaml") in text and all(part in text for part in expected), text
    assert "unicode string" not in text


def test_a_key_that_is_there_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    text = message(tmp_path / "c.yaml", b"a: 1\nb:\n  c: 1\n  'c': 2\nd: [{e: 1, e: 2}]\na: 3\n")
    assert text.splitlines() == [
        f"{tmp_path / 'c.yaml'}, line {line}: the key `{key}` is there already, in line {first}; the last one would "
        "win: keep one of them"
        for line, key, first in ((4, "b.c", 3), (5, "d.0.e", 5), (6, "a", 1))
    ]
    assert "`a` is there twice" in message(tmp_path / "c.json", b'{"a": 1,\n\t"a": 2}')


def test_what_only_looks_twice_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("a: &x {p: 1, q: 2}\nb: {<<: *x, p: 2}\n1: a\n'1': b\nc: *x\n", encoding="utf-8-sig")
    assert read_yaml(path) == {
        "a": {"p": 1, "q": 2},
        "b": {"p": 2, "q": 2},
        1: "a",
        "1": "b",
        "c": {"p": 1, "q": 2},
    }
    path.write_text('{"a":\n\t[1]}', encoding="utf-8")
    assert read_yaml(path) == {"a": [1]}


def test_aliases_of_aliases_are_looked_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    (tmp_path / "c.yaml").write_text("\n".join(lines), encoding="utf-8")
    assert len(read_yaml(tmp_path / "c.yaml")) == 60


def test_a_file_that_is_not_there_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"nope\.yaml: cannot be read: there is no such file; name a campaign's configuration"
    ):
        load_campaign(tmp_path / "nope.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_campaign(tmp_path)
    (tmp_path / "empty.yaml").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="a mapping of keys is expected, found NoneType"):
        read_mapping(tmp_path / "empty.yaml")


def test_the_library_is_read_as_strictly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "variants").mkdir()
    (tmp_path / "variants" / "mine.yaml").write_text("x: {}\ny: {}\nx: {}\n", encoding="utf-8")
    monkeypatch.setattr(library_module, "FOLDER", tmp_path)
    with pytest.raises(ConfigError, match=r"mine\.yaml, line 3: the key `x` is there already, in line 1"):
        library.__wrapped__("variants")


def test_the_project_reads_yaml_in_one_way() -> None:
    """Whoever reads YAML of a user by another way loses duplicate keys and the line of an error."""
    files = [*(REPOSITORY / "workflow").rglob("*.py"), *(REPOSITORY / "tools").glob("*.py")]
    own = {path.name for path in files if "yaml.safe_load" in path.read_text(encoding="utf-8")}
    assert own == set() and len(files) > 100


@pytest.mark.parametrize("tool", ["demo.py", "plan.py", "status.py"])
def test_a_tool_names_a_configuration_that_is_not_there(tool: str, tmp_path: Path) -> None:
    command = [sys.executable, str(REPOSITORY / "tools" / tool), "--config", "nope.yaml"]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=tmp_path)
    assert result.returncode == 1 and result.stderr.startswith(
        "error: nope.yaml: cannot be read: there is no such"
    )
