"""Names of the methods, for tables and figures: each is (pre-training method, mode of the classifier)."""

from __future__ import annotations

Method = tuple[str, str]

LABELS: dict[Method, str] = {
    ("rs3l", "probe_h"): "RS3L, frozen, linear on h",
    ("rs3l", "probe_z"): "RS3L, frozen, linear on z",
    ("rs3l", "tuned"): "RS3L, fine-tuned",
    ("jetclr", "probe_h"): "JetCLR+, frozen, linear on h",
    ("jetclr", "probe_z"): "JetCLR+, frozen, linear on z",
    ("jetclr", "tuned"): "JetCLR+, fine-tuned",
    ("none", "scratch"): "from scratch",
    ("none", "scratch_views"): "from scratch, all views",
    ("none", "random"): "random network, linear on h",
}
"""Every method, in the order of legends."""

COMPARED: tuple[Method, ...] = (
    ("rs3l", "probe_h"),
    ("rs3l", "tuned"),
    ("jetclr", "probe_h"),
    ("none", "scratch"),
    ("none", "scratch_views"),
    ("none", "random"),
)
"""The methods of the ROC and label-efficiency figures."""

SUBJECT: Method = ("rs3l", "probe_h")
"""The method that is compared with the :data:`REFERENCES`."""

REFERENCES: tuple[Method, ...] = (
    ("none", "scratch"),
    ("none", "scratch_views"),
    ("jetclr", "probe_h"),
    ("none", "random"),
)


def rejection_name(efficiency: float) -> str:
    """Return the name of the rejection at a signal efficiency, e.g. ``rejection_0.5``."""
    return f"rejection_{efficiency:g}"


def headline_efficiency(efficiencies: list[float]) -> float:
    """Return the configured signal efficiency nearest to one half: that of the headline numbers."""
    return min(efficiencies, key=lambda efficiency: (abs(efficiency - 0.5), efficiency))
