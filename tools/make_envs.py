"""Make the conda environments of all rules, and fail where Snakemake only warns.

Snakemake ignores a pin file that cannot be installed: it warns, and solves the environment anew, with whatever
versions that gives. Here that is an error. Arguments go on to Snakemake, e.g. --conda-prefix /shared/envs.
"""

from __future__ import annotations

import subprocess
import sys

IGNORED_PINS = "Failed to install conda environment from pin file"


def main() -> None:
    """Make the environments and pass on Snakemake's output."""
    command = [sys.executable, "-m", "snakemake", "--sdm", "conda", "--conda-create-envs-only", "--cores", "1"]
    process = subprocess.Popen(
        [*command, *sys.argv[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdout is not None
    ignored = False
    for line in process.stdout:
        sys.stderr.write(line)
        ignored |= IGNORED_PINS in line
    if process.wait():
        sys.exit("error: an environment could not be made: see above")
    if ignored:
        sys.exit("error: a pin file could not be installed: see above; make it anew (make pins) or delete it")


if __name__ == "__main__":
    main()
