"""Files appear whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rs3l.files import atomic, sha256, write_json
from support.places import REPOSITORY, SCRIPTS


def test_a_failure_leaves_the_old_file_and_no_temporary(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    with atomic(target) as temporary:
        temporary.write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError), atomic(target) as temporary:
        temporary.write_text("half of the new", encoding="utf-8")
        raise RuntimeError
    assert target.read_text(encoding="utf-8") == "old"
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_two_writers_have_temporaries_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file.txt"
    with atomic(target) as first:
        monkeypatch.setenv("SLURM_JOB_ID", "42")
        with atomic(target) as second:
            assert first != second
            first.write_text("first", encoding="utf-8")
            second.write_text("second", encoding="utf-8")
        assert target.read_text(encoding="utf-8") == "second"
    assert target.read_text(encoding="utf-8") == "first"


def test_sha256_of_known_bytes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea")
    write_json(tmp_path / "x.json", {"a": 1})
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '{\n  "a": 1\n}\n'


@pytest.mark.parametrize("how", ["python", "parquet", "gzip"])
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, how: str) -> None:
    """A limit on the size of files fails as a full disk does: in the middle of a write."""
    write = {
        "python": "temporary.write_bytes(bytes(10**6))",
        "parquet": "pyarrow.parquet.write_table(pyarrow.table({'x': list(range(10**5))}), temporary)",
        "gzip": "gzip.open(temporary, 'wb').write(random.randbytes(10**6))",
    }[how]
    code = (
        "import gzip, random, resource, pyarrow, pyarrow.parquet\n"
        "from rs3l.files import atomic\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        f"with atomic('{tmp_path}/new/file') as temporary:\n    {write}\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert f"StorageError: {tmp_path}/new/file: cannot be written (File too large); free space" in result.stderr
    assert list((tmp_path / "new").iterdir()) == []


def test_a_full_disk_is_named_whatever_library_writes(tmp_path: Path) -> None:
    """Some hide the cause in errors of their own: a training's state, a model, predictions."""
    code = f"""
import resource
from pathlib import Path
import numpy as np, pyarrow as pa, torch
from support.pretraining import block
from rs3l.config.encoders import DeepSets
from rs3l.dataset.checksum import write_sealed
from rs3l.errors import StorageError
from rs3l.files import atomic
from rs3l.training.checkpoint import Checkpoint
from rs3l.networks.model_file import new_encoder, save_encoder

def predictions(path):
    with atomic(path) as temporary:
        write_sealed(temporary, pa.table({{"x": np.random.default_rng(0).uniform(size=10**5)}}))

folder = Path("{tmp_path}/new")
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
for write in (
    lambda: Checkpoint(folder, block(), "a").save({{"x": torch.zeros(10**5)}}),
    lambda: save_encoder(new_encoder(DeepSets(), 16, 3), folder / "model"),
    lambda: predictions(folder / "predictions"),
):
    try:
        write()
    except StorageError as error:
        print(error)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPTS), str(REPOSITORY / "tests")])}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    lines = result.stdout.splitlines()
    assert len(lines) == 3, result.stderr
    assert all(line.startswith(f"{tmp_path}/new/") for line in lines)
    assert all("cannot be written (File too large); free space" in line for line in lines)
    assert list((tmp_path / "new").iterdir()) == []


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="input"), atomic(tmp_path / "file"):
        (tmp_path / "input").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_cancelled_script_leaves_no_temporary(tmp_path: Path, number: int) -> None:
    code = (
        "import time\nfrom rs3l import cli\nfrom rs3l.files import atomic\n"
        "def main():\n"
        f"    with atomic('{tmp_path}/new/file') as temporary:\n"
        "        temporary.write_text('half')\n        print('ready', flush=True)\n        time.sleep(60)\n"
        "cli.run(main)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # ignored in the background of a shell, by nohup
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, errors = process.communicate()
    assert process.returncode == 1
    assert errors.splitlines()[-1] in ("error: terminated", "error: interrupted")
    assert list((tmp_path / "new").iterdir()) == []
