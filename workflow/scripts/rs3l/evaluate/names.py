"""Names of the methods for tables and figures; each is a pair (pre-training method, mode of the classifier).

The names come from the campaign. Its first method is the subject, which is compared with all others. The other
methods are its peers, and the runs ``none`` and ``none_<method>_s0`` are the baselines. Each list is made from the
names of the runs of a block, in their order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from rs3l.config import methods
from rs3l.config.blocks import EvaluateBlock
from rs3l.config.campaign import Campaign
from rs3l.config.losses import kinds_of, loss_text
from rs3l.config.pretrain import Pretrain
from rs3l.modes import MODES
from rs3l.runs import BASELINE, Run, is_baseline

Method = tuple[str, str]

_PRETRAINED = ("probe_h", "probe_z", "tuned")
_SUPERVISED = ("scratch", "scratch_views", "random")

SUBJECT_MODES = ("probe_h", "tuned", "tuned_views")
"""The subject (the campaign's first method) is compared with all others in these modes."""

OUTPUT_MODES = ("probe_h", "tuned", "scratch", "scratch_views")
"""The modes of the methods whose distribution of the output is drawn (:func:`with_panels`)."""

_METHODS = {
    "rs3l": "RS3L",
    "rs3l_plus": "RS3L+",
    "jetclr": "JetCLR+",
    "jetclr_all": "JetCLR+ of all views",
    "supcon": "SupCon",
    "mpm": "MPM",
    "multiclass": "multi-class",
    "jepa": "JEPA",
    "jetclr_paper": "JetCLR",
}


def method_label(method: Method) -> str:
    """Return the name of any method in any mode, for people."""
    name = method[0]
    mode = MODES[method[1]].label if method[1] in MODES else method[1]
    if name == "none":
        return mode
    if is_baseline(name):
        return f"{mode} (networks of {name.removeprefix('none_')})"
    return f"{short_label(name)}, {mode}"


def short_label(method: str) -> str:
    """Return the name of a pre-training method for people.

    It is the name that the campaign uses, except for a few known methods.
    """
    return _METHODS.get(method, method)


def subject_text(config: Campaign) -> str:
    """Return the name of the subject, for a caption."""
    return short_label(next(iter(methods.methods(config))))


def methods_text(config: Campaign) -> str:
    """Return what each method of a campaign is, for a caption."""
    found = {short_label(name): settings for name, settings in methods.methods(config).items()}
    return "; ".join(f"*{name}*: {_about(settings, config.pretrain)}" for name, settings in found.items())


def _about(settings: Pretrain, base: Pretrain) -> str:
    """Return the views of a method, and its loss and network where they differ from those of the campaign."""
    if settings.model is not None:
        return "a finished model, used as it is"
    loss = f", loss {loss_text(settings.loss)}" if settings.loss != base.loss else ""
    network = f", network {settings.encoder.kind}" if settings.encoder.kind != base.encoder.kind else ""
    return f"pre-trained on {_views(settings)}{loss}{network}"


def _views(settings: Pretrain) -> str:
    """Return what the views of a method are."""
    if settings.augment:
        return "re-simulated views with hand-made augmentations"
    if settings.views != "hand_made":
        return "re-simulated views"
    jet = "" if settings.hand_made.of == "nominal" else " of any re-simulation"
    return f"hand-made views{jet} (arXiv:2108.04253, extended)"


def task_text(config: Campaign, task: str) -> str:
    """Return the labels of a task's signal and background, or its name if another task has the same labels."""
    names = {name: process.label for name, process in config.processes.items()}
    labels = {
        name: tuple(entry.label(role, names) for role in ("signal", "background"))
        for name, entry in config.tasks.items()
    }
    own = labels.get(task)
    return " against ".join(own) if own and list(labels.values()).count(own) == 1 else task


def losses_text(config: Campaign) -> str:
    """Return the losses of the methods that are pre-trained here, for a caption; equal losses are given once."""
    found: dict[str, list[str]] = {}
    for name, settings in methods.methods(config).items():
        if settings.model is None:
            found.setdefault(_loss(settings), []).append(short_label(name))
    if len(found) < 2:
        return "".join(found)
    return "; ".join(f"{', '.join(names)}: {loss}" for loss, names in found.items())


def _loss(settings: Pretrain) -> str:
    text = loss_text(settings.loss)
    if not any(kind.temperature for kind in kinds_of(settings.loss)):
        return text
    return f"{text}, temperature {settings.temperature:g}"


def method_of(run: str) -> str:
    """Return the method of a run, which is its name without the seed.

    ``none`` and ``none_<method>`` are the methods without pre-training.
    """
    return Run.parse(run).method


def methods_of(runs: Iterable[str]) -> list[str]:
    """Return the pre-training methods of some runs, the subject first."""
    return list(dict.fromkeys(method_of(run) for run in runs if not is_baseline(run)))


def baselines_of(runs: Iterable[str]) -> list[str]:
    """Return the methods without pre-training, which are ``none`` and ``none_<method>`` for other networks."""
    return list(dict.fromkeys(method_of(run) for run in runs if is_baseline(run)))


def baseline_of(method: str, baselines: Collection[str]) -> str:
    """Return the one of the ``baselines`` that has the networks of a method."""
    own = f"{BASELINE}_{method}"
    return own if own in baselines else BASELINE


def peer_of(block: EvaluateBlock) -> str | None:
    """Return the method that the subject is compared with in words, or None if there is no other.

    It is the first method with the other kind of views (hand-made ones for re-simulations, and the reverse). If no
    method has those, it is the campaign's second method.
    """
    others = methods_of(block.runs)[1:]
    kinds = {name: block.views[name] == ["nominal"] for name in (block.subject, *others)}
    return next((name for name in others if kinds[name] != kinds[block.subject]), others[0] if others else None)


def legend(runs: Iterable[str]) -> list[Method]:
    """Return the methods of a campaign in the modes that most figures show, in the order of legends."""
    names = list(runs)
    return [*_each(methods_of(names), _PRETRAINED), *_each(baselines_of(names), _SUPERVISED)]


def compared(runs: Iterable[str]) -> list[Method]:
    """Return the methods of the ROC and label-efficiency figures, with boosted trees on jet observables."""
    names = list(runs)
    return [*_pretrained(names), *_each(baselines_of(names), _SUPERVISED), (BASELINE, "gbt")]


def with_panels(runs: Iterable[str]) -> list[Method]:
    """Return the methods that have a panel in the figures with one panel per method."""
    names = list(runs)
    return [*_pretrained(names), *_each(baselines_of(names), ("scratch", "scratch_views"))]


def robust(runs: Iterable[str]) -> list[Method]:
    """Return the methods of the robustness figure, whose table has all methods."""
    return [*with_panels(runs), (BASELINE, "n2")]


def matched_references(runs: Iterable[str], subject: str) -> list[Method]:
    """Return the supervised methods whose rejection the subject matches.

    They belong to the baseline ``none``, and to the baseline with the networks of the subject.
    """
    baselines = baselines_of(runs)
    own = dict.fromkeys((BASELINE, baseline_of(subject, baselines)))
    return _each(own, ("scratch", "scratch_views"))


def _pretrained(runs: Iterable[str]) -> list[Method]:
    """Return the subject, frozen and fine-tuned, and its peers, frozen."""
    names = methods_of(runs)
    return [*_each(names[:1], ("probe_h", "tuned")), *_each(names[1:], ("probe_h",))]


def _each(names: Iterable[str], modes: Iterable[str]) -> list[Method]:
    return [(name, mode) for name in names for mode in modes]


def is_reference(method: Method, subject: Method) -> bool:
    """Return whether the ``subject`` is compared with a method.

    It is compared with every baseline, and with the other methods in the same mode.
    """
    return is_baseline(method[0]) or (method[1] == subject[1] and method[0] != subject[0])


def has_seen(block: EvaluateBlock, method: Method, variant: str) -> bool:
    """Return whether a method has learned from jets under a variant, be it as views or as labelled jets."""
    name, mode = method
    if variant == "nominal" or (MODES[mode].views == "all" and block.variants[variant] == "train"):
        return True
    return not is_baseline(name) and variant in block.views[name]


def rejection_name(efficiency: float) -> str:
    """Return the name of the rejection at a signal efficiency, e.g. ``rejection_0.5``."""
    return f"rejection_{efficiency:g}"


def log_rejection_name(efficiency: float) -> str:
    """Return the name of the natural logarithm of the rejection, e.g. ``log_rejection_0.5``."""
    return f"log_{rejection_name(efficiency)}"


def fpr_name(efficiency: float) -> str:
    """Return the name of the false-positive rate at a signal efficiency, e.g. ``fpr_0.5``."""
    return f"fpr_{efficiency:g}"


def headline_efficiency(efficiencies: list[float]) -> float:
    """Return the configured signal efficiency nearest to one half, at which the headline numbers are given."""
    return min(efficiencies, key=lambda efficiency: (abs(efficiency - 0.5), efficiency))
