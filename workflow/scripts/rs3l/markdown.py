"""Write text of the configuration and of files in Markdown, which shows it to the letter, whatever it holds."""

from __future__ import annotations

import re

_SPECIAL = re.compile(
    r"[\\`*|$]"  # escapes, code, emphasis, the cells of a table, formulas
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"  # emphasis; within a word it is none
    r"|~(?=~)|(?<=~)~|(?<=!)\[|(?<=\])[(\[:]"  # strikethrough, pictures, links
)


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is, in one line, without markup, HTML or the end of a cell."""
    line = " ".join(str(text).split())
    line = re.sub(r"&(?=#?\w+;)", "&amp;", line)
    line = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", line)  # before anything else it is no HTML
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", line)
