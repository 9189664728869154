"""The command `rs3l export-hdf5`, as the rules call it: the package need not be installed."""

from rs3l.cli import run
from rs3l.commands.export_hdf5 import main

if __name__ == "__main__":
    run(main)
