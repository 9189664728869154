"""Run the command ``rs3l`` as ``python -m rs3l``."""

from rs3l.commands import main

main()
