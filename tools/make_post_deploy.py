"""Write envs/generation.post-deploy.sh: what conda-forge may not have at the tested version comes from PyPI.

Events of a seed belong to one version of Pythia, so that the conda environment must not bring another. Snakemake
runs the script in the new environment; its lines are those of requirements.lock, with all hashes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPT = REPOSITORY / "envs" / "generation.post-deploy.sh"
PACKAGES = ("backports-zstd", "fastjet", "llvmlite", "numba", "pyhepmc", "pylhe", "pythia8mc")

HEAD = """\
#!/usr/bin/env bash
# From PyPI, with hashes; written by `make lock`, see docs/environments.md. Snakemake runs it in the environment.
set -euo pipefail
python -m pip install --quiet --no-deps --require-hashes --only-binary :all: --requirement /dev/stdin <<'END'
"""


def script(lock: str) -> str:
    """Return the script for a lock file's text."""
    entries = []
    for package in PACKAGES:
        entry = re.search(rf"^{package}==.*(?:\n    --hash=.*)+", lock, re.MULTILINE)
        if entry is None:
            sys.exit(f"requirements.lock: no {package}; add it to requirements.in")
        entries.append(entry[0])
    return HEAD + "\n".join(entries) + "\nEND\n"


def main() -> None:
    """Write the script."""
    SCRIPT.write_text(script((REPOSITORY / "requirements.lock").read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
