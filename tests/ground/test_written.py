"""A command can say what it wrote: each file that is still there, or how many."""

from __future__ import annotations

from pathlib import Path

import pytest

from rs3l import files
from rs3l.files import atomic_folder, write_text, written


def test_what_is_still_there_is_named_with_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "WRITTEN", {})
    for name, length in (("state.pt", 5), ("b.txt", 12), ("a.txt", 1), ("a.txt", 2_340)):
        write_text(tmp_path / name, "x" * length)
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "one").write_bytes(b"x" * 1_500_000)
        (folder / "two").write_bytes(b"x" * 700_000)
    (tmp_path / "state.pt").unlink()
    assert written() == [
        f"wrote {tmp_path / 'b.txt'} (12 bytes)",
        f"wrote {tmp_path / 'a.txt'} (2.34 kB)",
        f"wrote {tmp_path / 'out'} (2.2 MB)",
    ]


def test_many_files_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "WRITTEN", {})
    for number in range(21):
        write_text(tmp_path / f"{number}.txt", "x" * 100)
    assert written() == [f"wrote 21 files, 2.1 kB, the last of them {tmp_path / '20.txt'}"]


def test_a_file_that_failed_was_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "WRITTEN", {})
    with pytest.raises(RuntimeError), files.atomic(tmp_path / "a") as temporary:
        temporary.touch()
        raise RuntimeError
    assert written() == []
