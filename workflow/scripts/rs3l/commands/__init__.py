"""The commands: one module each, with a ``main`` that parses, makes one call of the library, and writes.

``rs3l <command>`` runs them where the package is installed; ``workflow/scripts/<command>.py`` are the same.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from rs3l import __version__, cli

COMMANDS = {
    "hard": "Write one shard of hard events (.lhe.gz): by Pythia 8, or from external files",
    "index-lhe": "Read and check the external Les Houches files of a process: what they hold, as JSON",
    "pileup": "Make one shard of the pool of minimum-bias events that pile-up is drawn from (.arrow)",
    "resim": "Re-simulate one LHE shard under one variant: shower, hadronisation, detector and jets",
    "resim-together": "Re-simulate one LHE shard under all variants that share a shower, a file each",
    "import-file": "Import one file of jets of a campaign with `source`: a part of each split and process",
    "import-dataset": "Make the data set of all imported files, or use one where it lies: manifest and card",
    "merge": "Merge the jets of all variants into the matched data set: Parquet files, manifest and card",
    "pretrain": "Pre-train one encoder on pairs of views (contrastive); resumes an interrupted run",
    "embed": "Write the latents of the test jets, or of any file of jets, under one encoder",
    "quality": "Measure what an encoder knows: retrieval of the same event, linear fits, effective rank",
    "finetune": "Train all classifiers of one task on one run (or `none`)",
    "score": "Score the test jets of a task with all its classifiers on one run (or `none`)",
    "measure": "Measure all classifiers of one task and run on the test jets, under every bootstrap replica",
    "evaluate": "Make the tables of metrics with errors, and the summary, from the measures of all classifiers",
    "growth": "Fit how a claim grows with the number of pre-training events: a table and a figure",
    "figures": "Draw one figure of the report: SVG, PNG, and the points that it shows (CSV)",
    "report": "Make the report of a finished campaign: one HTML file, and a summary in Markdown",
    "write-dataset": "Make a data set of jets of one's own: Parquet or ROOT files, those of JetClass among them",
    "import-hdf5": "Make a data set of files in the HDF5 layout of RS3L's public data set (rs3l_{i}.h5)",
    "export-hdf5": "Write the data set in the HDF5 layout of RS3L's public data set (rs3l_{i}.h5)",
    "import-model": "Turn weights published by the authors of RS3L into a model file of this project",
    "export-onnx": "Write an encoder as an ONNX file: raw candidates in, representation and latent out",
}
"""What each command does."""


def main() -> None:
    """Run the command that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print(_help())
    elif name == "--version":
        print(__version__)
    elif name in COMMANDS:
        sys.argv = [f"rs3l {name}", *sys.argv[2:]]
        cli.run(_imported(name).main)
    else:
        sys.exit(f"error: no command {name!r}; known: {', '.join(COMMANDS)}")


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"rs3l.commands.{name.replace('-', '_')}")
    except ModuleNotFoundError as error:
        sys.exit(f"error: rs3l {name} needs {error.name}; install the package with its extras (docs/api.md)")


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        ["usage: rs3l <command> [options]", "", *lines, "", "rs3l <command> --help lists its options."]
    )
