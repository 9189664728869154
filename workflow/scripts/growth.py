"""The command `rs3l growth`, as the rules call it: the package need not be installed."""

from rs3l.cli import run
from rs3l.commands.growth import main

if __name__ == "__main__":
    run(main)
