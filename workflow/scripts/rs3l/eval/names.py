"""Names of the methods, for tables and figures: each is (pre-training method, mode of the classifier)."""

from __future__ import annotations

from rs3l.config.blocks import EvaluateBlock, is_baseline
from rs3l.config.models import VIEW_MODES

Method = tuple[str, str]

COMPARED: tuple[Method, ...] = (
    ("rs3l", "probe_h"),
    ("rs3l", "tuned"),
    ("jetclr", "probe_h"),
    ("none", "scratch"),
    ("none", "scratch_views"),
    ("none", "random"),
)
"""The methods of the ROC and label-efficiency figures."""

SUBJECT_MODES = ("probe_h", "tuned", "tuned_views")
"""Modes of the subject (the campaign's first method) that are compared with all others."""

_METHODS = {"rs3l": "RS3L", "jetclr": "JetCLR+", "supcon": "SupCon"}
_MODES = {
    "probe_h": "frozen, linear on h",
    "probe_z": "frozen, linear on z",
    "mlp_h": "frozen, five layers on h",
    "mlp_z": "frozen, five layers on z",
    "tuned": "fine-tuned",
    "tuned_z": "fine-tuned through z",
    "tuned_mlp": "fine-tuned, five layers",
    "tuned_views": "fine-tuned, all views",
    "scratch": "from scratch",
    "scratch_mlp": "from scratch, five layers",
    "scratch_views": "from scratch, all views",
    "random": "random network, linear on h",
    "gbt": "boosted trees: masses, N2, multiplicity",
    "n2": "cut on N2",
}


def method_label(method: Method) -> str:
    """Return the name of any method in any mode, for people."""
    name, mode = method[0], _MODES.get(method[1], method[1])
    if name == "none":
        return mode
    if is_baseline(name):
        return f"{mode} (networks of {name.removeprefix('none_')})"
    return f"{short_label(name)}, {mode}"


def short_label(name: str) -> str:
    """Return the name of a pre-training method, for people."""
    return _METHODS.get(name, name)


LABELS: dict[Method, str] = {
    method: method_label(method)
    for method in (
        ("rs3l", "probe_h"),
        ("rs3l", "probe_z"),
        ("rs3l", "tuned"),
        ("jetclr", "probe_h"),
        ("jetclr", "probe_z"),
        ("jetclr", "tuned"),
        ("none", "scratch"),
        ("none", "scratch_views"),
        ("none", "random"),
    )
}
"""Every method, in the order of legends."""


def is_reference(method: Method, subject: Method) -> bool:
    """Return whether the ``subject`` is compared with a method: every baseline, and others in the same mode."""
    return is_baseline(method[0]) or (method[1] == subject[1] and method[0] != subject[0])


def has_seen(block: EvaluateBlock, method: Method, variant: str) -> bool:
    """Return whether a method has learned from jets under a variant: as views, or as labelled jets."""
    name, mode = method
    if variant == "nominal" or (mode in VIEW_MODES and block.variants[variant] == "train"):
        return True
    return not is_baseline(name) and variant in block.views[name]


def rejection_name(efficiency: float) -> str:
    """Return the name of the rejection at a signal efficiency, e.g. ``rejection_0.5``."""
    return f"rejection_{efficiency:g}"


def headline_efficiency(efficiencies: list[float]) -> float:
    """Return the configured signal efficiency nearest to one half: that of the headline numbers."""
    return min(efficiencies, key=lambda efficiency: (abs(efficiency - 0.5), efficiency))
