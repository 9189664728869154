"""Changes of configurations."""

from __future__ import annotations

import copy
from typing import Any

Values = dict[str, Any]


def changed(values: Values, path: str, value: Any) -> Values:
    """Return a copy of ``values`` with the key at the dotted ``path`` set."""
    result = copy.deepcopy(values)
    target = result
    *parents, last = path.split("/")
    for key in parents:
        target = target.setdefault(key, {})
    target[last] = value
    return result
