"""``python -m rs3l``: the command ``rs3l``."""

from rs3l.commands import main

main()
