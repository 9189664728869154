"""Install torch by exact version: a CPU build where there is no GPU.

Its file differs between machines, so it is not in the lock file with hashes; what it requires is. On PyPI the
Linux build brings CUDA libraries of several gigabytes; without a GPU the CPU build is taken from the index of
the torch project, unless the configured sources already offer one without CUDA.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = "2.13.0"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def pip(*arguments: str) -> None:
    """Run pip of this interpreter."""
    subprocess.run([sys.executable, "-m", "pip", "-q", *arguments], check=True)


def brings_cuda(requirement: str) -> bool:
    """Return whether installing ``requirement`` would bring CUDA libraries."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        pip("install", "--dry-run", "--report", str(report), requirement)
        names = [
            item["metadata"]["name"].lower() for item in json.loads(report.read_text(encoding="utf-8"))["install"]
        ]
    return any(name.startswith(("nvidia-", "cuda-")) or name == "triton" for name in names)


def installed() -> bool:
    """Return whether the right version is installed."""
    code = f"import torch, sys; sys.exit(torch.__version__.split('+')[0] != '{VERSION}')"
    return subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def main() -> None:
    """Install torch unless it is there already."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuda", action="store_true", help="for a GPU that this machine does not have")
    args = parser.parse_args()
    requirement = f"torch=={VERSION}"
    if installed():
        return
    if not args.cuda and shutil.which("nvidia-smi") is None and brings_cuda(requirement):
        pip("install", requirement, "--index-url", CPU_INDEX)
    else:
        pip("install", requirement)


if __name__ == "__main__":
    main()
