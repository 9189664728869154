"""Stage 1 writes one shard of hard events, by Pythia or from external files."""

from __future__ import annotations

from pathlib import Path

from rs3l.config.blocks import HardBlock, LheBlock
from rs3l.hard.external import external_shard, read_index
from rs3l.hard.hard import generate_shard


def write_hard_shard(block: HardBlock | LheBlock, out: str | Path, index: str | Path | None = None) -> None:
    """Write the shard that ``block`` asks for to ``out``.

    ``index`` lists what the external files hold; without it, the files are read for this. The errors raised are
    those of :func:`generate_shard` and :func:`external_shard`.
    """
    if isinstance(block, LheBlock):
        external_shard(block, out, read_index(index) if index else None)
    else:
        generate_shard(block, out)
